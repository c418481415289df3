//! Log-Dice loss (the first term of Wong et al., MICCAI 2018): the mean over the
//! classes of
//!
//! `(-ln D)^gamma`, `D = (2 sum r p + s) / (V + P + s)`
//!
//! with `s` a share `smoothing` of the N elements. A small overlap costs without
//! bound (up to `-ln` of the smoothing), so a rare class that is missed has a
//! slope where the Dice loss is flat. gamma < 1 has an infinite slope at a
//! perfect prediction: below `-ln D = 1e-4` the power is replaced by its chord.
//!
//! A class that the reference does not have is scored with `share` by
//! `D = (N - P + s) / (N + s)`: the Dice score's place is taken by the share of
//! the elements that is rightly left alone. Minimum 0.

use super::overlap::{self, Cost};
use crate::loss::{Form, Loss, Needs, StatisticsLoss};
use crate::options::{
    AbsentClass, ClassSubset, SMOOTHING, check_number, check_smoothing, guarded_power,
};
use crate::{ClassSums, Compatibility, LossError, Statistics, StatisticsGradient};
use serde::{Deserialize, Serialize};

/// The log-Dice loss; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogDice {
    /// Exponent, from .01 to 100.
    pub gamma: f64,
    /// Over which classes the mean runs.
    pub classes: ClassSubset,
    /// What a class costs that the reference does not have.
    pub empty_class: AbsentClass,
    /// `s` as a share of the elements, from 1e-30 to 1.
    pub smoothing: f64,
}

impl LogDice {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "log-dice";
}

impl Default for LogDice {
    /// gamma 1, all classes, `share`, smoothing 1e-8.
    fn default() -> Self {
        Self {
            gamma: 1.0,
            classes: ClassSubset::All,
            empty_class: AbsentClass::Share,
            smoothing: SMOOTHING,
        }
    }
}

impl Loss for LogDice {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        check_number(Self::NAME, "gamma", self.gamma, [0.01, 100.0])?;
        self.classes.check(Self::NAME, classes)?;
        check_smoothing(Self::NAME, self.smoothing)
    }

    fn form(&self) -> Form<'_> {
        Form::Statistics(self)
    }
}

/// `-ln (1 - wrong / whole)` with its derivatives; `rest = whole - wrong`.
fn log_cost(wrong: f64, rest: f64, by_hit: [f64; 2], by_false_alarm: [f64; 2]) -> Cost {
    // ln(1 + wrong / rest), exact where little is wrong.
    let slope = |[wrong_by, rest_by]: [f64; 2]| {
        let whole = wrong + rest;
        (wrong_by * rest - wrong * rest_by) / rest / whole
    };
    Cost {
        value: (wrong / rest).ln_1p(),
        slopes: ClassSums {
            hit: slope(by_hit),
            false_alarm: slope(by_false_alarm),
            ..ClassSums::default()
        },
    }
}

impl StatisticsLoss for LogDice {
    fn needs(&self) -> Needs {
        Needs::PROBABILITIES
    }

    fn evaluate(
        &self,
        statistics: &Statistics,
        _compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient) {
        let elements = statistics.elements();
        let s = (self.smoothing * elements).max(f64::MIN_POSITIVE);
        // `share` has its own score here.
        let policy = match self.empty_class {
            AbsentClass::Share => AbsentClass::Smooth,
            other => other,
        };
        overlap::mean(statistics, &self.classes, policy, |c| {
            let class = statistics.class(c);
            let absent = statistics.volume(c) == 0.0 && self.empty_class == AbsentClass::Share;
            let cost = if absent {
                let claimed = class.predicted();
                let rest = statistics.rejected(c) + s;
                log_cost(claimed, rest, [1.0, -1.0], [1.0, -1.0])
            } else {
                // Misses are V less the hits.
                let wrong = class.miss + class.false_alarm;
                log_cost(wrong, 2.0 * class.hit + s, [-1.0, 2.0], [1.0, 0.0])
            };
            cost.through(guarded_power(cost.value, self.gamma))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_of_the_dice_score() {
        let statistics = Statistics::by_hand(&[2, 2], [1.5, 0.5, 0.5, 1.5]);
        let of = |gamma, statistics: &Statistics| {
            let loss = LogDice {
                gamma,
                ..LogDice::default()
            };
            loss.evaluate(statistics, None).0
        };
        let expected = -0.75_f64.ln();
        assert!((of(1.0, &statistics) - expected).abs() < 1e-7);
        assert!((of(0.3, &statistics) - expected.powf(0.3)).abs() < 1e-7);
        // Half of a lesion-free patch is claimed: D = 1/2 for the lesion, 2/3
        // for the background.
        let empty = Statistics::by_hand(&[10, 0], [5.0, 5.0, 0.0, 0.0]);
        let expected = (0.5_f64.ln() + (2.0_f64 / 3.0).ln()) / -2.0;
        assert!((of(1.0, &empty) - expected).abs() < 1e-7);
    }

    /// Nothing of a class is found: the cost is -ln of the smoothing's share.
    #[test]
    fn a_missed_class_costs_the_logarithm_of_the_smoothing() {
        let statistics = Statistics::by_hand(&[98, 2], [98.0, 0.0, 2.0, 0.0]);
        let loss = LogDice {
            classes: ClassSubset::Foreground,
            ..LogDice::default()
        };
        let (value, gradient) = loss.evaluate(&statistics, None);
        assert!(
            (value + (1e-6_f64 / (2.0 + 1e-6)).ln()).abs() < 1e-9,
            "{value}"
        );
        assert!(gradient.matrices().sum_p.iter().all(|g| g.is_finite()));
    }
}
