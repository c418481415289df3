//! Voxel counts: how often two label maps agree and disagree.
//!
//! Everything is counted in `u64`, so sums over subjects or iterations are
//! exact and do not depend on their order.

use crate::MetricsError;
use lacuna_volume::IGNORED;
use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Voxels of one class (or of the foreground) by reference and prediction.
/// Counts of several image pairs are pooled with `+=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// In both.
    pub true_positive: u64,
    /// Only in the prediction.
    pub false_positive: u64,
    /// Only in the reference.
    pub false_negative: u64,
    /// In neither.
    pub true_negative: u64,
}

impl Counts {
    /// Counts every label other than 0 as the structure sought.
    ///
    /// # Errors
    /// When the slices differ in length.
    pub fn of_foreground(reference: &[u8], prediction: &[u8]) -> Result<Self, MetricsError> {
        same_length(reference, prediction)?;
        let mut cells = [0u64; 4];
        for (&r, &p) in reference.iter().zip(prediction) {
            cells[usize::from(r > 0) * 2 + usize::from(p > 0)] += 1;
        }
        let [true_negative, false_positive, false_negative, true_positive] = cells;
        Ok(Self {
            true_positive,
            false_positive,
            false_negative,
            true_negative,
        })
    }

    /// Voxels in the reference.
    pub fn reference(&self) -> u64 {
        self.true_positive + self.false_negative
    }

    /// Voxels in the prediction.
    pub fn prediction(&self) -> u64 {
        self.true_positive + self.false_positive
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.true_positive += other.true_positive;
        self.false_positive += other.false_positive;
        self.false_negative += other.false_negative;
        self.true_negative += other.true_negative;
    }
}

/// The confusion matrix of two label maps with classes `0..classes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// Voxels of reference class `r` and predicted class `p` at `r * classes + p`.
    cells: Vec<u64>,
}

impl Confusion {
    /// Counts each pair of labels. Where the reference is [`IGNORED`] and there is no such class,
    /// nothing is counted.
    ///
    /// # Errors
    /// When the slices differ in length or hold a label that is no class.
    pub fn of(reference: &[u8], prediction: &[u8], classes: usize) -> Result<Self, MetricsError> {
        same_length(reference, prediction)?;
        // Every label first, valid or not, so that the loop needs no branch.
        let mut all = vec![0u64; 1 << 16];
        for (&r, &p) in reference.iter().zip(prediction) {
            all[usize::from(r) << 8 | usize::from(p)] += 1;
        }
        let mut cells = vec![0; classes * classes];
        let known = match usize::from(IGNORED) < classes {
            true => all.len(),
            false => usize::from(IGNORED) << 8,
        };
        all.truncate(known);
        for (pair, voxels) in all.into_iter().enumerate().filter(|&(_, v)| v > 0) {
            let labels = [("reference", pair >> 8), ("prediction", pair & 255)];
            if let Some((image, label)) = labels.into_iter().find(|l| l.1 >= classes) {
                return Err(MetricsError::Label {
                    image,
                    label,
                    classes,
                });
            }
            cells[labels[0].1 * classes + labels[1].1] = voxels;
        }
        Ok(Self { classes, cells })
    }

    /// Number of classes, background included.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The counts of one class against all others.
    pub fn class(&self, class: usize) -> Counts {
        self.of_classes(|label| label == class)
    }

    /// The counts of the union of all classes but the background (class 0).
    pub fn foreground(&self) -> Counts {
        self.of_classes(|label| label > 0)
    }

    /// The counts of the union of some classes.
    pub fn region(&self, classes: &[usize]) -> Counts {
        self.of_classes(|label| classes.contains(&label))
    }

    fn of_classes(&self, inside: impl Fn(usize) -> bool) -> Counts {
        let mut counts = Counts::default();
        for (pair, voxels) in self.cells.iter().enumerate() {
            let cell = match (inside(pair / self.classes), inside(pair % self.classes)) {
                (true, true) => &mut counts.true_positive,
                (false, true) => &mut counts.false_positive,
                (true, false) => &mut counts.false_negative,
                (false, false) => &mut counts.true_negative,
            };
            *cell += voxels;
        }
        counts
    }
}

fn same_length(reference: &[u8], prediction: &[u8]) -> Result<(), MetricsError> {
    if reference.len() == prediction.len() {
        return Ok(());
    }
    Err(MetricsError::Length {
        reference: reference.len(),
        prediction: prediction.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: [u8; 8] = [0, 0, 1, 1, 2, 2, 2, 0];
    const PREDICTION: [u8; 8] = [0, 1, 1, 2, 2, 2, 0, 0];

    fn counts(tp: u64, fp: u64, fn_: u64, tn: u64) -> Counts {
        Counts {
            true_positive: tp,
            false_positive: fp,
            false_negative: fn_,
            true_negative: tn,
        }
    }

    #[test]
    fn each_class_and_the_union() {
        let confusion = Confusion::of(&REFERENCE, &PREDICTION, 3).unwrap();
        assert_eq!(confusion.class(0), counts(2, 1, 1, 4));
        assert_eq!(confusion.class(1), counts(1, 1, 1, 5));
        assert_eq!(confusion.class(2), counts(2, 1, 1, 4));
        assert_eq!(confusion.foreground(), counts(4, 1, 1, 2));
        assert_eq!(
            Counts::of_foreground(&REFERENCE, &PREDICTION).unwrap(),
            confusion.foreground()
        );
    }

    #[test]
    fn pooling_adds() {
        let mut pooled = counts(1, 2, 3, 4);
        pooled += counts(10, 20, 30, 40);
        assert_eq!(pooled, counts(11, 22, 33, 44));
    }

    #[test]
    fn a_label_without_class_and_a_wrong_length_are_refused() {
        let error = Confusion::of(&REFERENCE, &PREDICTION, 2).unwrap_err();
        assert!(
            error.to_string().contains("prediction holds label 2"),
            "{error}"
        );
        let error = Counts::of_foreground(&REFERENCE, &PREDICTION[1..]).unwrap_err();
        assert!(error.to_string().contains("8 voxels"), "{error}");
    }
}
