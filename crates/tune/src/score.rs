//! What a rule makes of a subject, scored from its records.

use lacuna_metrics::{Counts, LesionShares, most_pairs};
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
    /// The same, where a predicted lesion finds one of the reference at most: one that covers
    /// the brain finds all of them otherwise.
    #[serde(default)]
    pub separate_f1: f64,
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
    /// What is tuned: the mean of DSC and of lesion F1 where each predicted lesion finds one.
    pub fn objective(&self) -> f64 {
        (self.dsc + self.separate_f1) / 2.0
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
            separate_f1: mean(|s| s.separate_f1),
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
        let keeps = |c: &&Component| rule.keeps(c, self.voxel_mm3);
        let kept: Vec<&Component> = components.iter().filter(keeps).collect();
        let touching = kept.iter().filter(|c| c.overlap_voxels > 0).count();
        let voxels: usize = kept.iter().map(|c| c.voxels).sum();
        let overlap: usize = kept.iter().map(|c| c.overlap_voxels).sum();
        let reference: usize = self.reference.iter().sum();
        let counts = Counts {
            true_positive: overlap as u64,
            false_positive: (voxels - overlap) as u64,
            false_negative: (reference - overlap) as u64,
            // No overlap metric reads it.
            true_negative: 0,
        };
        let [found, separate] = self.found(&kept);
        let shares =
            |found| LesionShares::of([found, self.reference.len()], [touching, kept.len()]);
        let lesions = shares(found);
        Some(Score {
            dsc: counts.dsc(),
            lesion_f1: lesions.f1,
            separate_f1: shares(separate).f1,
            lesion_recall: lesions.recall,
            lesion_precision: lesions.precision,
            false_lesions: (kept.len() - touching) as f64,
            predicted_lesions: kept.len() as f64,
            predicted_mm3: voxels as f64 * self.voxel_mm3,
        })
    }

    /// Lesions of the reference that components touch: all, and as many as there can be with a
    /// component of its own for each.
    fn found(&self, kept: &[&Component]) -> [usize; 2] {
        let mut found = vec![false; self.reference.len()];
        for lesion in kept.iter().flat_map(|c| &c.touched) {
            found[*lesion as usize] = true;
        }
        let found = found.iter().filter(|found| **found).count();
        if kept.iter().all(|c| c.touched.len() < 2) {
            return [found, found];
        }
        let edges = kept.iter().enumerate().flat_map(|(at, c)| {
            let lesions = c.touched.iter();
            lesions.map(move |lesion| [at, *lesion as usize])
        });
        [found, most_pairs(kept.len(), self.reference.len(), edges)]
    }
}
