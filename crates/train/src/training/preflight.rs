//! Everything about a training that can be refused, before its folder is touched.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use lacuna_data::cohort::Cohort;
use lacuna_data::sampler::{PatchGeometry, Sampler};
use lacuna_losses::PatchGrid;
use lacuna_nets::Network;
use lacuna_record::{Sessions, read_json};

use super::untrained::untrained;
use super::{Progress, earlier};
use crate::augmentation;
use crate::checkpoint;
use crate::compute::Compute;
use crate::config::{RunConfig, TooLarge};
use crate::dataset::{self, Dataset};
use crate::device::DeviceName;
use crate::footprint;
use crate::loss_maps;
use crate::origin;
use crate::outputs::Outputs;
use crate::run::{DatasetFacts, RunError, RunFolder};

/// What a training works with: read, checked, in memory or on disk beside it.
pub(super) struct Preflight {
    /// With a batch that fits into memory.
    pub(super) config: RunConfig,
    pub(super) compute: Compute,
    pub(super) dataset: Dataset,
    pub(super) outputs: Outputs,
    /// With initial weights, on the device of `compute` with gradients.
    pub(super) network: Network,
    /// The folder of a run that goes on.
    pub(super) held: Option<RunFolder>,
    /// The run whose weights it started from.
    pub(super) from: Option<PathBuf>,
    pub(super) validation: Cohort,
    pub(super) geometry: PatchGeometry,
    /// Of the effective patches.
    pub(super) grid: PatchGrid,
    pub(super) sampler: Arc<Sampler>,
    /// The sessions of the run so far, with that which begins last.
    pub(super) sessions: Sessions,
}

impl Preflight {
    /// Reads and checks what `asked` names.
    pub(super) fn new(
        asked: &RunConfig,
        out: &Path,
        resume: bool,
        device: &Device,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, RunError> {
        asked.check("the run configuration")?;
        let mut fitting = match resume {
            true => in_its_parts(asked, out)?,
            false => asked.clone(),
        };
        let compute = Compute::new(device, asked.train.precision)?;
        let mut dataset = Dataset::open(asked)?;
        let outputs = Outputs::new(asked, &dataset.facts.classes)?;
        asked.loss.check(outputs.count())?;
        let geometry = dataset::patch_geometry(asked)?;
        let inputs = dataset.facts.modalities.len();
        // On a device of its own, what it has is not known.
        if DeviceName::of(device) == DeviceName::Cpu
            && let Some(told) = footprint::fit(&mut fitting, inputs, outputs.count())?
        {
            progress(Progress::Note(told));
        }
        let config = &fitting;
        let training = compute.autodiff();
        let of_steps = training.device();
        let mut network = untrained(config, inputs, &outputs, config.seed, of_steps)?;
        let mut from = config.train.from.clone();
        let held = match resume {
            true => {
                let (folder, before) = open_to_resume(config, &dataset.facts, out)?;
                from = from.or(before.train.from);
                Some(folder)
            }
            false => RunFolder::check_new(out).map(|()| None)?,
        };

        let begun = held.as_ref().map(|folder| checkpoint::latest(&folder.path));
        let begun = begun.transpose()?.flatten().is_some();
        if let Some(from) = from.as_ref().filter(|_| !begun) {
            let own = (config, &dataset.facts);
            let note = &mut |text| progress(Progress::Note(text));
            network = earlier::start(network, own, &outputs, from, of_steps, note)?;
        }

        let setting = augmentation::setting(config, geometry, &dataset.facts)?;

        let ids = &dataset.facts.split.train;
        progress(Progress::Note(format!(
            "loading {} training subject(s): {}",
            ids.len(),
            ids.join(", ")
        )));
        let mut note = |text| progress(Progress::Note(text));
        let mut store = dataset::store(config);
        let cohort = dataset.training(config, &outputs, &mut store, &mut note)?;
        cohort.lost_lesions().into_iter().for_each(&mut note);
        let validation = dataset.validation(config, &mut store, &mut note)?;
        let grid = loss_maps::patch_grid(&cohort, &config.loss, geometry, config.patch.plane)?;
        let sampler = augmentation::sampler(config, &setting, Arc::new(cohort), &mut note)?;
        dataset.record_spacing()?;
        let run = held.as_ref().map(|folder| folder.path.as_path());
        let sessions =
            origin::with_session(config, &dataset, run, DeviceName::of(device), &mut note)?;
        Ok(Self {
            config: fitting,
            compute,
            dataset,
            outputs,
            network,
            held,
            from,
            validation,
            geometry,
            grid,
            sampler: Arc::new(sampler),
            sessions,
        })
    }
}

/// What is asked for, in the parts that the memory of the machine where the run began chose for
/// a batch, if the patches are as many: no other go on with the same bits.
fn in_its_parts(asked: &RunConfig, out: &Path) -> Result<RunConfig, RunError> {
    let (mut config, path) = (asked.clone(), out.join("run.toml"));
    if asked.train.too_large == TooLarge::Accumulate && path.exists() {
        let before = RunConfig::read(&path, &[])?.train;
        if before.batch * before.accumulate == asked.train.batch * asked.train.accumulate {
            (config.train.batch, config.train.accumulate) = (before.batch, before.accumulate);
        }
    }
    Ok(config)
}

/// Opens the run in `out`, with the configuration it was begun with; refused when that
/// or the subjects were others. Another checkpoint interval and other loader threads do
/// not change the numbers of an iteration; whether another length does, the schedule
/// knows.
fn open_to_resume(
    config: &RunConfig,
    facts: &DatasetFacts,
    out: &Path,
) -> Result<(RunFolder, RunConfig), RunError> {
    let path = out.join("run.toml");
    if !path.exists() {
        return Err(RunError::not_a_run(out, "run.toml"));
    }
    let folder = RunFolder::open(out)?;
    let before = RunConfig::read(&path, &[])?;
    let done = checkpoint::latest(out)?.map_or(0, |(_, s)| s.iteration);
    let longer = done == 0 || config.train.schedule().forgives_another_length();
    let harmless = |key: &str| match key {
        "train.checkpoint_every"
        | "train.validate_every"
        | "train.loader_threads"
        | "train.memory"
        | "train.cache" => true,
        // Before the first checkpoint, another budget chooses anew.
        "train.budget" => done == 0,
        // What was started from is in the checkpoints, and before the first in run.toml.
        "train.from" => done > 0 || config.train.from.is_none(),
        // Where a budget chose them, those of the file are not asked for.
        "train.iterations" => {
            config.train.budget.is_some() || longer && config.train.iterations >= done
        }
        _ => false,
    };
    let facts_before: DatasetFacts = read_json(out, "dataset.json")?;
    let differences: Vec<String> = (before.differences(config).into_iter())
        .filter(|(key, _, _)| !harmless(key))
        .chain(facts_before.differences(facts))
        .map(|(key, old, new)| format!("{key} was {old}, now {new}"))
        .collect();
    if differences.is_empty() {
        return Ok((folder, before));
    }
    Err(RunError::Changed {
        run: out.to_owned(),
        differences: differences.join("; "),
    })
}
