//! Focal Tversky loss (Abraham and Khan, ISBI 2019): the mean over the classes of
//!
//! `(1 - T)^gamma`
//!
//! with the index `T` of [`super::tversky`]. gamma < 1, as in the paper (3/4),
//! has an infinite slope at a perfect prediction: below `1 - T = 1e-4` the power
//! is replaced by its chord. A class that the reference does not have costs what
//! `empty_class` says, without the power. From 0 to 1.

use super::overlap;
use super::tversky::{check_factors, distance};
use crate::loss::{Form, Loss, Needs, StatisticsLoss};
use crate::options::{
    AbsentClass, ClassSubset, SMOOTHING, check_number, check_smoothing, guarded_power,
};
use crate::{Compatibility, LossError, Statistics, StatisticsGradient};
use serde::{Deserialize, Serialize};

/// The focal Tversky loss; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FocalTversky {
    /// Factor of the false positives, at least 0.
    pub alpha: f64,
    /// Factor of the false negatives, at least 0; not both 0.
    pub beta: f64,
    /// Exponent, from .01 to 100.
    pub gamma: f64,
    /// Over which classes the mean runs.
    pub classes: ClassSubset,
    /// What a class costs that the reference does not have.
    pub empty_class: AbsentClass,
    /// `s` as a share of the elements, from 1e-30 to 1.
    pub smoothing: f64,
}

impl FocalTversky {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "focal-tversky";
}

impl Default for FocalTversky {
    /// alpha .3, beta .7, gamma .75, all classes, `share`, smoothing 1e-8.
    fn default() -> Self {
        Self {
            alpha: 0.3,
            beta: 0.7,
            gamma: 0.75,
            classes: ClassSubset::All,
            empty_class: AbsentClass::Share,
            smoothing: SMOOTHING,
        }
    }
}

impl Loss for FocalTversky {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        check_factors(Self::NAME, self.alpha, self.beta)?;
        check_number(Self::NAME, "gamma", self.gamma, [0.01, 100.0])?;
        self.classes.check(Self::NAME, classes)?;
        check_smoothing(Self::NAME, self.smoothing)
    }

    fn form(&self) -> Form<'_> {
        Form::Statistics(self)
    }
}

impl StatisticsLoss for FocalTversky {
    fn needs(&self) -> Needs {
        Needs::PROBABILITIES
    }

    fn evaluate(
        &self,
        statistics: &Statistics,
        _compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient) {
        let s = (self.smoothing * statistics.elements()).max(f64::MIN_POSITIVE);
        overlap::mean(statistics, &self.classes, self.empty_class, |c| {
            let cost = distance(statistics, c, [self.alpha, self.beta], s);
            cost.through(guarded_power(cost.value, self.gamma))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_of_the_tversky_distance() {
        let statistics = Statistics::by_hand(&[2, 2], [1.5, 0.5, 0.5, 1.5]);
        let (value, _) = FocalTversky::default().evaluate(&statistics, None);
        assert!((value - 0.25_f64.powf(0.75)).abs() < 1e-7, "{value}");
        let perfect = Statistics::by_hand(&[2, 2], [2.0, 0.0, 0.0, 2.0]);
        let (value, gradient) = FocalTversky::default().evaluate(&perfect, None);
        assert_eq!(value, 0.0);
        // Slope of the chord times that of the distance, -beta / TP, and half.
        let slope = -0.5 * 1e-4_f64.powf(-0.25) * 0.7 / 2.0;
        assert!((gradient.matrices().sum_p[0] / slope - 1.0).abs() < 1e-7);
    }
}
