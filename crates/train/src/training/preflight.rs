//! Everything about a training that can be refused, before its folder is touched.

use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use lacuna_data::cohort::Cohort;
use lacuna_data::sampler::{PatchGeometry, Sampler};
use lacuna_losses::PatchGrid;
use lacuna_nets::Network;
use lacuna_record::{Sessions, read_json};

use super::Progress;
use crate::augmentation;
use crate::checkpoint;
use crate::compute::Compute;
use crate::config::RunConfig;
use crate::dataset::{self, Dataset};
use crate::device::DeviceName;
use crate::loss_maps;
use crate::origin;
use crate::outputs::Outputs;
use crate::run::{DatasetFacts, RunError, RunFolder};

/// What a training works with: read, checked, in memory or on disk beside it.
pub(super) struct Preflight {
    pub(super) compute: Compute,
    pub(super) dataset: Dataset,
    pub(super) outputs: Outputs,
    /// With initial weights, on the device of `compute` with gradients.
    pub(super) network: Network,
    /// The folder of a run that goes on.
    pub(super) held: Option<RunFolder>,
    pub(super) validation: Cohort,
    pub(super) geometry: PatchGeometry,
    /// Of the effective patches.
    pub(super) grid: PatchGrid,
    pub(super) sampler: Arc<Sampler>,
    /// The sessions of the run so far, with that which begins last.
    pub(super) sessions: Sessions,
}

impl Preflight {
    /// Reads and checks what `config` names.
    pub(super) fn new(
        config: &RunConfig,
        out: &Path,
        resume: bool,
        device: &Device,
        progress: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, RunError> {
        config.check("the run configuration")?;
        let compute = Compute::new(device, config.train.precision)?;
        let mut dataset = Dataset::open(config)?;
        let outputs = Outputs::new(config, &dataset.facts.classes)?;
        config.loss.check(outputs.count())?;
        let geometry = dataset::patch_geometry(config)?;
        let network = Network::new(
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
        let (_, effective) = geometry.sizes(config.patch.plane);
        let grid = loss_maps::patch_grid(&cohort, &config.loss, effective)?;
        let sampler = augmentation::sampler(config, &setting, Arc::new(cohort), &mut note)?;
        dataset.record_spacing()?;
        let run = held.as_ref().map(|folder| folder.path.as_path());
        let sessions =
            origin::with_session(config, &dataset, run, DeviceName::of(device), &mut note)?;
        Ok(Self {
            compute,
            dataset,
            outputs,
            network,
            held,
            validation,
            geometry,
            grid,
            sampler: Arc::new(sampler),
            sessions,
        })
    }
}

/// Opens the run in `out`; refused when its configuration or the subjects were
/// others. Another checkpoint interval and other loader threads do not change the
/// numbers of an iteration; whether another length does, the schedule knows.
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
    let longer = done == 0 || config.train.schedule().forgives_another_length();
    let harmless = |key: &str| match key {
        "train.checkpoint_every"
        | "train.validate_every"
        | "train.loader_threads"
        | "train.memory"
        | "train.cache" => true,
        "train.iterations" => longer && config.train.iterations >= done,
        _ => false,
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
