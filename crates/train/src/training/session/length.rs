//! How many iterations a training has: those asked for, or as many as fit into a budget.

use std::sync::atomic::AtomicBool;

use lacuna_data::sampler::SamplerKind;

use super::Session;
use crate::predict::{Session as Prediction, predict_case};
use crate::run::RunError;
use crate::schedule::Schedule;

/// Iterations whose time is not that of the others: buffers are made in them.
const UNLIKE: usize = 2;

impl Session {
    /// Iterations in all; `None` as long as a budget has not chosen them.
    pub(in crate::training) fn length(&self) -> Option<u64> {
        match self.preflight.config.train.budget {
            Some(_) => self.state.length,
            None => Some(self.preflight.config.train.iterations),
        }
    }

    /// The learning rate of the next iteration.
    pub(super) fn rate(&self) -> f64 {
        let schedule = Schedule {
            // While the length is not known, the rate does not depend on it.
            iterations: self.length().unwrap_or(u64::MAX),
            ..self.preflight.config.train.schedule()
        };
        schedule.rate(self.done())
    }

    /// True when enough iterations are done to choose how many there will be, and when
    /// the budget has passed before.
    pub(in crate::training) fn length_is_due(&self) -> bool {
        let (Some(budget), None) = (self.preflight.config.train.budget, self.state.length) else {
            return false;
        };
        let measured = self.done() >= self.preflight.config.train.measured();
        measured || self.done() > 0 && self.started.elapsed() >= budget.duration()
    }

    /// Chooses how many iterations fit into the budget, and tells it.
    ///
    /// # Errors
    /// [`RunError::Budget`] when none fits any more; [`RunError::Stopped`].
    pub(in crate::training) fn choose_length(
        &mut self,
        stop: &AtomicBool,
    ) -> Result<String, RunError> {
        let train = &self.preflight.config.train;
        let budget = train.budget.expect("there is one where a length is chosen");
        let seconds: Vec<f64> = self.events.iter().map(|e| e.seconds).collect();
        let usual = &seconds[UNLIKE.min(seconds.len() - 1)..];
        let mut each = usual.iter().sum::<f64>() / usual.len() as f64;
        let whole = self.seconds_of_a_subject(stop)?;
        let subjects = self.preflight.validation.len() as f64;
        // Once at the end, and whenever it is asked for.
        let mut once = whole * subjects;
        if train.validate_every > 0 {
            each += whole * subjects / train.validate_every as f64;
        }
        if self.preflight.config.patch.sampler.has(SamplerKind::Errors) {
            once += super::asked::PASSES as f64 * whole * self.sampler.cohort().len() as f64;
        }
        let spent = self.started.elapsed().as_secs_f64();
        let left = budget.duration().as_secs_f64() - spent - once;
        let more = (left / each).floor();
        if more < 1.0 {
            return Err(RunError::Budget {
                budget,
                steps: self.done(),
                seconds: each,
                least: spent + once + each * self.done() as f64,
            });
        }
        let length = self.done() + more as u64;
        self.state.length = Some(length);
        self.write_config()?;
        Ok(format!(
            "train.budget: {length} iterations of {each:.2} s fit into {budget}; to repeat them \
             exactly, take train.iterations = {length} and no budget"
        ))
    }

    /// Seconds for which a whole subject is predicted: the first that is validated with,
    /// or trained on; 0 where nothing will be.
    fn seconds_of_a_subject(&self, stop: &AtomicBool) -> Result<f64, RunError> {
        let errors = self.preflight.config.patch.sampler.has(SamplerKind::Errors);
        let cohort = match (self.preflight.validation.is_empty(), errors) {
            (false, _) => &self.preflight.validation,
            (true, true) => self.sampler.cohort(),
            (true, false) => return Ok(0.0),
        };
        let case = cohort.case(0)?;
        let started = std::time::Instant::now();
        predict_case(
            &self.predictor(),
            &case,
            Prediction::new(stop),
            &mut |_, _| {},
        )?;
        Ok(started.elapsed().as_secs_f64())
    }
}
