//! The sums by label and class, and how a pass lays them out.

use crate::softmax::{ReferenceClass, SoftmaxReference};

/// The sums that are not always computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SumsWanted {
    /// [`SoftmaxSums::squared_error`].
    pub squared_error: bool,
    /// [`SoftmaxSums::log_probability`].
    pub log_probability: bool,
}

/// Sums over elements, by label; `[label, class]` where by class too. Terms are
/// times the element's weight and, where it has shares of the labels, in the sums
/// of each label times the share.
///
/// Every sum has its own terms, none is a difference of two others, so a rare
/// label keeps its relative accuracy beside frequent ones.
#[derive(Clone, Debug, PartialEq)]
pub struct SoftmaxSums {
    /// Elements.
    pub count: Vec<f64>,
    /// Squares of the shares.
    pub share_square: Vec<f64>,
    /// Elements of which another class than the first has the largest logit; of
    /// equal ones the first counts.
    pub foreground: Vec<f64>,
    /// Probability of the class.
    pub probability: Vec<f64>,
    /// Square of 1 less the probability for the label's class, of the
    /// probability for others. 0 unless wanted.
    pub squared_error: Vec<f64>,
    /// Logarithm of the probability of the label's class, each at least
    /// `-2^100`. 0 unless wanted.
    pub log_probability: Vec<f64>,
}

/// Order of the sums of one label: probabilities, elements, elements found to
/// be foreground, then those wanted: logarithms, squared errors; squares of shares.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub(super) classes: usize,
    pub(super) count: usize,
    pub(super) wanted: SumsWanted,
    pub(super) shares: bool,
}

impl Columns {
    pub(super) fn new(classes: usize, reference: SoftmaxReference, wanted: SumsWanted) -> Self {
        let squares = if wanted.squared_error { classes } else { 0 };
        let shares = matches!(reference.class, ReferenceClass::Shares(_));
        let more = usize::from(wanted.log_probability) + usize::from(shares);
        Self {
            classes,
            count: classes + 2 + squares + more,
            wanted,
            shares,
        }
    }

    pub(super) fn split(self, totals: &[f64]) -> SoftmaxSums {
        let classes = self.classes;
        let mut sums = SoftmaxSums {
            count: vec![0.0; classes],
            share_square: vec![0.0; classes],
            foreground: vec![0.0; classes],
            probability: vec![0.0; classes * classes],
            squared_error: vec![0.0; classes * classes],
            log_probability: vec![0.0; classes],
        };
        for (label, row) in totals.chunks_exact(self.count).enumerate() {
            let by_class = label * classes..(label + 1) * classes;
            sums.probability[by_class.clone()].copy_from_slice(&row[..classes]);
            sums.count[label] = row[classes];
            sums.foreground[label] = row[classes + 1];
            let mut rest = &row[classes + 2..];
            if self.wanted.log_probability {
                sums.log_probability[label] = rest[0];
                rest = &rest[1..];
            }
            if self.wanted.squared_error {
                sums.squared_error[by_class].copy_from_slice(&rest[..classes]);
            }
            sums.share_square[label] = match self.shares {
                true => row[self.count - 1],
                false => row[classes],
            };
        }
        sums
    }
}
