//! Weighted cross-entropy (Sudre et al. 2017, `WCE`, after Ronneberger et al.
//! 2015):
//!
//! `WCE = -(1/N) sum_n [ w r_n log p_n + (1 - r_n) log(1 - p_n) ]`,
//! `w = (N - P) / P`
//!
//! with `P = sum_n p_n` the predicted foreground volume: the weight comes from
//! the prediction, not from the labels. For more classes
//!
//! `WCE = -(1/N) sum_l w_l sum_n r_ln log p_ln`,
//! `w_l = (N - P_l) / P_l` for foreground classes and 1 for the background,
//!
//! which is the same for two. It is 0 at a perfect prediction, never negative.
//! Overlapping regions have the first equation each, and the mean of them.
//!
//! The paper does not say whether w is differentiated. The default is no: w is
//! a constant of each evaluation. `differentiate_weight` adds
//! `dw_l/dP_l = -N / P_l^2`.
//!
//! Guard: `P_l` below one element counts as one element, in the denominator
//! only, so `w_l <= N` however little is predicted.

use crate::loss::{Form, Loss, Needs, StatisticsLoss};
use crate::{ClassSums, Compatibility, Statistics, StatisticsGradient};
use serde::{Deserialize, Serialize};

/// Smallest predicted volume, in elements, that a weight is divided by.
const FLOOR: f64 = 1.0;

/// The weighted cross-entropy; see [the module](self).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WeightedCrossEntropy {
    /// Whether the gradient includes the weights' dependence on the prediction.
    pub differentiate_weight: bool,
}

impl WeightedCrossEntropy {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "weighted-cross-entropy";
}

/// Weight of a class predicted over `predicted` of `elements`, and its derivative.
fn weight(elements: f64, predicted: f64) -> (f64, f64) {
    // Rounding can carry a sum of probabilities past the number of elements.
    let rest = (elements - predicted).max(0.0);
    if predicted > FLOOR {
        (rest / predicted, -elements / predicted / predicted)
    } else {
        (rest / FLOOR, -1.0 / FLOOR)
    }
}

impl Loss for WeightedCrossEntropy {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn form(&self) -> Form<'_> {
        Form::Statistics(self)
    }
}

impl StatisticsLoss for WeightedCrossEntropy {
    fn needs(&self) -> Needs {
        Needs {
            sum_log_p: true,
            ..Needs::PROBABILITIES
        }
    }

    fn evaluate(
        &self,
        statistics: &Statistics,
        _compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient) {
        let classes = statistics.classes();
        let elements = statistics.elements().max(f64::MIN_POSITIVE);
        // Every region is a foreground; there is one loss for each.
        let (background, share) = match statistics.is_overlapping() {
            true => (None, 1.0 / classes as f64),
            false => (Some(0), 1.0),
        };
        let mut value = 0.0;
        let mut gradient = StatisticsGradient::zeros(statistics);
        for l in 0..classes {
            let class = statistics.class(l);
            let (weight, slope) = match Some(l) == background {
                true => (1.0, 0.0),
                false => weight(elements, class.predicted()),
            };
            let scale = share / elements;
            value -= scale * (weight * class.log_hit + class.log_rejection);
            let by_weight = match self.differentiate_weight {
                true => -scale * class.log_hit * slope,
                false => 0.0,
            };
            gradient.add_class(
                l,
                &ClassSums {
                    hit: by_weight,
                    false_alarm: by_weight,
                    log_hit: -scale * weight,
                    log_rejection: -scale,
                    ..ClassSums::default()
                },
            );
        }
        (value, gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statistics(predicted: f64, sum_log_p: [f64; 2]) -> Statistics {
        let sum_p = [8.0, 0.0, 2.0 - predicted, predicted];
        let mut statistics = Statistics::by_hand(&[8, 2], sum_p);
        statistics.matrices_mut().sum_log_p = sum_log_p.to_vec();
        statistics
    }

    #[test]
    fn hand_value() {
        let (value, gradient) =
            WeightedCrossEntropy::default().evaluate(&statistics(1.25, [-0.5, -3.0]), None);
        // w = 8.75 / 1.25 = 7.
        assert!((value - (7.0 * 3.0 + 0.5) / 10.0).abs() < 1e-15, "{value}");
        assert!((gradient.matrices().sum_log_p[0] + 0.1).abs() < 1e-15);
        assert!((gradient.matrices().sum_log_p[1] + 0.7).abs() < 1e-15);
        assert!(gradient.matrices().sum_p.iter().all(|&g| g == 0.0));
    }

    #[test]
    fn the_weight_never_exceeds_the_number_of_elements() {
        for predicted in [0.0, f64::MIN_POSITIVE, 1e-9, 0.5, 1.0] {
            let (value, gradient) = WeightedCrossEntropy::default()
                .evaluate(&statistics(predicted, [0.0, -1e39]), None);
            let weight = 10.0 - predicted;
            assert!((value / (weight * 1e38) - 1.0).abs() < 1e-12);
            assert!((gradient.matrices().sum_log_p[1] + weight / 10.0).abs() < 1e-12);
        }
    }
}
