//! What a convolution reads: values, perhaps seen through a batch norm and a
//! rectifier, laid out with zeros around them.

use rayon::prelude::*;

use crate::geometry::volume;
use crate::precision::to_bf16_and_back;

/// Channels-last values that a convolution reads.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The values, `[batch, z, y, x, channel]`.
    pub values: &'a [f32],
    /// Where present, the values are read through it: a normalisation and an
    /// activation that are never stored.
    pub rectified: Option<Rectifier<'a>>,
}

/// A scale and a shift for each channel, and what negative results are
/// multiplied by: with `u = scale[c] * value + shift[c]`, `u` where it is
/// positive and `slope[c] * u` elsewhere. Each row is that of all images, or has
/// the channels of each image behind each other.
#[derive(Clone, Copy, Debug)]
pub struct Rectifier<'a> {
    /// Factor of each channel.
    pub scale: &'a [f32],
    /// Added to each channel after the factor.
    pub shift: &'a [f32],
    /// Factor of negative results; 0 is the ReLU.
    pub slope: &'a [f32],
}

impl<'a> Rectifier<'a> {
    /// What image `n` is read through, in rows of `channels`.
    pub(crate) fn of_image(&self, n: usize, channels: usize) -> Self {
        let row = |values: &'a [f32]| match values.len() == channels {
            true => values,
            false => &values[n * channels..][..channels],
        };
        Self {
            scale: row(self.scale),
            shift: row(self.shift),
            slope: row(self.slope),
        }
    }

    /// How many images of `channels` its rows tell apart.
    pub(crate) fn images(&self, channels: usize) -> usize {
        let rows = [self.scale, self.shift, self.slope];
        rows.map(|row| row.len() / channels)
            .into_iter()
            .max()
            .unwrap_or(1)
    }
}

impl<'a> Source<'a> {
    /// The values as they are.
    pub fn plain(values: &'a [f32]) -> Self {
        Self {
            values,
            rectified: None,
        }
    }
}

/// How the voxels of a source lie in a larger box of zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placement {
    pub batch: usize,
    pub channels: usize,
    /// Voxels of the source.
    pub size: [usize; 3],
    /// Voxels of the box.
    pub boxed: [usize; 3],
    /// Where the source's first voxel lies in the box; it may lie outside.
    pub at: [isize; 3],
    /// Voxels of the box from one voxel of the source to the next.
    pub spread: [usize; 3],
    /// Values per voxel in the box; those beyond `channels` are 0.
    pub stride: usize,
}

impl Placement {
    /// A box as large as the source, `stride` values per voxel.
    pub fn in_place(batch: usize, size: [usize; 3], channels: usize, stride: usize) -> Self {
        Self {
            batch,
            channels,
            size,
            boxed: size,
            at: [0; 3],
            spread: [1; 3],
            stride,
        }
    }

    /// True where the box is the source itself.
    fn is_identity(&self) -> bool {
        self.size == self.boxed
            && self.at == [0; 3]
            && self.spread == [1; 3]
            && self.stride == self.channels
    }

    /// The voxel of the source at `place` of the box along an axis.
    fn voxel(&self, axis: usize, place: usize) -> Option<usize> {
        let from = place as isize - self.at[axis];
        let spread = self.spread[axis] as isize;
        let voxel = from.div_euclid(spread);
        (from.rem_euclid(spread) == 0 && (0..self.size[axis] as isize).contains(&voxel))
            .then_some(voxel as usize)
    }
}

/// The source in its box, rounded to bfloat16 if asked; copied only where the
/// box differs from it.
pub(crate) fn boxed<'a>(
    source: Source<'a>,
    p: &Placement,
    round: bool,
) -> std::borrow::Cow<'a, [f32]> {
    assert_eq!(
        source.values.len(),
        p.batch * volume(p.size) * p.channels,
        "values of the source"
    );
    if p.is_identity() && source.rectified.is_none() && !round {
        return source.values.into();
    }
    let row = p.boxed[2] * p.stride;
    let mut result = vec![0.0f32; p.batch * volume(p.boxed) * p.stride];
    result
        .par_chunks_mut(p.boxed[1] * row)
        .enumerate()
        .for_each(|(plane, result)| {
            let (n, z) = (plane / p.boxed[0], plane % p.boxed[0]);
            let Some(z) = p.voxel(0, z) else { return };
            let rectified = source.rectified.map(|r| r.of_image(n, p.channels));
            for (y, result) in result.chunks_exact_mut(row).enumerate() {
                let Some(y) = p.voxel(1, y) else { continue };
                let start = (n * p.size[0] + z) * p.size[1] + y;
                let length = p.size[2] * p.channels;
                let values = &source.values[start * length..][..length];
                fill_row(values, rectified, p, round, result);
            }
        });
    result.into()
}

/// One row of the box from one row of the source.
fn fill_row(
    values: &[f32],
    rectified: Option<Rectifier<'_>>,
    p: &Placement,
    round: bool,
    row: &mut [f32],
) {
    let dense = p.spread[2] == 1 && p.stride == p.channels;
    let first = (-p.at[2]).max(0).unsigned_abs().div_ceil(p.spread[2]);
    for x in first..p.size[2] {
        let place = (x * p.spread[2]).wrapping_add_signed(p.at[2]);
        if place >= p.boxed[2] {
            break;
        }
        let count = match dense && rectified.is_none() {
            true => (p.size[2] - x).min(p.boxed[2] - place) * p.channels,
            false => p.channels,
        };
        let from = &values[x * p.channels..][..count];
        let to = &mut row[place * p.stride..][..count];
        match rectified {
            None => to.copy_from_slice(from),
            Some(Rectifier {
                scale,
                shift,
                slope,
            }) => {
                for (c, (to, &from)) in to.iter_mut().zip(from).enumerate() {
                    let value = scale[c] * from + shift[c];
                    *to = if value < 0.0 { slope[c] * value } else { value };
                }
            }
        }
        if round {
            to.iter_mut().for_each(|v| *v = to_bf16_and_back(*v));
        }
        if count > p.channels {
            break;
        }
    }
}
