//! Passes over channels-last values.

use rayon::prelude::*;

use crate::pool::Pooling;

/// Voxels of one task, whatever the number of threads, so that sums do not
/// depend on it.
const TASK: usize = 4096;

/// Sums of `N` quantities for each channel: `f` gives them for one value and
/// its channel.
pub(crate) fn channel_sums<const N: usize>(
    voxels: usize,
    channels: usize,
    f: impl Fn(usize, usize) -> [f64; N] + Sync,
) -> Vec<[f64; N]> {
    let parts: Vec<Vec<[f64; N]>> = (0..voxels.div_ceil(TASK))
        .into_par_iter()
        .map(|task| {
            let mut sums = vec![[0.0; N]; channels];
            for voxel in task * TASK..voxels.min((task + 1) * TASK) {
                for (c, sum) in sums.iter_mut().enumerate() {
                    let terms = f(voxel * channels + c, c);
                    sum.iter_mut().zip(terms).for_each(|(s, t)| *s += t);
                }
            }
            sums
        })
        .collect();
    let mut sums = vec![[0.0; N]; channels];
    for part in parts {
        for (sum, part) in sums.iter_mut().zip(part) {
            sum.iter_mut().zip(part).for_each(|(s, t)| *s += t);
        }
    }
    sums
}

/// Mean and biased variance of each channel.
pub(crate) fn moments(x: &[f32], channels: usize) -> (Vec<f32>, Vec<f32>) {
    let voxels = x.len() / channels;
    let sums = channel_sums(voxels, channels, |i, _| {
        let v = f64::from(x[i]);
        [v, v * v]
    });
    let n = voxels as f64;
    sums.iter()
        .map(|[sum, square]| {
            let mean = sum / n;
            (mean as f32, (square / n - mean * mean).max(0.0) as f32)
        })
        .unzip()
}

/// A batch normalisation with its rectifier, one value each per channel.
#[derive(Clone, Copy)]
pub(crate) struct Channels<'a> {
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
    pub slope: &'a [f32],
    pub mean: &'a [f32],
    pub variance: &'a [f32],
    pub epsilon: f64,
    /// Mean and variance are those of the values.
    pub of_batch: bool,
}

impl Channels<'_> {
    /// `1 / sqrt(variance + epsilon)`.
    fn inverse_deviation(&self) -> Vec<f32> {
        self.variance
            .iter()
            .map(|&v| (1.0 / (f64::from(v) + self.epsilon).sqrt()) as f32)
            .collect()
    }

    /// Factor and summand of each channel that the normalisation is.
    pub fn scale_and_shift(&self) -> (Vec<f32>, Vec<f32>) {
        (0..self.gamma.len())
            .map(|c| {
                let inverse = 1.0 / (f64::from(self.variance[c]) + self.epsilon).sqrt();
                let scale = f64::from(self.gamma[c]) * inverse;
                let shift = f64::from(self.beta[c]) - f64::from(self.mean[c]) * scale;
                (scale as f32, shift as f32)
            })
            .unzip()
    }

    /// The gradient by `x` in place of the gradient by the rectified values,
    /// and those by gamma, beta and slope.
    pub fn backward(&self, x: &[f32], gradient: &mut [f32]) -> [Vec<f32>; 3] {
        let channels = self.gamma.len();
        let voxels = x.len() / channels;
        let inverse = self.inverse_deviation();
        let (scale, shift) = self.scale_and_shift();
        let upper = &*gradient;
        let sums = channel_sums(voxels, channels, |i, c| {
            let u = scale[c] * x[i] + shift[c];
            let g = f64::from(upper[i]);
            let centred = f64::from((x[i] - self.mean[c]) * inverse[c]);
            let (through, slope) = match u > 0.0 {
                true => (g, 0.0),
                false => (g * f64::from(self.slope[c]), g * f64::from(u)),
            };
            [through * centred, through, slope]
        });
        let n = voxels as f64;
        let means: Vec<[f32; 2]> = sums
            .iter()
            .map(|s| match self.of_batch {
                true => [(s[0] / n) as f32, (s[1] / n) as f32],
                false => [0.0; 2],
            })
            .collect();
        gradient
            .par_chunks_mut(TASK * channels)
            .zip(x.par_chunks(TASK * channels))
            .for_each(|(gradient, x)| {
                for (i, (g, &x)) in gradient.iter_mut().zip(x).enumerate() {
                    let c = i % channels;
                    let u = scale[c] * x + shift[c];
                    let through = if u > 0.0 { *g } else { *g * self.slope[c] };
                    let centred = (x - self.mean[c]) * inverse[c];
                    *g = scale[c] * (through - means[c][1] - centred * means[c][0]);
                }
            });
        [0, 1, 2].map(|k| sums.iter().map(|s| s[k] as f32).collect())
    }
}

/// `u` where positive, `slope u` elsewhere, `u = scale x + shift`.
pub(crate) fn rectified(x: &[f32], scale: &[f32], shift: &[f32], slope: &[f32]) -> Vec<f32> {
    let channels = scale.len();
    let mut y = vec![0.0f32; x.len()];
    y.par_chunks_mut(TASK * channels)
        .zip(x.par_chunks(TASK * channels))
        .for_each(|(y, x)| {
            for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                let c = i % channels;
                let u = scale[c] * x + shift[c];
                *y = if u > 0.0 { u } else { slope[c] * u };
            }
        });
    y
}

/// Sum of each channel.
pub(crate) fn sums(x: &[f32], channels: usize) -> Vec<f32> {
    channel_sums(x.len() / channels, channels, |i, _| [f64::from(x[i])])
        .iter()
        .map(|s| s[0] as f32)
        .collect()
}

/// `gradient` where `output` is positive, 0 elsewhere.
pub(crate) fn where_positive(output: &[f32], gradient: &mut [f32]) {
    gradient
        .par_chunks_mut(TASK)
        .zip(output.par_chunks(TASK))
        .for_each(|(gradient, output)| {
            for (g, &y) in gradient.iter_mut().zip(output) {
                *g = if y > 0.0 { *g } else { 0.0 };
            }
        });
}

/// Adds voxels of `narrow` channels to those of `y`, `before` channels in.
pub(crate) fn add_channels(y: &mut [f32], wide: usize, x: &[f32], narrow: usize, before: usize) {
    y.par_chunks_mut(TASK * wide)
        .zip(x.par_chunks(TASK * narrow))
        .for_each(|(y, x)| {
            for (y, x) in y.chunks_exact_mut(wide).zip(x.chunks_exact(narrow)) {
                for (y, &x) in y[before..before + narrow].iter_mut().zip(x) {
                    *y += x;
                }
            }
        });
}

/// The channels from `before` on of voxels of `wide` channels.
pub(crate) fn some_channels(y: &[f32], wide: usize, narrow: usize, before: usize) -> Vec<f32> {
    let mut x = vec![0.0f32; y.len() / wide * narrow];
    x.par_chunks_mut(TASK * narrow)
        .zip(y.par_chunks(TASK * wide))
        .for_each(|(x, y)| {
            for (x, y) in x.chunks_exact_mut(narrow).zip(y.chunks_exact(wide)) {
                x.copy_from_slice(&y[before..before + narrow]);
            }
        });
    x
}

/// A max pooling of planes of channels-last values.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planes {
    /// Planes, rows of a plane, voxels of a row, channels of a voxel.
    pub input: [usize; 4],
    /// Rows and voxels of a row after the pooling.
    pub output: [usize; 2],
    pub pooling: Pooling,
}

impl Planes {
    pub fn new(input: [usize; 4], pooling: Pooling) -> Self {
        let Pooling { window, stride } = pooling;
        let [_, y, x, _] = input;
        assert!(
            (1..=15).contains(&window) && stride > 0 && window <= y.min(x),
            "a pooling of {window} by {window} voxels, {stride} apart, of {y} by {x}"
        );
        Self {
            input,
            output: [y, x].map(|length| (length - window) / stride + 1),
            pooling,
        }
    }

    /// The largest value of each square, and where in the square it lies.
    pub fn largest(&self, values: &[f32]) -> (Vec<f32>, Vec<u8>) {
        let [planes, y, x, channels] = self.input;
        let [oy, ox] = self.output;
        let Pooling { window, stride } = self.pooling;
        let count = planes * oy * ox * channels;
        let (mut largest, mut places) = (vec![f32::NEG_INFINITY; count], vec![0u8; count]);
        largest
            .par_chunks_mut(ox * channels)
            .zip(places.par_chunks_mut(ox * channels))
            .enumerate()
            .for_each(|(row, (largest, places))| {
                let first = (row / oy * y + row % oy * stride) * x * channels;
                for place in 0..window * window {
                    let start = first + (place / window * x + place % window) * channels;
                    for o in 0..ox {
                        let from = &values[start + o * stride * channels..][..channels];
                        let at = o * channels..(o + 1) * channels;
                        let (largest, places) = (&mut largest[at.clone()], &mut places[at]);
                        for ((m, p), &v) in largest.iter_mut().zip(places).zip(from) {
                            if v > *m {
                                (*m, *p) = (v, place as u8);
                            }
                        }
                    }
                }
            });
        (largest, places)
    }

    /// The gradient by the values, given that by the largest ones and their places.
    pub fn backward(&self, upper: &[f32], places: &[u8]) -> Vec<f32> {
        let [planes, y, x, channels] = self.input;
        let [oy, ox] = self.output;
        let Pooling { window, stride } = self.pooling;
        let mut gradient = vec![0.0f32; planes * y * x * channels];
        gradient
            .par_chunks_mut(x * channels)
            .enumerate()
            .for_each(|(row, gradient)| {
                let (plane, row) = (row / y, row % y);
                for dy in (0..window.min(row + 1)).filter(|dy| (row - dy).is_multiple_of(stride)) {
                    let o = (row - dy) / stride;
                    if o >= oy {
                        continue;
                    }
                    let start = (plane * oy + o) * ox * channels;
                    for i in 0..ox * channels {
                        let place = usize::from(places[start + i]);
                        if place / window == dy {
                            let at = i / channels * stride + place % window;
                            gradient[at * channels + i % channels] += upper[start + i];
                        }
                    }
                }
            });
        gradient
    }
}
