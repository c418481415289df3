//! Weights to the domain of the products, and sums of products back to taps.

use rayon::prelude::*;

use super::lines::{INPUTS, TAPS};
use super::moves;
use super::plan::Plan;
use crate::geometry::volume;
use crate::product::panels;
use crate::scratch::{self, Shared};
use crate::vector::{Vector, with_vector};
use crate::weights::Weights;

/// The weights in the domain of the products: for each position, panels of
/// outputs, `channels_in` rows of a panel's width each.
pub(super) fn transformed(plan: &Plan<'_>, weights: &Weights<'_>) -> Vec<f32> {
    let rows = plan.c.channels_in;
    // SAFETY: rows write all that is read; between positions nothing is.
    let mut result = unsafe { scratch::unwritten(plan.positions * plan.kernel_stride()) };
    let shared = Shared::new(result.as_mut_ptr());
    (0..rows).into_par_iter().for_each(|row| {
        // SAFETY: each row writes its own part of every position.
        unsafe {
            let to = shared.at(0);
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
    for (start, width) in panels(plan.instructions, plan.padded[1]) {
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
pub(super) fn kernels_of(plan: &Plan<'_>, sums: &[f32]) -> Vec<f32> {
    // SAFETY: rows write the taps of every input channel.
    let mut result = unsafe { scratch::unwritten(plan.c.weight_len()) };
    let shared = Shared::new(result.as_mut_ptr());
    (0..plan.c.channels_in).into_par_iter().for_each(|row| {
        // SAFETY: each row writes the taps of its own input channel.
        unsafe {
            let to = shared.at(0);
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
