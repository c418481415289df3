//! Matthews correlation loss (Abhishek and Hamarneh, ISBI 2021): one minus the
//! mean over the classes of
//!
//! `MCC = (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN))`
//!
//! with soft counts. The products are of shares: with `v = V (N - V) / N^2`,
//! `q = P (N - P) / N^2` and `m = (TP TN - FP FN) / N^2`,
//!
//! `MCC = (m / v) sqrt(1 + e) / sqrt(q / v + e)`, `e` the option `smoothing`,
//!
//! which is 1 at a perfect prediction, finite where nothing is predicted, and
//! the equation for e = 0. A class that the reference does not have costs what
//! `empty_class` says; one that fills it costs the share that is missed. From 0
//! to 2; 1 is chance.
//!
//! Compatibility `monai`: 1e-5 is added under the root of the counts (not
//! shares), and a class without error costs 0.

use super::overlap::{self, Cost};
use crate::loss::{Form, Honours, Loss, Needs, StatisticsLoss};
use crate::options::{AbsentClass, ClassSubset, PEER_EPSILON, check_number};
use crate::{ClassSums, Compatibility, LossError, Statistics, StatisticsGradient};
use serde::{Deserialize, Serialize};

/// The Matthews correlation loss; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Matthews {
    /// Over which classes the mean runs.
    pub classes: ClassSubset,
    /// What a class costs that the reference does not have.
    pub empty_class: AbsentClass,
    /// `e`, from 1e-12 to 1.
    pub smoothing: f64,
}

impl Matthews {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "matthews";
}

impl Default for Matthews {
    /// The foreground, `share`, smoothing 1e-6.
    fn default() -> Self {
        Self {
            classes: ClassSubset::Foreground,
            empty_class: AbsentClass::Share,
            smoothing: 1e-6,
        }
    }
}

impl Loss for Matthews {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        if self.empty_class == AbsentClass::Smooth {
            return Err(LossError::OptionValue {
                loss: Self::NAME,
                option: "empty_class",
                found: "\"smooth\"".into(),
                expected: "\"share\" or \"skip\": without the class its equation has no value"
                    .into(),
            });
        }
        check_number(Self::NAME, "smoothing", self.smoothing, [1e-12, 1.0])?;
        self.classes.check(Self::NAME, classes)
    }

    fn honours(&self) -> Honours {
        Honours {
            monai: true,
            ..Honours::ALL
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Statistics(self)
    }
}

impl Matthews {
    /// `1 - MCC` of a class that is neither absent nor everywhere.
    fn distance(&self, statistics: &Statistics, c: usize) -> Cost {
        let elements = statistics.elements();
        let class = statistics.class(c);
        let inside = statistics.volume(c) / elements;
        let outside = 1.0 - inside;
        let (hit, miss) = (class.hit / elements, class.miss / elements);
        let false_alarm = class.false_alarm / elements;
        let predicted = hit + false_alarm;
        // Everything else than what is predicted, from small terms.
        let rest = (miss + (outside - false_alarm)).max(0.0);
        // TP TN - FP FN = v - FN (1 - V) - FP V, all shares.
        let v = inside * outside;
        let ratio = 1.0 - miss / inside - false_alarm / outside;
        let spread = predicted * rest / v + self.smoothing;
        let scale = ((1.0 + self.smoothing) / spread).sqrt();
        let by_ratio = -scale;
        let by_spread = 0.5 * ratio * scale / spread;
        let by_predicted = by_spread * (rest - predicted) / v;
        Cost {
            value: 1.0 - ratio * scale,
            slopes: ClassSums {
                hit: (by_ratio / inside + by_predicted) / elements,
                false_alarm: (-by_ratio / outside + by_predicted) / elements,
                ..ClassSums::default()
            },
        }
    }
}

/// `1 - MCC` of a class by MONAI's equation.
fn monai_distance(statistics: &Statistics, c: usize) -> Cost {
    let class = statistics.class(c);
    let inside = statistics.volume(c);
    let outside = statistics.elements() - inside;
    let (hit, false_alarm) = (class.hit, class.false_alarm);
    let predicted = class.predicted();
    let rest = (class.miss + (outside - false_alarm)).max(0.0);
    if class.miss == 0.0 && false_alarm == 0.0 {
        return Cost {
            value: 0.0,
            slopes: ClassSums::default(),
        };
    }
    let numerator = hit * (outside - false_alarm) - false_alarm * class.miss;
    let product = predicted * inside * rest * outside + PEER_EPSILON;
    let root = product.sqrt();
    let by_predicted = 0.5 * numerator / product / root * inside * outside * (rest - predicted);
    Cost {
        value: 1.0 - numerator / root,
        slopes: ClassSums {
            hit: -outside / root + by_predicted,
            false_alarm: inside / root + by_predicted,
            ..ClassSums::default()
        },
    }
}

impl StatisticsLoss for Matthews {
    fn needs(&self) -> Needs {
        Needs::PROBABILITIES
    }

    fn evaluate(
        &self,
        statistics: &Statistics,
        compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient) {
        if compatibility == Some(Compatibility::Monai) {
            return overlap::mean(statistics, &self.classes, AbsentClass::Smooth, |c| {
                monai_distance(statistics, c)
            });
        }
        overlap::mean(statistics, &self.classes, self.empty_class, |c| {
            let elements = statistics.elements();
            if statistics.volume(c) < elements {
                return self.distance(statistics, c);
            }
            let slope = 1.0 / elements;
            Cost {
                value: slope * statistics.class(c).miss,
                slopes: ClassSums {
                    hit: -slope,
                    ..ClassSums::default()
                },
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hard counts TP 3, FN 1, FP 2, TN 14:
    /// MCC = (42 - 2) / sqrt(5 * 4 * 16 * 15) = 40 / 69.282.
    #[test]
    fn hand_value() {
        let statistics = Statistics::by_hand(&[16, 4], [14.0, 2.0, 1.0, 3.0]);
        let (value, _) = Matthews::default().evaluate(&statistics, None);
        let expected = 1.0 - 40.0 / (5.0_f64 * 4.0 * 16.0 * 15.0).sqrt();
        assert!((value - expected).abs() < 1e-6, "{value} {expected}");
    }

    #[test]
    fn nothing_predicted_costs_one_and_all_right_nothing() {
        let of = |sum_p| {
            let statistics = Statistics::by_hand(&[16, 4], sum_p);
            Matthews::default().evaluate(&statistics, None).0
        };
        assert_eq!(of([16.0, 0.0, 4.0, 0.0]), 1.0);
        assert!(of([16.0, 0.0, 0.0, 4.0]).abs() < 1e-15);
        let full = Statistics::by_hand(&[0, 4], [0.0, 0.0, 1.0, 3.0]);
        assert_eq!(Matthews::default().evaluate(&full, None).0, 0.25);
    }
}
