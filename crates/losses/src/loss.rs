//! What a loss is to this crate.

use crate::{Statistics, StatisticsGradient};

/// A loss that depends on the logits through [`Statistics`] only.
pub trait Loss: Send + Sync {
    /// Name in a run configuration, such as `generalised-dice`.
    fn name(&self) -> &'static str;

    /// The loss and its derivatives by the sums, both finite.
    ///
    /// The counts of the labels are constants. The sums over the predictions
    /// are treated as independent of each other, although those of one label
    /// add up to its count: the softmax in the second pass restores this.
    fn evaluate(&self, statistics: &Statistics) -> (f64, StatisticsGradient);
}
