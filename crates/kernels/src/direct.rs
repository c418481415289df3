//! Convolutions of any kernel, stride, dilation and padding as sums of matrix
//! products over the taps, voxels x channels.
//!
//! The input lies in a box with its zeros around it, so that every output row
//! reads plain rows. Taps next to each other along x are one longer product.

use std::borrow::Cow;

use rayon::prelude::*;

use crate::geometry::{Convolution, volume};
use crate::instructions::Instructions;
use crate::product::{Product, Start, Term, multiply, padded_columns, panel, panels};
use crate::scratch::{self, Shared};
use crate::source::{Placement, Source, boxed};
use crate::weights::Weights;

/// Rows of a matrix product that is one task.
const ROWS: usize = 96;
/// Output rows shorter than this are gathered into longer ones.
const SHORT: usize = 24;
/// The longest sum that stays in f32 registers: longer ones would lose digits.
const LONGEST_SUM: usize = 2048;
/// Weights that stay in a core's cache while voxels pass by, in values.
const CACHED_WEIGHTS: usize = 64 * 1024;

/// A convolution as boxes see it: also the data gradient, whose input is spread
/// by the stride and may lie beyond the box.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direct {
    pub batch: usize,
    /// Channels of what is read, and of the output.
    pub channels: [usize; 2],
    /// Voxels of what is read.
    pub size: [usize; 3],
    pub output: [usize; 3],
    pub kernel: [usize; 3],
    pub stride: [usize; 3],
    pub dilation: [usize; 3],
    /// Where the first voxel read lies in the box.
    pub at: [isize; 3],
    /// Voxels of the box from one voxel read to the next.
    pub spread: [usize; 3],
}

impl Direct {
    /// The forward pass of `c`.
    pub fn forward_of(c: &Convolution) -> Self {
        Self {
            batch: c.batch,
            channels: [c.channels_in, c.channels_out],
            size: c.input,
            output: c.output(),
            kernel: c.kernel,
            stride: c.stride,
            dilation: c.dilation,
            at: c.padding.map(|p| p as isize),
            spread: [1; 3],
        }
    }

    /// The gradient by what `c` reads, a convolution of the gradient by its
    /// output with turned weights.
    pub fn data_gradient_of(c: &Convolution) -> Self {
        let reach = c.reach();
        Self {
            batch: c.batch,
            channels: [c.channels_out, c.channels_in],
            size: c.output(),
            output: c.input,
            kernel: c.kernel,
            stride: [1; 3],
            dilation: c.dilation,
            at: std::array::from_fn(|a| reach[a] as isize - c.padding[a] as isize),
            spread: c.stride,
        }
    }

    /// A product of all voxels with one tap.
    fn pointwise(batch: usize, voxels: usize, channels: [usize; 2]) -> Self {
        Self {
            batch: 1,
            channels,
            size: [1, 1, batch * voxels],
            output: [1, 1, batch * voxels],
            kernel: [1; 3],
            stride: [1; 3],
            dilation: [1; 3],
            at: [0; 3],
            spread: [1; 3],
        }
    }

    fn boxed_size(&self) -> [usize; 3] {
        std::array::from_fn(|a| {
            (self.output[a] - 1) * self.stride[a] + self.dilation[a] * (self.kernel[a] - 1) + 1
        })
    }

    fn placement(&self) -> Placement {
        Placement {
            batch: self.batch,
            channels: self.channels[0],
            size: self.size,
            boxed: self.boxed_size(),
            at: self.at,
            spread: self.spread,
            stride: self.channels[0],
        }
    }

    /// The input in its box, and the convolution that reads it: short rows are
    /// gathered, one voxel's taps behind each other.
    fn gathered<'a>(&self, input: Source<'a>, round: bool) -> (Cow<'a, [f32]>, Self) {
        let values = boxed(input, &self.placement(), round);
        if volume(self.kernel) == 1 && self.boxed_size() == self.output {
            let flat = Self::pointwise(self.batch, volume(self.output), self.channels);
            return (values, flat);
        }
        if self.output[2] >= SHORT {
            return (values, *self);
        }
        let depth = volume(self.kernel) * self.channels[0];
        let voxels = volume(self.output);
        let mut columns = vec![0.0f32; self.batch * voxels * depth];
        let (row, channels) = (self.row_taps(), self.channels[0]);
        let length = row.length * channels;
        columns
            .par_chunks_mut(self.output[2] * depth)
            .enumerate()
            .for_each(|(line, columns)| {
                for (x, column) in columns.chunks_exact_mut(depth).enumerate() {
                    let start = self.line(line) + x * self.stride[2] * channels;
                    for (part, tap) in column.chunks_exact_mut(length).zip(&row.starts) {
                        part.copy_from_slice(&values[start + tap..][..length]);
                    }
                }
            });
        let flat = Self::pointwise(self.batch, voxels, [depth, self.channels[1]]);
        (columns.into(), flat)
    }

    /// Where the voxels that output row `line` reads start in the box, in values.
    fn line(&self, line: usize) -> usize {
        let size = self.boxed_size();
        let [n, z, y] = [
            line / (self.output[0] * self.output[1]),
            line / self.output[1] % self.output[0],
            line % self.output[1],
        ];
        ((n * size[0] + z * self.stride[0]) * size[1] + y * self.stride[1])
            * size[2]
            * self.channels[0]
    }

    fn row_taps(&self) -> RowTaps {
        let size = self.boxed_size();
        let length = if self.dilation[2] == 1 {
            self.kernel[2]
        } else {
            1
        };
        let mut starts = Vec::new();
        for z in 0..self.kernel[0] {
            for y in 0..self.kernel[1] {
                for x in (0..self.kernel[2]).step_by(length) {
                    let voxel = (z * self.dilation[0] * size[1] + y * self.dilation[1]) * size[2]
                        + x * self.dilation[2];
                    starts.push(voxel * self.channels[0]);
                }
            }
        }
        RowTaps { length, starts }
    }

    fn lines(&self) -> usize {
        self.batch * self.output[0] * self.output[1]
    }
}

/// Runs of taps that lie next to each other in the box.
struct RowTaps {
    /// Taps in a run.
    length: usize,
    /// Where each run starts, in values.
    starts: Vec<usize>,
}

/// The output of a convolution, bias added and rectified if asked.
pub(crate) fn forward(
    instructions: Instructions,
    convolution: &Direct,
    input: Source<'_>,
    weights: &Weights<'_>,
    bias: Option<&[f32]>,
    rectify: bool,
) -> Vec<f32> {
    let taps = volume(convolution.kernel);
    let packed = packed(instructions, convolution.channels, taps, weights);
    let (values, d) = convolution.gathered(input, weights.round);
    let [_, to] = d.channels;
    let row = d.row_taps();
    let depth = row.length * d.channels[0];
    let terms: Vec<Term> = (row.starts.iter().enumerate())
        .map(|(i, &a)| Term { a, b: i * depth })
        .collect();
    // SAFETY: the tasks store every row and panel.
    let mut output = unsafe { scratch::unwritten(d.batch * volume(d.output) * to) };
    let shared = Shared::new(output.as_mut_ptr());
    let panels: Vec<(usize, usize)> = panels(instructions, to).collect();
    let per_line = d.output[2].div_ceil(ROWS);
    let pieces = d.lines() * per_line;
    let total = taps * convolution.channels[0];
    let voxels_first = packed.len() <= CACHED_WEIGHTS;
    (0..pieces * panels.len()).into_par_iter().for_each(|task| {
        let (piece, (start, width)) = match voxels_first {
            true => (task / panels.len(), panels[task % panels.len()]),
            false => (task % pieces, panels[task / pieces]),
        };
        let (line, first) = (piece / per_line, piece % per_line * ROWS);
        let rows = ROWS.min(d.output[2] - first);
        let b_depth = padded_columns(instructions, width);
        let terms: Vec<Term> = terms
            .iter()
            .map(|term| Term {
                b: term.b * b_depth,
                ..*term
            })
            .collect();
        let product = Product {
            rows,
            columns: width,
            depth,
            a_row: d.stride[2] * d.channels[0],
            a_depth: 1,
            b_depth,
            c_row: to,
            start: match bias {
                Some(bias) => Start::Row(bias[start..].as_ptr()),
                None => Start::Zero,
            },
            rectify,
        };
        let from = d.line(line) + first * d.stride[2] * d.channels[0];
        // SAFETY: the box holds what every output voxel reads; a panel holds
        // `total` rows of padded columns; tasks write different outputs.
        unsafe {
            multiply(
                instructions,
                &product,
                &terms,
                values.as_ptr().add(from),
                packed.as_ptr().add(total * start),
                shared.at((line * d.output[2] + first) * to + start),
            );
        }
    });
    output
}

/// Panels of outputs: for each tap and input channel a row of a panel's padded
/// columns.
fn packed(
    instructions: Instructions,
    channels: [usize; 2],
    taps: usize,
    weights: &Weights<'_>,
) -> Vec<f32> {
    let [from, to] = channels;
    let width = panel(instructions);
    let columns = padded_columns(instructions, to);
    let mut packed = vec![0.0f32; taps * from * columns];
    packed
        .par_chunks_mut(taps * from * width)
        .enumerate()
        .for_each(|(index, part)| {
            let padded = part.len() / (taps * from);
            let present = padded.min(to - index * width);
            // In the order of the weights' memory, which is what is large.
            for j in 0..present {
                for c in 0..from {
                    for tap in 0..taps {
                        part[(tap * from + c) * padded + j] = weights.at(index * width + j, c, tap);
                    }
                }
            }
        });
    packed
}

/// The gradient by the weights of `c`, in their order.
pub(crate) fn weight_gradient(
    instructions: Instructions,
    c: &Convolution,
    input: Source<'_>,
    output_gradient: &[f32],
    round: bool,
) -> Vec<f32> {
    let (values, d) = Direct::forward_of(c).gathered(input, round);
    let [_, to] = d.channels;
    let columns = padded_columns(instructions, to);
    let upper = boxed(
        Source::plain(output_gradient),
        &Placement::in_place(d.batch, d.output, to, columns),
        round,
    );
    let row = d.row_taps();
    let rows = row.length * d.channels[0];
    let panels: Vec<(usize, usize)> = panels(instructions, to).collect();
    let taps = row.starts.len();
    // Runs of voxels whose sums stay in registers: (first term, terms).
    let piece = d.output[2].min(LONGEST_SUM);
    let per_line = d.output[2].div_ceil(piece);
    let pieces = d.lines() * per_line;
    let together = (LONGEST_SUM / piece).max(1);
    let parts = match taps * panels.len() >= 2 * scratch::PARTS {
        true => 1,
        false => scratch::PARTS.min(pieces.div_ceil(together)),
    };
    let length = taps * rows * to;
    let mut sums = vec![0.0f32; parts * length];
    let shared = Shared::new(sums.as_mut_ptr());
    let run = pieces.div_ceil(parts);
    (0..parts * taps * panels.len())
        .into_par_iter()
        .for_each(|task| {
            let (start, width) = panels[task % panels.len()];
            let tap = task / panels.len() % taps;
            let part = task / panels.len() / taps;
            let to_sums = shared.at(part * length + tap * rows * to + start);
            let last = ((part + 1) * run).min(pieces);
            let mut next = part * run;
            while next < last {
                // Whole lines go together; a line in pieces goes piece by piece.
                let end = (next + together).min(last);
                let terms: Vec<Term> = (next..end)
                    .map(|piece_index| {
                        let (line, first) =
                            (piece_index / per_line, piece_index % per_line * piece);
                        Term {
                            a: d.line(line) + row.starts[tap] + first * d.stride[2] * d.channels[0],
                            b: (line * d.output[2] + first) * columns + start,
                        }
                    })
                    .collect();
                let first = next % per_line * piece;
                let product = Product {
                    rows,
                    columns: width,
                    depth: piece.min(d.output[2] - first),
                    a_row: 1,
                    a_depth: d.stride[2] * d.channels[0],
                    b_depth: columns,
                    c_row: to,
                    start: Start::Held,
                    rectify: false,
                };
                // SAFETY: the box holds what the voxels read; the gradient's rows
                // are padded to whole registers; tasks write different parts,
                // taps or columns.
                unsafe {
                    multiply(
                        instructions,
                        &product,
                        &terms,
                        values.as_ptr(),
                        upper.as_ptr(),
                        to_sums,
                    );
                }
                next = end;
            }
        });
    for part in 1..parts {
        let (first, rest) = sums.split_at_mut(part * length);
        first[..length]
            .iter_mut()
            .zip(&rest[..length])
            .for_each(|(sum, part)| *sum += part);
    }
    in_weights_order(&sums[..length], volume(c.kernel), c.channels_in, to)
}

/// `[tap, in, out]` as `[out, in, tap]`.
fn in_weights_order(sums: &[f32], taps: usize, from: usize, to: usize) -> Vec<f32> {
    // SAFETY: the loop writes all.
    let mut result = unsafe { scratch::unwritten(taps * from * to) };
    result
        .par_chunks_mut(from * taps)
        .enumerate()
        .for_each(|(o, result)| {
            for (i, value) in result.iter_mut().enumerate() {
                let (channel, tap) = (i / taps, i % taps);
                *value = sums[(tap * from + channel) * to + o];
            }
        });
    result
}
