//! Dice loss (Milletari et al., 3DV 2016; Sudre et al. 2017, `DL_2`): one minus
//! the mean over the classes of
//!
//! - `plain` (default): `D = (2 sum r p + s) / (V + P + s)`,
//! - `squared`: `D = (2 sum r p + s) / (sum r^2 + sum p^2 + s)`,
//! - `jaccard`: `D = (sum r p + s) / (V + P - sum r p + s)`,
//!
//! with `s` a share `smoothing` of the N elements. A class that the reference
//! does not have is dealt with by `empty_class` ([`AbsentClass`]); with `smooth`
//! it has these equations, and its score falls from 1 to about 0 within a
//! fraction of one element, flat beyond.
//!
//! - `as-printed`: the paper's `1 - (2/C) sum_l (sum r p + eps) / (V + P + eps)`,
//!   for all classes with eps = 1e-5 elements. A class that is neither in the
//!   reference nor predicted has a score of `2 eps / eps = 2`, so two classes
//!   with reference and prediction both empty give -0.5, and a perfect
//!   prediction gives slightly less than 0.
//!
//! Compatibility: `niftynet` (its `Dice_NS` is `plain`, its `Dice` `squared`) and
//! `monai` add 1e-5 elements to both sides and do as the equation says for
//! absent classes.

use super::overlap::{self, Cost};
use crate::loss::{Form, Honours, Loss, Needs, StatisticsLoss};
use crate::options::{
    AbsentClass, ClassSubset, PEER_EPSILON, SMOOTHING, check_class_weight, check_smoothing,
};
use crate::{ClassSums, Compatibility, LossError, Statistics, StatisticsGradient};
use serde::{Deserialize, Serialize};

/// Which equation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiceForm {
    /// Volumes in the denominator.
    #[default]
    Plain,
    /// Sums of squares in the denominator.
    Squared,
    /// Intersection over union.
    Jaccard,
    /// The paper's equation.
    AsPrinted,
}

/// The Dice loss; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dice {
    /// Which equation.
    pub form: DiceForm,
    /// Over which classes the mean runs.
    pub classes: ClassSubset,
    /// What a class costs that the reference does not have.
    pub empty_class: AbsentClass,
    /// `s` as a share of the elements, from 1e-30 to 1.
    pub smoothing: f64,
    /// Weights of the mean, one per class; all 1 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weight: Option<Vec<f64>>,
}

impl Dice {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "dice";

    /// The paper's equation.
    pub fn as_printed() -> Self {
        Self {
            form: DiceForm::AsPrinted,
            ..Self::default()
        }
    }
}

impl Default for Dice {
    /// `plain`, all classes, `share`, smoothing 1e-8.
    fn default() -> Self {
        Self {
            form: DiceForm::Plain,
            classes: ClassSubset::All,
            empty_class: AbsentClass::Share,
            smoothing: SMOOTHING,
            class_weight: None,
        }
    }
}

impl Loss for Dice {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        if self.form == DiceForm::AsPrinted && *self != Self::as_printed() {
            return Err(LossError::OptionValue {
                loss: Self::NAME,
                option: "form",
                found: "\"as-printed\" with another option".into(),
                expected: "\"as-printed\" alone, which fixes all of them, or another form".into(),
            });
        }
        self.classes.check(Self::NAME, classes)?;
        check_class_weight(Self::NAME, self.class_weight.as_deref(), classes)?;
        check_smoothing(Self::NAME, self.smoothing)
    }

    fn honours(&self) -> Honours {
        let peers = self.form != DiceForm::AsPrinted;
        Honours {
            monai: peers,
            niftynet: peers && self.form != DiceForm::Jaccard,
            sigmoid: peers,
            ..Honours::ALL
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Statistics(self)
    }
}

impl StatisticsLoss for Dice {
    fn needs(&self) -> Needs {
        Needs {
            squared_error: self.form == DiceForm::Squared,
            ..Needs::PROBABILITIES
        }
    }

    fn evaluate(
        &self,
        statistics: &Statistics,
        compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient) {
        let absolute = compatibility.is_some() || self.form == DiceForm::AsPrinted;
        let smoothing = match absolute {
            true => PEER_EPSILON,
            false => self.smoothing * statistics.elements(),
        }
        .max(f64::MIN_POSITIVE);
        // MONAI's Jaccard form is (2 I + s) / (2 U + s).
        let smoothing = match (self.form, compatibility) {
            (DiceForm::Jaccard, Some(Compatibility::Monai)) => smoothing / 2.0,
            _ => smoothing,
        };
        let policy = match absolute {
            true => AbsentClass::Smooth,
            false => self.empty_class,
        };
        let weight = |c: usize| self.class_weight.as_ref().map_or(1.0, |w| w[c]);
        let members = overlap::counted(statistics, &self.classes, policy);
        // MONAI takes the mean of the weighted classes, whatever the weights.
        let total: f64 = match compatibility {
            Some(Compatibility::Monai) => members.len() as f64,
            _ => members.iter().map(|&c| weight(c)).sum(),
        };
        let mut value = 0.0;
        let mut gradient = StatisticsGradient::zeros(statistics);
        for c in members {
            let share = weight(c) / total.max(f64::MIN_POSITIVE);
            let absent = statistics.volume(c) == 0.0 && policy == AbsentClass::Share;
            let cost = match absent {
                true => Cost::claimed(statistics, c),
                false => self.distance(statistics, c, smoothing),
            };
            value += share * cost.value;
            gradient.add_class(c, &cost.slopes.scaled(share));
        }
        (value, gradient)
    }
}

impl Dice {
    fn distance(&self, statistics: &Statistics, c: usize, s: f64) -> Cost {
        let class = statistics.class(c);
        let (volume, predicted) = (statistics.volume(c), class.predicted());
        let mut slopes = ClassSums::default();
        // Numerators are what is wrong, exact near a perfect prediction.
        let value = match self.form {
            DiceForm::Plain => {
                let denominator = volume + predicted + s;
                let value = (class.miss + class.false_alarm) / denominator;
                slopes.hit = (-1.0 - value) / denominator;
                slopes.false_alarm = (1.0 - value) / denominator;
                value
            }
            DiceForm::Jaccard => {
                // miss + false alarm over V + false alarm, which is the union.
                let denominator = volume + class.false_alarm + s;
                let value = (class.miss + class.false_alarm) / denominator;
                slopes.hit = -1.0 / denominator;
                slopes.false_alarm = (1.0 - value) / denominator;
                value
            }
            DiceForm::Squared => {
                // sum (p - r)^2 over sum r^2 + sum p^2; soft labels differ from
                // their squares.
                let square = statistics.reference_square(c);
                let denominator = square + statistics.predicted_square(c) + s;
                let wrong = class.squared_miss + class.squared_false_alarm - (volume - square);
                let value = wrong / denominator;
                slopes.squared_miss = (1.0 - value) / denominator;
                slopes.squared_false_alarm = (1.0 - value) / denominator;
                slopes.hit = -2.0 * value / denominator;
                value
            }
            DiceForm::AsPrinted => {
                let denominator = volume + predicted + s;
                let value = 1.0 - 2.0 * (class.hit + s) / denominator;
                slopes.hit = (-2.0 + (1.0 - value)) / denominator;
                slopes.false_alarm = (1.0 - value) / denominator;
                value
            }
        };
        Cost { value, slopes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(statistics: &Statistics) -> [f64; 2] {
        let plain = Dice {
            empty_class: AbsentClass::Smooth,
            ..Dice::default()
        };
        [plain, Dice::as_printed()].map(|loss| loss.evaluate(statistics, None).0)
    }

    #[test]
    fn reference_and_prediction_empty() {
        let [plain, as_printed] = both(&Statistics::by_hand(&[1000, 0], [1000.0, 0.0, 0.0, 0.0]));
        assert_eq!(plain, 0.0);
        // eps/eps and (1000 + eps)/(2000 + eps).
        assert!((as_printed + 0.5).abs() < 1e-8, "{as_printed}");
    }

    /// r = 1 1 0 0, p = .5 1 0 .5: overlap 1.5, volumes 2 + 2, squares 2 + 1.5,
    /// union 2.5; both classes alike.
    #[test]
    fn hand_values() {
        let mut statistics = Statistics::by_hand(&[2, 2], [1.5, 0.5, 0.5, 1.5]);
        statistics.matrices_mut().squared_error = vec![0.25; 4];
        let [plain, as_printed] = both(&statistics);
        assert!((plain - 0.25).abs() < 1e-8);
        assert!((as_printed - (1.0 - 2.0 * 1.50001 / 4.00001)).abs() < 1e-15);
        let of = |form| {
            let loss = Dice {
                form,
                ..Dice::default()
            };
            loss.evaluate(&statistics, None).0
        };
        assert!((of(DiceForm::Squared) - (1.0 - 3.0 / 3.5)).abs() < 1e-7);
        assert!((of(DiceForm::Jaccard) - (1.0 - 1.5 / 2.5)).abs() < 1e-7);
    }

    #[test]
    fn a_perfect_prediction_is_the_minimum() {
        let [plain, as_printed] = both(&Statistics::by_hand(&[3, 1], [3.0, 0.0, 0.0, 1.0]));
        assert_eq!(plain, 0.0);
        // -(1/2) (eps/6 + eps/2), to first order.
        assert!((as_printed + 1e-5 / 3.0).abs() < 1e-10, "{as_printed}");
    }

    /// Half of a lesion-free patch claimed as lesion: the background's score is
    /// 2 * 5 / 15, and the absent class costs what its policy says.
    #[test]
    fn an_absent_class_costs_what_its_policy_says() {
        let statistics = Statistics::by_hand(&[10, 0], [5.0, 5.0, 0.0, 0.0]);
        let of = |empty_class| {
            let loss = Dice {
                empty_class,
                ..Dice::default()
            };
            loss.evaluate(&statistics, None).0
        };
        let background = 1.0 - 10.0 / 15.0;
        for (policy, expected) in [
            (AbsentClass::Share, (background + 0.5) / 2.0),
            (AbsentClass::Skip, background),
            (AbsentClass::Smooth, (background + 1.0) / 2.0),
        ] {
            assert!((of(policy) - expected).abs() < 1e-7, "{policy:?}");
        }
    }

    #[test]
    fn the_printed_form_has_no_options() {
        let loss = Dice {
            smoothing: 1e-3,
            ..Dice::as_printed()
        };
        assert!(loss.check(2).is_err());
        assert!(Dice::as_printed().check(2).is_ok());
    }
}
