//! Normalisation of batches or images followed by a rectifier: what is stored,
//! and the gradients through both.

use rayon::prelude::*;

use crate::columns::{Columns, Lanewise, total, walk_with};
use crate::instructions::Instructions;
use crate::vector::Vector;

/// Where the mean and the variance of a normalisation come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// From the values themselves, so the gradient passes through them too.
    Batch,
    /// From elsewhere: constants.
    Fixed,
}

/// A batch or instance norm and the rectifier after it. With
/// `u = gamma (x - mean) / sqrt(variance + epsilon) + beta` for each channel, the
/// result is `u` where it is positive and `slope u` elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Normalisation<'a> {
    /// Mean of each channel, over all images; or of each channel of each image,
    /// image after image (Ulyanov, Vedaldi and Lempitsky 2016).
    pub mean: &'a [f32],
    /// Variance of each channel, as the mean.
    pub variance: &'a [f32],
    /// Added to the variance.
    pub epsilon: f32,
    /// Factor of each channel.
    pub gamma: &'a [f32],
    /// Added to each channel.
    pub beta: &'a [f32],
    /// Factor of negative results of each channel; 0 is the ReLU, 1 no rectifier.
    pub slope: &'a [f32],
    /// Where mean and variance come from.
    pub statistics: Statistics,
}

/// The gradients through a [`Normalisation`].
#[derive(Clone, Debug, PartialEq)]
pub struct NormalisationGradients {
    /// By what was normalised, `[voxel, channel]`.
    pub input: Vec<f32>,
    /// By the factor of each channel.
    pub gamma: Vec<f32>,
    /// By what is added to each channel.
    pub beta: Vec<f32>,
    /// By the factor of negative results of each channel.
    pub slope: Vec<f32>,
}

impl Normalisation<'_> {
    /// The scale and the shift of each channel that the normalisation amounts
    /// to, as [`Rectifier`](crate::Rectifier) has them.
    pub fn scale_and_shift(&self) -> (Vec<f32>, Vec<f32>) {
        let channel = |i: usize| {
            let c = i % self.gamma.len();
            let scale = f64::from(self.gamma[c]) * self.inverse_deviation(i);
            let shift = f64::from(self.beta[c]) - f64::from(self.mean[i]) * scale;
            (scale as f32, shift as f32)
        };
        (0..self.mean.len()).map(channel).unzip()
    }

    /// What image `n` alone is normalised with, its statistics its own.
    fn of_image(&self, n: usize) -> Self {
        let channels = self.gamma.len();
        Self {
            mean: &self.mean[n * channels..][..channels],
            variance: &self.variance[n * channels..][..channels],
            ..*self
        }
    }

    /// The gradients, given the one by the result, `upstream`, whose memory
    /// becomes that by the input `x`; both `[voxel, channel]`. `added`, of the
    /// same shape, is added to the gradient by the input: what reaches `x` on
    /// another way.
    ///
    /// With `du = upstream (1 or slope)`, `n = (x - mean) / sqrt(variance + epsilon)`
    /// and means over voxels, the gradient by `x` is
    /// `gamma / sqrt(variance + epsilon) (du - mean(du) - n mean(du n))` (Ioffe
    /// and Szegedy 2015), and without the two means for fixed statistics. Where
    /// each image has its own statistics, the means are those over its voxels. The
    /// result does not depend on the number of threads.
    ///
    /// # Panics
    /// If lengths differ or the last voxel is incomplete.
    pub fn backward(
        &self,
        x: &[f32],
        upstream: Vec<f32>,
        added: Option<&[f32]>,
    ) -> NormalisationGradients {
        self.backward_with(Instructions::detected(), x, upstream, added)
    }

    fn backward_with(
        &self,
        instructions: Instructions,
        x: &[f32],
        mut upstream: Vec<f32>,
        added: Option<&[f32]>,
    ) -> NormalisationGradients {
        assert_eq!(x.len(), upstream.len(), "values and their gradient");
        assert!(added.is_none_or(|a| a.len() == x.len()), "added gradient");
        let channels = self.gamma.len();
        let images = self.mean.len() / channels;
        let image = x.len() / images;
        let mut totals = vec![0.0f64; 3 * channels];
        for n in 0..images {
            let range = n * image..(n + 1) * image;
            let sums = self.of_image(n).image_backward(
                instructions,
                &x[range.clone()],
                &mut upstream[range.clone()],
                added.map(|added| &added[range]),
            );
            totals.iter_mut().zip(sums).for_each(|(t, s)| *t += s);
        }
        let row = |i: usize| {
            let sums = totals[i * channels..][..channels].iter();
            sums.map(|&sum| sum as f32).collect()
        };
        NormalisationGradients {
            input: upstream,
            beta: row(0),
            gamma: row(1),
            slope: row(2),
        }
    }

    /// The gradient by `x` over `upstream`; those by beta, gamma and slope, one
    /// behind the other.
    fn image_backward(
        &self,
        instructions: Instructions,
        x: &[f32],
        upstream: &mut [f32],
        added: Option<&[f32]>,
    ) -> Vec<f64> {
        let columns = Columns::new(self.mean.len());
        let voxels = columns.voxels(x);
        let rows = self.rows(columns);

        let tasks: Vec<_> = x
            .par_chunks(columns.task)
            .zip(upstream.par_chunks(columns.task))
            .map(|(x, g)| parameter_sums(instructions, columns, &rows, x, g))
            .collect();
        let totals = total(&tasks, 3 * columns.channels);
        let [beta, gamma] = [0, 1].map(|i| &totals[i * columns.channels..][..columns.channels]);

        let mean = |sums: &[f64]| match self.statistics {
            Statistics::Batch => sums.iter().map(|s| (s / voxels as f64) as f32).collect(),
            Statistics::Fixed => vec![0.0; sums.len()],
        };
        let means = [columns.spread(&mean(beta)), columns.spread(&mean(gamma))];
        input_gradient(instructions, columns, &rows, &means, x, upstream, added);
        totals
    }

    fn inverse_deviation(&self, channel: usize) -> f64 {
        1.0 / (f64::from(self.variance[channel]) + f64::from(self.epsilon)).sqrt()
    }

    fn rows(&self, columns: Columns) -> Rows {
        let inverse: Vec<_> = (0..columns.channels)
            .map(|c| self.inverse_deviation(c) as f32)
            .collect();
        Rows {
            mean: columns.spread(self.mean),
            inverse: columns.spread(&inverse),
            gamma: columns.spread(self.gamma),
            beta: columns.spread(self.beta),
            slope: columns.spread(self.slope),
        }
    }
}

/// What each channel is normalised with, over a period.
struct Rows {
    mean: Vec<f32>,
    inverse: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    slope: Vec<f32>,
}

/// [`Rows`], all of one length.
#[derive(Clone, Copy)]
struct RowPointers {
    mean: *const f32,
    inverse: *const f32,
    gamma: *const f32,
    beta: *const f32,
    slope: *const f32,
}

/// One register on its way back through the rectifier.
struct Behind<V> {
    /// The input normalised to mean 0 and variance 1.
    normal: V,
    /// What the rectifier was given.
    given: V,
    /// The gradient by the result where `given` is not positive, otherwise 0.
    negative: V,
    /// The gradient by `given`.
    gradient: V,
}

impl RowPointers {
    fn of(rows: &Rows) -> Self {
        Self {
            mean: rows.mean.as_ptr(),
            inverse: rows.inverse.as_ptr(),
            gamma: rows.gamma.as_ptr(),
            beta: rows.beta.as_ptr(),
            slope: rows.slope.as_ptr(),
        }
    }

    #[inline(always)]
    unsafe fn behind<V: Vector>(self, place: usize, x: V, g: V) -> Behind<V> {
        // SAFETY: `place` starts a register of a period, which the rows span.
        unsafe {
            let normal = x
                .sub(V::load(self.mean.add(place)))
                .mul(V::load(self.inverse.add(place)));
            let given =
                V::load(self.beta.add(place)).add_product(V::load(self.gamma.add(place)), normal);
            let positive = g.where_positive(given);
            let negative = g.sub(positive);
            let gradient = positive.add_product(V::load(self.slope.add(place)), negative);
            Behind {
                normal,
                given,
                negative,
                gradient,
            }
        }
    }
}

/// One task's gradients by beta, gamma and slope, one behind the other.
fn parameter_sums(
    instructions: Instructions,
    columns: Columns,
    rows: &Rows,
    x: &[f32],
    g: &[f32],
) -> Vec<f64> {
    let mut totals = vec![0.0f64; 3 * columns.channels];
    let mut sums = vec![0.0f32; 3 * columns.period];
    for (x, g) in x.chunks(columns.run).zip(g.chunks(columns.run)) {
        let work = ParameterSums {
            rows: RowPointers::of(rows),
            x: x.as_ptr(),
            g: g.as_ptr(),
            sums: sums.as_mut_ptr(),
            period: columns.period,
        };
        // SAFETY: x and g have one length; the rows and each of the three sums
        // span a period.
        unsafe { walk_with!(instructions, ParameterSums, x.len(), columns.period, work) };
        for (sums, totals) in sums
            .chunks_exact_mut(columns.period)
            .zip(totals.chunks_exact_mut(columns.channels))
        {
            columns.fold(sums, totals);
        }
    }
    totals
}

#[derive(Clone, Copy)]
struct ParameterSums {
    rows: RowPointers,
    x: *const f32,
    g: *const f32,
    sums: *mut f32,
    period: usize,
}

impl Lanewise for ParameterSums {
    #[inline(always)]
    unsafe fn at<V: Vector>(self, value: usize, place: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let (x, g) = (V::load(self.x.add(value)), V::load(self.g.add(value)));
            let behind = self.rows.behind(place, x, g);
            let beta = self.sums.add(place);
            let gamma = beta.add(self.period);
            let slope = gamma.add(self.period);
            V::load(beta).add(behind.gradient).store(beta);
            V::load(gamma)
                .add_product(behind.gradient, behind.normal)
                .store(gamma);
            V::load(slope)
                .add_product(behind.negative, behind.given)
                .store(slope);
        }
    }
}

/// The gradient by `x` over `upstream`; `means` are those of `du` and `du n`,
/// each over a period.
fn input_gradient(
    instructions: Instructions,
    columns: Columns,
    rows: &Rows,
    means: &[Vec<f32>; 2],
    x: &[f32],
    upstream: &mut [f32],
    added: Option<&[f32]>,
) {
    let scale: Vec<_> = rows
        .gamma
        .iter()
        .zip(&rows.inverse)
        .map(|(gamma, inverse)| gamma * inverse)
        .collect();
    upstream
        .par_chunks_mut(columns.task)
        .zip(x.par_chunks(columns.task))
        .enumerate()
        .for_each(|(task, (g, x))| {
            let work = InputGradient {
                rows: RowPointers::of(rows),
                scale: scale.as_ptr(),
                mean: means[0].as_ptr(),
                mean_normal: means[1].as_ptr(),
                x: x.as_ptr(),
                g: g.as_mut_ptr(),
            };
            let Some(added) = added else {
                // SAFETY: x and g have one length; the rows span a period.
                return unsafe {
                    walk_with!(instructions, InputGradient, x.len(), columns.period, work)
                };
            };
            let added = &added[task * columns.task..][..x.len()];
            let work = InputGradientAdded(work, added.as_ptr());
            // SAFETY: as above; the added gradient has the length of x.
            unsafe {
                walk_with!(
                    instructions,
                    InputGradientAdded,
                    x.len(),
                    columns.period,
                    work
                )
            };
        });
}

#[derive(Clone, Copy)]
struct InputGradient {
    rows: RowPointers,
    scale: *const f32,
    mean: *const f32,
    mean_normal: *const f32,
    x: *const f32,
    g: *mut f32,
}

impl InputGradient {
    #[inline(always)]
    unsafe fn gradient<V: Vector>(self, value: usize, place: usize, added: V) -> V {
        // SAFETY: the caller's promise.
        unsafe {
            let (x, g) = (V::load(self.x.add(value)), V::load(self.g.add(value)));
            let behind = self.rows.behind(place, x, g);
            let along = behind.normal.mul(V::load(self.mean_normal.add(place)));
            let across = behind.gradient.sub(V::load(self.mean.add(place)));
            added.add_product(V::load(self.scale.add(place)), across.sub(along))
        }
    }
}

impl Lanewise for InputGradient {
    #[inline(always)]
    unsafe fn at<V: Vector>(self, value: usize, place: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            self.gradient(value, place, V::splat(0.0))
                .store(self.g.add(value))
        }
    }
}

/// An [`InputGradient`], and what is added to it.
#[derive(Clone, Copy)]
struct InputGradientAdded(InputGradient, *const f32);

impl Lanewise for InputGradientAdded {
    #[inline(always)]
    unsafe fn at<V: Vector>(self, value: usize, place: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let added = V::load(self.1.add(value));
            self.0
                .gradient(value, place, added)
                .store(self.0.g.add(value));
        }
    }
}

#[cfg(test)]
mod tests;
