//! Copies of channels-last values to other places: joined channels, cropped
//! boxes and shuffled pixels.

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

/// The central box of a larger one: as many voxels are left out before it as
/// behind it, the odd one behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crop {
    /// Images.
    pub batch: usize,
    /// Voxels of the whole along z, y and x.
    pub whole: [usize; 3],
    /// Voxels of the centre along z, y and x.
    pub centre: [usize; 3],
    /// Channels.
    pub channels: usize,
}

impl Crop {
    /// The central values, `[batch, z, y, x, channel]`, of the whole's.
    ///
    /// # Panics
    /// If the centre exceeds the whole or the length of `whole` does not fit.
    pub fn forward(&self, whole: &[f32]) -> Vec<f32> {
        let before = self.before();
        let values = self.batch * volume(self.whole) * self.channels;
        assert_eq!(whole.len(), values, "values of the whole");
        let row = self.centre[2] * self.channels;
        let mut centre = vec![0.0f32; self.batch * volume(self.centre) * self.channels];
        centre
            .par_chunks_mut((self.centre[1] * row).max(1))
            .enumerate()
            .for_each(|(plane, centre)| {
                let (n, z) = (plane / self.centre[0], plane % self.centre[0]);
                for (y, centre) in centre.chunks_exact_mut(row).enumerate() {
                    let line = self.line(n, z + before[0], y + before[1]);
                    let from = (line + before[2]) * self.channels;
                    centre.copy_from_slice(&whole[from..][..row]);
                }
            });
        centre
    }

    /// The gradient of [`Self::forward`]: `centre` with zeros around it.
    ///
    /// # Panics
    /// If the centre exceeds the whole or the length of `centre` does not fit.
    pub fn backward(&self, centre: &[f32]) -> Vec<f32> {
        let before = self.before();
        let values = self.batch * volume(self.centre) * self.channels;
        assert_eq!(centre.len(), values, "values of the centre");
        let row = self.whole[2] * self.channels;
        let length = self.centre[2] * self.channels;
        let mut whole = vec![0.0f32; self.batch * volume(self.whole) * self.channels];
        whole
            .par_chunks_mut((self.whole[1] * row).max(1))
            .enumerate()
            .for_each(|(plane, whole)| {
                let (n, z) = (plane / self.whole[0], plane % self.whole[0]);
                let Some(z) = z.checked_sub(before[0]).filter(|&z| z < self.centre[0]) else {
                    return;
                };
                let lines = whole.chunks_exact_mut(row).skip(before[1]);
                for (y, line) in lines.take(self.centre[1]).enumerate() {
                    let from = ((n * self.centre[0] + z) * self.centre[1] + y) * length;
                    line[before[2] * self.channels..][..length]
                        .copy_from_slice(&centre[from..][..length]);
                }
            });
        whole
    }

    /// Voxels before the centre.
    fn before(&self) -> [usize; 3] {
        std::array::from_fn(|i| {
            let more = self.whole[i].checked_sub(self.centre[i]);
            more.unwrap_or_else(|| panic!("the centre exceeds the whole: {self:?}")) / 2
        })
    }

    /// The first voxel of a line of the whole.
    fn line(&self, n: usize, z: usize, y: usize) -> usize {
        ((n * self.whole[0] + z) * self.whole[1] + y) * self.whole[2]
    }
}

/// How the pixels of a 2 by 2 transposed convolution of stride 2 come to their
/// places, from a matrix product that computes them pixel by input pixel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelShuffle {
    /// Images, or planes of them.
    pub batch: usize,
    /// Pixels of the input along y and x.
    pub input: [usize; 2],
    /// Channels of the output.
    pub channels: usize,
}

impl PixelShuffle {
    /// `[batch, 2 y, 2 x, channel]` from `[batch, y, x, (dy, dx, channel)]`.
    ///
    /// # Panics
    /// If the length does not fit.
    pub fn forward(&self, together: &[f32]) -> Vec<f32> {
        let (line, pair) = self.lengths(together);
        let mut apart = vec![0.0f32; together.len()];
        apart
            .par_chunks_mut(line)
            .zip(together.par_chunks(line))
            .for_each(|(apart, together)| {
                let (upper, lower) = apart.split_at_mut(line / 2);
                let pixels = upper
                    .chunks_exact_mut(pair)
                    .zip(lower.chunks_exact_mut(pair));
                for ((upper, lower), pixel) in pixels.zip(together.chunks_exact(2 * pair)) {
                    upper.copy_from_slice(&pixel[..pair]);
                    lower.copy_from_slice(&pixel[pair..]);
                }
            });
        apart
    }

    /// The inverse of [`Self::forward`], and its gradient.
    ///
    /// # Panics
    /// If the length does not fit.
    pub fn inverse(&self, apart: &[f32]) -> Vec<f32> {
        let (line, pair) = self.lengths(apart);
        let mut together = vec![0.0f32; apart.len()];
        together
            .par_chunks_mut(line)
            .zip(apart.par_chunks(line))
            .for_each(|(together, apart)| {
                let (upper, lower) = apart.split_at(line / 2);
                let pixels = upper.chunks_exact(pair).zip(lower.chunks_exact(pair));
                for (pixel, (upper, lower)) in together.chunks_exact_mut(2 * pair).zip(pixels) {
                    pixel[..pair].copy_from_slice(upper);
                    pixel[pair..].copy_from_slice(lower);
                }
            });
        together
    }

    /// Values of a line of the input, which are two lines of the output, and of
    /// two neighbouring pixels of the output.
    fn lengths(&self, values: &[f32]) -> (usize, usize) {
        let pair = 2 * self.channels;
        let line = self.input[1] * 2 * pair;
        assert!(line > 0, "pixels of nothing: {self:?}");
        assert_eq!(values.len(), self.batch * self.input[0] * line, "values");
        (line, pair)
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
    fn the_crop_is_central_and_its_gradient_has_zeros_around() {
        for (whole, centre) in [
            ([5, 6, 7], [2, 6, 4]),
            ([1, 9, 4], [1, 4, 1]),
            ([2; 3], [2; 3]),
        ] {
            let crop = Crop {
                batch: 2,
                whole,
                centre,
                channels: 3,
            };
            let values = noise(2 * volume(whole) * 3, 1);
            let found = crop.forward(&values);
            let mut expected = Vec::new();
            let mut around = vec![0.0; values.len()];
            for i in 0..values.len() {
                let voxel = i / 3;
                let place = [
                    voxel / (whole[2] * whole[1]) % whole[0],
                    voxel / whole[2] % whole[1],
                    voxel % whole[2],
                ];
                let inside = (0..3).all(|a| {
                    let before = (whole[a] - centre[a]) / 2;
                    (before..before + centre[a]).contains(&place[a])
                });
                if inside {
                    expected.push(values[i]);
                    around[i] = values[i];
                }
            }
            assert_eq!(found, expected, "{crop:?}");
            assert_eq!(crop.backward(&found), around, "{crop:?}");
        }
    }

    #[test]
    fn pixels_are_shuffled_to_their_places() {
        let shuffle = PixelShuffle {
            batch: 2,
            input: [3, 5],
            channels: 3,
        };
        let together = noise(2 * 3 * 5 * 4 * 3, 1);
        let apart = shuffle.forward(&together);
        for (i, value) in apart.iter().enumerate() {
            let (c, x, y, n) = (i % 3, i / 3 % 10, i / 30 % 6, i / 180);
            let pixel = (n * 3 + y / 2) * 5 + x / 2;
            let from = ((pixel * 2 + y % 2) * 2 + x % 2) * 3 + c;
            assert_eq!(*value, together[from], "n {n}, y {y}, x {x}, c {c}");
        }
        assert_eq!(shuffle.inverse(&apart), together);
    }
}
