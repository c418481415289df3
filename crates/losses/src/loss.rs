//! What a loss is to this crate.

use crate::{LossError, Statistics, StatisticsGradient};

/// The sums that a loss reads beside those of elements and of probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// [`Statistics::squared_error`].
    pub squared_error: bool,
    /// [`Statistics::sum_log_p`].
    pub sum_log_p: bool,
}

impl Needs {
    /// Neither.
    pub const PROBABILITIES: Self = Self {
        squared_error: false,
        sum_log_p: false,
    };
    /// Both.
    pub const ALL: Self = Self {
        squared_error: true,
        sum_log_p: true,
    };
}

/// A loss that depends on the logits through [`Statistics`] only.
pub trait Loss: Send + Sync {
    /// Name in a run configuration, such as `generalised-dice`.
    fn name(&self) -> &'static str;

    /// Refuses options that the loss cannot honour.
    ///
    /// # Errors
    /// Naming the option, its value and the legal ones.
    fn check(&self) -> Result<(), LossError> {
        Ok(())
    }

    /// What [`Loss::evaluate`] reads; other sums may be 0 there. All, unless a
    /// loss says otherwise to be faster.
    fn needs(&self) -> Needs {
        Needs::ALL
    }

    /// The loss and its derivatives by the sums, both finite.
    ///
    /// The counts of the labels are constants. The sums over the predictions
    /// are treated as independent of each other, although those of one label
    /// add up to its count: the softmax in the second pass restores this.
    fn evaluate(&self, statistics: &Statistics) -> (f64, StatisticsGradient);
}
