//! Convolutions of three taps along y and x (and z), stride 1, by nested
//! F(4, 3): 3.4 products for an output voxel and a pair of channels where the
//! plain sum takes 27, 2.25 where it takes 9.
//!
//! A block of tiles at a time: its voxels are transformed, each of the 216 (or
//! 36) positions is a matrix product tiles x channels, and the products are
//! transformed back. A dilated convolution is the same on interleaved voxels.
//! Zeros around the volume are never stored.

mod grid;
mod lines;
#[allow(
    clippy::needless_range_loop,
    reason = "columns cross the rows of an array"
)]
mod moves;

use rayon::prelude::*;

use crate::geometry::{Convolution, volume};
use crate::instructions::Instructions;
use crate::product::{Product, Start, Term, multiply, padded_columns, panel};
use crate::scratch::{self, Shared};
use crate::source::Source;
use crate::vector::{Vector, with_vector};
use crate::weights::Weights;
use grid::{Grid, Line};
use lines::{INPUTS, TAPS};
use moves::{Lens, Volume};

/// Values in the two transformed blocks of a thread: what its share of the
/// caches holds.
const BLOCK_VALUES: usize = 192 * 1024;
/// Kernels from which on reading them is much of the work, in values ...
const MANY_KERNELS: usize = 512 * 1024;
/// ... and the values of all tiles up to which they are one block, whose
/// positions are shared out instead of its tiles.
const ONE_BLOCK: usize = 6 << 20;
/// Tiles that are transformed together in such a block.
const TOGETHER: usize = 4;
/// Values between the ends of positions, so that a tile's stores do not all
/// fall on one cache set.
const GAP: usize = 16;

/// What a convolution is to this algorithm.
struct Plan<'a> {
    instructions: Instructions,
    c: &'a Convolution,
    grid: Grid,
    positions: usize,
    /// Channels in whole registers.
    padded: [usize; 2],
    /// Tiles in a block.
    block: usize,
    /// Whether threads share the work inside a block; otherwise they share
    /// blocks.
    inside: bool,
}

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

fn positions(c: &Convolution) -> usize {
    let deep = if c.kernel[0] == 1 { 1 } else { INPUTS };
    deep * INPUTS * INPUTS
}

impl<'a> Plan<'a> {
    fn new(instructions: Instructions, c: &'a Convolution) -> Self {
        let grid = Grid::new(c);
        let padded = [c.channels_in, c.channels_out].map(|n| padded_columns(instructions, n));
        let positions = positions(c);
        let fitting = BLOCK_VALUES / (positions * (padded[0] + padded[1]));
        let rows = 12;
        let kernels = positions * padded[0] * padded[1];
        let tiles = positions * (padded[0] + padded[1]) * grid.len();
        let inside = kernels > MANY_KERNELS && tiles <= ONE_BLOCK;
        let block = match inside {
            true => grid.len(),
            false => (fitting / rows * rows)
                .clamp(rows, 8 * rows)
                .min(grid.len()),
        };
        Self {
            instructions,
            c,
            grid,
            positions,
            padded,
            block,
            inside,
        }
    }

    /// Values from one position to the next of a block of `padded` channels.
    fn stride(&self, padded: usize) -> usize {
        self.block * padded + GAP
    }

    /// Values from one position to the next of the kernels, and of their sums.
    fn kernel_stride(&self) -> usize {
        self.c.channels_in * self.padded[1] + GAP
    }

    fn tiles(&self, block: usize) -> Vec<(usize, [Line; 3])> {
        let first = block * self.block;
        let last = (first + self.block).min(self.grid.len());
        (first..last).map(|index| self.grid.tile(index)).collect()
    }

    /// Calls `f` with each of `parts` parts of the work in a block.
    fn in_block(&self, parts: usize, f: impl Fn(usize) + Sync + Send) {
        match self.inside {
            true => (0..parts).into_par_iter().for_each(f),
            false => (0..parts).for_each(f),
        }
    }

    /// Calls `f` with runs of a block's tiles: the first's place and the run.
    fn runs(
        &self,
        tiles: &[(usize, [Line; 3])],
        f: impl Fn(usize, &[(usize, [Line; 3])]) + Sync + Send,
    ) {
        let run = if self.inside { TOGETHER } else { tiles.len() };
        self.in_block(tiles.len().div_ceil(run), |part| {
            let last = ((part + 1) * run).min(tiles.len());
            f(part * run, &tiles[part * run..last]);
        });
    }

    /// Calls `f` with memory for a block's inputs and results.
    fn with_memory<R>(&self, f: impl FnOnce(&mut [f32], &mut [f32]) -> R) -> R {
        let [from, to] = self.padded.map(|n| self.positions * self.stride(n));
        let halves = |values: &mut [f32]| {
            let (inputs, results) = values.split_at_mut(from);
            f(inputs, results)
        };
        match self.inside {
            // This thread's own memory may be asked for by work that it takes
            // over while it waits for the others.
            // SAFETY: positions are written before they are read.
            true => halves(&mut unsafe { scratch::unwritten(from + to) }),
            false => scratch::with(from + to, halves),
        }
    }

    fn blocks(&self) -> usize {
        self.grid.len().div_ceil(self.block)
    }

    /// Columns of a product in runs of at most a panel: start and width.
    fn panels(&self) -> impl Iterator<Item = (usize, usize)> {
        let (width, columns) = (panel(self.instructions), self.padded[1]);
        (0..columns)
            .step_by(width)
            .map(move |start| (start, width.min(columns - start)))
    }
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
    let shared = Shared::new(&mut output);
    let [from, to] = plan.padded;
    let (from_stride, to_stride) = (plan.stride(from), plan.stride(to));
    let write_block = |block: usize| {
        let tiles = &plan.tiles(block)[..];
        plan.with_memory(|read, written| {
            side.transform(tiles, read, from_stride);
            let results = Shared::new(written);
            plan.in_block(plan.positions, |p| {
                for (start, width) in plan.panels() {
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
                            results.start().add(p * to_stride + start),
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
                unsafe { back.write(tiles, &written[first * to..], shared.start()) };
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
                let sums = Shared::new(&mut sums);
                plan.in_block(plan.positions, |p| {
                    for (start, width) in plan.panels() {
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
                                sums.start().add(p * plan.kernel_stride() + start),
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

/// One of the two volumes whose tiles are transformed.
struct Side<'a> {
    plan: &'a Plan<'a>,
    values: &'a [f32],
    size: [usize; 3],
    channels: usize,
    rectifier: Option<[Vec<f32>; 3]>,
    round: bool,
    /// The input, or the gradient by the output.
    input: bool,
}

impl<'a> Side<'a> {
    fn new(
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
            rectifier: source
                .rectified
                .map(|r| [r.scale, r.shift, r.slope].map(|v| padded_copy(v, padded))),
            round,
            input,
        }
    }

    /// Position `p` of the tiles, a row of channels for each, at `p * stride`.
    fn transform(&self, tiles: &[(usize, [Line; 3])], to: &mut [f32], stride: usize) {
        let padded = padded_columns(self.plan.instructions, self.channels);
        assert!(to.len() >= self.plan.positions * stride && stride >= tiles.len() * padded);
        let to = Shared::new(to);
        self.plan.runs(tiles, |first, tiles| {
            let side = self;
            // SAFETY: the plan's instructions are the processor's; runs write
            // different rows of the positions, which `to` has room for.
            unsafe {
                let to = to.start().add(first * padded);
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
            let lens = Lens {
                rectifier: (side.rectifier.as_ref())
                    .map(|r| r.each_ref().map(|v| V::load(v[first..].as_ptr()))),
                round: side.round,
            };
            for (t, (n, tile)) in tiles.iter().enumerate() {
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
struct Back<'a> {
    plan: &'a Plan<'a>,
    bias: Option<&'a [f32]>,
    rectify: bool,
    stride: usize,
}

impl Back<'_> {
    /// Writes the outputs of the tiles.
    ///
    /// # Safety
    /// `to` must be the output, and no other thread may use the tiles' voxels.
    unsafe fn write(&self, tiles: &[(usize, [Line; 3])], from: &[f32], to: *mut f32) {
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

/// The weights in the domain of the products: for each position, panels of
/// outputs, `channels_in` rows of a panel's width each.
fn transformed(plan: &Plan<'_>, weights: &Weights<'_>) -> Vec<f32> {
    let rows = plan.c.channels_in;
    // SAFETY: rows write all that is read; between positions nothing is.
    let mut result = unsafe { scratch::unwritten(plan.positions * plan.kernel_stride()) };
    let shared = Shared::new(&mut result);
    (0..rows).into_par_iter().for_each(|row| {
        // SAFETY: each row writes its own part of every position.
        unsafe {
            let to = shared.start();
            with_vector!(
                plan.instructions,
                transform_row(plan: &Plan<'_>, weights: &Weights<'_>, row: usize, to: *mut f32)
            )
        }
    });
    result
}

#[inline(always)]
unsafe fn transform_row<V: Vector>(
    plan: &Plan<'_>,
    weights: &Weights<'_>,
    row: usize,
    to: *mut f32,
) {
    let (rows, stride) = (plan.c.channels_in, plan.kernel_stride());
    let taps = volume(plan.c.kernel);
    let mut part = [0.0f32; TAPS * TAPS * TAPS * 16];
    for (start, width) in plan.panels() {
        for first in (start..start + width).step_by(V::LANES) {
            for lane in 0..V::LANES {
                for tap in 0..taps {
                    part[tap * V::LANES + lane] = match first + lane < plan.c.channels_out {
                        true => weights.at(first + lane, row, tap),
                        false => 0.0,
                    };
                }
            }
            // SAFETY: the place of this row in the panel of every position.
            unsafe {
                let to = to.add(rows * start + row * width + first - start);
                match plan.c.kernel[0] != 1 {
                    true => moves::taps::<V, INPUTS>(part.as_ptr(), to, stride),
                    false => moves::taps::<V, 1>(part.as_ptr(), to, stride),
                }
            }
        }
    }
}

/// Sums over tiles, `channels_in` rows of padded outputs for each position,
/// back to taps in the weights' order.
fn kernels_of(plan: &Plan<'_>, sums: &[f32]) -> Vec<f32> {
    // SAFETY: rows write the taps of every input channel.
    let mut result = unsafe { scratch::unwritten(plan.c.weight_len()) };
    let shared = Shared::new(&mut result);
    (0..plan.c.channels_in).into_par_iter().for_each(|row| {
        // SAFETY: each row writes the taps of its own input channel.
        unsafe {
            let to = shared.start();
            with_vector!(
                plan.instructions,
                kernels_of_row(plan: &Plan<'_>, sums: &[f32], row: usize, to: *mut f32)
            )
        }
    });
    result
}

#[inline(always)]
unsafe fn kernels_of_row<V: Vector>(plan: &Plan<'_>, sums: &[f32], row: usize, to: *mut f32) {
    let [rows, columns] = [plan.c.channels_in, plan.padded[1]];
    let taps = volume(plan.c.kernel);
    let stride = plan.kernel_stride();
    assert!(sums.len() >= plan.positions * stride);
    let mut part = [0.0f32; TAPS * TAPS * TAPS * 16];
    for first in (0..plan.c.channels_out).step_by(V::LANES) {
        // SAFETY: `sums` was checked; `to` is as long as the weights.
        unsafe {
            let from = sums.as_ptr().add(row * columns + first);
            match plan.c.kernel[0] != 1 {
                true => moves::to_taps::<V, INPUTS>(from, stride, part.as_mut_ptr()),
                false => moves::to_taps::<V, 1>(from, stride, part.as_mut_ptr()),
            }
            for lane in 0..V::LANES.min(plan.c.channels_out - first) {
                let to = to.add(((first + lane) * rows + row) * taps);
                for tap in 0..taps {
                    *to.add(tap) = part[tap * V::LANES + lane];
                }
            }
        }
    }
}

fn padded_copy(values: &[f32], length: usize) -> Vec<f32> {
    let mut copy = values.to_vec();
    copy.resize(length, 0.0);
    copy
}
