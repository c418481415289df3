//! Sensitivity-specificity loss (Brosch et al., MICCAI 2015; Sudre et al. 2017,
//! `SS`). For a class c,
//!
//! `SS_c = lambda sum_n r_cn (r_cn - p_cn)^2 / (V_c + eps)
//!       + (1 - lambda) sum_n (1 - r_cn) (r_cn - p_cn)^2 / (N - V_c + eps)`
//!
//! - `as-printed` (default): the foreground's, as in the paper; with several
//!   foreground classes the mean of theirs.
//! - `symmetric`: the sum over all classes, background included, as NiftyNet's
//!   released code has it. For two classes the second class's first term is the
//!   first class's second, so lambda cancels: the loss is the mean squared
//!   error inside the lesion plus that outside it, whatever lambda is.
//!
//! With lambda = .05 as printed, predicting no foreground at all costs .05 at
//! most. A trial (UNet, patch 64, batch 3, Adam 1e-4, 1000 iterations, four
//! BRATS subjects) ended there: last-200 DSC .000, nothing segmented, while the
//! paper's UNet reached .74, probably with the symmetric form.

use crate::loss::{Form, Honours, Loss, Needs, StatisticsLoss};
use crate::options::{PEER_EPSILON, SMOOTHING, check_number, check_smoothing};
use crate::{ClassSums, Compatibility, LossError, Statistics, StatisticsGradient};
use serde::{Deserialize, Serialize};

/// Over which classes the loss runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SensitivitySpecificityForm {
    /// Foreground classes only, their mean.
    #[default]
    AsPrinted,
    /// All classes, their sum; lambda cancels for two classes.
    Symmetric,
}

/// The sensitivity-specificity loss; see [the module](self).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SensitivitySpecificity {
    /// Over which classes the loss runs.
    pub form: SensitivitySpecificityForm,
    /// Share of the sensitivity term, 0 to 1.
    pub lambda: f64,
    /// `eps` as a share of the elements, from 1e-30 to 1.
    pub smoothing: f64,
}

impl SensitivitySpecificity {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "sensitivity-specificity";
}

impl Default for SensitivitySpecificity {
    /// `as-printed`, lambda .05, smoothing 1e-8.
    fn default() -> Self {
        Self {
            form: SensitivitySpecificityForm::AsPrinted,
            lambda: 0.05,
            smoothing: SMOOTHING,
        }
    }
}

impl Loss for SensitivitySpecificity {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _classes: usize) -> Result<(), LossError> {
        check_number(Self::NAME, "lambda", self.lambda, [0.0, 1.0])?;
        check_smoothing(Self::NAME, self.smoothing)
    }

    fn honours(&self) -> Honours {
        Honours {
            niftynet: true,
            ..Honours::ALL
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Statistics(self)
    }
}

impl StatisticsLoss for SensitivitySpecificity {
    fn needs(&self) -> Needs {
        Needs {
            squared_error: true,
            ..Needs::PROBABILITIES
        }
    }

    fn evaluate(
        &self,
        statistics: &Statistics,
        compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient) {
        let classes = statistics.classes();
        let niftynet = compatibility == Some(Compatibility::Niftynet);
        let epsilon = match niftynet {
            true => PEER_EPSILON,
            false => self.smoothing * statistics.elements(),
        }
        .max(f64::MIN_POSITIVE);
        let (first, share) = match self.form {
            _ if niftynet => (0, 1.0),
            SensitivitySpecificityForm::Symmetric => (0, 1.0),
            _ if statistics.is_overlapping() => (0, 1.0 / classes as f64),
            SensitivitySpecificityForm::AsPrinted => (1, 1.0 / (classes - 1) as f64),
        };
        let mut value = 0.0;
        let mut gradient = StatisticsGradient::zeros(statistics);
        for c in first..classes {
            let inside = statistics.volume(c);
            let outside = statistics.elements() - inside;
            let by_class = ClassSums {
                squared_miss: share * self.lambda / (inside + epsilon),
                squared_false_alarm: share * (1.0 - self.lambda) / (outside + epsilon),
                ..ClassSums::default()
            };
            let class = statistics.class(c);
            value += by_class.squared_miss * class.squared_miss
                + by_class.squared_false_alarm * class.squared_false_alarm;
            gradient.add_class(c, &by_class);
        }
        (value, gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two of ten elements are lesion, predicted with .5; .1 on the others.
    fn statistics() -> Statistics {
        let mut statistics = Statistics::by_hand(&[8, 2], [0.0; 4]);
        statistics.matrices_mut().squared_error = vec![0.08, 0.08, 0.5, 0.5];
        statistics
    }

    fn value(form: SensitivitySpecificityForm, lambda: f64) -> f64 {
        let loss = SensitivitySpecificity {
            form,
            lambda,
            smoothing: 1e-30,
        };
        loss.evaluate(&statistics(), None).0
    }

    #[test]
    fn as_printed_by_hand() {
        let expected = 0.05 * 0.25 + 0.95 * 0.01;
        let value = value(SensitivitySpecificityForm::AsPrinted, 0.05);
        assert!((value - expected).abs() < 1e-15, "{value}");
    }

    #[test]
    fn lambda_cancels_in_the_symmetric_form_of_two_classes() {
        for lambda in [0.0, 0.05, 0.5, 1.0] {
            let value = value(SensitivitySpecificityForm::Symmetric, lambda);
            assert!((value - (0.25 + 0.01)).abs() < 1e-15, "{value}");
        }
    }

    /// Why the printed form may collapse: to predict nothing costs lambda.
    #[test]
    fn predicting_nothing_costs_lambda_as_printed() {
        let mut statistics = statistics();
        statistics.matrices_mut().squared_error = vec![0.0, 0.0, 2.0, 2.0];
        let (value, _) = SensitivitySpecificity::default().evaluate(&statistics, None);
        assert!((value - 0.05).abs() < 1e-6, "{value}");
    }

    #[test]
    fn lambda_is_a_share() {
        for lambda in [-0.1, 1.1, f64::NAN] {
            let loss = SensitivitySpecificity {
                lambda,
                ..SensitivitySpecificity::default()
            };
            let error = loss.check(2).unwrap_err();
            assert!(error.to_string().contains("from 0.0 to 1.0"), "{error}");
        }
    }
}
