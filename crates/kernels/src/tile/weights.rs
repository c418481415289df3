//! The weights' gradient: input channels are rows of A, voxels the depth,
//! output channels the columns; each tap reads A at its own offset.
//!
//! A plane's voxels are one line, the box's zeros included, so that the depth
//! runs over rows of any length; between the output's rows B is 0.

use rayon::prelude::*;

use super::buffer::Buffer;
use super::pack::{Pairs, Rounder, transpose};
use super::products;
use super::region::{Region, pieces};
use super::unit::{BLOCK, SIDE, Shape, Start, Step, TILE, Tiles};
use crate::geometry::{Convolution, volume};
use crate::instructions::Instructions;
use crate::scratch::Shared;
use crate::source::Source;

/// Steps after which a block's sums leave the tiles, so that what they read
/// stays near the processor for the next taps.
const VISIT: usize = 16;

/// Values of A that [`transpose`] may write past a row's end.
const SPILL: usize = 7;

struct Plan {
    region: Region,
    shape: Shape,
    /// Where each row tile's channels start.
    channels: Vec<usize>,
    /// Voxels from a row of the box to the next: made even, so that the voxels
    /// of a pair share a row.
    line: usize,
    /// Values from a channel of A to the next.
    pitch: usize,
    /// Steps of the depth in a plane of the output.
    steps: usize,
    parts: usize,
}

/// See [`super::weight_gradient`].
pub(super) fn gradient(
    c: &Convolution,
    input: Source<'_>,
    output_gradient: &[f32],
    parts: usize,
) -> Vec<f32> {
    assert_eq!(input.values.len(), c.input_len(), "values of the source");
    assert_eq!(output_gradient.len(), c.output_len(), "output gradient");
    let plan = Plan::new(c, parts);
    let a = plan.transposed(input);
    let b = plan.paired(output_gradient);
    plan.run(&a, &b)
}

impl Plan {
    fn new(c: &Convolution, parts: usize) -> Self {
        let region = Region::of_input(c);
        let [_, by, bx] = region.boxed();
        let line = bx.next_multiple_of(2);
        let [_, oy, ox] = region.output;
        let (rows, channels) = pieces(region.channels_in, SIDE);
        let voxels = (oy - 1) * line + ox;
        let pairs = voxels.div_ceil(2).min(SIDE);
        let steps = voxels.div_ceil(2 * pairs);
        // The last step of the last tap ends in zeros of the same plane. An odd
        // number of cache lines spreads a tile's rows over the cache.
        let end = by * line + region.reach()[2] + 2 * pairs + SPILL;
        Self {
            region,
            shape: Shape {
                rows,
                pairs,
                columns: region.channels_out.min(SIDE),
            },
            channels,
            line,
            pitch: (end.div_ceil(32) | 1) * 32,
            steps,
            parts,
        }
    }

    /// Values of A in a plane of the box.
    fn plane_len(&self) -> usize {
        self.region.channels_in * self.pitch
    }

    fn column_tiles(&self) -> usize {
        self.region.channels_out.div_ceil(self.shape.columns)
    }

    /// Planes of the output, of all images.
    fn planes_out(&self) -> usize {
        self.region.batch * self.region.output[0]
    }

    /// Values of B for one tile of columns, in one part.
    fn column_len(&self) -> usize {
        self.planes_out() * self.steps * self.shape.b_len()
    }

    /// A: `[part, plane, channel, voxel]`.
    fn transposed(&self, input: Source<'_>) -> Buffer<u16> {
        let region = &self.region;
        let channels = region.channels_in;
        let by = region.boxed()[1];
        let part = region.planes() * self.plane_len();
        let rounders = Rounder::of_images(input.rectified, channels);
        let image = region.size[0] * region.size[1];
        let (from, left, count) = region.span();
        let mut result = Buffer::new(self.parts * part);
        let shared = result.shared();
        (0..region.planes()).into_par_iter().for_each(|plane| {
            for p in 0..self.parts {
                let start = p * part + plane * self.plane_len();
                // SAFETY: a task has a plane of its own in each part.
                let plane = unsafe { shared.slice(start, self.plane_len()) };
                plane.fill(std::mem::MaybeUninit::new(0));
            }
            // One row of voxels, made whole in channels and voxels of eight; the
            // voxels beyond stay 0, and so does what spills beyond a row.
            let wide = channels.next_multiple_of(8);
            let line_len = count.next_multiple_of(8) * wide;
            let mut line = vec![0u16; self.parts * line_len];
            for y in 0..by {
                let Some(source) = region.source_row(plane, y) else {
                    continue;
                };
                let rounder = &rounders[(source / image).min(rounders.len() - 1)];
                let values = &input.values[(source * region.size[2] + from) * channels..]
                    [..count * channels];
                if wide == channels {
                    // SAFETY: the line has room for the voxels.
                    unsafe { rounder.round(values, line.as_mut_ptr(), line_len, self.parts) };
                } else {
                    for (x, voxel) in values.chunks_exact(channels).enumerate() {
                        // SAFETY: as above.
                        unsafe {
                            let to = line.as_mut_ptr().add(x * wide);
                            rounder.round(voxel, to, line_len, self.parts);
                        }
                    }
                }
                for p in 0..self.parts {
                    let start = p * part + plane * self.plane_len() + y * self.line + left;
                    for x in (0..count).step_by(8) {
                        for c in (0..channels).step_by(8) {
                            let from = p * line_len + x * wide + c;
                            // SAFETY: the line is whole in eights; in the plane
                            // at most `SPILL` values beyond the row are written,
                            // which the pitch has room for.
                            unsafe {
                                transpose(
                                    line.as_ptr().add(from),
                                    wide,
                                    shared.at(start + c * self.pitch + x),
                                    self.pitch,
                                    (channels - c).min(8),
                                );
                            }
                        }
                    }
                }
            }
        });
        result
    }

    /// B: `[column tile, part, plane, pair of voxels, column]`.
    fn paired(&self, values: &[f32]) -> Buffer<u32> {
        let channels = self.region.channels_out;
        let [_, oy, ox] = self.region.output;
        let columns = self.shape.columns;
        let plane_len = self.steps * self.shape.pairs * columns;
        let row_len = ox * channels;
        let instructions = Instructions::detected();
        let mut result = Buffer::new(self.column_tiles() * self.parts * self.column_len() / 2);
        let shared = result.shared();
        (0..self.planes_out()).into_par_iter().for_each(|plane| {
            let values = &values[plane * oy * row_len..][..oy * row_len];
            for tile in 0..self.column_tiles() * self.parts {
                let start = tile * self.column_len() / 2 + plane * plane_len;
                // SAFETY: a task has a plane of its own in each tile and part.
                let to = unsafe { shared.slice(start, plane_len) };
                for (y, to) in to.chunks_mut(self.line / 2 * columns).enumerate() {
                    let pairs = Pairs {
                        voxels: if y < oy {
                            &values[y * row_len..][..row_len]
                        } else {
                            &[]
                        },
                        channels,
                        first: tile / self.parts * columns,
                        columns,
                        small: tile % self.parts > 0,
                    };
                    pairs.write(instructions, to);
                }
            }
        });
        result
    }

    /// Where the steps of every plane read, the products of each place together.
    fn all_steps(&self) -> Vec<Step> {
        let [oz, ..] = self.region.output;
        let [bz, ..] = self.region.boxed();
        let a_part = self.region.planes() * self.plane_len();
        let mut steps = vec![];
        for plane in 0..self.planes_out() {
            let boxed = plane / oz * bz + plane % oz;
            for step in 0..self.steps {
                for &(a, b) in products(self.parts) {
                    let place = boxed * self.plane_len() + step * 2 * self.shape.pairs;
                    let row = (plane * self.steps + step) * self.shape.b_len();
                    steps.push(Step {
                        a: 2 * (a * a_part + place),
                        b: 2 * (b * self.column_len() + row),
                    });
                }
            }
        }
        steps
    }

    fn run(&self, a: &Buffer<u16>, b: &Buffer<u32>) -> Vec<f32> {
        let taps = self.region.taps();
        let steps = self.all_steps();
        // A unit is a row tile of all taps with one or two tiles of columns.
        let column_tiles: Vec<usize> = (0..self.column_tiles()).collect();
        let units = column_tiles.len().div_ceil(2) * self.channels.len();
        // Threads share the units, and where these are few the depth.
        let visits = steps.len().div_ceil(VISIT);
        let shares = (2 * crate::scratch::PARTS).div_ceil(units).min(visits);
        let share = visits.div_ceil(shares) * VISIT;
        let shares: Vec<&[Step]> = steps.chunks(share).collect();

        let share_len = column_tiles.len() * self.channels.len() * taps * TILE;
        let mut sums = Buffer::<f32>::new(shares.len() * share_len);
        let shared = sums.shared();
        let a = Shared::new(a.start().cast_mut());
        let b = Shared::new(b.start().cast_mut());
        (0..shares.len() * units).into_par_iter().for_each(|task| {
            let (share, unit) = (task / units, task % units);
            let panel = unit / self.channels.len();
            let row_tile = unit % self.channels.len();
            let columns = &column_tiles[2 * panel..][..2.min(column_tiles.len() - 2 * panel)];
            let bases = [0, 1].map(|j| {
                let tile = columns[j.min(columns.len() - 1)];
                let start = tile * self.parts * self.column_len() / 2;
                b.at(start).cast_const().cast::<u8>()
            });
            let from: Vec<*const u8> = (0..taps)
                .map(|tap| a.at(self.tap_start(row_tile, tap)).cast_const().cast())
                .collect();
            let sums = share * share_len + self.tile(panel, row_tile, 0, columns.len(), 0) * TILE;
            // SAFETY: whoever calls this module has tiles.
            let tiles = unsafe { Tiles::new(self.shape) };
            for (visit, steps) in shares[share].chunks(VISIT).enumerate() {
                let start = if visit == 0 { Start::Zero } else { Start::Held };
                let rows = BLOCK / columns.len();
                for (i, from) in from.chunks(rows).enumerate() {
                    // SAFETY: taps, steps and columns lie in the buffers; the
                    // sums of a share's unit are only this task's.
                    unsafe {
                        tiles.block(
                            from,
                            2 * self.pitch,
                            &bases[..columns.len()],
                            steps,
                            start,
                            shared.at(sums + i * BLOCK * TILE),
                        );
                    }
                }
            }
        });
        self.added(&sums, shares.len(), share_len)
    }

    /// Where A starts for a row tile and a tap.
    fn tap_start(&self, row_tile: usize, tap: usize) -> usize {
        let region = &self.region;
        let tap = region.tap(tap);
        let [z, y, x] = std::array::from_fn(|i| tap[i] * region.dilation[i]);
        let channel = self.channels[row_tile];
        z * self.plane_len() + channel * self.pitch + y * self.line + x
    }

    /// The number, within a share's sums, of the tile for a panel of `columns`
    /// tiles, a row tile, a tap and the `j`-th column tile of the panel.
    fn tile(&self, panel: usize, row_tile: usize, tap: usize, columns: usize, j: usize) -> usize {
        let taps = self.region.taps();
        2 * panel * self.channels.len() * taps + (row_tile * taps + tap) * columns + j
    }

    /// The shares' sums, added in order, in the order of the weights.
    fn added(&self, sums: &Buffer<f32>, shares: usize, share_len: usize) -> Vec<f32> {
        let region = &self.region;
        let taps = volume(region.kernel);
        // SAFETY: every tile of every share has been stored.
        let sums = unsafe { std::slice::from_raw_parts(sums.start(), shares * share_len) };
        let mut gradient = vec![0.0f32; region.channels_out * region.channels_in * taps];
        gradient
            .par_chunks_mut(region.channels_in * taps)
            .enumerate()
            .for_each(|(o, gradient)| {
                let (tile, column) = (o / self.shape.columns, o % self.shape.columns);
                let (panel, j) = (tile / 2, tile % 2);
                let columns = 2.min(self.column_tiles() - 2 * panel);
                for (i, value) in gradient.iter_mut().enumerate() {
                    let (c, tap) = (i / taps, i % taps);
                    let row_tile = c / self.shape.rows;
                    let row = c - self.channels[row_tile];
                    let tile = self.tile(panel, row_tile, tap, columns, j);
                    let place = tile * TILE + row * SIDE + column;
                    *value = (0..shares).map(|s| sums[s * share_len + place]).sum();
                }
            });
        gradient
    }
}
