//! The gradients against the formulas in f64 and against finite differences.

use super::*;
use crate::moments::moments;
use crate::noise::noise;

struct Case {
    channels: usize,
    x: Vec<f32>,
    upstream: Vec<f32>,
    added: Vec<f32>,
    mean: Vec<f32>,
    variance: Vec<f32>,
    gamma: Vec<f32>,
    beta: Vec<f32>,
    slope: Vec<f32>,
    statistics: Statistics,
}

const EPSILON: f32 = 1e-3;

impl Case {
    fn new(voxels: usize, channels: usize, statistics: Statistics) -> Self {
        let x: Vec<_> = noise(voxels * channels, 1)
            .iter()
            .map(|v| v + 0.5)
            .collect();
        let (mean, variance) = match statistics {
            Statistics::Batch => {
                let found = moments(&x, channels);
                (found.mean, found.variance)
            }
            Statistics::Fixed => {
                let variance = noise(channels, 9).iter().map(|v| v.abs() + 0.3).collect();
                (noise(channels, 8), variance)
            }
        };
        Self {
            channels,
            upstream: noise(voxels * channels, 2),
            added: noise(voxels * channels, 3),
            mean,
            variance,
            gamma: noise(channels, 4),
            beta: noise(channels, 5),
            slope: noise(channels, 6),
            statistics,
            x,
        }
    }

    fn normalisation(&self) -> Normalisation<'_> {
        Normalisation {
            mean: &self.mean,
            variance: &self.variance,
            epsilon: EPSILON,
            gamma: &self.gamma,
            beta: &self.beta,
            slope: &self.slope,
            statistics: self.statistics,
        }
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

/// Input, gamma, beta and slope gradients, voxel by voxel in f64.
fn reference(case: &Case) -> [Vec<f64>; 4] {
    let channels = case.channels;
    let voxels = case.x.len() / channels;
    let (x, g) = (wide(&case.x), wide(&case.upstream));
    let mut input = vec![0.0; x.len()];
    let [mut gamma, mut beta, mut slope] = [(); 3].map(|()| vec![0.0; channels]);
    for c in 0..channels {
        let inverse = 1.0 / (f64::from(case.variance[c]) + f64::from(EPSILON)).sqrt();
        let normal = |i: usize| (x[i] - f64::from(case.mean[c])) * inverse;
        let u = |i: usize| f64::from(case.gamma[c]) * normal(i) + f64::from(case.beta[c]);
        let du = |i: usize| {
            g[i] * if u(i) > 0.0 {
                1.0
            } else {
                f64::from(case.slope[c])
            }
        };
        let column = || (0..voxels).map(|v| v * channels + c);
        beta[c] = column().map(du).sum();
        gamma[c] = column().map(|i| du(i) * normal(i)).sum();
        slope[c] = column()
            .map(|i| if u(i) > 0.0 { 0.0 } else { g[i] * u(i) })
            .sum();
        let through = match case.statistics {
            Statistics::Batch => 1.0 / voxels as f64,
            Statistics::Fixed => 0.0,
        };
        for i in column() {
            let centred = du(i) - through * (beta[c] + normal(i) * gamma[c]);
            input[i] = f64::from(case.gamma[c]) * inverse * centred;
        }
    }
    [input, gamma, beta, slope]
}

fn assert_close(found: &[f32], expected: &[f64], tolerance: f64, name: &str) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f64::from(found) - expected).abs() <= tolerance * (1.0 + expected.abs()),
            "{name}, value {i}: {found} for {expected}"
        );
    }
}

#[test]
fn gradients_match_the_formulas_in_f64() {
    for statistics in [Statistics::Batch, Statistics::Fixed] {
        for (voxels, channels) in [(2, 3), (1, 5), (2501, 30), (1801, 37), (70_003, 1)] {
            let case = Case::new(voxels, channels, statistics);
            let [mut input, gamma, beta, slope] = reference(&case);
            for instructions in Instructions::available() {
                let name = format!("{instructions}, {voxels} x {channels}, {statistics:?}");
                let found = case.normalisation().backward_with(
                    instructions,
                    &case.x,
                    case.upstream.clone(),
                    None,
                );
                assert_close(&found.input, &input, 2e-5, &name);
                assert_close(&found.gamma, &gamma, 1e-4, &name);
                assert_close(&found.beta, &beta, 1e-4, &name);
                assert_close(&found.slope, &slope, 1e-4, &name);
            }
            for (input, added) in input.iter_mut().zip(&case.added) {
                *input += f64::from(*added);
            }
            for instructions in Instructions::available() {
                let found = case.normalisation().backward_with(
                    instructions,
                    &case.x,
                    case.upstream.clone(),
                    Some(&case.added),
                );
                assert_close(&found.input, &input, 2e-5, "with an added gradient");
            }
        }
    }
}

/// `sum upstream * result` in f64, with the statistics of `x` itself where they
/// are the batch's.
fn objective(case: &Case, x: &[f64], gamma: &[f64], beta: &[f64], slope: &[f64]) -> f64 {
    let channels = case.channels;
    let voxels = (x.len() / channels) as f64;
    let channel = |c: usize| {
        let column = || x.iter().skip(c).step_by(channels);
        let (mean, variance) = match case.statistics {
            Statistics::Batch => {
                let mean = column().sum::<f64>() / voxels;
                (
                    mean,
                    column().map(|v| (v - mean).powi(2)).sum::<f64>() / voxels,
                )
            }
            Statistics::Fixed => (f64::from(case.mean[c]), f64::from(case.variance[c])),
        };
        let upstream = case.upstream.iter().skip(c).step_by(channels);
        column()
            .zip(upstream)
            .map(|(v, &g)| {
                let u = gamma[c] * (v - mean) / (variance + f64::from(EPSILON)).sqrt() + beta[c];
                f64::from(g) * if u > 0.0 { u } else { slope[c] * u }
            })
            .sum::<f64>()
    };
    (0..channels).map(channel).sum()
}

#[test]
fn gradients_match_finite_differences() {
    for statistics in [Statistics::Batch, Statistics::Fixed] {
        let case = Case::new(11, 3, statistics);
        let found = case
            .normalisation()
            .backward(&case.x, case.upstream.clone(), None);
        let start = [&case.x, &case.gamma, &case.beta, &case.slope].map(|v| wide(v));
        let gradients = [&found.input, &found.gamma, &found.beta, &found.slope];
        for (which, gradient) in gradients.into_iter().enumerate() {
            let slopes: Vec<_> = (0..gradient.len())
                .map(|i| {
                    let shifted = |step: f64| {
                        let mut at = start.clone();
                        at[which][i] += step;
                        objective(&case, &at[0], &at[1], &at[2], &at[3])
                    };
                    (shifted(1e-5) - shifted(-1e-5)) / 2e-5
                })
                .collect();
            assert_close(gradient, &slopes, 3e-5, &format!("{statistics:?}, {which}"));
        }
    }
}

#[test]
fn scale_and_shift_give_the_normalised_values() {
    let case = Case::new(5, 3, Statistics::Fixed);
    let (scale, shift) = case.normalisation().scale_and_shift();
    for c in 0..3 {
        let [gamma, beta, mean, variance] =
            [case.gamma[c], case.beta[c], case.mean[c], case.variance[c]].map(f64::from);
        let deviation = (variance + f64::from(EPSILON)).sqrt();
        let x = f64::from(case.x[c]);
        let expected = gamma * (x - mean) / deviation + beta;
        let found = f64::from(scale[c]) * x + f64::from(shift[c]);
        assert!((found - expected).abs() < 1e-6);
    }
}

#[test]
fn images_normalised_each_by_its_own_are_those_normalised_alone() {
    let (channels, voxels, images) = (5, 701, 3);
    let all = Case::new(images * voxels, channels, Statistics::Batch);
    let found = crate::moments::moments_of_images(&all.x, channels, images);
    let norm = Normalisation {
        mean: &found.mean,
        variance: &found.variance,
        ..all.normalisation()
    };
    let gradients = norm.backward(&all.x, all.upstream.clone(), Some(&all.added));
    let (scale, shift) = norm.scale_and_shift();
    let mut sums = vec![0.0f64; 3 * channels];
    for n in 0..images {
        let range = n * voxels * channels..(n + 1) * voxels * channels;
        let alone = moments(&all.x[range.clone()], channels);
        let rows = n * channels..(n + 1) * channels;
        assert_eq!(alone.mean, found.mean[rows.clone()]);
        let norm = Normalisation {
            mean: &alone.mean,
            variance: &alone.variance,
            ..all.normalisation()
        };
        let expected = norm.backward(
            &all.x[range.clone()],
            all.upstream[range.clone()].to_vec(),
            Some(&all.added[range.clone()]),
        );
        assert_eq!(gradients.input[range], expected.input);
        assert_eq!(norm.scale_and_shift().0, scale[rows.clone()]);
        assert_eq!(norm.scale_and_shift().1, shift[rows]);
        let parts = [expected.beta, expected.gamma, expected.slope].concat();
        sums.iter_mut()
            .zip(parts)
            .for_each(|(s, p)| *s += f64::from(p));
    }
    let found = [gradients.beta, gradients.gamma, gradients.slope].concat();
    for (found, expected) in found.iter().zip(&sums) {
        assert!(
            (f64::from(*found) - expected).abs() < 1e-3,
            "{found} {expected}"
        );
    }
}
