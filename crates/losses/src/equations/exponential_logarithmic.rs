//! Exponential logarithmic loss (Wong et al., MICCAI 2018):
//!
//! `L = f_D mean_c (-ln D_c)^gamma + f_E (1/N) sum_n w_n a_l (-ln p_ln)^gamma`
//!
//! with the Dice score `D` of [`super::log_dice`] for all classes, `l` the label
//! of element n and class weights `a_l = sqrt(N / V_l)` of the batch unless they
//! are given. gamma < 1 has an infinite slope at a perfect prediction: below
//! `1e-4` each power is replaced by its chord. With soft labels the second term
//! is taken per class and weighted by its share. Minimum 0.

use super::log_dice::LogDice;
use crate::factor::Factor;
use crate::loss::{
    Element, ElementLoss, ElementSlopes, Form, Honours, Loss, Needs, Own, OwnLoss, StatisticsLoss,
    Volumes, product_sum,
};
use crate::options::{GUARD, check_class_weight, check_number, guarded_power};
use crate::{Compatibility, LossError, Statistics, StatisticsGradient};
use lacuna_kernels::Instructions;
use serde::{Deserialize, Serialize};

/// The exponential logarithmic loss; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExponentialLogarithmic {
    /// `f_D`, at least 0.
    pub dice_factor: f64,
    /// `f_E`, at least 0.
    pub entropy_factor: f64,
    /// Exponent of both terms, from .01 to 100.
    pub gamma: f64,
    /// `a`, one per class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weight: Option<Vec<f64>>,
}

impl ExponentialLogarithmic {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "exponential-logarithmic";
}

impl Default for ExponentialLogarithmic {
    /// The paper's .8 and .2, gamma .3.
    fn default() -> Self {
        Self {
            dice_factor: 0.8,
            entropy_factor: 0.2,
            gamma: 0.3,
            class_weight: None,
        }
    }
}

impl Loss for ExponentialLogarithmic {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        let infinite = f64::INFINITY;
        check_number(Self::NAME, "dice_factor", self.dice_factor, [0.0, infinite])?;
        check_number(
            Self::NAME,
            "entropy_factor",
            self.entropy_factor,
            [0.0, infinite],
        )?;
        check_number(Self::NAME, "gamma", self.gamma, [0.01, 100.0])?;
        check_class_weight(Self::NAME, self.class_weight.as_deref(), classes)
    }

    fn honours(&self) -> Honours {
        Honours {
            sigmoid: false,
            ..Honours::ALL
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Sum(vec![
            (Factor::Constant(self.dice_factor), Form::Statistics(self)),
            (Factor::Constant(self.entropy_factor), Form::Elements(self)),
        ])
    }
}

impl StatisticsLoss for ExponentialLogarithmic {
    fn needs(&self) -> Needs {
        Needs::PROBABILITIES
    }

    fn evaluate(
        &self,
        statistics: &Statistics,
        compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient) {
        let dice = LogDice {
            gamma: self.gamma,
            ..LogDice::default()
        };
        dice.evaluate(statistics, compatibility)
    }
}

impl OwnLoss for ExponentialLogarithmic {
    fn run(&self, own: &Own, slopes: &mut [f32], scratch: &mut [f32]) -> f64 {
        let factor = |label: usize| own.factors.get(label).copied().unwrap_or(0.0);
        own.write_factors(factor, scratch);
        let x: Vec<f32> = slopes.iter().map(|log| -log).collect();
        let mut powers = x.clone();
        let gamma = self.gamma as f32;
        lacuna_kernels::power(Instructions::detected(), &mut powers, gamma);
        // The chord below which the power is not taken.
        let (_, at_zero) = guarded_power(0.0, self.gamma);
        let at_zero = at_zero as f32;
        let least = if self.gamma < 1.0 {
            GUARD as f32
        } else {
            f32::MIN_POSITIVE
        };
        for (((slope, power), x), factor) in
            slopes.iter_mut().zip(&mut powers).zip(&x).zip(&*scratch)
        {
            let chord = *x < least;
            let by_x = if chord { at_zero } else { gamma * *power / x };
            *power = if chord { x * at_zero } else { *power };
            *slope = -factor * by_x;
        }
        product_sum(&powers, scratch)
    }
}

impl ElementLoss for ExponentialLogarithmic {
    /// Weights of the classes over N.
    fn factors(&self, volumes: &Volumes, _compatibility: Option<Compatibility>) -> Vec<f64> {
        let elements = volumes.elements.max(f64::MIN_POSITIVE);
        let weight = |(c, volume): (usize, &f64)| match &self.class_weight {
            Some(weights) => weights[c] / elements,
            None if *volume > 0.0 => (elements / volume).sqrt() / elements,
            None => 0.0,
        };
        volumes.volume.iter().enumerate().map(weight).collect()
    }

    fn own(&self) -> Option<&dyn OwnLoss> {
        Some(self)
    }

    #[inline]
    fn element(&self, factors: &[f64], element: &Element, slopes: &mut ElementSlopes) -> f64 {
        let mut value = 0.0;
        for (c, share) in element.reference.iter().enumerate() {
            if *share > 0.0 {
                let (power, slope) = guarded_power(-element.log_p[c], self.gamma);
                value += factors[c] * share * power;
                slopes.log_p[c] -= factors[c] * share * slope;
            }
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
        let loss = ExponentialLogarithmic::default();
        let found = value_and_gradient(&loss, &Options::default(), &input, &mut gradient).unwrap();
        // D = 3/5 and 1/3; weights sqrt(4/3) and 2.
        let dice = ((5.0_f64 / 3.0).ln().powf(0.3) + 3.0_f64.ln().powf(0.3)) / 2.0;
        let entropy = (3.0 * (4.0_f64 / 3.0).sqrt() + 2.0) / 4.0 * 2.0_f64.ln().powf(0.3);
        assert!((found.value - (0.8 * dice + 0.2 * entropy)).abs() < 1e-7);
    }
}
