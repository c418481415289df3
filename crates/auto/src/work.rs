//! The trainings of a plan, carried out one after the other, each as long as fits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::tensor::Device;
use lacuna_data::manifest::Manifest;
use lacuna_record::{Ending, Existing, Fingerprint, PREDICTION_ENDING, Summary, write_json};
use lacuna_train::checkpoint::Choice;
use lacuna_train::config::PredictOverrides;
use lacuna_train::config::RunConfig;
use lacuna_train::into_folder::Target;
use lacuna_train::predictor::Predictor;
use lacuna_train::training::train;
use serde::{Deserialize, Serialize};

use crate::auto::Step;
use crate::clock::Clock;
use crate::error::AutoError;
use crate::judge;
use crate::plan::{Plan, Speed, Training, sets};

/// How one training came to its length; `choices/NAME/length.json`.
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
    /// Seconds that they took, in one session.
    pub took_predicting: Option<f64>,
    /// They are done.
    #[serde(default)]
    pub predicted: bool,
    /// It was carried out beside the others, and its time is on no clock.
    #[serde(default)]
    pub apart: bool,
}

/// The choices in `out` so far, by training.
fn read_choices(out: &Path, plan: &Plan) -> Result<BTreeMap<String, ChoiceOfLength>, AutoError> {
    let mut choices = BTreeMap::new();
    for training in &plan.trainings {
        let folder = choice_folder(out, &training.name);
        if folder.join(CHOICE).exists() {
            let choice = lacuna_record::read_json(&folder, CHOICE)?;
            choices.insert(training.name.clone(), choice);
        }
    }
    Ok(choices)
}

/// Of its own for each training, so that those that run at once do not meet.
fn choice_folder(out: &Path, training: &str) -> PathBuf {
    out.join("choices").join(training)
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
    pub choices: BTreeMap<String, ChoiceOfLength>,
    /// How fast this machine does its parts.
    pub speed: Speed,
    /// Other machines carry out the other trainings at the same time.
    pub alone: bool,
}

const CHOICE: &str = "length.json";

impl<'a> Work<'a> {
    /// One training after the other on the machine of the plan, from what was done before.
    pub fn new(
        out: &'a Path,
        (plan, config, fingerprint): (&'a Plan, &'a RunConfig, &'a Fingerprint),
        manifest: &'a Manifest,
        device: &'a Device,
        stop: &'a AtomicBool,
    ) -> Result<Self, AutoError> {
        Ok(Self {
            out,
            plan,
            config,
            fingerprint,
            manifest,
            device,
            stop,
            choices: read_choices(out, plan)?,
            speed: plan.speed,
            alone: false,
        })
    }

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
        if let Some(collapse) = summary.ending.and_then(Ending::collapse) {
            told(Step::Note(format!(
                "{}: the training collapsed: in most of its last iterations {collapse}",
                training.name
            )));
        }
        let seconds = started.elapsed().as_secs_f64();
        self.record(training, |choice| {
            choice.took = (!begun).then_some(seconds);
        })?;
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
        if let Some(chosen) = self.choices.get(&training.name) {
            return Ok(chosen.iterations);
        }
        let left = self.plan.asked.budget.duration().as_secs_f64() - clock.spent();
        let so_far = self.speed_so_far();
        let (config, fingerprint) = (self.config, self.fingerprint);
        let fit = match self.alone {
            true => {
                let own = std::slice::from_ref(training);
                so_far.iterations(config, fingerprint, own, left, 0)
            }
            false => so_far.iterations(config, fingerprint, &self.plan.trainings, left, number),
        };
        let iterations = match sets(&self.plan.asked, "train.iterations") {
            true => config.train.iterations,
            // A training that learns nothing is worth less than some minutes more.
            false => fit.max(config.train.warm_up + 10),
        };
        let choice = ChoiceOfLength {
            training: training.name.clone(),
            iterations,
            left,
            // As the speed was measured, so that the factors are over all so far.
            expected: (self.speed).training(config, fingerprint, training, iterations),
            took: None,
            expected_predicting: self.speed.predicting(fingerprint, &training.held_out),
            took_predicting: None,
            predicted: false,
            apart: self.alone,
        };
        self.choices.insert(training.name.clone(), choice);
        self.record(training, |_| {})?;
        Ok(iterations)
    }

    /// The speed that was measured, by what trainings and predictions then took.
    fn speed_so_far(&self) -> Speed {
        let factor = |pairs: Vec<(f64, f64)>| {
            let took: f64 = pairs.iter().map(|(took, _)| took).sum();
            let expected: f64 = pairs.iter().map(|(_, expected)| expected).sum();
            if expected > 0.0 { took / expected } else { 1.0 }
        };
        let choices = || self.choices.values();
        let trained = choices().filter_map(|c| Some((c.took?, c.expected)));
        let predicted = choices().filter_map(|c| Some((c.took_predicting?, c.expected_predicting)));
        Speed {
            training_factor: factor(trained.collect()),
            predicting_factor: factor(predicted.collect()),
            ..self.speed
        }
    }

    /// Changes what is known of a training's length, and writes it down.
    fn record(
        &mut self,
        training: &Training,
        change: impl FnOnce(&mut ChoiceOfLength),
    ) -> Result<(), AutoError> {
        let Some(choice) = self.choices.get_mut(&training.name) else {
            return Ok(());
        };
        change(choice);
        let folder = choice_folder(self.out, &training.name);
        std::fs::create_dir_all(&folder).map_err(AutoError::io(&folder))?;
        Ok(write_json(&folder.join(CHOICE), choice)?)
    }

    /// Predicts what a training held out; `false` when it was stopped.
    pub fn predict(
        &mut self,
        training: &Training,
        clock: &mut Clock,
        told: &mut dyn FnMut(Step<'_>),
    ) -> Result<bool, AutoError> {
        let before = self.choices.get(&training.name);
        let done = before.is_some_and(|choice| choice.predicted);
        if training.held_out.is_empty() || done {
            return Ok(true);
        }
        let run = self.out.join(&training.name);
        let started = Instant::now();
        let overrides = PredictOverrides::default();
        let predictor = Predictor::open(&[run], Choice::Last, self.device, None, overrides)?;
        let folder = judge::fold_folder(self.out, training);
        let begun = folder.exists();
        let target = Target {
            folder: &folder,
            ending: PREDICTION_ENDING,
            probabilities: true,
            spread: false,
            label_values: false,
            // What a session that was cut off has left.
            existing: Existing::Skip,
        };
        let session = predictor.session(self.stop);
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
        let seconds = started.elapsed().as_secs_f64();
        self.record(training, |choice| {
            choice.predicted = true;
            choice.took_predicting = (!begun).then_some(seconds);
        })?;
        clock.write()?;
        Ok(true)
    }
}
