//! Overlap and volume metrics from voxel counts.
//!
//! With V the number of voxels of a structure:
//! - DSC = 2 TP / (2 TP + FP + FN); sensitivity = TP / V_ref; precision = TP / V_pred.
//! - AVD = |V_pred - V_ref| / V_ref in percent (WMH challenge).
//! - Generalised Dice score = 2 sum_l w_l TP_l / sum_l w_l (V_ref,l + V_pred,l) over
//!   all classes, background included, with w_l = 1 / V_ref,l^2 (Crum et al., IEEE
//!   TMI 25, 2006; weights of Sudre et al., DLMIA 2017).
//!
//! Empty cases, the same for DSC, sensitivity and precision: both masks empty
//! gives 1, exactly one empty gives 0. So a subject with nothing predicted has
//! precision 0, and never drops out of a mean.

use crate::{Confusion, Counts};

impl Counts {
    /// Dice similarity coefficient, 0 to 1.
    pub fn dsc(&self) -> f64 {
        let volumes = self.reference() + self.prediction();
        self.share_or_empty(2 * self.true_positive, volumes)
    }

    /// Share of the reference that was found (recall), 0 to 1.
    pub fn sensitivity(&self) -> f64 {
        self.share_or_empty(self.true_positive, self.reference())
    }

    /// Share of the prediction that is right, 0 to 1.
    pub fn precision(&self) -> f64 {
        self.share_or_empty(self.true_positive, self.prediction())
    }

    /// Predicted minus reference voxels.
    pub fn volume_difference(&self) -> i64 {
        self.false_positive as i64 - self.false_negative as i64
    }

    /// Absolute volume difference in percent of the reference volume.
    ///
    /// An empty reference counts as one voxel: the largest value that the
    /// definition gives any reference for this prediction. Both empty gives 0.
    pub fn avd_percent(&self) -> f64 {
        let difference = self.volume_difference().unsigned_abs() as f64;
        100.0 * difference / self.reference().max(1) as f64
    }

    fn share_or_empty(&self, part: u64, whole: u64) -> f64 {
        match (self.reference(), self.prediction()) {
            (0, 0) => 1.0,
            (0, _) | (_, 0) => 0.0,
            _ => part as f64 / whole as f64,
        }
    }
}

impl Confusion {
    /// Generalised Dice score over all classes, 0 to 1.
    ///
    /// A class absent from the reference has no finite weight: it gets the
    /// largest weight among the classes that are present, so predicting it
    /// costs as much as the same voxels of the rarest class.
    pub fn generalised_dice(&self) -> f64 {
        let counts: Vec<Counts> = (0..self.classes()).map(|c| self.class(c)).collect();
        // The weights only count relative to each other, so scale them by the
        // rarest class: they stay at most 1.
        let Some(rarest) = counts
            .iter()
            .map(Counts::reference)
            .filter(|&v| v > 0)
            .min()
        else {
            return 1.0; // No voxels at all.
        };
        let (mut agreed, mut total) = (0.0, 0.0);
        for class in &counts {
            let volume = class.reference();
            let weight = match volume {
                0 => 1.0,
                _ => (rarest as f64 / volume as f64).powi(2),
            };
            agreed += weight * class.true_positive as f64;
            total += weight * (volume + class.prediction()) as f64;
        }
        2.0 * agreed / total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(tp: u64, fp: u64, fn_: u64) -> Counts {
        Counts {
            true_positive: tp,
            false_positive: fp,
            false_negative: fn_,
            true_negative: 10,
        }
    }

    #[test]
    fn by_hand() {
        let c = counts(3, 1, 5);
        assert_eq!(c.dsc(), 6.0 / 12.0);
        assert_eq!(c.sensitivity(), 3.0 / 8.0);
        assert_eq!(c.precision(), 3.0 / 4.0);
        assert_eq!(c.volume_difference(), -4);
        assert_eq!(c.avd_percent(), 50.0);
    }

    #[test]
    fn both_empty_is_perfect() {
        let c = counts(0, 0, 0);
        assert_eq!([c.dsc(), c.sensitivity(), c.precision()], [1.0; 3]);
        assert_eq!(c.avd_percent(), 0.0);
    }

    #[test]
    fn one_empty_is_the_worst() {
        for c in [counts(0, 7, 0), counts(0, 0, 7)] {
            assert_eq!([c.dsc(), c.sensitivity(), c.precision()], [0.0; 3]);
        }
        assert_eq!(counts(0, 0, 7).avd_percent(), 100.0);
        // Seven voxels against a reference that counts as one.
        assert_eq!(counts(0, 7, 0).avd_percent(), 700.0);
    }

    #[test]
    fn generalised_dice_by_hand() {
        // V_ref = 6, 2; weights 1/36, 1/4. TP = 5, 1; V_pred = 6, 2.
        let c = Confusion::of(&[0, 0, 0, 0, 0, 0, 1, 1], &[0, 0, 0, 0, 0, 1, 1, 0], 2).unwrap();
        let expected = 2.0 * (5.0 / 36.0 + 1.0 / 4.0) / (12.0 / 36.0 + 4.0 / 4.0);
        assert!((c.generalised_dice() - expected).abs() < 1e-15);
    }

    #[test]
    fn an_absent_class_weighs_as_the_rarest_present_one() {
        // Class 1 absent and predicted once: weights 1/16 each (scaled: 1).
        let c = Confusion::of(&[0, 0, 0, 0], &[0, 0, 0, 1], 2).unwrap();
        assert_eq!(c.generalised_dice(), 2.0 * 3.0 / (4.0 + 3.0 + 1.0));
        // Absent and not predicted: no effect.
        let c = Confusion::of(&[0, 0, 0, 0], &[0; 4], 2).unwrap();
        assert_eq!(c.generalised_dice(), 1.0);
        assert_eq!(Confusion::of(&[], &[], 2).unwrap().generalised_dice(), 1.0);
    }
}
