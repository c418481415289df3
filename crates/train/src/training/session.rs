//! A training under way: network, optimiser, sampler, logs and counters.

mod asked;
mod ending;
mod length;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::TensorData;
use lacuna_data::prefetch::{Prefetch, Prefetched};
use lacuna_data::sampler::{
    Batch, PatchGeometry, PatchPlace, Realised, Sampler, SubjectComponents,
};
use lacuna_losses::{Evaluation, LossError};
use lacuna_metrics::Counts;
use lacuna_nets::Network;
use lacuna_record::{Event, remove_file, unix_time, write_json};

use super::divergence;
use super::preflight::Preflight;
use super::untrained::untrained;
use crate::checkpoint::{self, Saved, State};
use crate::collapse::{self, Watch};
use crate::compute::Compute;
use crate::config::RunConfig;
use crate::events::EventLog;
use crate::run::{RunError, RunFolder};
use crate::step::{Step, Target, new_optimiser};
use crate::validation::{self, Validation};

/// Keeps a young average near the weights: as in many implementations, its decay is at
/// most (1 + t) / (10 + t) after t iterations.
const YOUNG: f64 = 10.0;

/// Holds the run folder while it lives.
pub(super) struct Session {
    preflight: Preflight,
    folder: RunFolder,
    /// With gradients.
    training: Compute,
    network: Network,
    /// Of the weights, in evaluation mode, with `train.ema`.
    average: Option<Network>,
    optimiser: ModuleOptimizer,
    state: State,
    /// What the network got wrong on each training subject when it was last asked.
    errors: Option<Vec<SubjectComponents>>,
    sampler: Arc<Sampler>,
    prefetch: Prefetch,
    log: EventLog,
    events: Vec<Event>,
    watch: Watch,
    collapse_told: bool,
    validated: Option<Validation>,
    /// Iteration of the newest checkpoint.
    saved_at: u64,
    /// Patches of the newest iteration.
    places: Vec<PatchPlace>,
    started: Instant,
}

impl Session {
    /// Makes the run folder and begins, or goes on from the newest checkpoint.
    pub(super) fn start(
        out: &Path,
        mut preflight: Preflight,
        started: Instant,
    ) -> Result<Self, RunError> {
        let folder = match preflight.held.take() {
            Some(folder) => folder,
            None => RunFolder::create(out)?,
        };
        let config = &preflight.config;
        let run = folder.path.as_path();
        checkpoint::tidy(run)?;
        write_json(&run.join("dataset.json"), &preflight.dataset.facts)?;
        preflight.sessions.write(run)?;

        let mut network = preflight.network.clone();
        let mut average = (config.train.ema > 0.0).then(|| network.valid());
        let mut optimiser = new_optimiser(&config.train);
        let mut state = State::new(config.seed);
        let mut errors = None;
        if let Some((checkpoint, saved)) = checkpoint::latest(run)? {
            (network, average) = checkpoint::load_both(&checkpoint, network)?;
            optimiser = checkpoint::load_optimiser(&checkpoint, optimiser, &network)?;
            errors = checkpoint::load_errors(&checkpoint)?;
            state = saved;
        }
        state.score = checkpoint::best_until(run, state.iteration)?;
        let sampler = sampler(&preflight, &state, errors.as_deref());
        let validations = validation::keep(run, state.iteration, preflight.validation.len())?;
        let (log, events) = EventLog::open(run, state.iteration, &validations)?;
        // It tells of an end that this session goes beyond.
        remove_file(&run.join("summary.json"))?;
        let mut watch = Watch::default();
        events.iter().for_each(|event| watch.add(event));
        let session = Self {
            training: preflight.compute.autodiff(),
            network,
            average,
            optimiser,
            saved_at: state.iteration,
            prefetch: prefetch(config, &sampler, &state)?,
            state,
            errors,
            sampler,
            log,
            events,
            collapse_told: false,
            watch,
            validated: validations.last().copied(),
            places: Vec::new(),
            preflight,
            folder,
            started,
        };
        // Last, since this file is what makes the folder a run.
        session.write_config()?;
        Ok(session)
    }

    /// Writes `run.toml`, with the iterations that a budget chose.
    fn write_config(&self) -> Result<(), RunError> {
        let mut config = self.preflight.config.clone();
        config.train.iterations = self.state.length.unwrap_or(config.train.iterations);
        config.train.from = self.preflight.from.clone();
        let text = config.to_toml()?;
        lacuna_io::atomic::write_bytes(self.run().join("run.toml"), text.as_bytes())?;
        Ok(())
    }

    fn run(&self) -> PathBuf {
        self.folder.path.clone()
    }

    /// Stops a training whose folder is no longer at its path.
    ///
    /// # Errors
    /// [`RunError::Moved`]
    pub(super) fn check_folder(&self) -> Result<(), RunError> {
        self.folder.check_in_place(self.saved_at)
    }

    /// Iterations done.
    pub(super) fn done(&self) -> u64 {
        self.state.iteration
    }

    /// True when all iterations asked for are done.
    pub(super) fn is_complete(&self) -> bool {
        self.length().is_some_and(|length| self.done() >= length)
    }

    /// Waits for the next batch; `None` after the last.
    pub(super) fn next_batch(&mut self) -> Result<Option<Prefetched>, RunError> {
        Ok(self.prefetch.next().transpose()?)
    }

    /// One step on a batch, recorded.
    ///
    /// # Errors
    /// [`RunError::NonFinite`] where the network's output is no number.
    pub(super) fn step(mut self, ready: Prefetched) -> Result<Self, RunError> {
        let started = Instant::now();
        let iteration = self.state.iteration + 1;
        let step = Step {
            compute: &self.training,
            loss: &self.preflight.config.loss,
            regions: self.preflight.outputs.regions(),
            grid: self.preflight.grid,
            rate: self.rate(),
            deep_supervision: self.preflight.config.train.deep_supervision,
            clip_norm: self.preflight.config.train.clip_norm,
        };
        let parts = ready.batch.split(self.preflight.config.train.accumulate);
        let batches = parts.iter().map(|batch| {
            let target = Target {
                labels: &batch.labels,
                maps: &batch.maps,
                iteration,
            };
            (images_of(batch, &self.preflight.geometry), target)
        });
        let taken = step.take(self.network, &mut self.optimiser, batches.collect());
        if let Err(LossError::NonFiniteLogit { .. }) = &taken {
            let found = "the network's output is not finite".to_owned();
            let (run, kept) = (&self.folder.path, self.saved_at);
            let places = &ready.batch.places;
            return Err(divergence::report(run, iteration, kept, found, places)?);
        }
        let taken = taken?;
        self.network = taken.network;
        if let Some(average) = self.average.take() {
            let t = iteration as f64;
            let decay = self.preflight.config.train.ema.min((1.0 + t) / (YOUNG + t));
            self.average = Some(average.towards(&self.network.valid(), 1.0 - decay));
        }

        self.state.iteration = iteration;
        let mut drawn = Realised::default();
        drawn.add(&ready.batch);
        self.state.realised.add(&ready.batch);
        let evaluation = taken.evaluation;
        let event = Event {
            iteration,
            loss: evaluation.value,
            dsc: foreground_dsc(&evaluation),
            foreground_share: drawn.foreground_share().unwrap_or(0.0),
            predicted_share: Some(predicted_share(&evaluation, ready.batch.labels.len())),
            alternation: taken.alternation,
            empty_patches: drawn.empty,
            seconds: ready.waited_seconds + started.elapsed().as_secs_f64(),
            wait_seconds: ready.waited_seconds,
            wall_time: unix_time(),
        };
        self.log.append(&self.folder.path, &event)?;
        self.watch.add(&event);
        self.events.push(event);
        self.places = ready.batch.places;
        Ok(self)
    }

    /// The newest iteration.
    pub(super) fn last_event(&self) -> Option<&Event> {
        self.events.last()
    }

    /// What to tell, once, of a training that has collapsed.
    pub(super) fn collapse(&mut self) -> Option<String> {
        if self.collapse_told {
            return None;
        }
        let told = collapse::told(
            self.watch.verdict(),
            self.preflight.config.train.learning_rate,
        )?;
        self.collapse_told = true;
        Some(told)
    }

    /// Whether a training that has collapsed begins again.
    pub(super) fn may_restart(&self) -> bool {
        self.state.restarts < self.preflight.config.train.restarts
    }

    /// Begins again with other random numbers; what was trained is removed.
    pub(super) fn restart(mut self) -> Result<Self, RunError> {
        let run = self.run();
        let restarts = self.state.restarts + 1;
        // The first seed's neighbours are the seeds of other runs.
        let seed = self.preflight.config.seed.wrapping_add(restarts << 32);
        self.state = State {
            restarts,
            length: self.state.length,
            ..State::new(seed)
        };
        let prepared = &self.preflight;
        let inputs = prepared.dataset.facts.modalities.len();
        let device = self.training.device();
        self.network = untrained(&prepared.config, inputs, &prepared.outputs, seed, device)?;
        self.average = self.average.is_some().then(|| self.network.valid());
        self.optimiser = new_optimiser(&prepared.config.train);
        self.errors = None;
        self.sampler = sampler(prepared, &self.state, None);
        self.prefetch = prefetch(&prepared.config, &self.sampler, &self.state)?;
        checkpoint::clear(&run)?;
        self.saved_at = 0;
        validation::keep(&run, 0, prepared.validation.len())?;
        (self.log, self.events) = EventLog::open(&run, 0, &[])?;
        self.watch = Watch::default();
        self.collapse_told = false;
        self.validated = None;
        // So that a run which ends at once goes on with these random numbers.
        self.write_checkpoint()?;
        Ok(self)
    }

    /// At every multiple of `train.checkpoint_every`, and at the end.
    pub(super) fn checkpoint_is_due(&self) -> bool {
        let every = self.preflight.config.train.checkpoint_every;
        self.done().is_multiple_of(every) || self.is_complete()
    }

    /// Writes a checkpoint, unless there is one of this iteration.
    ///
    /// # Errors
    /// [`RunError::NonFinite`] when the step made the weights non-finite.
    pub(super) fn save(&mut self) -> Result<(), RunError> {
        if self.done() == self.saved_at {
            return Ok(());
        }
        let run = self.run();
        if !checkpoint::weights_are_finite(&self.network) {
            let found = "the weights are not finite after the step".to_owned();
            let (iteration, kept) = (self.done(), self.saved_at);
            return Err(divergence::report(
                &run,
                iteration,
                kept,
                found,
                &self.places,
            )?);
        }
        self.write_checkpoint()
    }

    fn write_checkpoint(&mut self) -> Result<(), RunError> {
        let saved = Saved {
            state: &self.state,
            network: &self.network,
            average: self.average.as_ref(),
            optimiser: &self.optimiser,
            errors: self.errors.as_deref(),
        };
        self.check_folder()?;
        self.log.sync(&self.folder.path)?;
        if let Err(error) = checkpoint::save(&self.folder.path, &saved) {
            // Where the folder has gone meanwhile, that is what is wrong.
            self.check_folder()?;
            return Err(error);
        }
        self.saved_at = self.done();
        Ok(())
    }
}

/// The sampler with the random numbers of `state`, told of the `errors` where they are
/// known.
fn sampler(
    prepared: &Preflight,
    state: &State,
    errors: Option<&[SubjectComponents]>,
) -> Arc<Sampler> {
    let sampler = Sampler::clone(&prepared.sampler).with_seed(state.seed);
    Arc::new(match errors {
        Some(errors) => sampler.with_errors(errors.to_vec()),
        None => sampler,
    })
}

/// Batches from the next iteration of `state` on, drawn by `sampler`.
fn prefetch(
    config: &RunConfig,
    sampler: &Arc<Sampler>,
    state: &State,
) -> Result<Prefetch, RunError> {
    let train = &config.train;
    let end = match train.budget {
        // How many fit is known only after the first.
        Some(_) => state.length.unwrap_or(u64::MAX),
        None => train.iterations,
    };
    let iterations = state.iteration..end;
    let patches = train.batch * train.accumulate;
    let sampler = Arc::clone(sampler);
    Ok(Prefetch::new(
        sampler,
        patches,
        iterations,
        train.loader_threads,
    )?)
}

fn images_of(batch: &Batch, geometry: &PatchGeometry) -> TensorData {
    let patches = batch.places.len();
    let lengths = &geometry.input.0[3 - geometry.rank..];
    let elements: usize = lengths.iter().product();
    let mut shape = vec![patches, batch.images.len() / patches / elements];
    shape.extend(lengths);
    TensorData::new(batch.images.clone(), shape)
}

/// Share of the `voxels` of a batch that the network calls foreground.
fn predicted_share(evaluation: &Evaluation, voxels: usize) -> f64 {
    (evaluation.tp + evaluation.fp) as f64 / voxels as f64
}

/// Hard foreground DSC of a batch (1 when neither side has foreground).
fn foreground_dsc(evaluation: &Evaluation) -> f64 {
    let counts = Counts {
        true_positive: evaluation.tp,
        false_positive: evaluation.fp,
        false_negative: evaluation.fn_,
        true_negative: 0,
    };
    counts.dsc()
}
