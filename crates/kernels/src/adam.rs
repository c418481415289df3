//! One step of Adam, in one pass over a parameter and its state.

use rayon::prelude::*;

use crate::columns::{Columns, Lanewise, walk_with};
use crate::instructions::Instructions;
use crate::vector::Vector;

/// A step of Adam (Kingma and Ba 2015, algorithm 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub rate: f64,
    /// Decay of the mean of gradients.
    pub beta_1: f64,
    /// Decay of the mean of squared gradients.
    pub beta_2: f64,
    /// Added to the root of the corrected mean of squared gradients.
    pub epsilon: f64,
    /// Number of this step, from 1.
    pub step: u32,
}

/// A parameter's values and what Adam remembers of their gradients.
#[derive(Debug)]
pub struct AdamState<'a> {
    /// The parameter.
    pub parameter: &'a mut [f32],
    /// Mean of gradients; 0 before the first step.
    pub mean: &'a mut [f32],
    /// Mean of squared gradients; 0 before the first step.
    pub squares: &'a mut [f32],
}

impl Adam {
    /// Moves a parameter against its `gradient`:
    /// `m = beta_1 m + (1 - beta_1) g`, `v = beta_2 v + (1 - beta_2) g^2` and
    /// `p -= rate m' / (sqrt(v') + epsilon)`, where `m' = m / (1 - beta_1^step)`
    /// and `v' = v / (1 - beta_2^step)`.
    ///
    /// The root of the last correction is multiplied into both sides of the
    /// quotient, and nothing is rounded less often than written: the order of
    /// Burn's Adam, whose results differ only by its factors, rounded to f32.
    ///
    /// # Panics
    /// If lengths differ or `step` is 0.
    pub fn update(&self, state: AdamState<'_>, gradient: &[f32]) {
        self.update_with(Instructions::detected(), state, gradient);
    }

    fn update_with(&self, instructions: Instructions, state: AdamState<'_>, gradient: &[f32]) {
        let length = gradient.len();
        assert_eq!(state.parameter.len(), length, "parameter");
        assert_eq!(state.mean.len(), length, "mean of gradients");
        assert_eq!(state.squares.len(), length, "mean of squared gradients");
        let factors = self.factors();
        let task = Columns::new(1).task;
        state
            .parameter
            .par_chunks_mut(task)
            .zip(state.mean.par_chunks_mut(task))
            .zip(state.squares.par_chunks_mut(task))
            .zip(gradient.par_chunks(task))
            .for_each(|(((parameter, mean), squares), gradient)| {
                let work = Update {
                    factors,
                    parameter: parameter.as_mut_ptr(),
                    mean: mean.as_mut_ptr(),
                    squares: squares.as_mut_ptr(),
                    gradient: gradient.as_ptr(),
                };
                let length = gradient.len();
                // SAFETY: the four chunks have the length of the walk.
                unsafe { walk_with!(instructions, Update, length, length, work) };
            });
    }

    fn factors(&self) -> Factors {
        assert!(self.step > 0, "the first step of Adam is 1");
        let correction = |beta: f64| 1.0 - beta.powf(f64::from(self.step));
        let root = correction(self.beta_2).sqrt();
        Factors {
            keep_mean: self.beta_1 as f32,
            take_mean: (1.0 - self.beta_1) as f32,
            keep_squares: self.beta_2 as f32,
            take_squares: (1.0 - self.beta_2) as f32,
            numerator: (root / correction(self.beta_1)) as f32,
            epsilon: (self.epsilon * root) as f32,
            rate: self.rate as f32,
        }
    }
}

#[derive(Clone, Copy)]
struct Factors {
    keep_mean: f32,
    take_mean: f32,
    keep_squares: f32,
    take_squares: f32,
    numerator: f32,
    epsilon: f32,
    rate: f32,
}

#[derive(Clone, Copy)]
struct Update {
    factors: Factors,
    parameter: *mut f32,
    mean: *mut f32,
    squares: *mut f32,
    gradient: *const f32,
}

impl Lanewise for Update {
    #[inline(always)]
    unsafe fn at<V: Vector>(self, value: usize, _place: usize) {
        let f = self.factors;
        // SAFETY: the caller's promise.
        unsafe {
            let [parameter, mean, squares] =
                [self.parameter, self.mean, self.squares].map(|start| start.add(value));
            let g = V::load(self.gradient.add(value));
            let m = V::load(mean)
                .mul(V::splat(f.keep_mean))
                .add(g.mul(V::splat(f.take_mean)));
            let v = V::load(squares)
                .mul(V::splat(f.keep_squares))
                .add(g.mul(g).mul(V::splat(f.take_squares)));
            m.store(mean);
            v.store(squares);
            let change = m
                .mul(V::splat(f.numerator))
                .div(v.sqrt().add(V::splat(f.epsilon)));
            V::load(parameter)
                .sub(change.mul(V::splat(f.rate)))
                .store(parameter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;
    use serde_json::Value;

    // tests/golden/adam.py: torch.optim.Adam over five steps in f64.
    const GOLDEN: &str = include_str!("../../../tests/golden/adam/steps.json");

    fn numbers(value: &Value) -> Vec<f32> {
        let list = value.as_array().expect("a list");
        list.iter()
            .map(|v| v.as_f64().expect("a number") as f32)
            .collect()
    }

    fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() <= tolerance * (1.0 + expected.abs()),
                "{found} for {expected}"
            );
        }
    }

    #[test]
    fn five_steps_match_torch_on_every_instruction_path() {
        let golden: Value = serde_json::from_str(GOLDEN).expect("JSON");
        let number = |key: &str| golden[key].as_f64().expect("a number");
        for instructions in Instructions::available() {
            let mut parameter = numbers(&golden["start"]);
            let [mut mean, mut squares] = [(); 2].map(|()| vec![0.0; parameter.len()]);
            let steps = golden["steps"].as_array().expect("a list");
            assert_eq!(steps.len(), 5);
            for (step, expected) in (1..).zip(steps) {
                let adam = Adam {
                    rate: number("rate"),
                    beta_1: number("beta_1"),
                    beta_2: number("beta_2"),
                    epsilon: number("epsilon"),
                    step,
                };
                let state = AdamState {
                    parameter: &mut parameter,
                    mean: &mut mean,
                    squares: &mut squares,
                };
                adam.update_with(instructions, state, &numbers(&expected["gradient"]));
                assert_close(&parameter, &numbers(&expected["parameter"]), 3e-7);
                assert_close(&mean, &numbers(&expected["mean"]), 3e-7);
                assert_close(&squares, &numbers(&expected["squares"]), 3e-7);
            }
        }
    }

    /// Burn 0.22.1's `AdaptiveMomentum::transform` for one value, in its order and in f32.
    fn burn(p: f32, m: f32, v: f32, g: f32, step: i32) -> [f32; 3] {
        let (beta_1, beta_2, epsilon, rate) = (0.9f32, 0.999f32, 1e-5f32, 1e-3f32);
        let m = m * beta_1 + g * (1.0 - beta_1);
        let v = v * beta_2 + g * g * (1.0 - beta_2);
        let root = (1.0 - beta_2.powi(step)).sqrt();
        let factor = root / (1.0 - beta_1.powi(step));
        [p - m * factor / (v.sqrt() + epsilon * root) * rate, m, v]
    }

    #[test]
    fn one_update_equals_burns_but_for_its_factors_in_f32() {
        let length = 70_001;
        for instructions in Instructions::available() {
            let start = noise(length, 1);
            let mut parameter = start.clone();
            let mut mean = noise(length, 2);
            let mut squares: Vec<_> = noise(length, 3).iter().map(|v| v * v).collect();
            let gradient = noise(length, 4);
            let before: Vec<_> = (0..length)
                .map(|i| burn(parameter[i], mean[i], squares[i], gradient[i], 7))
                .collect();
            let adam = Adam {
                rate: 1e-3,
                beta_1: 0.9,
                beta_2: 0.999,
                epsilon: 1e-5,
                step: 7,
            };
            let state = AdamState {
                parameter: &mut parameter,
                mean: &mut mean,
                squares: &mut squares,
            };
            adam.update_with(instructions, state, &gradient);
            let expected = |which: usize| before.iter().map(|b| b[which]).collect::<Vec<_>>();
            // Burn's f32 corrections are off by 1e-5 of the change.
            for ((found, start), expected) in parameter.iter().zip(&start).zip(expected(0)) {
                let tolerance = 2e-5 * (expected - start).abs() + 2e-7 * start.abs();
                assert!(
                    (found - expected).abs() <= tolerance,
                    "{found} for {expected}"
                );
            }
            assert_close(&mean, &expected(1), 2e-7);
            assert_close(&squares, &expected(2), 2e-7);
        }
    }
}
