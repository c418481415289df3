//! Distance-penalised cross-entropy (after Caliva et al., MIDL 2019): the mean of
//!
//! `(1 + f phi_n) (-sum_c r_cn log p_cn)`
//!
//! with `phi` from the distance `d` in mm to the nearest boundary of any class in
//! the reference: `exp(-d / s)` with `emphasis = "near"`, where borders are what
//! a network gets wrong, or `min(d / s, 1)` with `"far"`, where errors far from
//! the lesions are. Lengths are of the anatomy and not of the grid. Minimum 0.
//! Classes are exclusive.

use crate::loss::{Element, ElementLoss, ElementSlopes, Form, Honours, Loss, Reads, Volumes};
use crate::options::check_number;
use crate::{Compatibility, LossError};
use serde::{Deserialize, Serialize};

/// Which elements the penalty is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Emphasis {
    /// Those near a boundary.
    #[default]
    Near,
    /// Those far from every boundary.
    Far,
}

/// Distance-penalised cross-entropy; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistanceCrossEntropy {
    /// `f`, at least 0.
    pub factor: f64,
    /// `s` in mm, from .001 to 10000.
    pub scale_mm: f64,
    /// Which elements the penalty is for.
    pub emphasis: Emphasis,
}

impl DistanceCrossEntropy {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "distance-cross-entropy";
}

impl Default for DistanceCrossEntropy {
    /// factor 1, 5 mm, near.
    fn default() -> Self {
        Self {
            factor: 1.0,
            scale_mm: 5.0,
            emphasis: Emphasis::Near,
        }
    }
}

impl Loss for DistanceCrossEntropy {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _classes: usize) -> Result<(), LossError> {
        check_number(Self::NAME, "factor", self.factor, [0.0, f64::INFINITY])?;
        check_number(Self::NAME, "scale_mm", self.scale_mm, [1e-3, 1e4])
    }

    fn honours(&self) -> Honours {
        Honours {
            sigmoid: false,
            ..Honours::ALL
        }
    }

    fn reads(&self) -> Reads {
        Reads {
            distance: true,
            ..Reads::default()
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Elements(self)
    }
}

impl ElementLoss for DistanceCrossEntropy {
    /// `1/N`.
    fn factors(&self, volumes: &Volumes, _compatibility: Option<Compatibility>) -> Vec<f64> {
        vec![1.0 / volumes.elements.max(f64::MIN_POSITIVE)]
    }

    #[inline]
    fn element(&self, factors: &[f64], element: &Element, slopes: &mut ElementSlopes) -> f64 {
        let nearest = element
            .distance
            .iter()
            .fold(f32::INFINITY, |m, d| m.min(d.abs()));
        let scaled = f64::from(nearest) / self.scale_mm;
        let penalty = match self.emphasis {
            Emphasis::Near => (-scaled).exp(),
            Emphasis::Far => scaled.min(1.0),
        };
        let factor = factors[0] * (1.0 + self.factor * penalty);
        let mut value = 0.0;
        for (c, share) in element.reference.iter().enumerate() {
            value -= factor * share * element.log_p[c];
            slopes.log_p[c] -= factor * share;
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Input, Layout, Options, PatchGrid, value_and_gradient};
    use lacuna_volume::Zyx;

    /// A row of three, 2 mm apart, the first of them lesion: distances 2, 2, 4.
    #[test]
    fn hand_value() {
        let layout = Layout {
            batch: 1,
            classes: 2,
            elements: 3,
        };
        let mut input = Input::new(layout, &[0.0_f64; 6], &[1, 0, 0]);
        input.grid = Some(PatchGrid {
            shape: Zyx([1, 1, 3]),
            spacing: Zyx([1.0, 1.0, 2.0]),
        });
        let value = |loss: &DistanceCrossEntropy| {
            let mut gradient = [0.0; 6];
            let options = Options::default();
            value_and_gradient(loss, &options, &input, &mut gradient)
                .unwrap()
                .value
        };
        let ln = 2.0_f64.ln();
        let near = value(&DistanceCrossEntropy::default());
        let expected = ln * (3.0 + 2.0 * (-0.4_f64).exp() + (-0.8_f64).exp()) / 3.0;
        assert!((near - expected).abs() < 1e-12);
        let far = value(&DistanceCrossEntropy {
            emphasis: Emphasis::Far,
            scale_mm: 3.0,
            factor: 2.0,
        });
        let expected = ln * (3.0 + 2.0 * (2.0 / 3.0 + 2.0 / 3.0 + 1.0)) / 3.0;
        assert!((far - expected).abs() < 1e-12);
    }
}
