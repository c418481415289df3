//! Sums over voxels: the mean and variance of each channel, and bias gradients.

use rayon::prelude::*;

use crate::columns::{Columns, Lanewise, total, walk_with};
use crate::instructions::Instructions;
use crate::vector::Vector;

/// The mean and the variance of each channel over all voxels.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Mean of each channel.
    pub mean: Vec<f32>,
    /// Mean squared deviation of each channel (divided by the number of voxels).
    pub variance: Vec<f32>,
}

/// The moments of channels-last `values`, `[voxel, channel]`.
///
/// Deviations are taken from the mean of a short run of values while it is in
/// cache, and runs are joined in f64 (Chan, Golub and LeVeque 1983), so that a
/// mean far larger than the deviation costs no digits. The result does not
/// depend on the number of threads.
///
/// # Panics
/// If there is no voxel, or the last one is incomplete.
pub fn moments(values: &[f32], channels: usize) -> Moments {
    moments_with(Instructions::detected(), values, channels)
}

/// The [`moments`] of each of `images` of equal size behind each other: rows of
/// `channels` for each image, behind each other.
///
/// # Panics
/// If an image has no voxel or an incomplete one.
pub fn moments_of_images(values: &[f32], channels: usize, images: usize) -> Moments {
    assert!(
        images > 0 && values.len().is_multiple_of(images),
        "{} values of {images} images",
        values.len()
    );
    let of_each = (values.chunks(values.len() / images)).map(|image| moments(image, channels));
    let (mean, variance): (Vec<_>, Vec<_>) = of_each.map(|m| (m.mean, m.variance)).unzip();
    Moments {
        mean: mean.concat(),
        variance: variance.concat(),
    }
}

fn moments_with(instructions: Instructions, values: &[f32], channels: usize) -> Moments {
    let columns = Columns::new(channels);
    assert!(columns.voxels(values) > 0, "moments of no voxel");
    let tasks: Vec<_> = values
        .par_chunks(columns.task)
        .map(|values| Joined::of_task(instructions, columns, values))
        .collect();
    let mut all = Joined::nothing(channels);
    for task in &tasks {
        all.join(task.count, &task.mean, &task.squares);
    }
    let variance = all.squares.iter().map(|&s| (s / all.count) as f32);
    Moments {
        mean: all.mean.iter().map(|&m| m as f32).collect(),
        variance: variance.collect(),
    }
}

/// Voxels seen, and the mean and squared deviations from it of each channel.
struct Joined {
    count: f64,
    mean: Vec<f64>,
    squares: Vec<f64>,
}

impl Joined {
    fn nothing(channels: usize) -> Self {
        Self {
            count: 0.0,
            mean: vec![0.0; channels],
            squares: vec![0.0; channels],
        }
    }

    fn of_task(instructions: Instructions, columns: Columns, values: &[f32]) -> Self {
        let mut joined = Self::nothing(columns.channels);
        let mut sums = vec![0.0f32; columns.period];
        let mut squares = sums.clone();
        for run in values.chunks(columns.run) {
            let count = columns.voxels(run) as f64;
            let mut mean = vec![0.0f64; columns.channels];
            add_up(instructions, run, &mut sums);
            columns.fold(&mut sums, &mut mean);
            let shift: Vec<_> = mean.iter().map(|sum| (sum / count) as f32).collect();

            deviations(
                instructions,
                run,
                &columns.spread(&shift),
                &mut sums,
                &mut squares,
            );
            let mut first = vec![0.0f64; columns.channels];
            let mut second = vec![0.0f64; columns.channels];
            columns.fold(&mut sums, &mut first);
            columns.fold(&mut squares, &mut second);
            for (c, first) in first.iter().enumerate() {
                mean[c] = f64::from(shift[c]) + first / count;
                second[c] = (second[c] - first * first / count).max(0.0);
            }
            joined.join(count, &mean, &second);
        }
        joined
    }

    /// Takes in `count` voxels with their own mean and squared deviations.
    fn join(&mut self, count: f64, mean: &[f64], squares: &[f64]) {
        let all = self.count + count;
        for (c, (mean, squares)) in mean.iter().zip(squares).enumerate() {
            let apart = mean - self.mean[c];
            self.mean[c] += apart * (count / all);
            self.squares[c] += squares + apart * apart * (self.count * count / all);
        }
        self.count = all;
    }
}

/// The sum of each channel over all voxels of `values`, `[voxel, channel]`: the
/// gradient by a bias. The result does not depend on the number of threads.
///
/// # Panics
/// If the last voxel is incomplete.
pub fn column_sums(values: &[f32], channels: usize) -> Vec<f32> {
    column_sums_with(Instructions::detected(), values, channels)
}

fn column_sums_with(instructions: Instructions, values: &[f32], channels: usize) -> Vec<f32> {
    let columns = Columns::new(channels);
    columns.voxels(values);
    let tasks: Vec<_> = values
        .par_chunks(columns.task)
        .map(|values| {
            let mut totals = vec![0.0f64; channels];
            let mut sums = vec![0.0f32; columns.period];
            for run in values.chunks(columns.run) {
                add_up(instructions, run, &mut sums);
                columns.fold(&mut sums, &mut totals);
            }
            totals
        })
        .collect();
    let totals = total(&tasks, channels);
    totals.iter().map(|&sum| sum as f32).collect()
}

/// Adds `values` to the sums of a period.
fn add_up(instructions: Instructions, values: &[f32], sums: &mut [f32]) {
    let work = AddUp {
        values: values.as_ptr(),
        sums: sums.as_mut_ptr(),
    };
    // SAFETY: the walk stays within the values and a period, which the sums span.
    unsafe { walk_with!(instructions, AddUp, values.len(), sums.len(), work) }
}

#[derive(Clone, Copy)]
struct AddUp {
    values: *const f32,
    sums: *mut f32,
}

impl Lanewise for AddUp {
    #[inline(always)]
    unsafe fn at<V: Vector>(self, value: usize, place: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let sums = self.sums.add(place);
            V::load(sums)
                .add(V::load(self.values.add(value)))
                .store(sums);
        }
    }
}

/// Adds what `values` deviate from `shift`, and the squares of it.
fn deviations(
    instructions: Instructions,
    values: &[f32],
    shift: &[f32],
    sums: &mut [f32],
    squares: &mut [f32],
) {
    assert!(shift.len() == sums.len() && shift.len() == squares.len());
    let work = Deviations {
        values: values.as_ptr(),
        shift: shift.as_ptr(),
        sums: sums.as_mut_ptr(),
        squares: squares.as_mut_ptr(),
    };
    // SAFETY: the walk stays within the values and a period, which the others span.
    unsafe { walk_with!(instructions, Deviations, values.len(), shift.len(), work) }
}

#[derive(Clone, Copy)]
struct Deviations {
    values: *const f32,
    shift: *const f32,
    sums: *mut f32,
    squares: *mut f32,
}

impl Lanewise for Deviations {
    #[inline(always)]
    unsafe fn at<V: Vector>(self, value: usize, place: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let (sums, squares) = (self.sums.add(place), self.squares.add(place));
            let apart = V::load(self.values.add(value)).sub(V::load(self.shift.add(place)));
            V::load(sums).add(apart).store(sums);
            V::load(squares).add_product(apart, apart).store(squares);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    fn reference(values: &[f32], channels: usize) -> (Vec<f64>, Vec<f64>) {
        let count = (values.len() / channels) as f64;
        let column = |c: usize| values.iter().skip(c).step_by(channels);
        let sum = |c| column(c).map(|&v| f64::from(v)).sum::<f64>();
        let variance = |c| {
            let mean = sum(c) / count;
            let squares = column(c).map(|&v| (f64::from(v) - mean).powi(2));
            squares.sum::<f64>() / count
        };
        (
            (0..channels).map(sum).collect(),
            (0..channels).map(variance).collect(),
        )
    }

    #[test]
    fn moments_and_sums_match_f64_where_the_mean_dwarfs_the_deviation() {
        for instructions in Instructions::available() {
            for (voxels, channels) in [(1, 3), (5, 1), (100_001, 1), (7001, 30), (3001, 37)] {
                let values: Vec<_> = noise(voxels * channels, 7)
                    .iter()
                    .map(|n| 1e3 + 0.1 * n)
                    .collect();
                let (sum, variance) = reference(&values, channels);
                let found = moments_with(instructions, &values, channels);
                let sums = column_sums_with(instructions, &values, channels);
                for c in 0..channels {
                    let case = format!("{instructions}, {voxels} voxels, channel {c}");
                    let mean = sum[c] / voxels as f64;
                    assert!(
                        (f64::from(found.mean[c]) / mean - 1.0).abs() < 1e-7,
                        "{case}"
                    );
                    assert!((f64::from(sums[c]) / sum[c] - 1.0).abs() < 2e-7, "{case}");
                    let apart = (f64::from(found.variance[c]) - variance[c]).abs();
                    assert!(apart <= 1e-6 * variance[c], "{case}: {apart:e}");
                }
            }
        }
    }

    #[test]
    fn an_outlier_at_the_start_costs_no_digits() {
        let mut values = noise(40_000, 3);
        values[0] = 3e4;
        let (_, variance) = reference(&values, 1);
        for instructions in Instructions::available() {
            let found = moments_with(instructions, &values, 1);
            assert!((f64::from(found.variance[0]) / variance[0] - 1.0).abs() < 1e-6);
        }
    }

    #[test]
    fn hand_worked_moments() {
        let found = moments(&[1.0, -4.0, 3.0, -4.0], 2);
        assert_eq!(found.mean, [2.0, -4.0]);
        assert_eq!(found.variance, [1.0, 0.0]);
        assert_eq!(column_sums(&[1.0, -4.0, 3.0, -4.0], 2), [4.0, -8.0]);
        assert_eq!(column_sums(&[], 2), [0.0, 0.0]);
    }
}
