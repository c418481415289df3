//! The convolution forward: output voxels along x are rows of A, taps and
//! channels are the depth, output channels are columns.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::finish::Finish;
use super::pack::{Rounder, rest};
use super::products;
use super::region::{Region, pieces};
use super::unit::{BLOCK, SIDE, Shape, Start, Step, TILE, Tiles};
use crate::geometry::volume;
use crate::instructions::Instructions;
use crate::precision::to_bf16;
use crate::scratch::Shared;
use crate::source::Source;

const ZERO: std::mem::MaybeUninit<u16> = std::mem::MaybeUninit::new(0);
/// Rows of the output, along y, that a thread takes at a time.
const ROWS: usize = 16;

/// Weights in an order of their own.
#[derive(Clone, Copy)]
pub(super) struct Weights<'a> {
    pub values: &'a [f32],
    /// From an output channel to the next.
    pub along_out: usize,
    /// From an input channel to the next.
    pub along_in: usize,
    /// The last tap comes first.
    pub flipped: bool,
}

/// One step of the depth: the values from `start` on of a run of channels that
/// are contiguous in memory and begin at a tap. Those before `fresh` belong to
/// the step before and have weights of 0 here.
struct Cut {
    tap: [usize; 3],
    start: usize,
    fresh: usize,
}

/// All the convolution's numbers that its threads share.
struct Plan<'a> {
    region: &'a Region,
    /// Values per voxel of the box: the channels, made even.
    stride: usize,
    shape: Shape,
    cuts: Vec<Cut>,
    parts: usize,
}

/// `region`'s convolution of `input`, `[batch, z, y, x, channels_out]`.
pub(super) fn correlate(
    region: &Region,
    input: Source<'_>,
    weights: &Weights<'_>,
    bias: Option<&[f32]>,
    rectify: bool,
    parts: usize,
) -> Vec<f32> {
    if let Some(bias) = bias {
        assert_eq!(bias.len(), region.channels_out, "bias");
    }
    let plan = Plan::new(region, parts);
    let boxed = plan.boxed(input);
    let packed = plan.packed(weights);
    let finish = Finish {
        instructions: Instructions::detected(),
        bias,
        rectify,
        channels: region.channels_out,
    };
    let length = region.batch * volume(region.output) * region.channels_out;
    let mut output = Vec::with_capacity(length);
    plan.run(&boxed, &packed, &finish, Shared::new(output.as_mut_ptr()));
    // SAFETY: the run has written all of it.
    unsafe { output.set_len(length) };
    output
}

impl<'a> Plan<'a> {
    fn new(region: &'a Region, parts: usize) -> Self {
        let stride = region.channels_in.next_multiple_of(2);
        let [z, y, x] = region.kernel;
        // Neighbouring taps along x read neighbouring voxels: one run.
        let (taps, run) = match region.dilation[2] == 1 {
            true => (1, x * stride),
            false => (x, stride),
        };
        let (pairs, starts) = pieces(run / 2, SIDE);
        let mut cuts = vec![];
        for tap in 0..z * y * taps {
            let tap = [tap / (y * taps), tap / taps % y, tap % taps];
            for (i, start) in starts.iter().enumerate() {
                cuts.push(Cut {
                    tap,
                    start: 2 * start,
                    fresh: 2 * pairs * i,
                });
            }
        }
        Self {
            region,
            stride,
            shape: Shape {
                rows: pieces(region.output[2], SIDE).0,
                pairs,
                columns: region.channels_out.min(SIDE),
            },
            cuts,
            parts,
        }
    }

    /// Values of a row of the box.
    fn row_len(&self) -> usize {
        self.region.boxed()[2] * self.stride
    }

    /// Values of the box in one part.
    fn box_len(&self) -> usize {
        self.region.planes() * self.region.boxed()[1] * self.row_len()
    }

    fn column_tiles(&self) -> usize {
        self.region.channels_out.div_ceil(self.shape.columns)
    }

    /// Values of B for one tile of columns.
    fn column_len(&self) -> usize {
        self.parts * self.cuts.len() * self.shape.b_len()
    }

    /// The source in its box, part after part.
    fn boxed(&self, input: Source<'_>) -> Buffer<u16> {
        let region = self.region;
        let channels = region.channels_in;
        assert_eq!(
            input.values.len(),
            region.batch * volume(region.size) * channels,
            "values of the source"
        );
        let rounders = Rounder::of_images(input.rectified, channels);
        let image = region.size[0] * region.size[1];
        let (row, part) = (self.row_len(), self.box_len());
        let (from, to, count) = region.span();
        let mut boxed = Buffer::new(self.parts * part);
        let shared = boxed.shared();
        (0..region.planes() * region.boxed()[1])
            .into_par_iter()
            .with_min_len(ROWS)
            .for_each(|i| {
                let (plane, y) = (i / region.boxed()[1], i % region.boxed()[1]);
                let source = region.source_row(plane, y).filter(|_| count > 0);
                let (left, filled) = match source {
                    Some(_) => (to * self.stride, count * self.stride),
                    None => (row, 0),
                };
                for p in 0..self.parts {
                    // SAFETY: this row of this part is only this task's.
                    let line = unsafe { shared.slice(p * part + i * row, row) };
                    line[..left].fill(ZERO);
                    line[left + filled..].fill(ZERO);
                }
                let Some(source) = source else { return };
                let rounder = &rounders[(source / image).min(rounders.len() - 1)];
                let values = &input.values[(source * region.size[2] + from) * channels..]
                    [..count * channels];
                let start = i * row + left;
                if self.stride == channels {
                    // SAFETY: as above.
                    unsafe { rounder.round(values, shared.at(start), part, self.parts) };
                    return;
                }
                for (x, voxel) in values.chunks_exact(channels).enumerate() {
                    let start = start + x * self.stride;
                    // SAFETY: as above.
                    unsafe {
                        rounder.round(voxel, shared.at(start), part, self.parts);
                        for p in 0..self.parts {
                            shared.at(p * part + start + channels).write(0);
                        }
                    }
                }
            });
        boxed
    }

    /// B: for each tile of columns, part and step, rows of pairs of k.
    fn packed(&self, weights: &Weights<'_>) -> Buffer<u16> {
        let step_len = self.shape.b_len();
        let mut packed = Buffer::<u16>::new(self.column_tiles() * self.column_len());
        let shared = packed.shared();
        let steps = self.cuts.len();
        (0..self.column_tiles() * steps)
            .into_par_iter()
            .with_min_len(8)
            .for_each(|i| {
                let (tile, step) = (i / steps, i % steps);
                for p in 0..self.parts {
                    let at = tile * self.column_len() + (p * steps + step) * step_len;
                    for k in 0..2 * self.shape.pairs {
                        for j in 0..self.shape.columns {
                            let o = tile * self.shape.columns + j;
                            let value = self.weight(weights, &self.cuts[step], k, o);
                            let value = if p == 0 { value } else { rest(value) };
                            let place = at + (k / 2 * self.shape.columns + j) * 2 + k % 2;
                            // SAFETY: this step of this tile is only this task's.
                            unsafe { shared.at(place).write(to_bf16(value)) };
                        }
                    }
                }
            });
        packed
    }

    /// The weight of the `k`-th value of a step, 0 where it has none.
    fn weight(&self, weights: &Weights<'_>, cut: &Cut, k: usize, o: usize) -> f32 {
        let region = self.region;
        let k = cut.start + k;
        let (x, c) = (cut.tap[2] + k / self.stride, k % self.stride);
        if k < cut.fresh || c >= region.channels_in || o >= region.channels_out {
            return 0.0;
        }
        let tap = (cut.tap[0] * region.kernel[1] + cut.tap[1]) * region.kernel[2] + x;
        let tap = match weights.flipped {
            true => region.taps() - 1 - tap,
            false => tap,
        };
        weights.values[o * weights.along_out + c * weights.along_in + tap]
    }

    /// Where each step reads, from a row tile of A and a column tile of B.
    fn steps(&self) -> Vec<Step> {
        let [_, by, bx] = self.region.boxed();
        let dilation = self.region.dilation;
        let mut steps = vec![];
        for &(a, b) in products(self.parts) {
            for (i, cut) in self.cuts.iter().enumerate() {
                let [z, y, x] = std::array::from_fn(|i| cut.tap[i] * dilation[i]);
                let voxel = (z * by + y) * bx + x;
                steps.push(Step {
                    a: 2 * (a * self.box_len() + voxel * self.stride + cut.start),
                    b: 2 * (b * self.cuts.len() + i) * self.shape.b_len(),
                });
            }
        }
        steps
    }

    fn run(&self, a: &Buffer<u16>, b: &Buffer<u16>, finish: &Finish<'_>, output: Shared<f32>) {
        let [oz, oy, _] = self.region.output;
        let steps = self.steps();
        let chunks = oy.div_ceil(ROWS);
        let tasks = self.region.batch * oz * chunks;
        let column_tiles: Vec<usize> = (0..self.column_tiles()).collect();
        // Few rows: threads share the columns too.
        let wide = match tasks >= 4 * rayon::current_num_threads() {
            true => column_tiles.len(),
            false => 2,
        };
        let groups: Vec<&[usize]> = column_tiles.chunks(wide).collect();
        let (a, b) = (
            Shared::new(a.start().cast_mut()),
            Shared::new(b.start().cast_mut()),
        );
        (0..tasks * groups.len()).into_par_iter().for_each(|task| {
            let (rows, group) = (task / groups.len(), groups[task % groups.len()]);
            let (plane, y) = (rows / chunks, rows % chunks * ROWS);
            let rows = plane * oy + y..plane * oy + (y + ROWS).min(oy);
            let tiles = self.row_tiles(rows);
            // SAFETY: whoever calls this module has tiles.
            let unit = unsafe { Tiles::new(self.shape) };
            let mut sums = Buffer::<f32>::new(BLOCK * TILE);
            let sums = sums.shared().at(0);
            for columns in group.chunks(2) {
                let bases = [0, 1].map(|j| {
                    let tile = columns[j.min(columns.len() - 1)];
                    b.at(tile * self.column_len()).cast_const().cast::<u8>()
                });
                for tiles in tiles.chunks(BLOCK / columns.len()) {
                    let mut from = [std::ptr::null(); BLOCK];
                    for (from, tile) in from.iter_mut().zip(tiles) {
                        *from = a.at(tile.a).cast_const().cast::<u8>();
                    }
                    // SAFETY: row tiles, steps and columns lie in the buffers,
                    // and these voxels of these columns are only this task's.
                    unsafe {
                        unit.block(
                            &from[..tiles.len()],
                            2 * self.stride,
                            &bases[..columns.len()],
                            &steps,
                            Start::Zero,
                            sums,
                        );
                        for (i, tile) in tiles.iter().enumerate() {
                            for (j, &column) in columns.iter().enumerate() {
                                let first = column * self.shape.columns;
                                finish.tile(
                                    sums.add((i * columns.len() + j) * TILE),
                                    self.shape,
                                    first,
                                    output.at(tile.voxel * self.region.channels_out + first),
                                );
                            }
                        }
                    }
                }
            }
        });
    }

    /// The tiles of A for these rows of the output, counted over all planes.
    fn row_tiles(&self, rows: std::ops::Range<usize>) -> Vec<RowTile> {
        let [oz, oy, ox] = self.region.output;
        let [bz, by, bx] = self.region.boxed();
        let (_, starts) = pieces(ox, SIDE);
        let mut tiles = vec![];
        for row in rows {
            let (n, z, y) = (row / (oz * oy), row / oy % oz, row % oy);
            let line = ((n * bz + z) * by + y) * bx;
            for x in &starts {
                tiles.push(RowTile {
                    a: (line + x) * self.stride,
                    voxel: row * ox + x,
                });
            }
        }
        tiles
    }
}

struct RowTile {
    /// Where it starts in the box, in values.
    a: usize,
    /// Its first voxel of the output.
    voxel: usize,
}
