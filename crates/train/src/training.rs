//! The training loop.
//!
//! Per iteration: take a batch, forward, loss value and gradient in one
//! operation outside the autodiff graph, backward, optimiser step, record.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::Module;
use burn::optim::{ModuleOptimizer, SgdConfig, momentum::MomentumConfig};
use burn::tensor::{Device, TensorData};
use lacuna_data::prefetch::Prefetch;
use lacuna_data::sampler::{Batch, PatchGeometry, PatchPlace, Realised, Sampler};
use lacuna_data::subject::Case;
use lacuna_losses::{Evaluation, LossError};
use lacuna_metrics::{Counts, Quartiles};
use lacuna_nets::{Architecture, Network};
use lacuna_record::{Event, LastIterations, Summary, read_json, unix_time, write_json};

use crate::checkpoint::{self, State};
use crate::compute::Compute;
use crate::config::{OptimiserName, RunConfig};
use crate::dataset::Dataset;
use crate::events::EventLog;
use crate::loss_maps;
use crate::outputs::Outputs;
use crate::predict::SingleNetwork;
use crate::run::{DatasetFacts, RunError, RunFolder, peak_memory_bytes};
use crate::step::{Step, Target};
use crate::validation::{self, Validation};

/// What training tells its caller while it runs.
pub enum Progress<'a> {
    /// Something to read once, such as a subject that is skipped.
    Note(String),
    /// The loop is about to start at iteration `done` of `total`.
    Start {
        /// Iterations done before.
        done: u64,
        /// Iterations in all.
        total: u64,
    },
    /// An iteration is done.
    Iteration(&'a Event),
    /// Validation subjects were scored.
    Validation(Validation),
}

/// Trains as `config` says into the folder `out`.
///
/// `stop` ends the run after the current iteration, with a checkpoint.
///
/// # Errors
/// [`RunError`]; checkpoints written before the error stay.
pub fn train(
    config: &RunConfig,
    out: &Path,
    resume: bool,
    device: &Device,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Summary, RunError> {
    // Everything that can be refused is refused before the folder is touched.
    let compute = Compute::new(device, config.train.precision)?;
    let dataset = Dataset::open(config)?;
    let outputs = Outputs::new(config, &dataset.facts.classes)?;
    config.loss.check(outputs.count())?;
    let architecture = Architecture::of(&config.model)?;
    let effective = architecture.effective_size(config.patch.size)?;
    let fresh = Network::new(
        &config.model,
        dataset.facts.modalities.len(),
        outputs.count(),
        config.seed,
        compute.autodiff().device(),
    )?;
    let held = match resume {
        true => Some(open_to_resume(config, &dataset.facts, out)?),
        false => RunFolder::check_new(out).map(|()| None)?,
    };
    let mut cases = load_cases(&dataset, config, progress)?;
    loss_maps::make(&mut cases, config, &outputs)?;
    let validation_cases = dataset.load(&dataset.facts.split.validation, config)?;
    let geometry = PatchGeometry {
        rank: architecture.rank(),
        input: config.patch.size,
        effective,
    };
    let (_, effective) = geometry.sizes(config.patch.plane);
    let grid = loss_maps::patch_grid(&cases, &config.loss, effective)?;
    let cases = Arc::new(cases);
    let (sampler, warnings) = Sampler::new(cases, &config.patch, geometry, config.seed)?;
    warnings
        .into_iter()
        .for_each(|w| progress(Progress::Note(w)));
    let sampler = Arc::new(sampler);

    let folder = match held {
        Some(folder) => folder,
        None => RunFolder::create(out)?,
    };
    let run = folder.path.as_path();
    write_json(&run.join("dataset.json"), &dataset.facts)?;
    // Last, since this file is what makes the folder a run.
    lacuna_io::atomic::write_bytes(run.join("run.toml"), config.to_toml()?.as_bytes())?;

    let mut network = fresh;
    let mut optimiser = new_optimiser(config.train.optimiser);
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
    let validations = validation::keep(run, state.iteration, validation_cases.len())?;
    let (mut log, mut events) = EventLog::open(run, state.iteration, &validations)?;
    let mut saved_at = state.iteration;
    let mut validated = validations.last().copied();
    let mut places = Vec::new();
    let total = config.train.iterations;
    progress(Progress::Start {
        done: state.iteration,
        total,
    });

    let mut prefetch = Prefetch::new(
        Arc::clone(&sampler),
        config.train.batch,
        state.iteration..total,
        config.train.loader_threads,
    )?;
    let step = Step {
        compute: &compute.autodiff(),
        loss: &config.loss,
        regions: outputs.regions(),
        grid,
        rate: config.train.learning_rate,
    };
    loop {
        let last = validated.map_or(0, |v| v.iteration);
        if validation_is_due(config, state.iteration, last) && !validation_cases.is_empty() {
            let model = SingleNetwork::new(
                network.valid(),
                compute.clone(),
                outputs.clone(),
                config.patch.plane,
            );
            let scored = validation::score(run, state.iteration, &model, &validation_cases, stop)
                .map_err(|e| e.naming(&dataset.manifest, run));
            let scored = match scored {
                Err(RunError::Stopped) => break,
                other => other?,
            };
            log.validation(run, &scored, unix_time())?;
            progress(Progress::Validation(scored));
            validated = Some(scored);
        }
        if state.iteration >= total || stop.load(Ordering::Relaxed) {
            break;
        }

        let started = Instant::now();
        let Some(ready) = prefetch.next().transpose()? else {
            break;
        };
        let iteration = state.iteration + 1;

        let images = images_of(&ready.batch, &geometry);
        let target = Target {
            labels: &ready.batch.labels,
            maps: &ready.batch.maps,
            iteration,
        };
        let stepped = step.take(network, &mut optimiser, images, target);
        if let Err(LossError::NonFiniteLogit { .. }) = &stepped {
            let found = "the network's output is not finite".to_owned();
            return Err(diverged(
                run,
                iteration,
                saved_at,
                found,
                &ready.batch.places,
            )?);
        }
        let evaluation;
        (network, evaluation) = stepped?;

        state.iteration = iteration;
        let mut drawn = Realised::default();
        drawn.add(&ready.batch);
        state.realised.add(&ready.batch);
        let event = Event {
            iteration,
            loss: evaluation.value,
            dsc: foreground_dsc(&evaluation),
            foreground_share: drawn.foreground_share().unwrap_or(0.0),
            predicted_share: Some(predicted_share(&evaluation, ready.batch.labels.len())),
            empty_patches: drawn.empty,
            seconds: started.elapsed().as_secs_f64(),
            wait_seconds: ready.waited_seconds,
            wall_time: unix_time(),
        };
        log.append(run, &event)?;
        progress(Progress::Iteration(&event));
        events.push(event);
        places = ready.batch.places;

        if iteration.is_multiple_of(config.train.checkpoint_every) || iteration == total {
            save_finite(run, &state, &network, &optimiser, &places, saved_at)?;
            saved_at = iteration;
        }
    }
    if state.iteration > saved_at {
        save_finite(run, &state, &network, &optimiser, &places, saved_at)?;
    }

    let summary = summarise(&state, total, &events, &network, validated.map(|v| v.dsc));
    write_json(&run.join("summary.json"), &summary)?;
    Ok(summary)
}

/// Opens the run in `out`; refused when its configuration or the subjects were
/// others. More iterations, another checkpoint interval and other loader
/// threads do not change the numbers of an iteration.
fn open_to_resume(
    config: &RunConfig,
    facts: &DatasetFacts,
    out: &Path,
) -> Result<RunFolder, RunError> {
    let path = out.join("run.toml");
    if !path.exists() {
        return Err(RunError::not_a_run(out, "run.toml"));
    }
    let folder = RunFolder::open(out)?;
    let before = RunConfig::read(&path, &[])?;
    let done = checkpoint::latest(out)?.map_or(0, |(_, s)| s.iteration);
    let harmless = |key: &str| {
        matches!(
            key,
            "train.checkpoint_every" | "train.validate_every" | "train.loader_threads"
        ) || key == "train.iterations" && config.train.iterations >= done
    };
    let facts_before: DatasetFacts = read_json(out, "dataset.json")?;
    let differences: Vec<String> = (before.differences(config).into_iter())
        .filter(|(key, _, _)| !harmless(key))
        .chain(facts_before.differences(facts))
        .map(|(key, old, new)| format!("{key} was {old}, now {new}"))
        .collect();
    if differences.is_empty() {
        return Ok(folder);
    }
    Err(RunError::Changed {
        run: out.to_owned(),
        differences: differences.join("; "),
    })
}

/// At the end, and at every multiple of `train.validate_every`.
fn validation_is_due(config: &RunConfig, iteration: u64, last: u64) -> bool {
    let every = config.train.validate_every;
    let due = iteration == config.train.iterations || every > 0 && iteration.is_multiple_of(every);
    due && iteration > last
}

fn load_cases(
    dataset: &Dataset,
    config: &RunConfig,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Vec<Case>, RunError> {
    let ids = &dataset.facts.split.train;
    progress(Progress::Note(format!(
        "loading {} training subject(s): {}",
        ids.len(),
        ids.join(", ")
    )));
    dataset.load(ids, config)
}

/// A fresh optimiser.
pub fn new_optimiser(name: OptimiserName) -> ModuleOptimizer {
    match name {
        OptimiserName::Adam => lacuna_ops::adam(1e-8),
        OptimiserName::Sgd => SgdConfig::new()
            .with_momentum(Some(
                MomentumConfig::new().with_momentum(0.9).with_dampening(0.0),
            ))
            .init(),
    }
}

fn images_of(batch: &Batch, geometry: &PatchGeometry) -> TensorData {
    let patches = batch.places.len();
    let elements = geometry.input.pow(geometry.rank as u32);
    let mut shape = vec![patches, batch.images.len() / patches / elements];
    shape.resize(2 + geometry.rank, geometry.input);
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

/// Saves a checkpoint unless the step made the weights non-finite.
fn save_finite(
    run: &Path,
    state: &State,
    network: &Network,
    optimiser: &ModuleOptimizer,
    places: &[PatchPlace],
    saved_at: u64,
) -> Result<(), RunError> {
    if checkpoint::weights_are_finite(network) {
        return checkpoint::save(run, state, network, optimiser);
    }
    let found = "the weights are not finite after the step".to_owned();
    Err(diverged(run, state.iteration, saved_at, found, places)?)
}

/// Writes `non_finite.json` beside the checkpoints and makes the error that names it.
fn diverged(
    run: &Path,
    iteration: u64,
    kept: u64,
    found: String,
    places: &[PatchPlace],
) -> Result<RunError, RunError> {
    let report = run.join("non_finite.json");
    write_json(
        &report,
        &serde_json::json!({
            "iteration": iteration,
            "found": found,
            "last_good_checkpoint": kept,
            "patches": places,
        }),
    )?;
    let mut subjects: Vec<&str> = places.iter().map(|p| p.subject.as_str()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    Ok(RunError::NonFinite {
        iteration,
        found,
        report,
        kept,
        subjects: subjects.join(", "),
    })
}

fn summarise(
    state: &State,
    total: u64,
    events: &[Event],
    network: &Network,
    validation_dsc: Option<f64>,
) -> Summary {
    let seconds: Vec<f64> = events.iter().map(|e| e.seconds).collect();
    let spent: f64 = seconds.iter().sum();
    let waited: f64 = events.iter().map(|e| e.wait_seconds).sum();
    Summary {
        iterations: state.iteration,
        finished: state.iteration == total,
        last_iterations: LastIterations::of(events),
        foreground_share: state.realised.foreground_share().unwrap_or(0.0),
        empty_patch_rate: state.realised.empty_rate().unwrap_or(0.0),
        seconds_per_iteration: Quartiles::of(&seconds).map_or(0.0, |q| q.median),
        wait_share: if spent > 0.0 { waited / spent } else { 0.0 },
        parameters: network.parameter_count(),
        peak_memory_bytes: peak_memory_bytes(),
        validation_dsc,
    }
}
