//! What a rule makes of a subject, scored from its records.

use lacuna_metrics::{Counts, LesionShares};
use serde::{Deserialize, Serialize};

use crate::observed::{Component, Observed};

/// What is asked of a class: the keys of a class in `postprocess.toml`, without
/// `largest_component`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Least probability of a voxel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Least volume of a component in mm³.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_volume_mm3: Option<f64>,
    /// Least probability that some voxel of a component has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_peak_probability: Option<f64>,
}

impl Rule {
    /// Whether it asks for nothing, so that predictions stay as they are.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a component stays.
    fn keeps(&self, component: &Component, voxel_mm3: f64) -> bool {
        // As `predict --postprocess` compares: a volume of just the least is not below it.
        let below = |least| (component.voxels as f64 * voxel_mm3) < least * (1.0 - 1e-6);
        let fainter = |least| component.peak < least as f32;
        !self.min_volume_mm3.is_some_and(below) && !self.min_peak_probability.is_some_and(fainter)
    }
}

/// One subject under a rule. DSC and lesion shares (convention "wmh") are those of
/// `lacuna_metrics`: of an empty reference both are 1 when nothing is predicted, else 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Dice similarity coefficient.
    pub dsc: f64,
    /// Lesion F1.
    pub lesion_f1: f64,
    /// Share of the reference lesions that were found.
    pub lesion_recall: f64,
    /// Share of the predicted lesions that are not false.
    pub lesion_precision: f64,
    /// Predicted lesions that touch no reference lesion.
    pub false_lesions: f64,
    /// Predicted lesions.
    pub predicted_lesions: f64,
    /// Predicted volume in mm³.
    pub predicted_mm3: f64,
}

impl Score {
    /// What is tuned: the mean of DSC and lesion F1.
    pub fn objective(&self) -> f64 {
        (self.dsc + self.lesion_f1) / 2.0
    }

    /// The mean over subjects, value by value.
    ///
    /// # Panics
    /// When there are none.
    pub(crate) fn mean(scores: &[Self]) -> Self {
        let mean = |value: fn(&Self) -> f64| {
            assert!(!scores.is_empty(), "subjects were counted");
            scores.iter().map(value).sum::<f64>() / scores.len() as f64
        };
        Self {
            dsc: mean(|s| s.dsc),
            lesion_f1: mean(|s| s.lesion_f1),
            lesion_recall: mean(|s| s.lesion_recall),
            lesion_precision: mean(|s| s.lesion_precision),
            false_lesions: mean(|s| s.false_lesions),
            predicted_lesions: mean(|s| s.predicted_lesions),
            predicted_mm3: mean(|s| s.predicted_mm3),
        }
    }
}

impl Observed {
    /// What `rule` makes of the subject; `None` when its threshold is none of
    /// [`THRESHOLDS`](crate::THRESHOLDS).
    pub fn score(&self, rule: &Rule) -> Option<Score> {
        let components = self.components(rule.threshold)?;
        let mut found = vec![false; self.reference.len()];
        let (mut kept, mut touching, mut voxels, mut overlap) = (0, 0, 0, 0);
        for component in components {
            if !rule.keeps(component, self.voxel_mm3) {
                continue;
            }
            kept += 1;
            touching += usize::from(component.overlap_voxels > 0);
            voxels += component.voxels;
            overlap += component.overlap_voxels;
            for lesion in &component.touched {
                found[*lesion as usize] = true;
            }
        }
        let reference: usize = self.reference.iter().sum();
        let counts = Counts {
            true_positive: overlap as u64,
            false_positive: (voxels - overlap) as u64,
            false_negative: (reference - overlap) as u64,
            // No overlap metric reads it.
            true_negative: 0,
        };
        let found = found.iter().filter(|found| **found).count();
        let lesions = LesionShares::of([found, self.reference.len()], [touching, kept]);
        Some(Score {
            dsc: counts.dsc(),
            lesion_f1: lesions.f1,
            lesion_recall: lesions.recall,
            lesion_precision: lesions.precision,
            false_lesions: (kept - touching) as f64,
            predicted_lesions: kept as f64,
            predicted_mm3: voxels as f64 * self.voxel_mm3,
        })
    }
}
