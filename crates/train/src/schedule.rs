//! The learning rate of each iteration.

use serde::{Deserialize, Serialize};

/// Exponent of [`ScheduleName::Polynomial`], as in nnU-Net (Isensee et al. 2021).
const POWER: f64 = 0.9;

/// How the learning rate changes during a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleName {
    /// The same for every iteration.
    #[default]
    Constant,
    /// Falls to 0 at the end of the run as `(1 - t / T)^0.9`.
    Polynomial,
    /// Falls to 0 at the end of the run as half a cosine, `(1 + cos(pi t / T)) / 2`.
    Cosine,
}

/// The learning rates of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// How they change.
    pub name: ScheduleName,
    /// Rate of the first iteration.
    pub first: f64,
    /// Iterations of the whole run, T.
    pub iterations: u64,
    /// Iterations of which the n-th has n / `warm_up` of the first rate; the rate falls
    /// behind them.
    pub warm_up: u64,
}

impl Schedule {
    /// The rate of the iteration that follows `done` others.
    pub fn rate(&self, done: u64) -> f64 {
        if done + 1 < self.warm_up {
            return self.first * (done + 1) as f64 / self.warm_up as f64;
        }
        let falling = self.iterations.saturating_sub(self.warm_up).max(1);
        let share = done.saturating_sub(self.warm_up) as f64 / falling as f64;
        match self.name {
            ScheduleName::Constant => self.first,
            ScheduleName::Polynomial => self.first * (1.0 - share).max(0.0).powf(POWER),
            ScheduleName::Cosine => {
                self.first * (1.0 + (std::f64::consts::PI * share.min(1.0)).cos()) / 2.0
            }
        }
    }

    /// Whether a run of another length has the same rates for the iterations that
    /// both have, so that a run may go on past its end.
    pub fn forgives_another_length(&self) -> bool {
        match self.name {
            ScheduleName::Constant => true,
            ScheduleName::Polynomial | ScheduleName::Cosine => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(name: ScheduleName) -> [f64; 3] {
        let schedule = Schedule {
            name,
            first: 0.01,
            iterations: 8,
            warm_up: 0,
        };
        [0, 4, 8].map(|done| schedule.rate(done))
    }

    #[test]
    fn a_rate_warms_up_to_what_it_would_be() {
        let schedule = Schedule {
            name: ScheduleName::Constant,
            first: 0.01,
            iterations: 8,
            warm_up: 4,
        };
        let found = [0, 1, 2, 3, 4].map(|done| schedule.rate(done));
        assert_eq!(found, [0.0025, 0.005, 0.0075, 0.01, 0.01]);
    }

    /// So that the length of a run need not be known while the rate rises.
    #[test]
    fn a_rate_falls_behind_its_warm_up() {
        let rate = |iterations, done| {
            let schedule = Schedule {
                name: ScheduleName::Cosine,
                first: 0.01,
                iterations,
                warm_up: 4,
            };
            schedule.rate(done)
        };
        for done in 0..=4 {
            assert_eq!(rate(12, done), rate(1000, done));
        }
        // Half-way through the eight behind it.
        assert!((rate(12, 8) - 0.005).abs() < 1e-12);
    }

    fn close(found: [f64; 3], expected: [f64; 3]) {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-8, "{found} {expected}");
        }
    }

    #[test]
    fn rates_start_as_given_and_end_at_nothing() {
        assert_eq!(rates(ScheduleName::Constant), [0.01; 3]);
        // Half-way: 0.5^0.9 = 0.53588673, and (1 + cos(pi/2)) / 2 = 1/2.
        close(rates(ScheduleName::Polynomial), [0.01, 0.0053588673, 0.0]);
        close(rates(ScheduleName::Cosine), [0.01, 0.005, 0.0]);
    }
}
