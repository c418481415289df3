//! Rectified values where they must be stored, and the gradient of the ReLU.

use rayon::prelude::*;

use crate::columns::{Columns, Lanewise, walk_with};
use crate::instructions::Instructions;
use crate::source::Rectifier;
use crate::vector::Vector;

/// `values`, `[image, voxel, channel]`, seen through `rectifier`.
///
/// # Panics
/// If the rows of the rectifier do not fit together or the last voxel is incomplete.
pub fn activate(values: &[f32], rectifier: Rectifier<'_>, channels: usize) -> Vec<f32> {
    activate_with(Instructions::detected(), values, rectifier, channels)
}

fn activate_with(
    instructions: Instructions,
    values: &[f32],
    rectifier: Rectifier<'_>,
    channels: usize,
) -> Vec<f32> {
    let images = rectifier.images(channels);
    let mut output = vec![0.0f32; values.len()];
    let image = values.len() / images;
    if image > 0 {
        let each = output.chunks_mut(image).zip(values.chunks(image));
        for (n, (output, values)) in each.enumerate() {
            activate_image(
                instructions,
                values,
                rectifier.of_image(n, channels),
                output,
            );
        }
    }
    output
}

fn activate_image(
    instructions: Instructions,
    values: &[f32],
    rectifier: Rectifier<'_>,
    output: &mut [f32],
) {
    let columns = Columns::new(rectifier.scale.len());
    columns.voxels(values);
    let scale = columns.spread(rectifier.scale);
    let shift = columns.spread(rectifier.shift);
    let slope = columns.spread(rectifier.slope);
    output
        .par_chunks_mut(columns.task)
        .zip(values.par_chunks(columns.task))
        .for_each(|(output, values)| {
            let work = Activate {
                scale: scale.as_ptr(),
                shift: shift.as_ptr(),
                slope: slope.as_ptr(),
                values: values.as_ptr(),
                output: output.as_mut_ptr(),
            };
            // SAFETY: both chunks have one length; the rows span a period.
            unsafe { walk_with!(instructions, Activate, values.len(), columns.period, work) };
        });
}

#[derive(Clone, Copy)]
struct Activate {
    scale: *const f32,
    shift: *const f32,
    slope: *const f32,
    values: *const f32,
    output: *mut f32,
}

impl Lanewise for Activate {
    #[inline(always)]
    unsafe fn at<V: Vector>(self, value: usize, place: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let scaled = V::load(self.shift.add(place)).add_product(
                V::load(self.scale.add(place)),
                V::load(self.values.add(value)),
            );
            let positive = scaled.where_positive(scaled);
            // What is not a number is not positive: it stays in the rest.
            let rest = scaled.sub(positive);
            positive
                .add_product(V::load(self.slope.add(place)), rest)
                .store(self.output.add(value));
        }
    }
}

/// Sets `gradient` to 0 where `output` is not positive: the gradient through a
/// ReLU, given what it gave.
///
/// # Panics
/// If the lengths differ.
pub fn mask_rectified(gradient: &mut [f32], output: &[f32]) {
    mask_rectified_with(Instructions::detected(), gradient, output);
}

fn mask_rectified_with(instructions: Instructions, gradient: &mut [f32], output: &[f32]) {
    assert_eq!(gradient.len(), output.len(), "values and their gradient");
    let task = Columns::new(1).task;
    gradient
        .par_chunks_mut(task)
        .zip(output.par_chunks(task))
        .for_each(|(gradient, output)| {
            let work = Mask {
                gradient: gradient.as_mut_ptr(),
                output: output.as_ptr(),
            };
            // SAFETY: both chunks have the length of the walk.
            unsafe { walk_with!(instructions, Mask, output.len(), output.len(), work) };
        });
}

#[derive(Clone, Copy)]
struct Mask {
    gradient: *mut f32,
    output: *const f32,
}

impl Lanewise for Mask {
    #[inline(always)]
    unsafe fn at<V: Vector>(self, value: usize, _place: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let gradient = self.gradient.add(value);
            V::load(gradient)
                .where_positive(V::load(self.output.add(value)))
                .store(gradient);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    #[test]
    fn activated_values_match_the_formula_in_f64() {
        for instructions in Instructions::available() {
            for (voxels, channels) in [(1, 1), (1, 5), (3001, 37), (2003, 30), (700, 150)] {
                let values = noise(voxels * channels, 1);
                let [scale, shift, slope] = [2, 3, 4].map(|seed| noise(channels, seed));
                let rectifier = Rectifier {
                    scale: &scale,
                    shift: &shift,
                    slope: &slope,
                };
                let output = activate_with(instructions, &values, rectifier, channels);
                for (i, (&v, &out)) in values.iter().zip(&output).enumerate() {
                    let c = i % channels;
                    let [v, scale, shift, slope] = [v, scale[c], shift[c], slope[c]].map(f64::from);
                    let u = scale * v + shift;
                    let expected = if u > 0.0 { u } else { slope * u };
                    assert!(
                        (f64::from(out) - expected).abs() < 2e-6,
                        "{instructions}, value {i}: {out} for {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        let rectifier = Rectifier {
            scale: &[1.0],
            shift: &[0.0],
            slope: &[0.0],
        };
        for instructions in Instructions::available() {
            let output = activate_with(instructions, &[f32::NAN; 40], rectifier, 1);
            assert!(output.iter().all(|v| v.is_nan()));
        }
    }

    #[test]
    fn the_mask_keeps_the_gradient_where_the_output_is_positive() {
        let length = 70_001;
        let mut output = noise(length, 5);
        output[3] = 0.0;
        output[4] = -0.0;
        for instructions in Instructions::available() {
            let upstream = noise(length, 6);
            let mut gradient = upstream.clone();
            mask_rectified_with(instructions, &mut gradient, &output);
            for (i, &g) in gradient.iter().enumerate() {
                let kept = if output[i] > 0.0 { upstream[i] } else { 0.0 };
                assert_eq!(g, kept, "{instructions}, value {i}");
            }
        }
    }
}
