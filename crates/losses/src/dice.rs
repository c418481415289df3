//! Dice loss over all classes (Sudre et al. 2017, `DL_2`, after Milletari et
//! al. 2016; two classes there, any number here).
//!
//! Default, `factor-two`: one minus the mean over the C classes of their soft
//! Dice scores,
//!
//! `1 - (1/C) sum_l (2 sum_n r_ln p_ln + eps) / (V_l + P_l + eps)`
//!
//! As printed in the paper, for C = 2:
//!
//! `1 - (2/C) sum_l (sum_n r_ln p_ln + eps) / (V_l + P_l + eps)`
//!
//! The two differ by the epsilon only, except for a class that is neither in
//! the labels nor predicted: its score is 1 with the factor two, but
//! `2 eps / eps = 2` as printed, so two classes with reference and prediction
//! both empty give -0.5 where `factor-two` gives 0, and a perfect prediction
//! gives slightly less than 0.
//!
//! A class that no label has scores `eps / (P + eps)`: nearly 1 while hardly
//! predicted, nearly 0 from a small fraction of one voxel on, and flat beyond.
//! [`crate::GeneralisedDice`] has no such step.

use crate::{Loss, LossError, Needs, Statistics, StatisticsGradient};
use serde::{Deserialize, Serialize};

/// Which of the two equations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiceForm {
    /// The mean soft Dice score of the classes: 0 at a perfect prediction.
    #[default]
    FactorTwo,
    /// The paper's equation: -0.5 for two classes where the foreground is
    /// neither in the labels nor predicted.
    AsPrinted,
}

/// The Dice loss over all classes; see [the module](self) for both equations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Dice {
    /// Which equation.
    pub form: DiceForm,
    /// Smoothing term, in elements (voxels), at least 1e-30.
    pub epsilon: f64,
}

impl Dice {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "dice";
}

impl Default for Dice {
    /// `factor-two`, epsilon 1e-5.
    fn default() -> Self {
        Self {
            form: DiceForm::FactorTwo,
            epsilon: 1e-5,
        }
    }
}

impl Loss for Dice {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self) -> Result<(), LossError> {
        crate::config::check_epsilon(Self::NAME, self.epsilon)
    }

    fn needs(&self) -> Needs {
        Needs::PROBABILITIES
    }

    fn evaluate(&self, statistics: &Statistics) -> (f64, StatisticsGradient) {
        let classes = statistics.classes();
        let share = 1.0 / classes as f64;
        let mut value = 0.0;
        let mut gradient = StatisticsGradient::zeros(classes);
        for l in 0..classes {
            let denominator = statistics.volume(l) + statistics.predicted(l) + self.epsilon;
            // `distance` is 1 - score of the class. For `factor-two` its
            // numerator is the mismatch itself, exact near a perfect prediction.
            let distance = match self.form {
                DiceForm::FactorTwo => statistics.mismatch(l) / denominator,
                DiceForm::AsPrinted => {
                    1.0 - 2.0 * (statistics.sum_p(l, l) + self.epsilon) / denominator
                }
            };
            value += share * distance;
            for label in 0..classes {
                // Of the score: both forms have numerator 2 sum_p + constant.
                let numerator = if label == l { 2.0 } else { 0.0 };
                let by_score = (numerator - (1.0 - distance)) / denominator;
                *gradient.sum_p_mut(label, l) = -share * by_score;
            }
        }
        (value, gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(count: [u64; 2], sum_p: [f64; 4]) -> Statistics {
        let mut statistics = Statistics::empty(2);
        statistics.count = count.to_vec();
        statistics.sum_p = sum_p.to_vec();
        statistics
    }

    fn both(statistics: &Statistics) -> [f64; 2] {
        [DiceForm::FactorTwo, DiceForm::AsPrinted].map(|form| {
            Dice {
                form,
                ..Dice::default()
            }
            .evaluate(statistics)
            .0
        })
    }

    #[test]
    fn reference_and_prediction_empty() {
        let [factor_two, as_printed] = both(&statistics([1000, 0], [1000.0, 0.0, 0.0, 0.0]));
        assert_eq!(factor_two, 0.0);
        // eps/eps and (1000 + eps)/(2000 + eps).
        assert!((as_printed + 0.5).abs() < 1e-8, "{as_printed}");
    }

    /// r = 1 1 0 0, p = .5 1 0 .5: overlap 1.5 and volumes 2 + 2, both classes.
    #[test]
    fn hand_value_and_agreement_away_from_empty() {
        let [factor_two, as_printed] = both(&statistics([2, 2], [1.5, 0.5, 0.5, 1.5]));
        assert!((factor_two - (1.0 - 3.00001 / 4.00001)).abs() < 1e-15);
        assert!((as_printed - (1.0 - 2.0 * 1.50001 / 4.00001)).abs() < 1e-15);
    }

    #[test]
    fn a_perfect_prediction_is_the_minimum() {
        let [factor_two, as_printed] = both(&statistics([3, 1], [3.0, 0.0, 0.0, 1.0]));
        assert_eq!(factor_two, 0.0);
        // -(1/2) (eps/6 + eps/2), to first order.
        assert!((as_printed + 1e-5 / 3.0).abs() < 1e-10, "{as_printed}");
    }

    #[test]
    fn epsilon_must_keep_quotients_finite() {
        for epsilon in [0.0, -1e-5, 1e-31, f64::NAN, f64::INFINITY] {
            let loss = Dice {
                epsilon,
                ..Dice::default()
            };
            let error = loss.check().unwrap_err();
            assert!(error.to_string().contains("epsilon"), "{error}");
        }
    }
}
