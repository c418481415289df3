//! Blocks of tiles from the volume to the domain of the products, and back.

use super::grid::Line;
use super::lines::INPUTS;
use super::moves::{self, Lens, Volume};
use super::plan::Plan;
use crate::geometry::volume;
use crate::product::padded_columns;
use crate::scratch::Shared;
use crate::source::Source;
use crate::vector::{Vector, with_vector};

/// One of the two volumes whose tiles are transformed.
pub(super) struct Side<'a> {
    pub plan: &'a Plan<'a>,
    pub values: &'a [f32],
    pub size: [usize; 3],
    pub channels: usize,
    /// Scale, shift and slope of each image; none, or one for all.
    pub rectifiers: Vec<[Vec<f32>; 3]>,
    pub round: bool,
    /// The input, or the gradient by the output.
    pub input: bool,
}

impl<'a> Side<'a> {
    pub fn new(
        plan: &'a Plan<'a>,
        source: Source<'a>,
        size: [usize; 3],
        round: bool,
        input: bool,
    ) -> Self {
        let channels = match input {
            true => plan.c.channels_in,
            false => plan.c.channels_out,
        };
        assert_eq!(
            source.values.len(),
            plan.c.batch * volume(size) * channels,
            "values of a volume"
        );
        let padded = padded_columns(plan.instructions, channels);
        Self {
            plan,
            values: source.values,
            size,
            channels,
            rectifiers: source.rectified.map_or_else(Vec::new, |r| {
                (0..r.images(channels))
                    .map(|n| r.of_image(n, channels))
                    .map(|r| [r.scale, r.shift, r.slope].map(|v| padded_copy(v, padded)))
                    .collect()
            }),
            round,
            input,
        }
    }

    /// Position `p` of the tiles, a row of channels for each, at `p * stride`.
    pub fn transform(&self, tiles: &[(usize, [Line; 3])], to: &mut [f32], stride: usize) {
        let padded = padded_columns(self.plan.instructions, self.channels);
        assert!(to.len() >= self.plan.positions * stride && stride >= tiles.len() * padded);
        let to = Shared::new(to.as_mut_ptr());
        self.plan.runs(tiles, |first, tiles| {
            let side = self;
            // SAFETY: the plan's instructions are the processor's; runs write
            // different rows of the positions, which `to` has room for.
            unsafe {
                let to = to.at(first * padded);
                with_vector!(
                    side.plan.instructions,
                    transform_tiles(
                        side: &Side<'_>,
                        tiles: &[(usize, [Line; 3])],
                        to: *mut f32,
                        stride: usize,
                    )
                )
            }
        });
    }
}

#[inline(always)]
unsafe fn transform_tiles<V: Vector>(
    side: &Side<'_>,
    tiles: &[(usize, [Line; 3])],
    to: *mut f32,
    stride: usize,
) {
    let padded = side.channels.next_multiple_of(V::LANES);
    let deep = side.plan.c.kernel[0] != 1;
    let image = volume(side.size) * side.channels;
    for first in (0..side.channels).step_by(V::LANES) {
        let volume = Volume {
            size: side.size,
            channels: side.channels,
            count: V::LANES.min(side.channels - first),
        };
        // SAFETY: the rectifier has whole registers; a tile's places lie in its
        // image; `to` was checked.
        unsafe {
            let lens_of = |image: usize| Lens {
                rectifier: side.rectifiers.get(image).map(|rows| {
                    let [scale, shift, slope] = rows;
                    [
                        V::load(scale[first..].as_ptr()),
                        V::load(shift[first..].as_ptr()),
                        V::load(slope[first..].as_ptr()),
                    ]
                }),
                round: side.round,
            };
            let (mut lens, mut seen) = (lens_of(0), 0);
            for (t, (n, tile)) in tiles.iter().enumerate() {
                if *n != seen && side.rectifiers.len() > 1 {
                    (lens, seen) = (lens_of(*n), *n);
                }
                let from = side.values.as_ptr().add(n * image + first);
                let to = to.add(t * padded + first);
                match (side.input, deep) {
                    (true, true) => {
                        moves::input::<V, INPUTS>(&volume, &lens, from, tile, to, stride)
                    }
                    (true, false) => moves::input::<V, 1>(&volume, &lens, from, tile, to, stride),
                    (false, true) => {
                        moves::upper::<V, INPUTS>(&volume, &lens, from, tile, to, stride)
                    }
                    (false, false) => moves::upper::<V, 1>(&volume, &lens, from, tile, to, stride),
                }
            }
        }
    }
}

/// The way back to voxels.
pub(super) struct Back<'a> {
    pub plan: &'a Plan<'a>,
    pub bias: Option<&'a [f32]>,
    pub rectify: bool,
    pub stride: usize,
}

impl Back<'_> {
    /// Writes the outputs of the tiles.
    ///
    /// # Safety
    /// `to` must be the output, and no other thread may use the tiles' voxels.
    pub unsafe fn write(&self, tiles: &[(usize, [Line; 3])], from: &[f32], to: *mut f32) {
        let back = self;
        // SAFETY: the plan's instructions are the processor's.
        unsafe {
            with_vector!(
                back.plan.instructions,
                write_tiles(
                    back: &Back<'_>,
                    tiles: &[(usize, [Line; 3])],
                    from: &[f32],
                    to: *mut f32,
                )
            )
        }
    }
}

#[inline(always)]
unsafe fn write_tiles<V: Vector>(
    back: &Back<'_>,
    tiles: &[(usize, [Line; 3])],
    from: &[f32],
    to: *mut f32,
) {
    let c = back.plan.c;
    let padded = back.plan.padded[1];
    let last = (back.plan.positions - 1) * back.stride + tiles.len() * padded;
    assert!(from.len() >= last);
    let size = c.output();
    let image = volume(size) * c.channels_out;
    for first in (0..c.channels_out).step_by(V::LANES) {
        let volume = Volume {
            size,
            channels: c.channels_out,
            count: V::LANES.min(c.channels_out - first),
        };
        // SAFETY: the bias has whole registers; a tile's places lie in its
        // image; `from` was checked.
        unsafe {
            let bias = (back.bias).map_or(V::splat(0.0), |b| V::load(b[first..].as_ptr()));
            for (t, (n, tile)) in tiles.iter().enumerate() {
                let from = from.as_ptr().add(t * padded + first);
                let to = to.add(n * image + first);
                match c.kernel[0] != 1 {
                    true => moves::output::<V, INPUTS>(
                        &volume,
                        from,
                        back.stride,
                        tile,
                        bias,
                        back.rectify,
                        to,
                    ),
                    false => moves::output::<V, 1>(
                        &volume,
                        from,
                        back.stride,
                        tile,
                        bias,
                        back.rectify,
                        to,
                    ),
                }
            }
        }
    }
}

pub(super) fn padded_copy(values: &[f32], length: usize) -> Vec<f32> {
    let mut copy = values.to_vec();
    copy.resize(length, 0.0);
    copy
}
