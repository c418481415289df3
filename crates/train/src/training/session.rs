//! A training under way: network, optimiser, sampler, logs and counters.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::tensor::TensorData;
use lacuna_data::prefetch::{Prefetch, Prefetched};
use lacuna_data::sampler::{Batch, PatchGeometry, PatchPlace, Realised};
use lacuna_losses::{Evaluation, LossError};
use lacuna_metrics::{Counts, Quartiles};
use lacuna_nets::Network;
use lacuna_record::{Event, LastIterations, Summary, unix_time, write_json};

use super::divergence;
use super::preflight::Preflight;
use crate::checkpoint::{self, State};
use crate::compute::Compute;
use crate::config::RunConfig;
use crate::events::EventLog;
use crate::predict::SingleNetwork;
use crate::run::{RunError, RunFolder, peak_memory_bytes};
use crate::step::{Step, Target, new_optimiser};
use crate::validation::{self, Validation};

/// Holds the run folder while it lives.
pub(super) struct Session<'a> {
    config: &'a RunConfig,
    preflight: Preflight,
    folder: RunFolder,
    /// With gradients.
    training: Compute,
    network: Network,
    optimiser: ModuleOptimizer,
    state: State,
    prefetch: Prefetch,
    log: EventLog,
    events: Vec<Event>,
    validated: Option<Validation>,
    /// Iteration of the newest checkpoint.
    saved_at: u64,
    /// Patches of the newest iteration.
    places: Vec<PatchPlace>,
}

impl<'a> Session<'a> {
    /// Makes the run folder and begins, or goes on from the newest checkpoint.
    pub(super) fn start(
        config: &'a RunConfig,
        out: &Path,
        mut preflight: Preflight,
    ) -> Result<Self, RunError> {
        let folder = match preflight.held.take() {
            Some(folder) => folder,
            None => RunFolder::create(out)?,
        };
        let run = folder.path.as_path();
        write_json(&run.join("dataset.json"), &preflight.dataset.facts)?;
        preflight.sessions.write(run)?;
        // Last, since this file is what makes the folder a run.
        lacuna_io::atomic::write_bytes(run.join("run.toml"), config.to_toml()?.as_bytes())?;

        let mut network = preflight.network.clone();
        let mut optimiser = new_optimiser(&config.train);
        let mut state = State {
            iteration: 0,
            seed: config.seed,
            realised: Realised::default(),
        };
        if let Some((checkpoint, saved)) = checkpoint::latest(run)? {
            network = checkpoint::load_weights(&checkpoint, network)?;
            optimiser = checkpoint::load_optimiser(&checkpoint, optimiser)?;
            state = saved;
        }
        let validations = validation::keep(run, state.iteration, preflight.validation.len())?;
        let (log, events) = EventLog::open(run, state.iteration, &validations)?;
        let prefetch = Prefetch::new(
            Arc::clone(&preflight.sampler),
            config.train.batch,
            state.iteration..config.train.iterations,
            config.train.loader_threads,
        )?;
        Ok(Self {
            config,
            training: preflight.compute.autodiff(),
            network,
            optimiser,
            saved_at: state.iteration,
            state,
            prefetch,
            log,
            events,
            validated: validations.last().copied(),
            places: Vec::new(),
            preflight,
            folder,
        })
    }

    fn run(&self) -> PathBuf {
        self.folder.path.clone()
    }

    /// Iterations done.
    pub(super) fn done(&self) -> u64 {
        self.state.iteration
    }

    /// True when all iterations asked for are done.
    pub(super) fn is_complete(&self) -> bool {
        self.done() >= self.config.train.iterations
    }

    /// At the end, and at every multiple of `train.validate_every`.
    pub(super) fn validation_is_due(&self) -> bool {
        let train = &self.config.train;
        let (every, done) = (train.validate_every, self.done());
        let due = done == train.iterations || every > 0 && done.is_multiple_of(every);
        let last = self.validated.map_or(0, |v| v.iteration);
        due && done > last && !self.preflight.validation.is_empty()
    }

    /// Predicts and scores the validation subjects.
    ///
    /// # Errors
    /// [`RunError::Stopped`] when `stop` is set; nothing is then recorded.
    pub(super) fn validate(&mut self, stop: &AtomicBool) -> Result<Validation, RunError> {
        let prepared = &self.preflight;
        let model = SingleNetwork::new(
            self.network.valid(),
            prepared.compute.clone(),
            prepared.outputs.clone(),
            self.config.patch.plane,
        );
        let run = self.run();
        let scored = validation::score(&run, self.done(), &model, &prepared.validation, stop)
            .map_err(|e| e.naming(&prepared.dataset.manifest, &run))?;
        self.log.validation(&run, &scored, unix_time())?;
        self.validated = Some(scored);
        Ok(scored)
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
            loss: &self.config.loss,
            regions: self.preflight.outputs.regions(),
            grid: self.preflight.grid,
            rate: self.config.train.schedule().rate(self.state.iteration),
            deep_supervision: self.config.train.deep_supervision,
            clip_norm: self.config.train.clip_norm,
        };
        let images = images_of(&ready.batch, &self.preflight.geometry);
        let target = Target {
            labels: &ready.batch.labels,
            maps: &ready.batch.maps,
            iteration,
        };
        let stepped = step.take(self.network, &mut self.optimiser, images, target);
        if let Err(LossError::NonFiniteLogit { .. }) = &stepped {
            let found = "the network's output is not finite".to_owned();
            let (run, kept) = (&self.folder.path, self.saved_at);
            let places = &ready.batch.places;
            return Err(divergence::report(run, iteration, kept, found, places)?);
        }
        let (network, evaluation) = stepped?;
        self.network = network;

        self.state.iteration = iteration;
        let mut drawn = Realised::default();
        drawn.add(&ready.batch);
        self.state.realised.add(&ready.batch);
        let event = Event {
            iteration,
            loss: evaluation.value,
            dsc: foreground_dsc(&evaluation),
            foreground_share: drawn.foreground_share().unwrap_or(0.0),
            predicted_share: Some(predicted_share(&evaluation, ready.batch.labels.len())),
            empty_patches: drawn.empty,
            seconds: ready.waited_seconds + started.elapsed().as_secs_f64(),
            wait_seconds: ready.waited_seconds,
            wall_time: unix_time(),
        };
        self.log.append(&self.folder.path, &event)?;
        self.events.push(event);
        self.places = ready.batch.places;
        Ok(self)
    }

    /// The newest iteration.
    pub(super) fn last_event(&self) -> Option<&Event> {
        self.events.last()
    }

    /// At every multiple of `train.checkpoint_every`, and at the end.
    pub(super) fn checkpoint_is_due(&self) -> bool {
        let every = self.config.train.checkpoint_every;
        self.done().is_multiple_of(every) || self.done() == self.config.train.iterations
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
        checkpoint::save(&run, &self.state, &self.network, &self.optimiser)?;
        self.saved_at = self.done();
        Ok(())
    }

    /// Saves what is not saved yet and writes the summary.
    pub(super) fn finish(mut self) -> Result<Summary, RunError> {
        self.save()?;
        let summary = self.summary();
        write_json(&self.run().join("summary.json"), &summary)?;
        Ok(summary)
    }

    fn summary(&self) -> Summary {
        let events = &self.events;
        let seconds: Vec<f64> = events.iter().map(|e| e.seconds).collect();
        let spent: f64 = seconds.iter().sum();
        let waited: f64 = events.iter().map(|e| e.wait_seconds).sum();
        Summary {
            iterations: self.done(),
            finished: self.done() == self.config.train.iterations,
            last_iterations: LastIterations::of(events),
            foreground_share: self.state.realised.foreground_share().unwrap_or(0.0),
            empty_patch_rate: self.state.realised.empty_rate().unwrap_or(0.0),
            seconds_per_iteration: Quartiles::of(&seconds).map_or(0.0, |q| q.median),
            wait_share: if spent > 0.0 { waited / spent } else { 0.0 },
            parameters: self.network.parameter_count(),
            peak_memory_bytes: peak_memory_bytes(),
            validation_dsc: self.validated.map(|v| v.dsc),
        }
    }
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
