//! How a convolution is cut into blocks of tiles and shared out to threads.

use rayon::prelude::*;

use super::grid::{Grid, Line};
use super::lines::INPUTS;
use crate::geometry::Convolution;
use crate::instructions::Instructions;
use crate::product::padded_columns;
use crate::scratch;

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
pub(super) struct Plan<'a> {
    pub instructions: Instructions,
    pub c: &'a Convolution,
    pub grid: Grid,
    pub positions: usize,
    /// Channels in whole registers.
    pub padded: [usize; 2],
    /// Tiles in a block.
    pub block: usize,
    /// Whether threads share the work inside a block; otherwise they share
    /// blocks.
    pub inside: bool,
}

/// Positions of a tile.
pub(super) fn positions(c: &Convolution) -> usize {
    let deep = if c.kernel[0] == 1 { 1 } else { INPUTS };
    deep * INPUTS * INPUTS
}

impl<'a> Plan<'a> {
    pub fn new(instructions: Instructions, c: &'a Convolution) -> Self {
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
    pub fn stride(&self, padded: usize) -> usize {
        self.block * padded + GAP
    }

    /// Values from one position to the next of the kernels, and of their sums.
    pub fn kernel_stride(&self) -> usize {
        self.c.channels_in * self.padded[1] + GAP
    }

    pub fn tiles(&self, block: usize) -> Vec<(usize, [Line; 3])> {
        let first = block * self.block;
        let last = (first + self.block).min(self.grid.len());
        (first..last).map(|index| self.grid.tile(index)).collect()
    }

    /// Calls `f` with each of `parts` parts of the work in a block.
    pub fn in_block(&self, parts: usize, f: impl Fn(usize) + Sync + Send) {
        match self.inside {
            true => (0..parts).into_par_iter().for_each(f),
            false => (0..parts).for_each(f),
        }
    }

    /// Calls `f` with runs of a block's tiles: the first's place and the run.
    pub fn runs(
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
    pub fn with_memory<R>(&self, f: impl FnOnce(&mut [f32], &mut [f32]) -> R) -> R {
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

    pub fn blocks(&self) -> usize {
        self.grid.len().div_ceil(self.block)
    }
}
