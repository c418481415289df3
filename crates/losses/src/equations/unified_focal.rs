//! Asymmetric unified focal loss (Yeung et al., Computerized Medical Imaging and
//! Graphics 2022): `weight` times the asymmetric focal loss
//!
//! `(1/N) sum_n w_n [ (1 - delta) r_0 (1 - p_0)^gamma (-log p_0)
//!                    + delta sum_{c > 0} r_c (-log p_c) ]`
//!
//! plus `1 - weight` times the asymmetric focal Tversky loss, the mean over the
//! classes of `1 - M` for the background and `(1 - M)^(1 - gamma)` for the others,
//!
//! `M = (TP + s) / (TP + delta FN + (1 - delta) FP + s)`.
//!
//! The background is suppressed by the focal power and the foreground enhanced
//! by the other one, which has its chord below `1 - M = 1e-4`. A class that the
//! reference does not have costs the share of the elements that it claims.
//! Minimum 0. Classes are exclusive.
//!
//! Compatibility `monai` (two classes): the first term is a mean over the classes
//! too, so half of the equation, and `s` is 1e-7 elements.

use super::focal::focal_run;
use super::overlap;
use super::tversky::distance;
use crate::factor::Factor;
use crate::loss::{
    Element, ElementLoss, ElementSlopes, Form, Honours, Loss, Needs, Own, OwnLoss, StatisticsLoss,
    Volumes, product_sum,
};
use crate::options::{
    AbsentClass, ClassSubset, SMOOTHING, check_number, check_smoothing, guarded_power,
};
use crate::{Compatibility, LossError, Statistics, StatisticsGradient};
use serde::{Deserialize, Serialize};

/// MONAI's epsilon, in elements.
const MONAI_EPSILON: f64 = 1e-7;

/// The asymmetric unified focal loss; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UnifiedFocal {
    /// Share of the focal term, 0 to 1.
    pub weight: f64,
    /// Weight of the foreground and of missed elements, 0 to 1.
    pub delta: f64,
    /// Suppression of the background and enhancement of the foreground, from 0
    /// to .99.
    pub gamma: f64,
    /// `s` as a share of the elements, from 1e-30 to 1.
    pub smoothing: f64,
}

impl UnifiedFocal {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "unified-focal";
}

impl Default for UnifiedFocal {
    /// weight .5, delta .6, gamma .5, as in the paper; smoothing 1e-8.
    fn default() -> Self {
        Self {
            weight: 0.5,
            delta: 0.6,
            gamma: 0.5,
            smoothing: SMOOTHING,
        }
    }
}

impl Loss for UnifiedFocal {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _classes: usize) -> Result<(), LossError> {
        check_number(Self::NAME, "weight", self.weight, [0.0, 1.0])?;
        check_number(Self::NAME, "delta", self.delta, [0.0, 1.0])?;
        check_number(Self::NAME, "gamma", self.gamma, [0.0, 0.99])?;
        check_smoothing(Self::NAME, self.smoothing)
    }

    fn honours(&self) -> Honours {
        Honours {
            sigmoid: false,
            monai: true,
            ..Honours::ALL
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Sum(vec![
            (Factor::Constant(self.weight), Form::Elements(self)),
            (Factor::Constant(1.0 - self.weight), Form::Statistics(self)),
        ])
    }
}

impl StatisticsLoss for UnifiedFocal {
    fn needs(&self) -> Needs {
        Needs::PROBABILITIES
    }

    fn evaluate(
        &self,
        statistics: &Statistics,
        compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient) {
        let (s, policy) = match compatibility {
            None => (self.smoothing * statistics.elements(), AbsentClass::Share),
            Some(_) => (MONAI_EPSILON, AbsentClass::Smooth),
        };
        let s = s.max(f64::MIN_POSITIVE);
        overlap::mean(statistics, &ClassSubset::All, policy, |c| {
            let cost = distance(statistics, c, [1.0 - self.delta, self.delta], s);
            match c {
                0 => cost,
                _ => cost.through(guarded_power(cost.value, 1.0 - self.gamma)),
            }
        })
    }
}

impl OwnLoss for UnifiedFocal {
    fn run(&self, own: &Own, slopes: &mut [f32], scratch: &mut [f32]) -> f64 {
        // The foreground's part is a focal loss with exponent 0: written over
        // that of the background's where the label is not 0.
        let log_p: Vec<f32> = slopes.to_vec();
        let background = |label: usize| match label {
            0 => own.factors[0] * (1.0 - self.delta),
            _ => 0.0,
        };
        own.write_factors(background, scratch);
        let mut value = focal_run(self.gamma, own.rest, slopes, scratch);
        let foreground = |label: usize| match label {
            0 => 0.0,
            _ => own.factors[0] * self.delta,
        };
        own.write_factors(foreground, scratch);
        value -= product_sum(scratch, &log_p);
        slopes
            .iter_mut()
            .zip(scratch)
            .for_each(|(slope, factor)| *slope -= *factor);
        value
    }
}

impl ElementLoss for UnifiedFocal {
    /// The inverse of what the sum is divided by.
    fn factors(&self, volumes: &Volumes, compatibility: Option<Compatibility>) -> Vec<f64> {
        let elements = volumes.elements.max(f64::MIN_POSITIVE);
        match compatibility {
            None => vec![1.0 / elements],
            Some(_) => vec![1.0 / elements / volumes.volume.len() as f64],
        }
    }

    fn own(&self) -> Option<&dyn OwnLoss> {
        Some(self)
    }

    #[inline]
    fn element(&self, factors: &[f64], element: &Element, slopes: &mut ElementSlopes) -> f64 {
        let mut value = 0.0;
        if element.reference[0] > 0.0 {
            let factor = factors[0] * (1.0 - self.delta) * element.reference[0];
            let rest = element.rest[0];
            let modulation = factor * rest.powf(self.gamma);
            value -= modulation * element.log_p[0];
            slopes.log_p[0] -= modulation;
            // log p / (1 - p) is -1 at p = 1: the power's slope stays finite.
            let ratio = if rest > 0.0 {
                element.log_p[0] / rest
            } else {
                -1.0
            };
            slopes.p[0] += modulation * self.gamma * ratio;
        }
        for c in 1..element.p.len() {
            let factor = factors[0] * self.delta * element.reference[c];
            value -= factor * element.log_p[c];
            slopes.log_p[c] -= factor;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Input, Layout, Options, value_and_gradient};

    /// Four elements with p = 1/2 everywhere, one of them lesion.
    #[test]
    fn hand_value() {
        let layout = Layout {
            batch: 1,
            classes: 2,
            elements: 4,
        };
        let input = Input::new(layout, &[0.0_f64; 8], &[0, 0, 0, 1]);
        let mut gradient = [0.0; 8];
        let loss = UnifiedFocal::default();
        let found = value_and_gradient(&loss, &Options::default(), &input, &mut gradient).unwrap();
        let ln = 2.0_f64.ln();
        let focal = (3.0 * 0.4 * 0.5_f64.sqrt() * ln + 0.6 * ln) / 4.0;
        // Background TP 1.5, FN 1.5, FP .5; lesion TP .5, FN .5, FP 1.5.
        let background = 1.0 - 1.5 / (1.5 + 0.9 + 0.2);
        let lesion = (1.0_f64 - 0.5 / (0.5 + 0.3 + 0.6)).sqrt();
        let expected = 0.5 * focal + 0.25 * (background + lesion);
        assert!((found.value - expected).abs() < 1e-7, "{}", found.value);
    }
}
