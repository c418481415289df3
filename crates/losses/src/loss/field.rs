//! Losses of all probabilities at once. Planes are `[samples, classes, elements]`.

use super::OwnLoss;
use crate::{Compatibility, PatchGrid};

/// All probabilities of one sample, or of a batch whose elements are pooled.
/// Planes are `[samples, classes, elements]`.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// Samples that are pooled.
    pub samples: usize,
    /// Classes.
    pub classes: usize,
    /// Elements of a sample.
    pub elements: usize,
    /// Whether the classes are overlapping regions.
    pub overlapping: bool,
    /// Probabilities.
    pub p: &'a [f64],
    /// `log p`, finite; empty unless [`FieldLoss::reads_log_p`].
    pub log_p: &'a [f64],
    /// The reference: one-hot, or shares.
    pub reference: &'a [f64],
    /// `[samples, elements]`; 0 where an element counts nowhere.
    pub weights: &'a [f64],
    /// Sum of the weights.
    pub volume: f64,
    /// Signed distances in mm; empty unless the loss reads them.
    pub distance: &'a [f32],
    /// The grid of a sample, if it is known.
    pub grid: Option<PatchGrid>,
    /// The tool whose values are asked for.
    pub compatibility: Option<Compatibility>,
}

impl Field<'_> {
    /// Where the plane of a sample and class lies.
    pub fn plane(&self, sample: usize, class: usize) -> std::ops::Range<usize> {
        let start = (sample * self.classes + class) * self.elements;
        start..start + self.elements
    }

    /// Weights of one sample.
    pub fn sample_weights(&self, sample: usize) -> &[f64] {
        &self.weights[sample * self.elements..][..self.elements]
    }
}

/// Derivatives by the planes of a [`Field`], 0 at first.
#[derive(Debug)]
pub struct FieldSlopes<'a> {
    /// By `p`.
    pub p: &'a mut [f64],
    /// By `log p`; empty unless [`FieldLoss::reads_log_p`].
    pub log_p: &'a mut [f64],
}

/// A loss of all probabilities at once.
pub trait FieldLoss: Send + Sync {
    /// The same loss for the vector kernels, if it is one of own probabilities.
    fn own(&self) -> Option<&dyn OwnLoss> {
        None
    }

    /// Whether [`Field::log_p`] is wanted.
    fn reads_log_p(&self) -> bool {
        false
    }

    /// The loss, and its derivatives added to `slopes`. Both are finite.
    /// Unlike an [`ElementLoss`](crate::ElementLoss), it applies the weights itself.
    fn evaluate(&self, field: &Field, slopes: &mut FieldSlopes) -> f64;
}
