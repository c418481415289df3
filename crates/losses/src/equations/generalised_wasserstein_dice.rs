//! Generalised Wasserstein Dice loss (Fidon et al., BrainLes 2017): errors are
//! weighted by a distance `M` between labels, 0 to itself and 1 at most. With
//! `d_n = sum_c M[l_n, c] p_cn` the distance of the prediction from the label,
//!
//! `L = 1 - 2 T / (2 T + sum_n w_n d_n)`, `T = sum_l M[0, l] sum_n w_n r_ln (1 - d_n)`.
//!
//! `weighting = "generalised-dice"` gives the elements of label l the weight
//! `1/V_l` in the numerator and denominator instead of the distance from the
//! background: `L = 1 - 2 T' / sum_n a_l w_n (2 - d_n)`, `T' = sum_n a_l w_n (1 - d_n)`.
//!
//! A reference without foreground has `T = 0`: the loss is then the mean of `d`,
//! the same for every false element. From 0 to 1. Classes are exclusive.
//!
//! Compatibility: `niftynet` is the equation without that exception (0 where
//! nothing is wrong, else 1); `monai` adds 1e-5 to numerator and denominator, has
//! 1 for `M[0, l]` of every foreground label, and `1/(V_l + 1)` for `a_l`.

use crate::loss::{Form, Honours, Loss, Needs, StatisticsLoss};
use crate::options::PEER_EPSILON;
use crate::{Compatibility, LossError, Statistics, StatisticsGradient};
use serde::{Deserialize, Serialize};

/// What the elements of a label weigh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WassersteinWeighting {
    /// The label's distance from the background, in the true positives only.
    #[default]
    Default,
    /// The inverse of the label's volume.
    GeneralisedDice,
}

/// The generalised Wasserstein Dice loss; see [the module](self).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeneralisedWassersteinDice {
    /// `M`, a row per label and a number per class; divided by its largest.
    /// Left out: 1 between all labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distance: Option<Vec<Vec<f64>>>,
    /// What the elements of a label weigh.
    pub weighting: WassersteinWeighting,
}

impl GeneralisedWassersteinDice {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "generalised-wasserstein-dice";

    /// `M` between all pairs, `[label * classes + class]`, at most 1.
    fn matrix(&self, classes: usize) -> Vec<f64> {
        match &self.distance {
            None => (0..classes * classes)
                .map(|at| f64::from(u8::from(at / classes != at % classes)))
                .collect(),
            Some(rows) => {
                let largest = rows.iter().flatten().fold(0.0_f64, |m, d| m.max(*d));
                rows.iter().flatten().map(|d| d / largest).collect()
            }
        }
    }
}

impl Loss for GeneralisedWassersteinDice {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        let Some(rows) = &self.distance else {
            return Ok(());
        };
        let square = rows.len() == classes && rows.iter().all(|row| row.len() == classes);
        let sound = |(at, d): (usize, &f64)| {
            let own = at / classes == at % classes;
            d.is_finite() && *d >= 0.0 && (!own || *d == 0.0)
        };
        let background = square && rows[0][1..].iter().all(|d| *d > 0.0);
        if background && rows.iter().flatten().enumerate().all(sound) {
            return Ok(());
        }
        Err(LossError::OptionValue {
            loss: Self::NAME,
            option: "distance",
            found: format!("{rows:?}"),
            expected: format!(
                "{classes} rows of {classes} finite numbers, none negative, 0 on the diagonal, \
                 above 0 from the background to every other class"
            ),
        })
    }

    fn honours(&self) -> Honours {
        Honours {
            sigmoid: false,
            monai: true,
            niftynet: self.weighting == WassersteinWeighting::Default,
            ..Honours::ALL
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Statistics(self)
    }
}

impl StatisticsLoss for GeneralisedWassersteinDice {
    fn needs(&self) -> Needs {
        Needs::PROBABILITIES
    }

    fn evaluate(
        &self,
        statistics: &Statistics,
        compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient) {
        let classes = statistics.classes();
        let matrix = self.matrix(classes);
        let wrong: Vec<f64> = (0..classes)
            .map(|l| {
                (0..classes)
                    .map(|c| matrix[l * classes + c] * statistics.sum_p(l, c))
                    .sum()
            })
            .collect();
        // What of label l counts as truly positive, and how its error counts.
        let of_dice = self.weighting == WassersteinWeighting::GeneralisedDice;
        let monai = compatibility == Some(Compatibility::Monai);
        let positive: Vec<f64> = (0..classes)
            .map(|l| match (of_dice, statistics.volume(l)) {
                (true, volume) if monai => 1.0 / (volume + 1.0),
                (true, volume) if volume > 0.0 => 1.0 / volume,
                (true, _) => 0.0,
                (false, _) if monai => f64::from(u8::from(l > 0)),
                (false, _) => matrix[l],
            })
            .collect();
        let error = |l: usize| if of_dice { positive[l] } else { 1.0 };
        let truly: f64 = (0..classes)
            .map(|l| positive[l] * (statistics.volume(l) - wrong[l]))
            .sum();
        let errors: f64 = (0..classes).map(|l| error(l) * wrong[l]).sum();

        let mut gradient = StatisticsGradient::zeros(statistics);
        let lesion_free = (0..classes).all(|l| positive[l] * statistics.volume(l) == 0.0);
        let absolute = if monai { PEER_EPSILON } else { 0.0 };
        if lesion_free && compatibility.is_none() {
            let slope = 1.0 / statistics.elements().max(f64::MIN_POSITIVE);
            for l in 0..classes {
                for c in 0..classes {
                    gradient.add_sum_p(l, c, slope * matrix[l * classes + c]);
                }
            }
            return (slope * errors, gradient);
        }
        // 1 - (2 T + e) / (2 T + E + e) = E / (2 T + E + e).
        let denominator = (2.0 * truly + errors + absolute).max(f64::MIN_POSITIVE);
        let value = errors / denominator;
        for l in 0..classes {
            for c in 0..classes {
                let d = matrix[l * classes + c];
                let by_whole = error(l) - 2.0 * positive[l];
                gradient.add_sum_p(l, c, d * (error(l) - value * by_whole) / denominator);
            }
        }
        (value, gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes, all distances one: the Dice loss of the foreground. TP 3,
    /// FP 2, FN 1 make 1 - 6/9.
    #[test]
    fn two_classes_are_the_dice_loss_of_the_foreground() {
        let statistics = Statistics::by_hand(&[16, 4], [14.0, 2.0, 1.0, 3.0]);
        let loss = GeneralisedWassersteinDice::default();
        let (value, _) = loss.evaluate(&statistics, None);
        assert!((value - 1.0 / 3.0).abs() < 1e-15);
    }

    /// Label 1 taken for label 2, which is near it: M = 1/2.
    #[test]
    fn a_near_label_is_half_an_error() {
        let loss = GeneralisedWassersteinDice {
            distance: Some(vec![
                vec![0.0, 2.0, 2.0],
                vec![2.0, 0.0, 1.0],
                vec![2.0, 1.0, 0.0],
            ]),
            ..GeneralisedWassersteinDice::default()
        };
        assert!(loss.check(3).is_ok());
        assert!(loss.check(2).is_err());
        let mut sum_p = [0.0; 9];
        [sum_p[0], sum_p[4 + 1], sum_p[8]] = [6.0, 2.0, 2.0];
        let statistics = Statistics::by_hand(&[6, 2, 2], sum_p);
        // T = 2 (1 - 1/2) + 2 = 3, errors 2/2.
        let (value, _) = loss.evaluate(&statistics, None);
        assert!((value - 1.0 / 7.0).abs() < 1e-15, "{value}");
    }

    #[test]
    fn a_lesion_free_patch_costs_its_share_of_false_elements() {
        let statistics = Statistics::by_hand(&[10, 0], [8.0, 2.0, 0.0, 0.0]);
        let loss = GeneralisedWassersteinDice::default();
        assert!((loss.evaluate(&statistics, None).0 - 0.2).abs() < 1e-15);
    }
}
