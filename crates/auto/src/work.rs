//! The trainings of a plan, carried out one after the other, each as long as fits.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::tensor::Device;
use lacuna_data::manifest::Manifest;
use lacuna_record::{Existing, Fingerprint, Summary, write_json};
use lacuna_train::checkpoint::Choice;
use lacuna_train::config::RunConfig;
use lacuna_train::into_folder::Target;
use lacuna_train::predict::{Average, Session};
use lacuna_train::predictor::Predictor;
use lacuna_train::training::train;
use serde::{Deserialize, Serialize};

use crate::auto::Step;
use crate::clock::Clock;
use crate::error::AutoError;
use crate::judge;
use crate::plan::{Plan, Training, sets};

/// How one training came to its length; an entry of `choices.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChoiceOfLength {
    /// The training.
    pub training: String,
    /// Its iterations.
    pub iterations: u64,
    /// Seconds of the budget that were left when it was chosen.
    pub left: f64,
    /// Seconds that the training was expected to take.
    pub expected: f64,
    /// Seconds that it took, once it has ended in one session.
    pub took: Option<f64>,
    /// Seconds that its predictions were expected to take.
    pub expected_predicting: f64,
    /// Seconds that they took.
    pub took_predicting: Option<f64>,
}

/// The choices in `out` so far.
pub(crate) fn read_choices(out: &Path) -> Result<Vec<ChoiceOfLength>, AutoError> {
    match out.join("choices.json").exists() {
        true => Ok(lacuna_record::read_json(out, "choices.json")?),
        false => Ok(Vec::new()),
    }
}

/// What the trainings share.
pub(crate) struct Work<'a> {
    pub out: &'a Path,
    pub plan: &'a Plan,
    pub config: &'a RunConfig,
    pub fingerprint: &'a Fingerprint,
    pub manifest: &'a Manifest,
    pub device: &'a Device,
    pub stop: &'a AtomicBool,
    pub choices: Vec<ChoiceOfLength>,
}

impl Work<'_> {
    /// Carries out one training, or goes on with it; `None` when it was stopped.
    pub fn train(
        &mut self,
        number: usize,
        training: &Training,
        clock: &mut Clock,
        told: &mut dyn FnMut(Step<'_>),
    ) -> Result<Option<Summary>, AutoError> {
        let run = self.out.join(&training.name);
        let iterations = self.length(number, training, clock)?;
        let begun = run.join("run.toml").exists();
        if begun
            && let Ok(summary) = Summary::read(&run)
            && summary.finished
        {
            return Ok(Some(summary));
        }
        let mut config = self.config.clone();
        config.split.train = training.train.clone();
        config.split.test = training.held_out.clone();
        config.train.iterations = iterations;
        config.seed = self.plan.asked.seed.wrapping_add(number as u64);
        told(Step::Training(
            training,
            number + 1,
            self.plan.trainings.len(),
            iterations,
        ));
        let started = Instant::now();
        let summary = train(&config, &run, begun, self.device, self.stop, &mut |step| {
            clock.tick();
            told(Step::Train(step));
        })?;
        if !summary.finished {
            return Ok(None);
        }
        if !begun {
            self.choices[number].took = Some(started.elapsed().as_secs_f64());
        }
        self.write_choices()?;
        clock.write()?;
        Ok(Some(summary))
    }

    /// The iterations of a training: those chosen before, or as many as now fit.
    fn length(
        &mut self,
        number: usize,
        training: &Training,
        clock: &Clock,
    ) -> Result<u64, AutoError> {
        if let Some(chosen) = self.choices.get(number) {
            return Ok(chosen.iterations);
        }
        let mut speed = self.plan.speed;
        let factor = |pairs: &mut dyn Iterator<Item = (f64, f64)>| {
            let (took, expected) = pairs.fold((0.0, 0.0), |sum, (t, e)| (sum.0 + t, sum.1 + e));
            if expected > 0.0 { took / expected } else { 1.0 }
        };
        let trainings = self
            .choices
            .iter()
            .filter_map(|c| Some((c.took?, c.expected)));
        speed.training_factor = factor(&mut trainings.into_iter());
        let predicted = self
            .choices
            .iter()
            .filter_map(|c| Some((c.took_predicting?, c.expected_predicting)));
        speed.predicting_factor = factor(&mut predicted.into_iter());
        let left = self.plan.asked.budget.duration().as_secs_f64() - clock.spent();
        let trainings = &self.plan.trainings;
        let iterations = match sets(&self.plan.asked, "train.iterations") {
            true => self.config.train.iterations,
            // A training that learns nothing is worth less than some minutes more.
            false => speed
                .iterations(self.config, self.fingerprint, trainings, left, number)
                .max(self.config.train.warm_up + 10),
        };
        // As the speed was measured, so that the factor is over all trainings so far.
        let expected =
            self.plan
                .speed
                .training(self.config, self.fingerprint, training, iterations);
        self.choices.push(ChoiceOfLength {
            training: training.name.clone(),
            iterations,
            left,
            expected,
            took: None,
            expected_predicting: self
                .plan
                .speed
                .predicting(self.fingerprint, &training.held_out),
            took_predicting: None,
        });
        self.write_choices()?;
        Ok(iterations)
    }

    fn write_choices(&self) -> Result<(), AutoError> {
        Ok(write_json(&self.out.join("choices.json"), &self.choices)?)
    }

    /// Predicts what a training held out; `false` when it was stopped.
    pub fn predict(
        &mut self,
        number: usize,
        training: &Training,
        clock: &mut Clock,
        told: &mut dyn FnMut(Step<'_>),
    ) -> Result<bool, AutoError> {
        if training.held_out.is_empty() || self.choices[number].took_predicting.is_some() {
            return Ok(true);
        }
        let run = self.out.join(&training.name);
        let started = Instant::now();
        let predictor =
            Predictor::open(&[run], Choice::Last, self.device, None, Average::default())?;
        let folder = judge::fold_folder(self.out, training);
        let target = Target {
            folder: &folder,
            probabilities: true,
            spread: false,
            label_values: false,
            // What a session that was cut off has left.
            existing: Existing::Skip,
        };
        let session = Session::new(self.stop);
        let ended = predictor.predict_into(
            self.manifest,
            &training.held_out,
            &target,
            session,
            &mut |at| {
                clock.tick();
                told(Step::Predict(at));
            },
        );
        match ended {
            Ok(()) => {}
            Err(lacuna_train::run::RunError::Stopped) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.choices[number].took_predicting = Some(started.elapsed().as_secs_f64());
        self.write_choices()?;
        clock.write()?;
        Ok(true)
    }
}
