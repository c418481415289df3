//! Soft clDice, for thin structures (Shit et al., CVPR 2021): one minus the
//! harmonic mean of how much of the predicted centreline lies in the reference
//! and of the reference's centreline in the prediction,
//!
//! `1 - 2 Tp Ts / (Tp + Ts)`,
//! `Tp = (sum S(p) r + s) / (sum S(p) + s)`, `Ts = (sum S(r) p + s) / (sum S(r) + s)`,
//!
//! with the soft skeleton S of [`skeleton`] by `iterations`
//! erosions and `s` a share `smoothing` of the N elements; the mean over the
//! classes. `iterations` must be at least the radius of the structures in
//! elements. A class that the reference does not have costs the share of the
//! elements that it claims. From 0 to 1. Elements that do not count are
//! background to the skeleton.
//!
//! It rewards centrelines and not volumes: use it as a term beside an overlap
//! loss.
//!
//! Compatibility `monai`: sums over all classes, s = 1 element, and 1e-4 more in
//! the denominator of the harmonic mean.

pub mod skeleton;

use crate::loss::{Field, FieldLoss, FieldSlopes, Form, Honours, Loss, Reads};
use crate::options::{ClassSubset, check_smoothing};
use crate::{Compatibility, LossError};
use lacuna_volume::Zyx;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use skeleton::Skeleton;

/// MONAI's `smooth_nr` and `smooth_dr`, in elements, and its `smooth`.
const MONAI: [f64; 2] = [1.0, 1e-4];

/// The soft clDice loss; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClDice {
    /// Erosions, from 0 to 100.
    pub iterations: usize,
    /// Over which classes the mean runs.
    pub classes: ClassSubset,
    /// `s` as a share of the elements, from 1e-30 to 1.
    pub smoothing: f64,
}

impl ClDice {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "cl-dice";
}

impl Default for ClDice {
    /// 3 iterations, the foreground, smoothing 1e-6.
    fn default() -> Self {
        Self {
            iterations: 3,
            classes: ClassSubset::Foreground,
            smoothing: 1e-6,
        }
    }
}

impl Loss for ClDice {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        if self.iterations > 100 {
            return Err(LossError::OptionValue {
                loss: Self::NAME,
                option: "iterations",
                found: self.iterations.to_string(),
                expected: "a whole number from 0 to 100".into(),
            });
        }
        self.classes.check(Self::NAME, classes)?;
        check_smoothing(Self::NAME, self.smoothing)
    }

    fn honours(&self) -> Honours {
        Honours {
            monai: true,
            ..Honours::ALL
        }
    }

    fn reads(&self) -> Reads {
        Reads {
            grid: true,
            ..Reads::default()
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Field(self)
    }
}

/// Skeletons of one plane, and its sums.
struct Plane {
    start: usize,
    class: usize,
    prediction: Skeleton,
    reference: Vec<f64>,
    sums: Sums,
}

/// Sums over one plane or several.
#[derive(Clone, Copy, Default)]
struct Sums {
    /// `sum S(p) r`.
    precise: f64,
    /// `sum S(p)`.
    predicted: f64,
    /// `sum S(r) p`.
    sensed: f64,
    /// `sum S(r)`.
    true_line: f64,
    /// `sum p` and `sum r`.
    volumes: [f64; 2],
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.precise += other.precise;
        self.predicted += other.predicted;
        self.sensed += other.sensed;
        self.true_line += other.true_line;
        self.volumes[0] += other.volumes[0];
        self.volumes[1] += other.volumes[1];
    }

    /// Loss, and its derivatives by `precise`, `predicted` and `sensed`.
    fn loss(&self, s: f64, harmonic: f64) -> (f64, [f64; 3]) {
        let precision = (self.precise + s) / (self.predicted + s);
        let sensitivity = (self.sensed + s) / (self.true_line + s);
        let sum = precision + sensitivity + harmonic;
        let by_precision = -2.0 * sensitivity * (sensitivity + harmonic) / (sum * sum);
        let by_sensitivity = -2.0 * precision * (precision + harmonic) / (sum * sum);
        let value = 1.0 - 2.0 * precision * sensitivity / sum;
        let slopes = [
            by_precision / (self.predicted + s),
            -by_precision * precision / (self.predicted + s),
            by_sensitivity / (self.true_line + s),
        ];
        (value, slopes)
    }
}

impl ClDice {
    fn plane(&self, field: &Field, shape: Zyx<usize>, sample: usize, class: usize) -> Plane {
        let range = field.plane(sample, class);
        let weights = field.sample_weights(sample);
        let masked = |values: &[f64]| -> Vec<f64> {
            let pairs = values[range.clone()].iter().zip(weights);
            pairs
                .map(|(value, weight)| if *weight > 0.0 { *value } else { 0.0 })
                .collect()
        };
        let (p, r) = (masked(field.p), masked(field.reference));
        let prediction = Skeleton::of(p.clone(), shape, self.iterations);
        let reference = Skeleton::of(r.clone(), shape, self.iterations).values;
        let mut sums = Sums::default();
        for (i, weight) in weights.iter().enumerate() {
            let line = prediction.values[i];
            sums.precise += weight * line * r[i];
            sums.predicted += weight * line;
            sums.sensed += weight * reference[i] * p[i];
            sums.true_line += weight * reference[i];
            sums.volumes[0] += weight * p[i];
            sums.volumes[1] += weight * r[i];
        }
        Plane {
            start: range.start,
            class,
            prediction,
            reference,
            sums,
        }
    }

    /// Adds the derivatives of `share` times the loss of these planes.
    fn add_slopes(
        field: &Field,
        planes: &[&Plane],
        [by_precise, by_predicted, by_sensed]: [f64; 3],
        slopes: &mut FieldSlopes,
    ) {
        let parts: Vec<Vec<f64>> = planes
            .par_iter()
            .map(|plane| {
                let sample = plane.start / field.elements / field.classes;
                let weights = field.sample_weights(sample);
                let r = &field.reference[plane.start..][..field.elements];
                let by_line = weights
                    .iter()
                    .zip(r)
                    .map(|(w, r)| w * (by_precise * r + by_predicted))
                    .collect();
                let mut by_p = plane.prediction.backward(by_line);
                for ((by_p, w), line) in by_p.iter_mut().zip(weights).zip(&plane.reference) {
                    *by_p += w * by_sensed * line;
                }
                by_p
            })
            .collect();
        for (plane, part) in planes.iter().zip(parts) {
            let own = &mut slopes.p[plane.start..][..field.elements];
            own.iter_mut()
                .zip(part)
                .for_each(|(slope, by)| *slope += by);
        }
    }
}

impl FieldLoss for ClDice {
    fn evaluate(&self, field: &Field, slopes: &mut FieldSlopes) -> f64 {
        let grid = field.grid.expect("checked, as the loss reads the grid");
        let members = self.classes.members(field.classes, field.overlapping);
        let places: Vec<(usize, usize)> = (0..field.samples)
            .flat_map(|sample| members.iter().map(move |&class| (sample, class)))
            .collect();
        let planes: Vec<Plane> = places
            .into_par_iter()
            .map(|(sample, class)| self.plane(field, grid.shape, sample, class))
            .collect();
        let total = |planes: &[&Plane]| {
            planes.iter().fold(Sums::default(), |mut sums, plane| {
                sums.add(&plane.sums);
                sums
            })
        };
        if field.compatibility == Some(Compatibility::Monai) {
            let all: Vec<&Plane> = planes.iter().collect();
            let (value, by_sums) = total(&all).loss(MONAI[0], MONAI[1]);
            Self::add_slopes(field, &all, by_sums, slopes);
            return value;
        }
        let volume = field.volume.max(f64::MIN_POSITIVE);
        let s = (self.smoothing * volume).max(f64::MIN_POSITIVE);
        let share = 1.0 / members.len() as f64;
        let mut value = 0.0;
        for class in members {
            let own: Vec<&Plane> = planes.iter().filter(|p| p.class == class).collect();
            let sums = total(&own);
            if sums.volumes[1] == 0.0 {
                value += share * sums.volumes[0] / volume;
                for plane in own {
                    let sample = plane.start / field.elements / field.classes;
                    let slope = &mut slopes.p[plane.start..][..field.elements];
                    for (slope, weight) in slope.iter_mut().zip(field.sample_weights(sample)) {
                        *slope += share * weight / volume;
                    }
                }
                continue;
            }
            let (cost, by_sums) = sums.loss(s, 0.0);
            value += share * cost;
            Self::add_slopes(field, &own, by_sums.map(|by| share * by), slopes);
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use crate::{Input, Layout, LossConfig, PatchGrid};
    use lacuna_volume::Zyx;

    /// A line of five in a 5 x 7 image is its own skeleton. Found but for one
    /// end, and nothing else: Tp 1, Ts 4/5, and so 1 - 8/9.
    #[test]
    fn a_line_with_one_end_missed() {
        let mut labels = vec![0; 35];
        labels[15..20].fill(1);
        let mut logits = vec![0.0_f64; 70];
        for i in 0..35 {
            logits[35 + i] = if (15..19).contains(&i) { 60.0 } else { -60.0 };
        }
        let layout = Layout {
            batch: 1,
            classes: 2,
            elements: 35,
        };
        let mut input = Input::new(layout, &logits, &labels);
        input.grid = Some(PatchGrid {
            shape: Zyx([1, 5, 7]),
            spacing: Zyx([1.0; 3]),
        });
        let config: LossConfig = toml::from_str("name = 'cl-dice'").unwrap();
        let mut gradient = [0.0; 70];
        let found = config.value_and_gradient(&input, &mut gradient).unwrap();
        assert!(
            (found.value - (1.0 - 8.0 / 9.0)).abs() < 1e-5,
            "{}",
            found.value
        );
    }
}
