//! The shape of a batch and the checks of its arrays.

use crate::{Activation, LossError, Real};
use rayon::prelude::*;

/// Elements per unit of parallel work.
pub(crate) const CHUNK: usize = 1 << 13;

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
    ///
    /// # Errors
    /// [`LossError::TooLarge`].
    pub(crate) fn logit_count(&self) -> Result<usize, LossError> {
        self.batch
            .checked_mul(self.classes)
            .and_then(|planes| planes.checked_mul(self.elements))
            .ok_or(LossError::TooLarge {
                batch: self.batch,
                classes: self.classes,
                elements: self.elements,
            })
    }

    /// Checks the shape.
    pub(crate) fn check(&self, activation: Activation) -> Result<(), LossError> {
        let Self {
            batch,
            classes,
            elements,
        } = *self;
        let least = match activation {
            Activation::Softmax => 2,
            Activation::Sigmoid => 1,
        };
        if !(least..=256).contains(&classes) {
            return Err(LossError::ClassCount { classes, least });
        }
        if batch == 0 || elements == 0 {
            return Err(LossError::NoElements { batch, elements });
        }
        self.logit_count().map(|_| ())
    }

    pub(crate) fn length_error(
        &self,
        array: &'static str,
        found: usize,
        expected: usize,
    ) -> LossError {
        LossError::Length {
            array,
            found,
            expected,
            batch: self.batch,
            classes: self.classes,
            elements: self.elements,
        }
    }

    /// Checks that every label that is not ignored names a class.
    pub(crate) fn check_labels(
        &self,
        labels: &[u8],
        ignore_label: Option<u8>,
    ) -> Result<(), LossError> {
        // A single channel is told apart from no region by label 0.
        let classes = self.classes.max(2);
        let bad = |&label: &u8| usize::from(label) >= classes && Some(label) != ignore_label;
        match first_where(labels, bad) {
            None => Ok(()),
            Some(position) => Err(LossError::LabelOutOfRange {
                label: labels[position],
                classes,
                sample: position / self.elements,
                element: position % self.elements,
            }),
        }
    }

    /// Checks that every logit is finite.
    pub(crate) fn check_logits<F: Real>(&self, logits: &[F]) -> Result<(), LossError> {
        let at = first_where(logits, |value| !value.to_f64().is_finite());
        at.map_or(Ok(()), |position| {
            let (sample, class, element) = self.place(position);
            Err(LossError::NonFiniteLogit {
                value: logits[position].to_f64(),
                sample,
                class,
                element,
            })
        })
    }

    /// Checks that every soft label is a share, and that those of exclusive
    /// classes add up to one.
    pub(crate) fn check_soft_labels<F: Real>(
        &self,
        shares: &[F],
        activation: Activation,
    ) -> Result<(), LossError> {
        let at = first_where(shares, |share| !(0.0..=1.0).contains(&share.to_f64()));
        if let Some(position) = at {
            let (sample, class, element) = self.place(position);
            return Err(LossError::SoftLabel {
                value: shares[position].to_f64(),
                sample,
                class,
                element,
            });
        }
        if activation == Activation::Sigmoid {
            return Ok(());
        }
        let runs = (0..self.batch).flat_map(|sample| {
            let starts = (0..self.elements).step_by(CHUNK);
            starts.map(move |start| (sample, start))
        });
        let runs: Vec<(usize, usize)> = runs.collect();
        let first_bad = |&(sample, start): &(usize, usize)| {
            let totals = self.share_totals(shares, sample, start);
            let bad = |total: &f64| (total - 1.0).abs() > 1e-3;
            // Without an early exit, so that the comparison vectorises.
            if !totals.iter().fold(false, |any, total| any | bad(total)) {
                return None;
            }
            let at = totals.iter().position(bad)?;
            Some(LossError::SoftLabelSum {
                total: totals[at],
                sample,
                element: start + at,
            })
        };
        match runs.par_iter().find_map_first(first_bad) {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    /// Sums of the shares of a run of elements over the classes.
    fn share_totals<F: Real>(&self, shares: &[F], sample: usize, start: usize) -> Vec<f64> {
        let count = CHUNK.min(self.elements - start);
        let mut totals = vec![0.0; count];
        for class in 0..self.classes {
            let first = (sample * self.classes + class) * self.elements + start;
            for (total, share) in totals.iter_mut().zip(&shares[first..first + count]) {
                *total += share.to_f64();
            }
        }
        totals
    }

    /// Checks that no weight is negative or not finite.
    pub(crate) fn check_weights(&self, weights: &[f32]) -> Result<(), LossError> {
        let bad = |weight: &f32| !(weight.is_finite() && *weight >= 0.0);
        match first_where(weights, bad) {
            None => Ok(()),
            Some(position) => Err(LossError::Weight {
                value: weights[position].into(),
                sample: position / self.elements,
                element: position % self.elements,
            }),
        }
    }

    /// Sample, class and element of a position among the logits.
    fn place(&self, position: usize) -> (usize, usize, usize) {
        let plane = position / self.elements;
        (
            plane / self.classes,
            plane % self.classes,
            position % self.elements,
        )
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
    use crate::{Input, LossConfig, Reference};

    const LAYOUT: Layout = Layout {
        batch: 2,
        classes: 3,
        elements: 4,
    };

    fn check(layout: Layout, logits: &[f32], labels: &[u8], gradient: usize) -> LossError {
        let mut gradient = vec![0.0; gradient];
        let input = Input::new(layout, logits, labels);
        let config = LossConfig::default();
        config
            .value_and_gradient(&input, &mut gradient)
            .unwrap_err()
    }

    #[test]
    fn a_label_that_names_no_class_is_placed() {
        let mut labels = [2u8; 8];
        labels[6] = 3;
        let error = check(LAYOUT, &[0.0; 24], &labels, 24);
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
        assert!(LAYOUT.check_labels(&labels, Some(3)).is_ok());
    }

    #[test]
    fn a_logit_that_is_not_finite_is_placed() {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut logits = [f32::MAX; 24];
            logits[12 + 2 * 4 + 1] = value;
            let error = check(LAYOUT, &logits, &[0; 8], 24);
            let LossError::NonFiniteLogit {
                sample,
                class,
                element,
                ..
            } = error
            else {
                panic!("{error}");
            };
            assert_eq!((sample, class, element), (1, 2, 1));
        }
    }

    #[test]
    fn soft_labels_and_weights_are_checked() {
        let mut shares = [0.0_f32; 24];
        shares[0..4].fill(1.0);
        shares[12..16].fill(1.0);
        let soft = |shares: &[f32], weights: &[f32]| {
            let mut gradient = [0.0; 24];
            let mut input = Input::new(LAYOUT, &[0.0; 24], &[]);
            input.reference = Reference::Soft(shares);
            input.weights = Some(weights);
            LossConfig::default()
                .value_and_gradient(&input, &mut gradient)
                .map(|_| ())
        };
        assert_eq!(soft(&shares, &[1.0; 8]), Ok(()));
        let weights = [1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 1.0, 1.0];
        assert!(matches!(
            soft(&shares, &weights),
            Err(LossError::Weight {
                sample: 1,
                element: 1,
                ..
            })
        ));
        shares[14] = 0.5;
        assert!(matches!(
            soft(&shares, &[1.0; 8]),
            Err(LossError::SoftLabelSum {
                sample: 1,
                element: 2,
                ..
            })
        ));
        shares[14] = 1.5;
        assert!(matches!(
            soft(&shares, &[1.0; 8]),
            Err(LossError::SoftLabel {
                sample: 1,
                class: 0,
                element: 2,
                ..
            })
        ));
    }

    #[test]
    fn arrays_and_shape_must_agree() {
        let length = |error: LossError| match error {
            LossError::Length {
                array,
                found,
                expected,
                ..
            } => (array, found, expected),
            other => panic!("{other}"),
        };
        let found = length(check(LAYOUT, &[0.0; 23], &[0; 8], 24));
        assert_eq!(found, ("logits", 23, 24));
        let found = length(check(LAYOUT, &[0.0; 24], &[0; 9], 24));
        assert_eq!(found, ("labels", 9, 8));
        let found = length(check(LAYOUT, &[0.0; 24], &[0; 8], 8));
        assert_eq!(found, ("gradient", 8, 24));
        let of = |batch, classes, elements| {
            let layout = Layout {
                batch,
                classes,
                elements,
            };
            check(layout, &[], &[], 0)
        };
        assert!(matches!(
            of(1, 1, 4),
            LossError::ClassCount {
                classes: 1,
                least: 2
            }
        ));
        assert!(matches!(
            of(1, 257, 4),
            LossError::ClassCount { classes: 257, .. }
        ));
        assert!(matches!(of(0, 2, 4), LossError::NoElements { .. }));
        assert!(matches!(of(1, 2, 0), LossError::NoElements { .. }));
        assert!(matches!(of(2, 2, usize::MAX), LossError::TooLarge { .. }));
    }
}
