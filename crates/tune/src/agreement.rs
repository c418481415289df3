//! How far a predicted volume or count can be from the true one.
//!
//! Errors of volumes and counts grow with them, so residuals are log ratios,
//! log((reference + offset) / (predicted + offset)). The interval of a new prediction is
//! the split-conformal one (Papadopoulos et al., ECML 2002; Lei et al., JASA 113, 2018):
//! its half width is the k-th smallest absolute residual of the `n` subjects that were
//! predicted without being trained on, k = ceil((n + 1) level). It covers the truth of a
//! new subject of the same kind with at least that level, whatever the distribution.
//! Where k is more than n there are too few subjects for the level: the largest residual
//! is given with the level that it supports, n / (n + 1).

use serde::{Deserialize, Serialize};

use crate::TuneError;

/// An amount as predicted and as it is in the reference, of one subject.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// As predicted.
    pub predicted: f64,
    /// In the reference.
    pub reference: f64,
}

/// Where the truth lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Expected {
    /// Lower end, 0 or more.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Share of new subjects, at least, whose truth is between the two.
    pub level: f64,
}

/// Predicted against reference amounts of subjects that were held out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agreement {
    /// Of each subject.
    pub pairs: Vec<Pair>,
    /// Added to every amount, so that none is 0.
    pub offset: f64,
    /// Half width of the interval, as a difference of logs.
    pub half_width: f64,
    /// The level asked for.
    pub asked_level: f64,
    /// The level that the subjects support, at most that asked for.
    pub level: f64,
    /// Median log ratio; above 0 the prediction is mostly too small.
    pub bias: f64,
}

impl Agreement {
    /// The relation of the `pairs`, with an interval of the asked `level`.
    ///
    /// # Errors
    /// [`TuneError::NoSubjects`] without pairs, [`TuneError::Amount`] when one is
    /// negative or not finite, [`TuneError::Setting`] when the offset is not above 0 or
    /// the level not between 0 and 1.
    pub fn of(pairs: &[Pair], offset: f64, level: f64) -> Result<Self, TuneError> {
        check(pairs, offset, level)?;
        let ratio = |pair: &Pair| ((pair.reference + offset) / (pair.predicted + offset)).ln();
        let mut residuals: Vec<f64> = pairs.iter().map(ratio).collect();
        residuals.sort_unstable_by(f64::total_cmp);
        let bias = lacuna_metrics::quantile(&residuals, 0.5);
        let mut sizes: Vec<f64> = residuals.iter().map(|r| r.abs()).collect();
        sizes.sort_unstable_by(f64::total_cmp);
        let n = pairs.len();
        // Less what rounding adds: 10 subjects of level 0.9 are 9.9, 9 are 9.
        let rank = ((n + 1) as f64 * level - 1e-9).ceil().max(1.0) as usize;
        Ok(Self {
            pairs: pairs.to_vec(),
            offset,
            half_width: sizes[rank.min(n) - 1],
            asked_level: level,
            level: if rank <= n {
                level
            } else {
                n as f64 / (n + 1) as f64
            },
            bias,
        })
    }

    /// Where the truth of a new subject lies, of which so much was predicted.
    pub fn interval(&self, predicted: f64) -> Expected {
        let shifted = predicted.max(0.0) + self.offset;
        Expected {
            low: (shifted * (-self.half_width).exp() - self.offset).max(0.0),
            high: shifted * self.half_width.exp() - self.offset,
            level: self.level,
        }
    }

    /// Whether there were enough subjects for the level asked for.
    pub fn has_asked_level(&self) -> bool {
        self.level >= self.asked_level
    }
}

fn check(pairs: &[Pair], offset: f64, level: f64) -> Result<(), TuneError> {
    if pairs.is_empty() {
        return Err(TuneError::NoSubjects);
    }
    for (at, pair) in pairs.iter().enumerate() {
        for found in [pair.predicted, pair.reference] {
            if !(found.is_finite() && found >= 0.0) {
                return Err(TuneError::Amount { at, found });
            }
        }
    }
    let setting = |name, found, expected| {
        Err(TuneError::Setting {
            name,
            found,
            expected,
        })
    };
    if !(offset.is_finite() && offset > 0.0) {
        return setting("offset", offset, "a finite number above 0");
    }
    match level > 0.0 && level < 1.0 {
        true => Ok(()),
        false => setting("level", level, "a number between 0 and 1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(of: &[[f64; 2]]) -> Vec<Pair> {
        let pair = |[predicted, reference]: &[f64; 2]| Pair {
            predicted: *predicted,
            reference: *reference,
        };
        of.iter().map(pair).collect()
    }

    /// Ratios (with offset 1) of 1, 2, 1/2, 4, 1, 2, 1/2, 8, 1.
    const NINE: [[f64; 2]; 9] = [
        [4.0, 4.0],
        [4.0, 9.0],
        [9.0, 4.0],
        [0.0, 3.0],
        [0.0, 0.0],
        [1.0, 3.0],
        [3.0, 1.0],
        [0.0, 7.0],
        [7.0, 7.0],
    ];

    #[test]
    fn nine_subjects_are_just_enough_for_nine_tenths() {
        let found = Agreement::of(&pairs(&NINE), 1.0, 0.9).unwrap();
        // ceil(10 * 0.9) = 9: the largest, ln 8. (1 + 3) / 8 - 1 < 0, 4 * 8 - 1 = 31.
        assert!((found.half_width - 8f64.ln()).abs() < 1e-12);
        assert!(found.has_asked_level());
        let of_three = found.interval(3.0);
        assert_eq!((of_three.low, of_three.level), (0.0, 0.9));
        assert!((of_three.high - 31.0).abs() < 1e-9);
        // Sorted ratios: 1/2, 1/2, 1, 1, 1, 2, 2, 4, 8.
        assert_eq!(found.bias, 0.0);
        // ceil(10 * 0.75) = 8: ln 4; ceil(10 * 0.7) = 7: ln 2.
        for (level, ratio) in [(0.75, 4.0_f64), (0.7, 2.0), (0.3, 1.0)] {
            let found = Agreement::of(&pairs(&NINE), 1.0, level).unwrap();
            assert!((found.half_width - ratio.ln()).abs() < 1e-12, "{level}");
        }
    }

    #[test]
    fn fewer_support_a_lower_level() {
        let found = Agreement::of(&pairs(&NINE[..4]), 1.0, 0.9).unwrap();
        assert!((found.half_width - 4f64.ln()).abs() < 1e-12);
        assert_eq!((found.level, found.asked_level), (0.8, 0.9));
        assert!(!found.has_asked_level());
        // (9 + 1) / 4 - 1 = 1.5 and 10 * 4 - 1.
        let of_nine = found.interval(9.0);
        assert!((of_nine.low - 1.5).abs() < 1e-12 && (of_nine.high - 39.0).abs() < 1e-12);
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        let one = pairs(&[[1.0, 2.0]]);
        assert!(matches!(
            Agreement::of(&[], 1.0, 0.9),
            Err(TuneError::NoSubjects)
        ));
        for bad in [-1.0, f64::NAN, f64::INFINITY] {
            let error = Agreement::of(&pairs(&[[1.0, 1.0], [1.0, bad]]), 1.0, 0.9).unwrap_err();
            assert!(matches!(error, TuneError::Amount { at: 1, .. }));
        }
        assert!(Agreement::of(&one, 0.0, 0.9).is_err());
        assert!(Agreement::of(&one, 1.0, 1.0).is_err());
    }
}
