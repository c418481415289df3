//! The shape of a batch and the checks of its arrays.

use crate::{LossError, Real};
use rayon::prelude::*;

/// Shape of a batch: logits and gradient `[batch, classes, elements]`, labels
/// `[batch, elements]`, last axis fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Samples (patches) in the batch.
    pub batch: usize,
    /// Classes, background included; class 0 is the background.
    pub classes: usize,
    /// Elements (pixels or voxels) of one sample's effective patch.
    pub elements: usize,
}

impl Layout {
    /// Values of logits and of the gradient.
    fn logit_count(&self) -> Option<usize> {
        self.batch
            .checked_mul(self.classes)?
            .checked_mul(self.elements)
    }

    /// Checks the shape, the lengths of the three arrays, every label and every logit.
    pub(crate) fn check<F: Real>(
        &self,
        logits: &[F],
        labels: &[u8],
        gradient: &[F],
    ) -> Result<(), LossError> {
        self.check_lengths(logits, labels, gradient)?;
        self.check_values(logits, labels)
    }

    /// Checks the shape and the lengths of the three arrays.
    pub(crate) fn check_lengths<F: Real>(
        &self,
        logits: &[F],
        labels: &[u8],
        gradient: &[F],
    ) -> Result<(), LossError> {
        let Self {
            batch,
            classes,
            elements,
        } = *self;
        if !(2..=256).contains(&classes) {
            return Err(LossError::ClassCount { classes });
        }
        if batch == 0 || elements == 0 {
            return Err(LossError::NoElements { batch, elements });
        }
        let expected = self.logit_count().ok_or(LossError::TooLarge {
            batch,
            classes,
            elements,
        })?;
        for (array, found, expected) in [
            ("logits", logits.len(), expected),
            ("labels", labels.len(), batch * elements),
            ("gradient", gradient.len(), expected),
        ] {
            if found != expected {
                return Err(LossError::Length {
                    array,
                    found,
                    expected,
                    batch,
                    classes,
                    elements,
                });
            }
        }
        Ok(())
    }

    /// Checks every label, then every logit.
    pub(crate) fn check_values<F: Real>(
        &self,
        logits: &[F],
        labels: &[u8],
    ) -> Result<(), LossError> {
        self.check_labels(labels)?;
        self.check_logits(logits)
    }

    fn check_labels(&self, labels: &[u8]) -> Result<(), LossError> {
        let bad = |&label: &u8| usize::from(label) >= self.classes;
        match first_where(labels, bad) {
            None => Ok(()),
            Some(position) => Err(LossError::LabelOutOfRange {
                label: labels[position],
                classes: self.classes,
                sample: position / self.elements,
                element: position % self.elements,
            }),
        }
    }

    fn check_logits<F: Real>(&self, logits: &[F]) -> Result<(), LossError> {
        match first_where(logits, |value| !value.to_f64().is_finite()) {
            None => Ok(()),
            Some(position) => Err(LossError::NonFiniteLogit {
                value: logits[position].to_f64(),
                sample: position / self.elements / self.classes,
                class: position / self.elements % self.classes,
                element: position % self.elements,
            }),
        }
    }
}

/// First position whose value is bad. Blocks are scanned without an early exit
/// so that the scan vectorises; the position is looked for in a bad block only.
fn first_where<T: Sync>(values: &[T], bad: impl Fn(&T) -> bool + Sync) -> Option<usize> {
    const BLOCK: usize = 1 << 14;
    let block = values
        .par_chunks(BLOCK)
        .position_first(|block| block.iter().fold(false, |any, value| any | bad(value)))?;
    let start = block * BLOCK;
    let within = values[start..].iter().position(bad)?;
    Some(start + within)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        batch: 2,
        classes: 3,
        elements: 4,
    };

    fn check(logits: &[f32], labels: &[u8]) -> Result<(), LossError> {
        LAYOUT.check(logits, labels, &[0.0; 24])
    }

    #[test]
    fn a_label_that_names_no_class_is_placed() {
        let mut labels = [2u8; 8];
        assert_eq!(check(&[0.0; 24], &labels), Ok(()));
        labels[6] = 3;
        let error = check(&[0.0; 24], &labels).unwrap_err();
        assert_eq!(
            error,
            LossError::LabelOutOfRange {
                label: 3,
                classes: 3,
                sample: 1,
                element: 2
            }
        );
        assert!(error.to_string().contains("a class from 0 to 2"));
    }

    #[test]
    fn a_logit_that_is_not_finite_is_placed() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut logits = [f32::MAX; 24];
            logits[12 + 2 * 4 + 1] = value;
            let error = check(&logits, &[0; 8]).unwrap_err();
            assert!(
                matches!(
                    error,
                    LossError::NonFiniteLogit {
                        sample: 1,
                        class: 2,
                        element: 1,
                        ..
                    }
                ),
                "{error}"
            );
        }
    }

    #[test]
    fn arrays_and_shape_must_agree() {
        assert!(matches!(
            check(&[0.0; 23], &[0; 8]),
            Err(LossError::Length {
                array: "logits",
                found: 23,
                expected: 24,
                ..
            })
        ));
        assert!(matches!(
            check(&[0.0; 24], &[0; 9]),
            Err(LossError::Length {
                array: "labels",
                found: 9,
                expected: 8,
                ..
            })
        ));
        assert!(matches!(
            LAYOUT.check(&[0.0; 24], &[0; 8], &[0.0; 8]),
            Err(LossError::Length {
                array: "gradient",
                ..
            })
        ));
        let of = |batch, classes, elements| {
            let layout = Layout {
                batch,
                classes,
                elements,
            };
            layout.check::<f32>(&[], &[], &[]).unwrap_err()
        };
        assert_eq!(of(1, 1, 4), LossError::ClassCount { classes: 1 });
        assert_eq!(of(1, 257, 4), LossError::ClassCount { classes: 257 });
        assert!(matches!(of(0, 2, 4), LossError::NoElements { .. }));
        assert!(matches!(of(1, 2, 0), LossError::NoElements { .. }));
        assert!(matches!(of(2, 2, usize::MAX), LossError::TooLarge { .. }));
    }
}
