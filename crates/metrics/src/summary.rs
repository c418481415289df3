//! Summaries over subjects: mean, median, quartiles and bootstrap intervals.
//!
//! Quantiles interpolate linearly between order statistics (type 7 of Hyndman
//! and Fan 1996, the default of NumPy and R). Intervals are percentile
//! bootstrap intervals (Efron 1979) that resample whole subjects; resample `i`
//! has its own ChaCha8 stream, so they do not depend on the number of threads,
//! and with one seed every metric sees the same resampled subjects.

use crate::MetricsError;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Most resamples: the memory for them stays below 200 MB.
const MOST_RESAMPLES: usize = 10_000_000;

/// The `q` quantile (0 to 1) of ascending values, with linear interpolation.
///
/// # Panics
/// When there are no values.
pub fn quantile(ascending: &[f64], q: f64) -> f64 {
    let place = q * (ascending.len() - 1) as f64;
    let below = ascending[place.floor() as usize];
    let above = ascending[place.ceil() as usize];
    if below == above {
        return below; // Also where both are infinite.
    }
    below + (above - below) * place.fract()
}

/// Arithmetic mean; `None` of nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (mut sum, mut n) = (0.0, 0u32);
    for value in values {
        sum += value;
        n += 1;
    }
    (n > 0).then(|| sum / f64::from(n))
}

/// Median of each value's neighbourhood: `window` values around it, fewer at
/// the ends. Values that are not finite are left out of it.
pub fn running_median(values: &[f64], window: usize) -> Vec<f64> {
    let (before, after) = (window.saturating_sub(1) / 2, window / 2);
    let mut sorted: Vec<f64> = Vec::with_capacity(window + 1);
    let mut next = 0;
    let mut medians = Vec::with_capacity(values.len());
    for centre in 0..values.len() {
        while next < values.len() && next <= centre + after {
            if values[next].is_finite() {
                let place = sorted.partition_point(|&v| v < values[next]);
                sorted.insert(place, values[next]);
            }
            next += 1;
        }
        if centre > before {
            let gone = values[centre - before - 1];
            if gone.is_finite() {
                sorted.remove(sorted.partition_point(|&v| v < gone));
            }
        }
        medians.push(match sorted.is_empty() {
            true => f64::NAN,
            false => quantile(&sorted, 0.5),
        });
    }
    medians
}

/// Median and the quartiles around it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quartiles {
    /// 25th percentile.
    pub q1: f64,
    /// 50th percentile.
    pub median: f64,
    /// 75th percentile.
    pub q3: f64,
}

impl Quartiles {
    /// The quartiles of values in any order; `None` if there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut ascending = values.to_vec();
        ascending.sort_unstable_by(f64::total_cmp);
        (!ascending.is_empty()).then(|| Self {
            q1: quantile(&ascending, 0.25),
            median: quantile(&ascending, 0.5),
            q3: quantile(&ascending, 0.75),
        })
    }

    /// Interquartile range.
    pub fn iqr(&self) -> f64 {
        self.q3 - self.q1
    }
}

/// How to draw bootstrap intervals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Number of resamples.
    pub resamples: usize,
    /// Coverage of the interval, 0 to 1.
    pub level: f64,
    /// Key of the random numbers.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            resamples: 10_000,
            level: 0.95,
            seed: 0,
        }
    }
}

/// A confidence interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// One metric over subjects.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distribution {
    /// Number of subjects.
    pub subjects: usize,
    /// Arithmetic mean.
    pub mean: f64,
    /// Bootstrap interval of the mean; of one subject there is none.
    pub mean_interval: Option<Interval>,
    /// Median and quartiles.
    #[serde(flatten)]
    pub quartiles: Quartiles,
    /// Interquartile range.
    pub iqr: f64,
    /// Bootstrap interval of the median; of one subject there is none.
    pub median_interval: Option<Interval>,
}

impl Distribution {
    /// Summarises one value per subject.
    ///
    /// # Errors
    /// When there are no values or the bootstrap cannot be drawn.
    pub fn of(values: &[f64], bootstrap: &Bootstrap) -> Result<Self, MetricsError> {
        bootstrap.check()?;
        let quartiles = Quartiles::of(values).ok_or(MetricsError::NoSubjects)?;
        let intervals = (values.len() > 1).then(|| {
            let (means, medians) = bootstrap.draw(values);
            [bootstrap.interval(means), bootstrap.interval(medians)]
        });
        Ok(Self {
            subjects: values.len(),
            mean: mean(values.iter().copied()).ok_or(MetricsError::NoSubjects)?,
            mean_interval: intervals.map(|i| i[0]),
            quartiles,
            iqr: quartiles.iqr(),
            median_interval: intervals.map(|i| i[1]),
        })
    }
}

impl Bootstrap {
    fn check(&self) -> Result<(), MetricsError> {
        let level_ok = self.level > 0.0 && self.level < 1.0;
        if level_ok && (1..=MOST_RESAMPLES).contains(&self.resamples) {
            return Ok(());
        }
        Err(MetricsError::Bootstrap {
            resamples: self.resamples,
            level: self.level,
            most: MOST_RESAMPLES,
        })
    }

    /// Mean and median of each resample.
    fn draw(&self, values: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let statistics = |drawn: &mut Vec<f64>, resample: usize| {
            let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
            rng.set_stream(resample as u64);
            drawn.clear();
            drawn.extend((0..values.len()).map(|_| {
                // A share of 2^64 as an index: the bias is below n / 2^64.
                let share = u128::from(rng.next_u64()) * values.len() as u128;
                values[(share >> 64) as usize]
            }));
            let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
            drawn.sort_unstable_by(f64::total_cmp);
            (mean, quantile(drawn, 0.5))
        };
        (0..self.resamples)
            .into_par_iter()
            .map_init(Vec::new, statistics)
            .unzip()
    }

    /// The central `level` of the statistics.
    fn interval(&self, mut statistics: Vec<f64>) -> Interval {
        statistics.sort_unstable_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        Interval {
            low: quantile(&statistics, tail),
            high: quantile(&statistics, 1.0 - tail),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_runs_over_the_neighbourhood() {
        // Windows of three: {5,1} {5,1,9} {1,9,2} {9,2,2} {2,2}.
        assert_eq!(
            running_median(&[5.0, 1.0, 9.0, 2.0, 2.0], 3),
            [3.0, 5.0, 2.0, 2.0, 2.0]
        );
        assert_eq!(running_median(&[1.0, f64::NAN, 3.0], 3), [1.0, 2.0, 3.0]);
        assert!(running_median(&[f64::NAN], 3)[0].is_nan());
        assert_eq!(running_median(&[4.0, 8.0], 1), [4.0, 8.0]);
    }

    #[test]
    fn quartiles_interpolate_linearly() {
        // numpy.percentile([7, 1, 3, 2], [25, 50, 75]) = 1.75, 2.5, 4.0
        let q = Quartiles::of(&[7.0, 1.0, 3.0, 2.0]).unwrap();
        assert_eq!((q.q1, q.median, q.q3, q.iqr()), (1.75, 2.5, 4.0, 2.25));
        assert_eq!(Quartiles::of(&[]), None);
        assert_eq!(quantile(&[5.0], 0.95), 5.0);
        assert_eq!(quantile(&[f64::INFINITY; 2], 0.95), f64::INFINITY);
    }

    #[test]
    fn resamples_of_two_subjects_have_their_known_frequencies() {
        // Means 0, 1/2, 1 have probability 1/4, 1/2, 1/4.
        let bootstrap = Bootstrap::default();
        let (means, medians) = bootstrap.draw(&[0.0, 1.0]);
        assert_eq!(means, medians);
        for (value, probability) in [(0.0, 0.25), (0.5, 0.5), (1.0, 0.25)] {
            let found = means.iter().filter(|&&m| m == value).count() as f64 / 1e4;
            let deviation = (probability * (1.0 - probability) / 1e4f64).sqrt();
            assert!(
                (found - probability).abs() < 4.0 * deviation,
                "{value}: {found}"
            );
        }
        let d = Distribution::of(&[0.0, 1.0], &bootstrap).unwrap();
        let expected = Interval {
            low: 0.0,
            high: 1.0,
        };
        assert_eq!(d.mean_interval, Some(expected));
    }

    #[test]
    fn the_interval_of_the_mean_has_the_width_of_the_normal_theory() {
        // Mean 49.5, standard error sqrt((100^2 - 1) / 12 / 100) = 2.8866.
        let values: Vec<f64> = (0..100).map(f64::from).collect();
        let d = Distribution::of(&values, &Bootstrap::default()).unwrap();
        assert_eq!((d.mean, d.quartiles.median), (49.5, 49.5));
        let (of_mean, of_median) = (d.mean_interval.unwrap(), d.median_interval.unwrap());
        assert!((of_mean.low - (49.5 - 1.96 * 2.8866)).abs() < 0.25);
        assert!((of_mean.high - (49.5 + 1.96 * 2.8866)).abs() < 0.25);
        assert!(of_median.low < 49.5 && of_median.high > 49.5);
    }

    #[test]
    fn the_draw_depends_on_the_seed_and_not_on_the_threads() {
        let values: Vec<f64> = (0..37).map(|i| f64::from(i * i % 23)).collect();
        let with = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let bootstrap = Bootstrap {
                seed,
                ..Bootstrap::default()
            };
            let work = || Distribution::of(&values, &bootstrap).unwrap();
            pool.build().unwrap().install(work)
        };
        assert_eq!(with(1, 7), with(3, 7));
        assert_ne!(with(1, 7), with(1, 8));
    }

    #[test]
    fn one_subject_has_no_interval() {
        let d = Distribution::of(&[0.3], &Bootstrap::default()).unwrap();
        assert_eq!((d.mean, d.quartiles.median), (0.3, 0.3));
        assert_eq!((d.mean_interval, d.median_interval), (None, None));
    }

    #[test]
    fn impossible_bootstraps_are_refused() {
        for (resamples, level) in [(0, 0.95), (usize::MAX, 0.95), (10, 1.0), (10, f64::NAN)] {
            let bootstrap = Bootstrap {
                resamples,
                level,
                seed: 0,
            };
            assert!(Distribution::of(&[1.0], &bootstrap).is_err());
        }
        assert!(Distribution::of(&[], &Bootstrap::default()).is_err());
    }
}
