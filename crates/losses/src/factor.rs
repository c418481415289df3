//! Factors that may change over a training.

use crate::LossError;
use serde::{Deserialize, Serialize};

/// Factor of a term: a number, or a ramp over training iterations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Factor {
    /// The same in every iteration.
    Constant(f64),
    /// Linear from one value to another; constant before and after.
    Ramp(Ramp),
}

/// A factor that moves linearly between two iterations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ramp {
    /// Value up to iteration `start`.
    pub from: f64,
    /// Value from iteration `end` on.
    pub to: f64,
    /// Iteration at which it begins to move.
    pub start: u64,
    /// Iteration at which it has arrived; after `start`.
    pub end: u64,
}

impl Default for Factor {
    fn default() -> Self {
        Self::Constant(1.0)
    }
}

impl Factor {
    /// Its value at an iteration.
    pub fn at(&self, iteration: u64) -> f64 {
        match *self {
            Self::Constant(factor) => factor,
            Self::Ramp(Ramp {
                from,
                to,
                start,
                end,
            }) => {
                let done = iteration.saturating_sub(start) as f64 / (end - start) as f64;
                from + (to - from) * done.min(1.0)
            }
        }
    }

    /// Refuses values that are negative or not finite, and a ramp that ends
    /// before it begins.
    pub(crate) fn check(&self, loss: &'static str, option: &'static str) -> Result<(), LossError> {
        let sound = |factor: f64| factor.is_finite() && factor >= 0.0;
        let fine = match *self {
            Self::Constant(factor) => sound(factor),
            Self::Ramp(ramp) => sound(ramp.from) && sound(ramp.to) && ramp.start < ramp.end,
        };
        if fine {
            return Ok(());
        }
        Err(LossError::OptionValue {
            loss,
            option,
            found: format!("{self:?}"),
            expected: "a number of at least 0, or { from, to, start, end } with two such \
                       numbers and start before end"
                .into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_is_linear_and_then_constant() {
        let factor = Factor::Ramp(Ramp {
            from: 1.0,
            to: 3.0,
            start: 100,
            end: 300,
        });
        for (iteration, expected) in [(0, 1.0), (100, 1.0), (150, 1.5), (300, 3.0), (900, 3.0)] {
            assert_eq!(factor.at(iteration), expected, "{iteration}");
        }
        assert_eq!(Factor::default().at(7), 1.0);
        let backwards = Factor::Ramp(Ramp {
            from: 0.0,
            to: 1.0,
            start: 5,
            end: 5,
        });
        assert!(backwards.check("sum", "factor").is_err());
        assert!(Factor::Constant(-1.0).check("sum", "factor").is_err());
    }
}
