//! Copies of channels-last values to other places: joined channels and shuffled
//! voxels.

use rayon::prelude::*;

use crate::columns::Columns;
use crate::geometry::volume;

/// `a`, `[voxel, channels[0]]`, and `b`, `[voxel, channels[1]]`, behind each other:
/// `[voxel, channels[0] + channels[1]]`.
///
/// # Panics
/// If the voxels differ or one is incomplete.
pub fn join_channels(a: &[f32], b: &[f32], channels: [usize; 2]) -> Vec<f32> {
    let all = channels[0] + channels[1];
    let voxels = Columns::new(channels[0]).voxels(a);
    assert_eq!(voxels, Columns::new(channels[1]).voxels(b), "voxels");
    let task = Columns::new(all).task / all;
    let mut joined = vec![0.0f32; voxels * all];
    joined
        .par_chunks_mut(task * all)
        .zip(a.par_chunks(task * channels[0]))
        .zip(b.par_chunks(task * channels[1]))
        .for_each(|((joined, a), b)| {
            let rows = a.chunks_exact(channels[0]).zip(b.chunks_exact(channels[1]));
            for (joined, (a, b)) in joined.chunks_exact_mut(all).zip(rows) {
                joined[..channels[0]].copy_from_slice(a);
                joined[channels[0]..].copy_from_slice(b);
            }
        });
    joined
}

/// The two parts that [`join_channels`] joined, and its gradient.
///
/// # Panics
/// If the last voxel is incomplete.
pub fn split_channels(joined: &[f32], channels: [usize; 2]) -> [Vec<f32>; 2] {
    let all = channels[0] + channels[1];
    let voxels = Columns::new(all).voxels(joined);
    let task = Columns::new(all).task / all;
    let [mut a, mut b] = channels.map(|channels| vec![0.0f32; voxels * channels]);
    joined
        .par_chunks(task * all)
        .zip(a.par_chunks_mut(task * channels[0]))
        .zip(b.par_chunks_mut(task * channels[1]))
        .for_each(|((joined, a), b)| {
            let rows = a
                .chunks_exact_mut(channels[0])
                .zip(b.chunks_exact_mut(channels[1]));
            for (joined, (a, b)) in joined.chunks_exact(all).zip(rows) {
                a.copy_from_slice(&joined[..channels[0]]);
                b.copy_from_slice(&joined[channels[0]..]);
            }
        });
    [a, b]
}

/// How the voxels of a transposed convolution whose stride is its kernel come to
/// their places, from a matrix product that computes them voxel by input voxel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VoxelShuffle {
    /// Images.
    pub batch: usize,
    /// Voxels of the input along z, y and x.
    pub input: [usize; 3],
    /// Voxels that each becomes along z, y and x.
    pub factor: [usize; 3],
    /// Channels of the output.
    pub channels: usize,
}

impl VoxelShuffle {
    /// `[batch, fz z, fy y, fx x, channel]` from
    /// `[batch, z, y, x, (dz, dy, dx, channel)]`.
    ///
    /// # Panics
    /// If the length does not fit.
    pub fn forward(&self, together: &[f32]) -> Vec<f32> {
        let slab = self.slab(together);
        let mut apart = vec![0.0f32; together.len()];
        apart
            .par_chunks_mut(slab.len())
            .zip(together.par_chunks(slab.len()))
            .for_each(|(apart, together)| {
                slab.each_run(|near, far, length| {
                    apart[far..][..length].copy_from_slice(&together[near..][..length]);
                });
            });
        apart
    }

    /// The inverse of [`Self::forward`], and its gradient.
    ///
    /// # Panics
    /// If the length does not fit.
    pub fn inverse(&self, apart: &[f32]) -> Vec<f32> {
        let slab = self.slab(apart);
        let mut together = vec![0.0f32; apart.len()];
        together
            .par_chunks_mut(slab.len())
            .zip(apart.par_chunks(slab.len()))
            .for_each(|(together, apart)| {
                slab.each_run(|near, far, length| {
                    together[near..][..length].copy_from_slice(&apart[far..][..length]);
                });
            });
        together
    }

    /// The smallest part of the input that becomes consecutive values: a line
    /// where planes stay planes, otherwise a plane.
    fn slab(&self, values: &[f32]) -> Slab {
        let [_, y, x] = self.input;
        let slab = Slab {
            lines: if self.factor[0] == 1 { 1 } else { y },
            voxels: x,
            factor: self.factor,
            channels: self.channels,
        };
        let expected = self.batch * volume(self.input) * volume(self.factor) * self.channels;
        assert!(expected > 0, "voxels of nothing: {self:?}");
        assert_eq!(values.len(), expected, "values");
        slab
    }
}

/// A part of a [`VoxelShuffle`].
#[derive(Clone, Copy)]
struct Slab {
    lines: usize,
    voxels: usize,
    factor: [usize; 3],
    channels: usize,
}

impl Slab {
    fn len(&self) -> usize {
        self.lines * self.voxels * volume(self.factor) * self.channels
    }

    /// Calls with where consecutive values lie together, where apart, and how many.
    #[inline(always)]
    fn each_run(&self, mut copy: impl FnMut(usize, usize, usize)) {
        let [fz, fy, fx] = self.factor;
        let run = fx * self.channels;
        let mut near = 0;
        for y in 0..self.lines {
            for x in 0..self.voxels {
                for dz in 0..fz {
                    for dy in 0..fy {
                        let line = (dz * self.lines + y) * fy + dy;
                        copy(near, (line * self.voxels + x) * run, run);
                        near += run;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    #[test]
    fn channels_join_and_split() {
        let joined = join_channels(&[1.0, 2.0], &[3.0, 4.0, 5.0, 6.0], [1, 2]);
        assert_eq!(joined, [1.0, 3.0, 4.0, 2.0, 5.0, 6.0]);
        let parts = split_channels(&joined, [1, 2]);
        assert_eq!(parts, [vec![1.0, 2.0], vec![3.0, 4.0, 5.0, 6.0]]);

        let (a, b) = (noise(9001 * 30, 1), noise(9001 * 37, 2));
        let joined = join_channels(&a, &b, [30, 37]);
        for (i, value) in joined.iter().enumerate() {
            let (voxel, c) = (i / 67, i % 67);
            let from = if c < 30 {
                a[voxel * 30 + c]
            } else {
                b[voxel * 37 + c - 30]
            };
            assert_eq!(*value, from);
        }
        assert_eq!(split_channels(&joined, [30, 37]), [a, b]);
    }

    #[test]
    fn voxels_are_shuffled_to_their_places() {
        for factor in [[1, 2, 2], [2, 2, 2], [1, 1, 3], [2, 1, 1], [3, 2, 1]] {
            let shuffle = VoxelShuffle {
                batch: 2,
                input: [2, 3, 5],
                factor,
                channels: 3,
            };
            let [fz, fy, fx] = factor;
            let together = noise(2 * 2 * 3 * 5 * volume(factor) * 3, 1);
            let apart = shuffle.forward(&together);
            for (i, value) in apart.iter().enumerate() {
                let (c, x, y) = (i % 3, i / 3 % (5 * fx), i / (15 * fx) % (3 * fy));
                let (z, n) = (i / (45 * fx * fy) % (2 * fz), i / (90 * fx * fy * fz));
                let voxel = ((n * 2 + z / fz) * 3 + y / fy) * 5 + x / fx;
                let part = (z % fz * fy + y % fy) * fx + x % fx;
                let from = (voxel * volume(factor) + part) * 3 + c;
                assert_eq!(*value, together[from], "{factor:?} {n} {z} {y} {x} {c}");
            }
            assert_eq!(shuffle.inverse(&apart), together);
        }
    }
}
