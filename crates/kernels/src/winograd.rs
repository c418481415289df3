//! Convolutions of three taps along y and x (and z), stride 1, by nested
//! F(4, 3): 3.4 products for an output voxel and a pair of channels where the
//! plain sum takes 27, 2.25 where it takes 9.
//!
//! A block of tiles at a time: its voxels are transformed, each of the 216 (or
//! 36) positions is a matrix product tiles x channels, and the products are
//! transformed back. A dilated convolution is the same on interleaved voxels.
//! Zeros around the volume are never stored.

mod grid;
mod kernels;
mod lines;
#[allow(
    clippy::needless_range_loop,
    reason = "columns cross the rows of an array"
)]
mod moves;
mod plan;
mod voxels;

use rayon::prelude::*;

use crate::geometry::{Convolution, volume};
use crate::instructions::Instructions;
use crate::product::{Product, Start, Term, multiply, panels};
use crate::scratch::{self, Shared};
use crate::source::Source;
use crate::weights::Weights;
use grid::Grid;
use kernels::{kernels_of, transformed};
use lines::TAPS;
use plan::{Plan, positions};
use voxels::{Back, Side, padded_copy};

/// Whether the kernel and stride are of this kind.
pub(crate) fn takes(c: &Convolution) -> bool {
    c.stride == [1; 3] && c.kernel[1..] == [TAPS; 2] && (c.kernel[0] == TAPS || c.kernel[0] == 1)
}

/// Work of this algorithm relative to that of the plain sum, both in products,
/// with what transforms and weights cost beside them.
pub(crate) fn relative_cost(c: &Convolution) -> f64 {
    let tiles = Grid::new(c).len() as f64;
    let positions = positions(c) as f64;
    let [from, to] = [c.channels_in as f64, c.channels_out as f64];
    let products = tiles * positions * from * to;
    // About 7 operations for a position and channel on the way in, 6 on the
    // way out; transformed weights are written and read.
    let transforms = tiles * positions * (7.0 * from + 6.0 * to);
    let weights = 16.0 * positions * from * to;
    let outputs = (c.batch * volume(c.output())) as f64;
    let plain = outputs * volume(c.kernel) as f64 * from * to;
    (products + transforms + weights) / plain
}

/// The output of a convolution that [`takes`] accepts.
pub(crate) fn forward(
    instructions: Instructions,
    c: &Convolution,
    input: Source<'_>,
    weights: &Weights<'_>,
    bias: Option<&[f32]>,
    rectify: bool,
) -> Vec<f32> {
    let plan = &Plan::new(instructions, c);
    let kernels = transformed(plan, weights);
    let side = &Side::new(plan, input, c.input, weights.round, true);
    let bias = bias.map(|bias| padded_copy(bias, plan.padded[1]));
    // SAFETY: the tiles cover every voxel of the output.
    let mut output = unsafe { scratch::unwritten(c.output_len()) };
    let shared = Shared::new(output.as_mut_ptr());
    let [from, to] = plan.padded;
    let (from_stride, to_stride) = (plan.stride(from), plan.stride(to));
    let write_block = |block: usize| {
        let tiles = &plan.tiles(block)[..];
        plan.with_memory(|read, written| {
            side.transform(tiles, read, from_stride);
            let results = Shared::new(written.as_mut_ptr());
            plan.in_block(plan.positions, |p| {
                for (start, width) in panels(instructions, to) {
                    let product = Product {
                        rows: tiles.len(),
                        columns: width,
                        depth: c.channels_in,
                        a_row: from,
                        a_depth: 1,
                        b_depth: width,
                        c_row: to,
                        start: Start::Zero,
                        rectify: false,
                    };
                    let kernel = p * plan.kernel_stride() + start * c.channels_in;
                    // SAFETY: a position holds a row of `from` values for each
                    // tile, its kernels `channels_in` rows of `width`, its
                    // result rows of `to`.
                    unsafe {
                        multiply(
                            instructions,
                            &product,
                            &[Term { a: 0, b: 0 }],
                            read.as_ptr().add(p * from_stride),
                            kernels.as_ptr().add(kernel),
                            results.at(p * to_stride + start),
                        );
                    }
                }
            });
            let back = Back {
                plan,
                bias: bias.as_deref(),
                rectify,
                stride: to_stride,
            };
            plan.runs(tiles, |first, tiles| {
                // SAFETY: tiles write different voxels of the output.
                unsafe { back.write(tiles, &written[first * to..], shared.at(0)) };
            });
        });
    };
    match plan.inside {
        true => (0..plan.blocks()).for_each(write_block),
        false => (0..plan.blocks()).into_par_iter().for_each(write_block),
    }
    output
}

/// The gradient by the weights of a convolution that [`takes`] accepts, in the
/// weights' order.
pub(crate) fn weight_gradient(
    instructions: Instructions,
    c: &Convolution,
    input: Source<'_>,
    output_gradient: &[f32],
    round: bool,
) -> Vec<f32> {
    let plan = &Plan::new(instructions, c);
    let read = &Side::new(plan, input, c.input, round, true);
    let upper = &Side::new(
        plan,
        Source::plain(output_gradient),
        c.output(),
        round,
        false,
    );
    let [from, to] = plan.padded;
    let (from_stride, to_stride) = (plan.stride(from), plan.stride(to));
    let length = plan.positions * plan.kernel_stride();
    // Each part sums a fixed run of blocks.
    let parts = match plan.inside {
        true => 1,
        false => scratch::PARTS.min(plan.blocks()),
    };
    let run = plan.blocks().div_ceil(parts);
    let parts = plan.blocks().div_ceil(run);
    let sum_of = |part: usize| {
        // SAFETY: the first block's products are stored, not added; between
        // positions nothing is read.
        let mut sums = unsafe { scratch::unwritten(length) };
        for block in part * run..((part + 1) * run).min(plan.blocks()) {
            let tiles = &plan.tiles(block)[..];
            plan.with_memory(|inputs, uppers| {
                read.transform(tiles, inputs, from_stride);
                upper.transform(tiles, uppers, to_stride);
                let sums = Shared::new(sums.as_mut_ptr());
                plan.in_block(plan.positions, |p| {
                    for (start, width) in panels(instructions, to) {
                        let product = Product {
                            rows: c.channels_in,
                            columns: width,
                            depth: tiles.len(),
                            a_row: 1,
                            a_depth: from,
                            b_depth: to,
                            c_row: to,
                            start: match block == part * run {
                                true => Start::Zero,
                                false => Start::Held,
                            },
                            rectify: false,
                        };
                        // SAFETY: as in `forward`; the sums of a position are
                        // `channels_in` rows of `to` values.
                        unsafe {
                            multiply(
                                instructions,
                                &product,
                                &[Term { a: 0, b: 0 }],
                                inputs.as_ptr().add(p * from_stride),
                                uppers.as_ptr().add(p * to_stride + start),
                                sums.at(p * plan.kernel_stride() + start),
                            );
                        }
                    }
                });
            });
        }
        sums
    };
    let parts: Vec<Vec<f32>> = (0..parts).into_par_iter().map(sum_of).collect();
    let mut parts = parts.into_iter();
    let mut sums = parts.next().unwrap_or_default();
    for part in parts {
        sums.par_chunks_mut(1 << 14)
            .zip(part.par_chunks(1 << 14))
            .for_each(|(sums, part)| sums.iter_mut().zip(part).for_each(|(s, p)| *s += p));
    }
    kernels_of(plan, &sums)
}
