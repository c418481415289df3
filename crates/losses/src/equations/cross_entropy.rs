//! Cross-entropy, with class weights `a` and label smoothing `e` (Szegedy et
//! al., CVPR 2016) as in PyTorch's `cross_entropy`:
//!
//! `CE = -sum_n w_n sum_c a_c r'_cn log p_cn / sum_n w_n sum_c a_c r_cn`,
//! `r' = (1 - e) r + e / C`.
//!
//! Overlapping regions: the mean over elements and regions of
//! `-[a_c r' log p + (1 - r') log (1 - p)]`, `r' = (1 - e) r + e / 2`; `a` is
//! PyTorch's `pos_weight`.
//!
//! Its minimum is 0 without smoothing, and the entropy of `r'` with it.
//! Compatibility: `monai` and `niftynet` are the same.

use crate::loss::{
    Element, ElementLoss, ElementSlopes, Form, Honours, Loss, Needs, Own, OwnLoss, StatisticsLoss,
    Volumes, product_sum,
};
use crate::options::{check_class_weight, check_number};
use crate::{ClassSums, Compatibility, LossError, Statistics, StatisticsGradient};
use serde::{Deserialize, Serialize};

/// Cross-entropy; see [the module](self).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CrossEntropy {
    /// Weights, one per class; all 1 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weight: Option<Vec<f64>>,
    /// Share of the reference that is spread over all classes, 0 to 1.
    pub label_smoothing: f64,
}

impl CrossEntropy {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "cross-entropy";

    fn weight(&self, class: usize) -> f64 {
        self.class_weight.as_ref().map_or(1.0, |w| w[class])
    }

    /// What the sum over the elements is divided by.
    fn divisor(&self, elements: f64, volumes: &[f64], overlapping: bool) -> f64 {
        let divisor = match overlapping {
            true => elements * volumes.len() as f64,
            false => volumes
                .iter()
                .enumerate()
                .map(|(class, volume)| self.weight(class) * volume)
                .sum(),
        };
        divisor.max(f64::MIN_POSITIVE)
    }
}

impl Loss for CrossEntropy {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        check_class_weight(Self::NAME, self.class_weight.as_deref(), classes)?;
        check_number(
            Self::NAME,
            "label_smoothing",
            self.label_smoothing,
            [0.0, 1.0],
        )
    }

    fn honours(&self) -> Honours {
        Honours {
            monai: true,
            niftynet: true,
            ..Honours::ALL
        }
    }

    /// Smoothed labels spread over every class; without, sums are enough.
    fn form(&self) -> Form<'_> {
        match self.label_smoothing > 0.0 {
            true => Form::Elements(self),
            false => Form::Statistics(self),
        }
    }
}

impl StatisticsLoss for CrossEntropy {
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
        let volumes: Vec<f64> = (0..classes).map(|c| statistics.volume(c)).collect();
        let overlapping = statistics.is_overlapping();
        let divisor = self.divisor(statistics.elements(), &volumes, overlapping);
        let mut value = 0.0;
        let mut gradient = StatisticsGradient::zeros(statistics);
        for c in 0..classes {
            let class = statistics.class(c);
            let by_class = ClassSums {
                log_hit: -self.weight(c) / divisor,
                log_rejection: -1.0 / divisor,
                ..ClassSums::default()
            };
            value +=
                by_class.log_hit * class.log_hit + by_class.log_rejection * class.log_rejection;
            gradient.add_class(c, &by_class);
        }
        (value, gradient)
    }
}

impl OwnLoss for CrossEntropy {
    fn run(&self, own: &Own, slopes: &mut [f32], scratch: &mut [f32]) -> f64 {
        let classes = own.factors.len() - 1;
        let kept = 1.0 - self.label_smoothing;
        let factor = |label: usize| match label < classes {
            true => kept * own.factors[label],
            false => 0.0,
        };
        own.write_factors(factor, scratch);
        let value = -product_sum(scratch, slopes);
        slopes
            .iter_mut()
            .zip(scratch)
            .for_each(|(slope, factor)| *slope = -*factor);
        value
    }

    fn spread(&self, factors: &[f64]) -> Option<Vec<f32>> {
        let classes = factors.len() - 1;
        let share = self.label_smoothing / classes as f64;
        let of_class = |factor: &f64| (share * factor) as f32;
        (share > 0.0).then(|| factors[..classes].iter().map(of_class).collect())
    }

    fn region_factors(&self, factors: &[f64], class: usize) -> Option<Vec<f64>> {
        let outside = factors[factors.len() - 1];
        Some(vec![outside, factors[class], outside])
    }
}

impl ElementLoss for CrossEntropy {
    /// Weights of the classes over the divisor, then the divisor's inverse.
    fn factors(&self, volumes: &Volumes, _compatibility: Option<Compatibility>) -> Vec<f64> {
        let divisor = self.divisor(volumes.elements, &volumes.volume, volumes.overlapping);
        let classes = 0..volumes.volume.len();
        let weights = classes.map(|class| self.weight(class) / divisor);
        weights.chain([1.0 / divisor]).collect()
    }

    fn own(&self) -> Option<&dyn OwnLoss> {
        Some(self)
    }

    fn element(&self, factors: &[f64], element: &Element, slopes: &mut ElementSlopes) -> f64 {
        let classes = element.p.len();
        let overlapping = !element.log_rest.is_empty();
        let spread = match overlapping {
            true => self.label_smoothing / 2.0,
            false => self.label_smoothing / classes as f64,
        };
        let mut value = 0.0;
        for c in 0..classes {
            let reference = (1.0 - self.label_smoothing) * element.reference[c] + spread;
            slopes.log_p[c] -= factors[c] * reference;
            value -= factors[c] * reference * element.log_p[c];
            if overlapping {
                let rest = factors[classes] * (1.0 - reference);
                slopes.log_rest[c] -= rest;
                value -= rest * element.log_rest[c];
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Input, Layout, Options, value_and_gradient};

    const LAYOUT: Layout = Layout {
        batch: 1,
        classes: 2,
        elements: 2,
    };

    fn value(loss: &CrossEntropy) -> f64 {
        let logits = [0.0, 2.0, 1.0, 0.0_f64];
        let mut gradient = [0.0; 4];
        let input = Input::new(LAYOUT, &logits, &[1, 0]);
        let options = Options::default();
        let evaluation = value_and_gradient(loss, &options, &input, &mut gradient).unwrap();
        evaluation.value
    }

    /// Losses of the two elements: log(1 + e^-1) and log(1 + e^-2).
    #[test]
    fn class_weights_and_smoothing_by_hand() {
        let [a, b] = [1.0_f64, 2.0].map(|z| (-z).exp().ln_1p());
        assert!((value(&CrossEntropy::default()) - (a + b) / 2.0).abs() < 1e-15);
        let weighted = CrossEntropy {
            class_weight: Some(vec![1.0, 3.0]),
            ..CrossEntropy::default()
        };
        assert!((value(&weighted) - (3.0 * a + b) / 4.0).abs() < 1e-15);
        let smoothed = CrossEntropy {
            label_smoothing: 0.2,
            ..CrossEntropy::default()
        };
        // The other class's log-probability is less by the difference of logits.
        let expected = (a + 0.1 * 1.0 + b + 0.1 * 2.0) / 2.0;
        assert!((value(&smoothed) - expected).abs() < 1e-15);
    }
}
