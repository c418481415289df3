//! Losses that are functions of sums over the elements.

use crate::{Compatibility, Statistics, StatisticsGradient};

/// The sums that a loss reads beside those of elements and of probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// The squared errors.
    pub squared_error: bool,
    /// The sums of log-probabilities.
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

    /// What either reads.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            squared_error: self.squared_error || other.squared_error,
            sum_log_p: self.sum_log_p || other.sum_log_p,
        }
    }
}

/// A loss that depends on the logits through [`Statistics`] only.
pub trait StatisticsLoss: Send + Sync {
    /// What [`StatisticsLoss::evaluate`] reads; other sums may be 0 there. All,
    /// unless a loss says otherwise to be faster.
    fn needs(&self) -> Needs {
        Needs::ALL
    }

    /// The loss and its derivatives by the sums, both finite.
    ///
    /// Volumes are constants. The sums over the predictions are treated as
    /// independent of each other, although those of one label add up to its
    /// volume: the softmax in the second pass restores this.
    fn evaluate(
        &self,
        statistics: &Statistics,
        compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient);
}
