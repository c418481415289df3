//! Hausdorff distance loss by distance transforms (Karimi and Salcudean, IEEE TMI
//! 2020), the mean over the elements and the classes of
//!
//! `(p - r)^2 (d_r^alpha + d_p^alpha)`
//!
//! with the distances in mm to the boundary of the class in the reference and of
//! `{p > 1/2}`; the latter are measured anew at every evaluation and treated as
//! constants by the gradient. `distance = "reference"` is the one-sided form,
//! which needs no measurement. `log = true` gives `ln(1 + L)`.
//!
//! Where the reference does not have the class, `d_r` is the diagonal of the
//! patch, the farthest that anything can be off; a prediction without boundary
//! has `d_p = 0`. Minimum 0.
//!
//! Compatibility `monai`: distances in voxels, and 0 wherever there is no
//! boundary, so that false positives below 1/2 are free in a lesion-free patch.

use crate::Compatibility;
use crate::LossError;
use crate::PatchGrid;
use crate::loss::{Field, FieldLoss, FieldSlopes, Form, Honours, Loss, Reads};
use crate::maps::signed_distance;
use crate::options::{ClassSubset, check_number};
use lacuna_volume::Zyx;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Whose boundary the distances are from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BoundaryOf {
    /// Of reference and prediction.
    #[default]
    Both,
    /// Of the reference.
    Reference,
}

/// The Hausdorff distance loss; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Hausdorff {
    /// Power of the distances, from .1 to 10.
    pub alpha: f64,
    /// Whose boundary the distances are from.
    pub distance: BoundaryOf,
    /// `ln(1 + L)` instead of L.
    pub log: bool,
    /// Over which classes the mean runs.
    pub classes: ClassSubset,
}

impl Hausdorff {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "hausdorff";
}

impl Default for Hausdorff {
    /// alpha 2, both boundaries, the foreground.
    fn default() -> Self {
        Self {
            alpha: 2.0,
            distance: BoundaryOf::Both,
            log: false,
            classes: ClassSubset::Foreground,
        }
    }
}

impl Loss for Hausdorff {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        check_number(Self::NAME, "alpha", self.alpha, [0.1, 10.0])?;
        self.classes.check(Self::NAME, classes)
    }

    fn honours(&self) -> Honours {
        Honours {
            monai: self.distance == BoundaryOf::Both,
            ..Honours::ALL
        }
    }

    fn reads(&self) -> Reads {
        Reads {
            distance: true,
            grid: true,
            ..Reads::default()
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Field(self)
    }
}

/// Distances to the boundary of a mask; `without` where there is none.
fn boundary_distance(grid: &PatchGrid, mask: Vec<bool>, without: f64) -> Vec<f64> {
    let any = mask.contains(&true);
    if !any || !mask.contains(&false) {
        return vec![if any { 0.0 } else { without }; mask.len()];
    }
    let signed = signed_distance(&grid.volume(mask)).into_data();
    signed.into_iter().map(|d| f64::from(d.abs())).collect()
}

impl Hausdorff {
    /// `d_r^alpha + d_p^alpha` of one plane.
    fn weights(&self, field: &Field, grid: &PatchGrid, sample: usize, class: usize) -> Vec<f64> {
        let plane = field.plane(sample, class);
        let monai = field.compatibility == Some(Compatibility::Monai);
        let of_reference: Vec<f64> = match monai {
            true => {
                let mask = field.reference[plane.clone()].iter().map(|r| *r > 0.5);
                boundary_distance(grid, mask.collect(), 0.0)
            }
            false => {
                let distance = field.distance[plane.clone()].iter();
                distance.map(|d| f64::from(d.abs())).collect()
            }
        };
        let power = |d: f64| match self.alpha {
            2.0 => d * d,
            alpha => d.powf(alpha),
        };
        let mut weights: Vec<f64> = of_reference.into_iter().map(power).collect();
        if self.distance == BoundaryOf::Both {
            let mask = field.p[plane].iter().map(|p| *p > 0.5).collect();
            let of_prediction = boundary_distance(grid, mask, 0.0);
            for (weight, d) in weights.iter_mut().zip(of_prediction) {
                *weight += power(d);
            }
        }
        weights
    }
}

impl FieldLoss for Hausdorff {
    fn evaluate(&self, field: &Field, slopes: &mut FieldSlopes) -> f64 {
        let given = field.grid.expect("checked, as the loss reads the grid");
        let grid = match field.compatibility {
            Some(Compatibility::Monai) => PatchGrid {
                spacing: Zyx([1.0; 3]),
                ..given
            },
            _ => given,
        };
        let members = self.classes.members(field.classes, field.overlapping);
        let share = 1.0 / (field.volume.max(f64::MIN_POSITIVE) * members.len() as f64);
        let planes: Vec<(usize, usize)> = (0..field.samples)
            .flat_map(|sample| members.iter().map(move |&class| (sample, class)))
            .collect();
        let weights: Vec<Vec<f64>> = planes
            .par_iter()
            .map(|&(sample, class)| self.weights(field, &grid, sample, class))
            .collect();
        let mut value = 0.0;
        for ((sample, class), weights) in planes.into_iter().zip(weights) {
            let start = field.plane(sample, class).start;
            let voxels = field.sample_weights(sample).iter().zip(weights);
            for (i, (voxel, weight)) in voxels.enumerate() {
                let error = field.p[start + i] - field.reference[start + i];
                let factor = share * voxel * weight;
                value += factor * error * error;
                slopes.p[start + i] += 2.0 * factor * error;
            }
        }
        if !self.log {
            return value;
        }
        slopes.p.iter_mut().for_each(|slope| *slope /= 1.0 + value);
        value.ln_1p()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::maps::diagonal;
    use crate::{Input, Layout, Options, value_and_gradient};

    /// A row of four, 2 mm apart; the lesion is the first element, p = .5 (no
    /// boundary: not above 1/2). Distances 2, 2, 4, 6.
    #[test]
    fn hand_value() {
        let layout = Layout {
            batch: 1,
            classes: 2,
            elements: 4,
        };
        let mut input = Input::new(layout, &[0.0_f64; 8], &[1, 0, 0, 0]);
        input.grid = Some(PatchGrid {
            shape: Zyx([1, 1, 4]),
            spacing: Zyx([1.0, 1.0, 2.0]),
        });
        let mut gradient = [0.0; 8];
        let value = |loss: &Hausdorff, gradient: &mut [f64]| {
            let options = Options::default();
            value_and_gradient(loss, &options, &input, gradient)
                .unwrap()
                .value
        };
        let plain = value(&Hausdorff::default(), &mut gradient);
        assert!((plain - 0.25 * (4.0 + 4.0 + 16.0 + 36.0) / 4.0).abs() < 1e-12);
        let log = Hausdorff {
            log: true,
            ..Hausdorff::default()
        };
        assert!((value(&log, &mut gradient) - plain.ln_1p()).abs() < 1e-12);
        let expected = diagonal([1, 1, 4], [1.0, 1.0, 2.0]);
        assert!((expected - 66.0_f64.sqrt()).abs() < 1e-12);
    }
}
