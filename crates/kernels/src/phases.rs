//! The gradient by what a strided convolution reads.
//!
//! Voxels whose place leaves the same rest when divided by the stride read the same
//! taps: they form a phase, whose gradient is a convolution without stride by those
//! taps alone. All phases together cost what the forward pass does; one convolution
//! of the gradient spread by the stride would cost as many times more as the stride
//! skips voxels.

use rayon::prelude::*;

use crate::direct::{self, Direct};
use crate::geometry::{Convolution, volume};
use crate::instructions::Instructions;
use crate::source::Source;
use crate::weights::Weights;

/// Whether the gradient of `c` falls into phases.
pub(crate) fn takes(c: &Convolution) -> bool {
    c.stride != [1; 3] && (0..3).all(|a| c.stride[a] == 1 || c.dilation[a] == 1)
}

/// One phase along an axis.
#[derive(Clone, Copy)]
struct Phase {
    /// The first of its voxels.
    first: usize,
    /// How many there are.
    voxels: usize,
    /// The first of its taps.
    tap: usize,
    /// How many there are.
    taps: usize,
    /// Voxels of the output's gradient from its first one to where the last tap of
    /// the first voxel lies.
    before: isize,
}

impl Phase {
    fn along(c: &Convolution, axis: usize, first: usize) -> Self {
        let (stride, kernel) = (c.stride[axis], c.kernel[axis]);
        if stride == 1 {
            let reach = c.dilation[axis] * (kernel - 1);
            return Self {
                first,
                voxels: c.input[axis],
                tap: 0,
                taps: kernel,
                before: reach as isize - c.padding[axis] as isize,
            };
        }
        let padded = first + c.padding[axis];
        let tap = padded % stride;
        let taps = kernel.saturating_sub(tap).div_ceil(stride);
        Self {
            first,
            voxels: (c.input[axis] - first).div_ceil(stride),
            tap,
            taps,
            before: taps as isize - 1 - (padded / stride) as isize,
        }
    }
}

/// The gradient by the input of `c`, `[batch, z, y, x, channels_in]`.
pub(crate) fn data_gradient(
    instructions: Instructions,
    c: &Convolution,
    output_gradient: &[f32],
    weights: &[f32],
    round: bool,
) -> Vec<f32> {
    let mut gradient = vec![0.0f32; c.input_len()];
    let firsts: [usize; 3] = std::array::from_fn(|a| c.stride[a].min(c.input[a]));
    for i in 0..volume(firsts) {
        let at = [
            i / (firsts[1] * firsts[2]),
            i / firsts[2] % firsts[1],
            i % firsts[2],
        ];
        let phases: [Phase; 3] = std::array::from_fn(|a| Phase::along(c, a, at[a]));
        if phases.iter().any(|phase| phase.taps == 0) {
            continue;
        }
        let part = of_phase(instructions, c, &phases, output_gradient, weights, round);
        put(c, &phases, &part, &mut gradient);
    }
    gradient
}

/// The gradient by the voxels of one phase.
fn of_phase(
    instructions: Instructions,
    c: &Convolution,
    phases: &[Phase; 3],
    output_gradient: &[f32],
    weights: &[f32],
    round: bool,
) -> Vec<f32> {
    let kernel = phases.map(|phase| phase.taps);
    let alone = Convolution { kernel, ..*c };
    let taken = taken_taps(c, phases, weights);
    let weights = Weights::of(&alone, &taken, round).turned();
    let direct = Direct {
        batch: c.batch,
        channels: [c.channels_out, c.channels_in],
        size: c.output(),
        output: phases.map(|phase| phase.voxels),
        kernel,
        stride: [1; 3],
        dilation: c.dilation,
        at: phases.map(|phase| phase.before),
        spread: [1; 3],
    };
    let upper = Source::plain(output_gradient);
    direct::forward(instructions, &direct, upper, &weights, None, false)
}

/// The weights of a phase's taps, in the order of all.
fn taken_taps(c: &Convolution, phases: &[Phase; 3], weights: &[f32]) -> Vec<f32> {
    let [kz, ky, kx] = c.kernel;
    let along = |axis: usize| {
        let (phase, stride) = (phases[axis], c.stride[axis]);
        (0..phase.taps).map(move |i| phase.tap + i * stride)
    };
    let mut taps = Vec::new();
    for z in along(0) {
        for y in along(1) {
            taps.extend(along(2).map(|x| (z * ky + y) * kx + x));
        }
    }
    weights
        .chunks_exact(kz * ky * kx)
        .flat_map(|kernel| taps.iter().map(|&tap| kernel[tap]))
        .collect()
}

/// Brings the values of a phase to their places.
fn put(c: &Convolution, phases: &[Phase; 3], part: &[f32], gradient: &mut [f32]) {
    let channels = c.channels_in;
    let [z_phase, y_phase, x_phase] = *phases;
    let plane = c.input[1] * c.input[2] * channels;
    gradient
        .par_chunks_mut(plane)
        .enumerate()
        .for_each(|(index, plane)| {
            let (n, z) = (index / c.input[0], index % c.input[0]);
            if z < z_phase.first || (z - z_phase.first) % c.stride[0] != 0 {
                return;
            }
            let from = n * z_phase.voxels + (z - z_phase.first) / c.stride[0];
            let row = x_phase.voxels * channels;
            let rows = part[from * y_phase.voxels * row..].chunks_exact(row);
            for (i, row) in rows.take(y_phase.voxels).enumerate() {
                let y = y_phase.first + i * c.stride[1];
                let line = &mut plane[y * c.input[2] * channels..][..c.input[2] * channels];
                let places = line[x_phase.first * channels..].chunks_mut(c.stride[2] * channels);
                for (place, voxel) in places.zip(row.chunks_exact(channels)) {
                    place[..channels].copy_from_slice(voxel);
                }
            }
        });
}
