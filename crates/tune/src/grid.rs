//! The rules that are tried, and which of them is chosen.
//!
//! With few subjects the best of thousands of rules is best by chance. So
//! 1. a rule is scored by the mean of its threshold and the two beside it: the flat part
//!    of the curve is preferred to a peak;
//! 2. a rule is looked at only if it gains [`Options::least_gain`] over doing nothing;
//! 3. among those that are not worse than the best by more than
//!    [`Options::standard_errors`] of the paired difference (as in the one-standard-error
//!    rule of Breiman et al., Classification and Regression Trees, 1984), or by
//!    `least_gain` where that is more, the one that is the fewest steps of the grid from
//!    the default is taken: a smaller rule costs less where new images differ;
//! 4. no size is tried that would delete a tenth of the reference's own lesions.

use rayon::prelude::*;

use crate::observed::THRESHOLDS;
use crate::score::Rule;
use crate::tune::{Options, Subject};

/// Minimum volumes that are tried, mm³; 0 is none.
pub(crate) const SIZES: [f64; 16] = [
    0.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0,
    1000.0,
];

/// Peak probabilities that are tried; 0 is none.
pub(crate) const PEAKS: [f64; 10] = [0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95];

/// Place of a threshold of 1/2 in [`THRESHOLDS`].
const HALF: usize = 10;

/// A rule by its places on the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// In [`THRESHOLDS`]; `None` for the untuned label map.
    pub threshold: Option<usize>,
    /// In [`SIZES`].
    pub size: usize,
    /// In [`PEAKS`].
    pub peak: usize,
}

/// Nothing is asked.
pub(crate) const UNTUNED: Place = Place {
    threshold: None,
    size: 0,
    peak: 0,
};

impl Place {
    pub fn rule(self) -> Rule {
        let some = |value: f64| (value > 0.0).then_some(value);
        Rule {
            threshold: self.threshold.map(|t| THRESHOLDS[t]),
            min_volume_mm3: some(SIZES[self.size]),
            min_peak_probability: some(PEAKS[self.peak]),
        }
    }

    /// Its place in a row of all.
    fn index(self) -> usize {
        let threshold = self.threshold.map_or(0, |t| t + 1);
        (threshold * SIZES.len() + self.size) * PEAKS.len() + self.peak
    }

    fn all() -> impl Iterator<Item = Self> {
        let thresholds = std::iter::once(None).chain((0..THRESHOLDS.len()).map(Some));
        thresholds.flat_map(|threshold| {
            (0..SIZES.len()).flat_map(move |size| {
                (0..PEAKS.len()).map(move |peak| Self {
                    threshold,
                    size,
                    peak,
                })
            })
        })
    }

    /// The threshold, where the untuned label map is like that of 1/2.
    fn level(self) -> usize {
        self.threshold.unwrap_or(HALF)
    }

    /// First place in [`PEAKS`] above the threshold: a lower one asks for nothing.
    fn first_peak(self) -> usize {
        let level = THRESHOLDS[self.level()];
        PEAKS.iter().position(|p| *p > level).unwrap_or(PEAKS.len())
    }

    fn asks_in_vain(self) -> bool {
        (1..self.first_peak()).contains(&self.peak)
    }

    /// Steps from the default: threshold 1/2, no size, no peak.
    fn steps(self) -> usize {
        let peak = match self.peak {
            0 => 0,
            peak => 1 + peak - self.first_peak(),
        };
        self.level().abs_diff(HALF) + self.size + peak
    }

    /// The places of the thresholds beside and of itself.
    fn neighbours(self) -> impl Iterator<Item = Self> {
        let around = match self.threshold {
            None => vec![self],
            Some(t) => (t.saturating_sub(1)..=(t + 1).min(THRESHOLDS.len() - 1))
                .map(|t| Self {
                    threshold: Some(t),
                    ..self
                })
                .collect(),
        };
        around.into_iter()
    }
}

/// The objective of every rule for every subject.
pub(crate) struct Table {
    /// `[subject][place]`.
    objective: Vec<Vec<f64>>,
    /// The same, each the mean with the thresholds beside.
    smooth: Vec<Vec<f64>>,
    /// The DSC alone.
    dsc: Vec<Vec<f64>>,
}

impl Table {
    pub fn of(subjects: &[Subject]) -> Self {
        let (objective, dsc): (Vec<Vec<f64>>, Vec<Vec<f64>>) = subjects
            .par_iter()
            .map(|subject| {
                let score = |place: Place| {
                    let score = subject.observed.score(&place.rule());
                    // Every threshold of the grid was observed.
                    score.map_or((0.0, 0.0), |score| (score.objective(), score.dsc))
                };
                Place::all().map(score).unzip()
            })
            .unzip();
        let smooth = objective.iter().map(|row| smoothed(row)).collect();
        Self {
            objective,
            smooth,
            dsc,
        }
    }

    pub fn objective(&self, subject: usize, place: Place) -> f64 {
        self.objective[subject][place.index()]
    }

    /// The rule for some of the subjects, with no size above `largest_mm3`.
    pub fn choose(&self, subjects: &[usize], largest_mm3: f64, options: &Options) -> Place {
        let mean = |table: &[Vec<f64>], place: Place| {
            let values = subjects.iter().map(|s| table[*s][place.index()]);
            values.sum::<f64>() / subjects.len() as f64
        };
        let least = mean(&self.objective, UNTUNED) + options.least_gain;
        let least_dsc = mean(&self.dsc, UNTUNED) - options.lost_dsc;
        let gains = |place: &Place| {
            let allowed = options.components || (place.size, place.peak) == (0, 0);
            allowed
                && SIZES[place.size] <= largest_mm3
                && !place.asks_in_vain()
                && mean(&self.dsc, *place) >= least_dsc
                && mean(&self.objective, *place) >= least
                && mean(&self.smooth, *place) >= least
        };
        let candidates: Vec<Place> = Place::all().filter(gains).collect();
        let by_mean = |a: &&Place, b: &&Place| {
            let [a, b] = [a, b].map(|place| mean(&self.smooth, **place));
            a.total_cmp(&b)
        };
        let Some(best) = candidates.iter().max_by(by_mean) else {
            return UNTUNED;
        };
        let as_good = |place: &Place| {
            let worse = subjects.iter().map(|s| {
                let smooth = &self.smooth[*s];
                smooth[best.index()] - smooth[place.index()]
            });
            is_within(&worse.collect::<Vec<_>>(), options)
        };
        if as_good(&UNTUNED) {
            return UNTUNED;
        }
        let near = candidates.iter().filter(|place| as_good(place));
        let order = |place: &&Place| (place.steps(), place.size, place.peak);
        // Of two thresholds as near, the better.
        let chosen = near.min_by(|a, b| order(a).cmp(&order(b)).then_with(|| by_mean(b, a)));
        *chosen.unwrap_or(best)
    }
}

/// Each the mean with the thresholds beside.
fn smoothed(row: &[f64]) -> Vec<f64> {
    let mean = |place: Place| {
        let (mut sum, mut count) = (0.0, 0.0);
        for near in place.neighbours() {
            sum += row[near.index()];
            count += 1.0;
        }
        sum / count
    };
    Place::all().map(mean).collect()
}

/// Whether differences from the best, one per subject, are small or may be chance.
fn is_within(worse: &[f64], options: &Options) -> bool {
    let n = worse.len() as f64;
    let mean = worse.iter().sum::<f64>() / n;
    let squares: f64 = worse.iter().map(|d| (d - mean).powi(2)).sum();
    // Of one subject there is no standard error.
    let standard_error = match worse.len() {
        0 | 1 => 0.0,
        _ => (squares / (n - 1.0) / n).sqrt(),
    };
    mean <= options
        .least_gain
        .max(options.standard_errors * standard_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_places_are_in_order_and_half_is_a_half() {
        assert_eq!(THRESHOLDS[HALF], 0.5);
        assert!(Place::all().enumerate().all(|(at, p)| p.index() == at));
        assert_eq!(Place::all().count(), 22 * 16 * 10);
        assert!(UNTUNED.rule().is_none());
    }

    #[test]
    fn steps_count_from_the_default() {
        let place = |threshold, size, peak| Place {
            threshold,
            size,
            peak,
        };
        assert_eq!(UNTUNED.steps(), 0);
        // 0.35 is three steps below 0.5, 3 mm³ the second size; of the peaks 0.4, 0.5, 0.6
        // above 0.35 the last is the third.
        assert_eq!(place(Some(7), 0, 0).steps(), 3);
        assert_eq!(place(Some(7), 2, 5).steps(), 3 + 2 + 3);
        assert!(place(Some(7), 0, 2).asks_in_vain());
        assert!(!place(Some(7), 0, 3).asks_in_vain());
        assert!(place(None, 0, 4).asks_in_vain());
    }

    #[test]
    fn neighbours_are_the_thresholds_beside() {
        let mut row = vec![0.0; Place::all().count()];
        let at = |t| Place {
            threshold: Some(t),
            ..UNTUNED
        };
        for (t, value) in [(0, 0.6), (1, 0.2), (2, 0.4)] {
            row[at(t).index()] = value;
        }
        row[UNTUNED.index()] = 0.9;
        let smooth = smoothed(&row);
        let found = [at(0), at(1), at(2), UNTUNED].map(|p| smooth[p.index()]);
        let expected = [0.4, 0.4, 0.2, 0.9];
        assert!(
            found
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-12)
        );
    }

    #[test]
    fn within_one_standard_error_or_the_least_gain() {
        let options = Options {
            standard_errors: 1.0,
            ..Options::default()
        };
        // Mean 0.02; deviations -0.02, 0, 0.02: standard error sqrt(0.0008 / 2 / 3) = 0.0115.
        assert!(!is_within(&[0.0, 0.02, 0.04], &options));
        // Mean 0.02; deviations -0.06, 0, 0.06: sqrt(0.0072 / 6) = 0.0346.
        assert!(is_within(&[-0.04, 0.02, 0.08], &options));
        assert!(is_within(&[0.004], &options) && !is_within(&[0.006], &options));
    }
}
