//! Convolutions of few voxels with many weights, as at the bottom of a UNet:
//! reading the weights is the work.
//!
//! Every voxel's taps are gathered into a column, `[channels_in, tap]`, the
//! order of the weights' rows. Then the weights are an operand as they lie in
//! memory, read once and never packed, and so is their gradient.

use rayon::prelude::*;

use crate::geometry::{Convolution, volume};
use crate::instructions::Instructions;
use crate::precision::to_bf16_and_back;
use crate::product::{Product, Start, Term, multiply, padded_columns, panel, panels};
use crate::scratch::{self, Shared};
use crate::source::{Placement, Source, boxed};

/// Weights for each value of input and output from which on this is worth it.
const WEIGHTS_PER_VALUE: usize = 4;
/// Rows of weights of one task: few, so that they stay in a core's cache for
/// all columns.
const ROWS: usize = 24;
/// The longest sum that stays in f32 registers: longer ones would lose digits.
const LONGEST_SUM: usize = 1024;

/// Whether there are many weights for each voxel.
pub(crate) fn takes(c: &Convolution) -> bool {
    c.weight_len() > WEIGHTS_PER_VALUE * (c.input_len() + c.output_len())
}

/// The voxels' places: what is read for output voxel and tap.
struct Taps<'a> {
    c: &'a Convolution,
    output: [usize; 3],
}

impl<'a> Taps<'a> {
    fn of(c: &'a Convolution) -> Self {
        Self {
            c,
            output: c.output(),
        }
    }

    fn voxels(&self) -> usize {
        self.c.batch * volume(self.output)
    }

    /// Length of a column.
    fn depth(&self) -> usize {
        self.c.channels_in * volume(self.c.kernel)
    }

    /// The input voxel that a tap of an output voxel reads, if it is not padding.
    fn read(&self, voxel: usize, tap: usize) -> Option<usize> {
        let ([z, y, x], c) = (self.output, self.c);
        let at = [voxel / (x * y) % z, voxel / x % y, voxel % x];
        let [_, ky, kx] = c.kernel;
        let t = [tap / (ky * kx), tap / kx % ky, tap % kx];
        let place: [usize; 3] = std::array::from_fn(|a| {
            (at[a] * c.stride[a] + t[a] * c.dilation[a]).wrapping_sub(c.padding[a])
        });
        let inside = (0..3).all(|a| place[a] < c.input[a]);
        let n = voxel / (z * y * x);
        inside
            .then(|| ((n * c.input[0] + place[0]) * c.input[1] + place[1]) * c.input[2] + place[2])
    }

    /// `[voxel, (channel, tap)]`.
    fn columns(&self, input: &[f32]) -> Vec<f32> {
        let (channels, taps) = (self.c.channels_in, volume(self.c.kernel));
        let mut columns = vec![0.0f32; self.voxels() * self.depth()];
        columns
            .par_chunks_mut(self.depth())
            .enumerate()
            .for_each(|(voxel, column)| {
                for tap in 0..taps {
                    let Some(read) = self.read(voxel, tap) else {
                        continue;
                    };
                    let values = &input[read * channels..][..channels];
                    for (c, value) in values.iter().enumerate() {
                        column[c * taps + tap] = *value;
                    }
                }
            });
        columns
    }
}

/// `rows x columns` transposed.
fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns;
    // SAFETY: the loop writes all.
    let mut result = unsafe { scratch::unwritten(values.len()) };
    result
        .par_chunks_mut(rows)
        .enumerate()
        .for_each(|(column, row)| {
            for (value, from) in row.iter_mut().zip(values.chunks_exact(columns)) {
                *value = from[column];
            }
        });
    result
}

/// The right factor of a product: panels of columns, in each `depth` rows.
struct Panels {
    values: Vec<f32>,
    depth: usize,
    columns: usize,
    /// Columns in whole registers.
    padded: usize,
}

impl Panels {
    /// The element at row `k` and column `j` is `at(k, j)`; `by_column` when
    /// those of a column lie next to each other in memory.
    fn new(
        instructions: Instructions,
        [depth, columns]: [usize; 2],
        by_column: bool,
        at: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Self {
        let width = panel(instructions);
        let padded = padded_columns(instructions, columns);
        let mut values = vec![0.0f32; depth * padded];
        values
            .par_chunks_mut(depth * width)
            .enumerate()
            .for_each(|(index, part)| {
                let row = part.len() / depth;
                let present = row.min(columns - index * width);
                let first = index * width;
                match by_column {
                    true => (0..present).for_each(|j| {
                        (0..depth).for_each(|k| part[k * row + j] = at(k, first + j));
                    }),
                    false => (0..depth).for_each(|k| {
                        (0..present).for_each(|j| part[k * row + j] = at(k, first + j));
                    }),
                }
            });
        Self {
            values,
            depth,
            columns,
            padded,
        }
    }
}

/// What `c` reads, as values.
fn seen<'a>(source: Source<'a>, c: &Convolution, round: bool) -> std::borrow::Cow<'a, [f32]> {
    let placement = Placement::in_place(c.batch, c.input, c.channels_in, c.channels_in);
    boxed(source, &placement, round)
}

fn rounded(values: &[f32], round: bool) -> std::borrow::Cow<'_, [f32]> {
    match round {
        true => (values.par_iter().map(|&v| to_bf16_and_back(v)))
            .collect::<Vec<_>>()
            .into(),
        false => values.into(),
    }
}

/// `A B` with `rows` rows of A, `steps` from one to the next and from one `k`
/// to the next; tasks of [`ROWS`] rows.
fn product(
    instructions: Instructions,
    rows: usize,
    steps: [usize; 2],
    a: &[f32],
    b: &Panels,
) -> Vec<f32> {
    // SAFETY: the first products are stored, not added, to every row and panel.
    let mut result = unsafe { scratch::unwritten(rows * b.columns) };
    let shared = Shared::new(result.as_mut_ptr());
    (0..rows.div_ceil(ROWS)).into_par_iter().for_each(|task| {
        let first = task * ROWS;
        for k in (0..b.depth).step_by(LONGEST_SUM) {
            for (start, width) in panels(instructions, b.padded) {
                let product = Product {
                    rows: ROWS.min(rows - first),
                    columns: width.min(b.columns - start),
                    depth: LONGEST_SUM.min(b.depth - k),
                    a_row: steps[0],
                    a_depth: steps[1],
                    b_depth: width,
                    c_row: b.columns,
                    start: if k == 0 { Start::Zero } else { Start::Held },
                    rectify: false,
                };
                // SAFETY: A reaches `rows` and the depth at its steps, rows of
                // a panel are whole registers; tasks write different rows.
                unsafe {
                    multiply(
                        instructions,
                        &product,
                        &[Term { a: 0, b: 0 }],
                        a.as_ptr().add(first * steps[0] + k * steps[1]),
                        b.values.as_ptr().add(start * b.depth + k * width),
                        shared.at(first * b.columns + start),
                    );
                }
            }
        }
    });
    result
}

/// The output of `c`, bias added and rectified if asked.
pub(crate) fn forward(
    instructions: Instructions,
    c: &Convolution,
    input: Source<'_>,
    weights: &[f32],
    bias: Option<&[f32]>,
    rectify: bool,
    round: bool,
) -> Vec<f32> {
    let taps = Taps::of(c);
    let (voxels, depth) = (taps.voxels(), taps.depth());
    let input = seen(input, c, round);
    let columns = taps.columns(&input);
    let at = |k, voxel| columns[voxel * depth + k];
    let columns = Panels::new(instructions, [depth, voxels], true, at);
    let weights = rounded(weights, round);
    let by_channel = product(instructions, c.channels_out, [depth, 1], &weights, &columns);
    let mut output = transposed(&by_channel, voxels);
    output.par_chunks_mut(c.channels_out).for_each(|voxel| {
        for (o, value) in voxel.iter_mut().enumerate() {
            *value += bias.map_or(0.0, |bias| bias[o]);
            if rectify && *value < 0.0 {
                *value = 0.0;
            }
        }
    });
    output
}

/// The gradient by what `c` reads.
pub(crate) fn data_gradient(
    instructions: Instructions,
    c: &Convolution,
    output_gradient: &[f32],
    weights: &[f32],
    round: bool,
) -> Vec<f32> {
    let taps = Taps::of(c);
    let (voxels, depth) = (taps.voxels(), taps.depth());
    let upper = rounded(output_gradient, round);
    let at = |o, voxel| upper[voxel * c.channels_out + o];
    let upper = Panels::new(instructions, [c.channels_out, voxels], true, at);
    let columns = product(
        instructions,
        depth,
        [1, depth],
        &rounded(weights, round),
        &upper,
    );
    // Each channel gathers from the columns of its own taps.
    let kernel = volume(c.kernel);
    let places: Vec<Option<usize>> = (0..kernel * voxels)
        .map(|i| taps.read(i % voxels, i / voxels))
        .collect();
    let inputs = c.batch * volume(c.input);
    let mut by_channel = vec![0.0f32; c.channels_in * inputs];
    by_channel
        .par_chunks_mut(inputs)
        .enumerate()
        .for_each(|(channel, gradient)| {
            for tap in 0..kernel {
                let row = &columns[(channel * kernel + tap) * voxels..][..voxels];
                for (value, place) in row.iter().zip(&places[tap * voxels..]) {
                    if let Some(place) = place {
                        gradient[*place] += value;
                    }
                }
            }
        });
    transposed(&by_channel, inputs)
}

/// The gradient by the weights of `c`.
pub(crate) fn weight_gradient(
    instructions: Instructions,
    c: &Convolution,
    input: Source<'_>,
    output_gradient: &[f32],
    round: bool,
) -> Vec<f32> {
    let taps = Taps::of(c);
    let depth = taps.depth();
    let input = seen(input, c, round);
    let columns = taps.columns(&input);
    let at = |voxel, k| columns[voxel * depth + k];
    let columns = Panels::new(instructions, [taps.voxels(), depth], false, at);
    let upper = rounded(output_gradient, round);
    product(
        instructions,
        c.channels_out,
        [1, c.channels_out],
        &upper,
        &columns,
    )
}
