//! Focal loss (Lin et al., ICCV 2017). Softmax:
//!
//! `FL = (1/N) sum_n w_n sum_c a_c r_cn (1 - p_cn)^gamma (-log p_cn)`
//!
//! over the classes of the subset; `alpha`, if given, multiplies `a` by alpha
//! for foreground classes and by 1 - alpha for the background. Overlapping
//! regions: the mean over elements and regions of
//!
//! `a_c [alpha r (1 - p)^gamma (-log p) + (1 - alpha) (1 - r) p^gamma (-log (1 - p))]`,
//!
//! both factors 1 without alpha. Minimum 0.
//!
//! Compatibility `monai`: with softmax the mean runs over the classes too, so
//! the value is that of the equation over their number.

use crate::loss::{
    Element, ElementLoss, ElementSlopes, Form, Honours, Loss, Own, OwnLoss, Volumes, product_sum,
};
use crate::options::{ClassSubset, check_class_weight, check_number};
use crate::{Compatibility, LossError};
use lacuna_kernels::Instructions;
use serde::{Deserialize, Serialize};

/// The focal loss; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Focal {
    /// Exponent, at least 0; 0 is cross-entropy.
    pub gamma: f64,
    /// Share of the foreground, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// Over which classes the sum runs.
    pub classes: ClassSubset,
    /// Weights, one per class; all 1 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weight: Option<Vec<f64>>,
}

impl Focal {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "focal";
}

impl Default for Focal {
    /// gamma 2, no alpha, all classes.
    fn default() -> Self {
        Self {
            gamma: 2.0,
            alpha: None,
            classes: ClassSubset::All,
            class_weight: None,
        }
    }
}

impl Loss for Focal {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        check_number(Self::NAME, "gamma", self.gamma, [0.0, f64::INFINITY])?;
        if let Some(alpha) = self.alpha {
            check_number(Self::NAME, "alpha", alpha, [0.0, 1.0])?;
        }
        self.classes.check(Self::NAME, classes)?;
        check_class_weight(Self::NAME, self.class_weight.as_deref(), classes)
    }

    fn honours(&self) -> Honours {
        Honours {
            monai: true,
            ..Honours::ALL
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Elements(self)
    }
}

/// `x^gamma`, without the general power where it is a small whole number.
#[inline]
fn power(x: f64, gamma: f64) -> f64 {
    match gamma {
        0.0 => 1.0,
        1.0 => x,
        2.0 => x * x,
        3.0 => x * x * x,
        _ => x.powf(gamma),
    }
}

/// `log(1 - x) / x`, -1 at 0: with it `x^(gamma - 1) log(1 - x)` is finite for
/// every gamma.
#[inline]
fn over(log: f64, x: f64) -> f64 {
    if x > 0.0 { log / x } else { -1.0 }
}

impl OwnLoss for Focal {
    fn run(&self, own: &Own, slopes: &mut [f32], scratch: &mut [f32]) -> f64 {
        let classes = own.factors.len() / 2;
        let factor = |label: usize| {
            if label < classes {
                own.factors[label]
            } else {
                0.0
            }
        };
        own.write_factors(factor, scratch);
        focal_run(self.gamma, own.rest, slopes, scratch)
    }

    fn region_factors(&self, factors: &[f64], class: usize) -> Option<Vec<f64>> {
        let [hit, rejection] = [factors[class], factors[factors.len() / 2 + class]];
        Some(vec![rejection, hit, 0.0, 0.0])
    }
}

/// Value of `-sum factor (1 - p)^gamma log p`. `slopes` holds the `log p` and
/// gets the derivatives by them, `factors` is overwritten.
pub(crate) fn focal_run(gamma: f64, rest: &[f32], slopes: &mut [f32], factors: &mut [f32]) -> f64 {
    // Factor times power, which is what a saturated element is turned down by.
    match gamma {
        0.0 => {}
        0.5 => factors
            .iter_mut()
            .zip(rest)
            .for_each(|(f, rest)| *f *= rest.sqrt()),
        1.0 => factors
            .iter_mut()
            .zip(rest)
            .for_each(|(f, rest)| *f *= rest),
        2.0 => factors
            .iter_mut()
            .zip(rest)
            .for_each(|(f, rest)| *f *= rest * rest),
        _ => {
            let mut powers = rest.to_vec();
            lacuna_kernels::power(Instructions::detected(), &mut powers, gamma as f32);
            factors
                .iter_mut()
                .zip(powers)
                .for_each(|(f, power)| *f *= power);
        }
    }
    let value = -product_sum(factors, slopes);
    let gamma = gamma as f32;
    for ((slope, modulation), rest) in slopes.iter_mut().zip(factors).zip(rest) {
        // log p / (1 - p) is -1 at p = 1. By log p: the power's own slope times p.
        let ratio = if *rest > 0.0 { *slope / rest } else { -1.0 };
        *slope = *modulation * (gamma * ratio * (1.0 - rest) - 1.0);
    }
    value
}

impl ElementLoss for Focal {
    /// Per class the factor of where it is true, then of where it is not.
    fn factors(&self, volumes: &Volumes, compatibility: Option<Compatibility>) -> Vec<f64> {
        let classes = volumes.volume.len();
        let members = self.classes.members(classes, volumes.overlapping);
        let mean_of_classes = volumes.overlapping || compatibility == Some(Compatibility::Monai);
        let divisor = volumes.elements.max(f64::MIN_POSITIVE)
            * if mean_of_classes {
                members.len() as f64
            } else {
                1.0
            };
        let mut factors = vec![0.0; 2 * classes];
        for c in members {
            let weight = self.class_weight.as_ref().map_or(1.0, |w| w[c]) / divisor;
            let background = c == 0 && !volumes.overlapping;
            let [hit, rejection] = match self.alpha {
                None => [1.0, 1.0],
                Some(alpha) if background => [1.0 - alpha, 0.0],
                Some(alpha) => [alpha, 1.0 - alpha],
            };
            factors[c] = weight * hit;
            factors[classes + c] = weight * rejection;
        }
        factors
    }

    fn own(&self) -> Option<&dyn OwnLoss> {
        Some(self)
    }

    #[inline]
    fn element(&self, factors: &[f64], element: &Element, slopes: &mut ElementSlopes) -> f64 {
        let classes = element.p.len();
        let mut value = 0.0;
        for c in 0..classes {
            let reference = element.reference[c];
            let (p, rest) = (element.p[c], element.rest[c]);
            if reference > 0.0 {
                let factor = factors[c] * reference;
                let modulation = factor * power(rest, self.gamma);
                value -= modulation * element.log_p[c];
                slopes.log_p[c] -= modulation;
                slopes.p[c] += modulation * self.gamma * over(element.log_p[c], rest);
            }
            if !element.log_rest.is_empty() && reference < 1.0 {
                let factor = factors[classes + c] * (1.0 - reference);
                let modulation = factor * power(p, self.gamma);
                value -= modulation * element.log_rest[c];
                slopes.log_rest[c] -= modulation;
                slopes.p[c] -= modulation * self.gamma * over(element.log_rest[c], p);
            }
        }
        value
    }
}
