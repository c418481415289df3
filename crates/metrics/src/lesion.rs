//! Lesion-wise scores, convention "wmh".
//!
//! WMH challenge (Kuijf et al., IEEE TMI 38, 2019): lesions are 26-connected
//! components of either mask. Recall = reference lesions that share at least
//! one voxel with the prediction / all, precision = predicted lesions that
//! share at least one with the reference / all; each is 1 if there are none. F1
//! is their harmonic mean, 0 if both are 0.

use crate::MaskPair;
use lacuna_volume::{Components, Connectivity, label_components};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One connected component of a mask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesion {
    /// Size in voxels.
    pub voxels: usize,
    /// Size in mm^3.
    pub mm3: f64,
    /// Voxels that the other mask holds too.
    pub overlap_voxels: usize,
    /// Voxels, in all, of the other mask's lesions that share one with this.
    pub touching_voxels: usize,
    /// At least one voxel is in the other mask: a reference lesion is detected,
    /// a predicted one is not false.
    pub detected: bool,
}

impl Lesion {
    /// DSC of this lesion and the lesions of the other mask that share a voxel
    /// with it, as one; 0 if there are none.
    pub fn dsc(&self) -> f64 {
        2.0 * self.overlap_voxels as f64 / (self.voxels + self.touching_voxels) as f64
    }
}

/// The lesions of both masks, in the order of their first voxel in memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesions {
    /// Lesions of the reference.
    pub reference: Vec<Lesion>,
    /// Lesions of the prediction.
    pub prediction: Vec<Lesion>,
}

impl Lesions {
    /// Finds the lesions of both masks and matches them.
    pub fn find(pair: &MaskPair) -> Self {
        let mm3 = pair.spacing().voxel_volume();
        let [reference, prediction] = [pair.reference(), pair.prediction()]
            .map(|mask| label_components(mask, Connectivity::TwentySix));
        Self {
            reference: table(&reference, &prediction, mm3),
            prediction: table(&prediction, &reference, mm3),
        }
    }

    /// Share of the reference lesions that were detected; 1 if there are none.
    pub fn recall(&self) -> f64 {
        share_detected(&self.reference)
    }

    /// Share of the predicted lesions that are not false; 1 if there are none.
    pub fn precision(&self) -> f64 {
        share_detected(&self.prediction)
    }

    /// Harmonic mean of recall and precision; 0 if both are 0.
    pub fn f1(&self) -> f64 {
        let (recall, precision) = (self.recall(), self.precision());
        if recall + precision == 0.0 {
            return 0.0;
        }
        2.0 * recall * precision / (recall + precision)
    }
}

/// The lesions `of` one mask, matched with those of the other; a voxel has `mm3`.
fn table(of: &Components, other: &Components, mm3: f64) -> Vec<Lesion> {
    let mut overlap = vec![0; of.count];
    let mut touching = vec![0; of.count];
    let mut pairs = BTreeSet::new();
    for (&label, &others) in of.labels.data().iter().zip(other.labels.data()) {
        if label == 0 || others == 0 {
            continue;
        }
        overlap[label as usize - 1] += 1;
        if pairs.insert((label, others)) {
            touching[label as usize - 1] += other.sizes[others as usize - 1];
        }
    }
    let lesions = of.sizes.iter().zip(overlap).zip(touching);
    lesions
        .map(|((&voxels, overlap_voxels), touching_voxels)| Lesion {
            voxels,
            mm3: voxels as f64 * mm3,
            overlap_voxels,
            touching_voxels,
            detected: overlap_voxels > 0,
        })
        .collect()
}

fn share_detected(lesions: &[Lesion]) -> f64 {
    if lesions.is_empty() {
        return 1.0;
    }
    lesions.iter().filter(|l| l.detected).count() as f64 / lesions.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::{Affine, Spacing, Volume};

    fn find(reference: &[u8], prediction: &[u8]) -> Lesions {
        let affine = Affine::from_spacing(Spacing([1.0, 0.5, 3.0]));
        let [r, p] = [reference, prediction]
            .map(|line| Volume::new([line.len(), 1, 1], affine, line.to_vec()).unwrap());
        Lesions::find(&MaskPair::of_labels(&r, &p, |l| l > 0).unwrap())
    }

    #[test]
    fn by_hand() {
        // Three reference lesions, one found twice over; three predicted, one false.
        let found = find(
            &[1, 1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0],
            &[1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1],
        );
        let row = |voxels, overlap_voxels, touching_voxels| Lesion {
            voxels,
            mm3: voxels as f64 * 1.5,
            overlap_voxels,
            touching_voxels,
            detected: overlap_voxels > 0,
        };
        assert_eq!(found.reference, [row(3, 2, 2), row(1, 0, 0), row(2, 0, 0)]);
        assert_eq!(found.prediction, [row(1, 1, 3), row(1, 1, 3), row(2, 0, 0)]);
        // 2 x 2 / (3 + 2) and 2 x 1 / (1 + 3).
        let dsc = |lesions: &[Lesion]| lesions.iter().map(Lesion::dsc).collect::<Vec<_>>();
        assert_eq!(dsc(&found.reference), [0.8, 0.0, 0.0]);
        assert_eq!(dsc(&found.prediction), [0.5, 0.5, 0.0]);
        assert_eq!((found.recall(), found.precision()), (1.0 / 3.0, 2.0 / 3.0));
        assert!((found.f1() - 4.0 / 9.0).abs() < 1e-15);
    }

    #[test]
    fn empty_cases_as_the_challenge() {
        let scores = |l: Lesions| [l.recall(), l.precision(), l.f1()];
        assert_eq!(scores(find(&[0; 5], &[0; 5])), [1.0, 1.0, 1.0]);
        assert_eq!(scores(find(&[0; 5], &[0, 1, 0, 1, 0])), [1.0, 0.0, 0.0]);
        assert_eq!(scores(find(&[0, 1, 0, 1, 0], &[0; 5])), [0.0, 1.0, 0.0]);
        assert_eq!(scores(find(&[0, 1, 0, 0, 0], &[0, 0, 0, 1, 0])), [0.0; 3]);
    }
}
