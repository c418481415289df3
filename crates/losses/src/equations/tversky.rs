//! Tversky loss (Salehi et al., MLMI 2017): one minus the mean over the classes of
//!
//! `T = (TP + s) / (TP + alpha FP + beta FN + s)`
//!
//! with soft counts and `s` a share `smoothing` of the N elements. `beta > alpha`
//! makes a missed element cost more than a false one; both 1/2 is Dice, both 1
//! Jaccard. A class that the reference does not have is dealt with by
//! `empty_class`. From 0 to 1.
//!
//! Compatibility: `monai` adds 1e-5 elements to both sides; `niftynet` pools the
//! counts of all classes and adds 1e-5 to the denominator only, so a perfect
//! prediction costs a little.

use super::overlap::{self, Cost};
use crate::loss::{Form, Honours, Loss, Needs, StatisticsLoss};
use crate::options::{
    AbsentClass, ClassSubset, PEER_EPSILON, SMOOTHING, check_number, check_smoothing,
};
use crate::{ClassSums, Compatibility, LossError, Statistics, StatisticsGradient};
use serde::{Deserialize, Serialize};

/// The Tversky loss; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tversky {
    /// Factor of the false positives, at least 0.
    pub alpha: f64,
    /// Factor of the false negatives, at least 0; not both 0.
    pub beta: f64,
    /// Over which classes the mean runs.
    pub classes: ClassSubset,
    /// What a class costs that the reference does not have.
    pub empty_class: AbsentClass,
    /// `s` as a share of the elements, from 1e-30 to 1.
    pub smoothing: f64,
}

impl Tversky {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "tversky";
}

impl Default for Tversky {
    /// alpha .3, beta .7, all classes, `share`, smoothing 1e-8.
    fn default() -> Self {
        Self {
            alpha: 0.3,
            beta: 0.7,
            classes: ClassSubset::All,
            empty_class: AbsentClass::Share,
            smoothing: SMOOTHING,
        }
    }
}

/// Refuses factors that are negative, or both 0.
pub(crate) fn check_factors(loss: &'static str, alpha: f64, beta: f64) -> Result<(), LossError> {
    check_number(loss, "alpha", alpha, [0.0, f64::INFINITY])?;
    check_number(loss, "beta", beta, [0.0, f64::INFINITY])?;
    if alpha + beta > 0.0 {
        return Ok(());
    }
    Err(LossError::OptionValue {
        loss,
        option: "beta",
        found: "0.0, as alpha is".into(),
        expected: "alpha or beta above 0: errors would cost nothing".into(),
    })
}

/// `1 - T` of one class.
pub(crate) fn distance(statistics: &Statistics, c: usize, [alpha, beta]: [f64; 2], s: f64) -> Cost {
    let class = statistics.class(c);
    // alpha FP + beta FN is what is wrong, exact near a perfect prediction.
    let wrong = alpha * class.false_alarm + beta * class.miss;
    let denominator = class.hit + wrong + s;
    let value = wrong / denominator;
    Cost {
        value,
        slopes: ClassSums {
            hit: -(beta + value * (1.0 - beta)) / denominator,
            false_alarm: alpha * (1.0 - value) / denominator,
            ..ClassSums::default()
        },
    }
}

impl Loss for Tversky {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        check_factors(Self::NAME, self.alpha, self.beta)?;
        self.classes.check(Self::NAME, classes)?;
        check_smoothing(Self::NAME, self.smoothing)
    }

    fn honours(&self) -> Honours {
        Honours {
            monai: true,
            niftynet: true,
            ..Honours::ALL
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Statistics(self)
    }
}

impl StatisticsLoss for Tversky {
    fn needs(&self) -> Needs {
        Needs::PROBABILITIES
    }

    fn evaluate(
        &self,
        statistics: &Statistics,
        compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient) {
        let factors = [self.alpha, self.beta];
        match compatibility {
            None => {
                let s = (self.smoothing * statistics.elements()).max(f64::MIN_POSITIVE);
                overlap::mean(statistics, &self.classes, self.empty_class, |c| {
                    distance(statistics, c, factors, s)
                })
            }
            Some(Compatibility::Monai) => {
                overlap::mean(statistics, &self.classes, AbsentClass::Smooth, |c| {
                    distance(statistics, c, factors, PEER_EPSILON)
                })
            }
            Some(Compatibility::Niftynet) => self.pooled(statistics),
        }
    }
}

impl Tversky {
    /// `1 - TP / (TP + alpha FP + beta FN + 1e-5)` of the counts of all classes.
    fn pooled(&self, statistics: &Statistics) -> (f64, StatisticsGradient) {
        let classes = overlap::counted(statistics, &self.classes, AbsentClass::Smooth);
        let mut sum = ClassSums::default();
        for &c in &classes {
            let class = statistics.class(c);
            sum.hit += class.hit;
            sum.miss += class.miss;
            sum.false_alarm += class.false_alarm;
        }
        let wrong = self.alpha * sum.false_alarm + self.beta * sum.miss + PEER_EPSILON;
        let denominator = sum.hit + wrong;
        let value = wrong / denominator;
        let slopes = ClassSums {
            hit: -(self.beta + value * (1.0 - self.beta)) / denominator,
            false_alarm: self.alpha * (1.0 - value) / denominator,
            ..ClassSums::default()
        };
        let mut gradient = StatisticsGradient::zeros(statistics);
        for c in classes {
            gradient.add_class(c, &slopes);
        }
        (value, gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TP 1.5, FP .5, FN .5 of both classes.
    #[test]
    fn hand_values() {
        let statistics = Statistics::by_hand(&[2, 2], [1.5, 0.5, 0.5, 1.5]);
        let of = |alpha, beta| {
            let loss = Tversky {
                alpha,
                beta,
                ..Tversky::default()
            };
            loss.evaluate(&statistics, None).0
        };
        assert!((of(0.3, 0.7) - 0.5 / 2.0).abs() < 1e-7);
        assert!((of(0.5, 0.5) - (1.0 - 3.0 / 4.0)).abs() < 1e-7);
        assert!((of(1.0, 1.0) - (1.0 - 1.5 / 2.5)).abs() < 1e-7);
        let pooled = Tversky::default().evaluate(&statistics, Some(Compatibility::Niftynet));
        assert!((pooled.0 - (1.0 - 3.0 / (4.0 + 1e-5))).abs() < 1e-12);
        assert!(check_factors("tversky", 0.0, 0.0).is_err());
    }
}
