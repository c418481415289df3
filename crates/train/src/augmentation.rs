//! How a run changes the patches that it trains on.

use std::sync::Arc;

use lacuna_data::cohort::Cohort;
use lacuna_data::sampler::{Patch, PatchGeometry, Sampler};
use lacuna_data::transform::{self, MapsRead, Setting};
use lacuna_losses::Loss;

use crate::config::{RunConfig, VoxelWeights};
use crate::dataset::{self, Dataset};
use crate::outputs::Outputs;
use crate::run::{DatasetFacts, RunError};

/// What the transforms of a run work in; refuses those that cannot work there.
///
/// # Errors
/// [`RunError::Transform`]
pub fn setting(
    config: &RunConfig,
    geometry: PatchGeometry,
    facts: &DatasetFacts,
) -> Result<Setting, RunError> {
    let reads = config.loss.named.reads();
    let setting = Setting {
        geometry,
        plane: config.patch.plane,
        channels: facts.modalities.len(),
        reads: MapsRead {
            distance: reads.distance,
            lesion: reads.lesion,
            // A mask goes on saying where the brain is, whatever is pasted into it.
            weight: config.train.voxel_weights == VoxelWeights::Map,
        },
    };
    transform::check(&config.transform, &setting)?;
    Ok(setting)
}

/// Draws the patches of a training, transformed.
///
/// # Errors
/// When no patches can be drawn, or a transform does not find in the subjects what it
/// takes from them.
pub fn sampler(
    config: &RunConfig,
    setting: &Setting,
    cohort: Arc<Cohort>,
    note: &mut dyn FnMut(String),
) -> Result<Sampler, RunError> {
    let (sampler, warnings) =
        Sampler::new(cohort.clone(), &config.patch, setting.geometry, config.seed)?;
    warnings.into_iter().for_each(note);
    let transforms = config.transform.iter().map(|t| t.build(setting, &cohort));
    Ok(sampler.with_transforms(transforms.collect::<Result<_, _>>()?))
}

/// A training patch before and after the transforms of the run, without margins.
#[derive(Clone, Debug)]
pub struct Example {
    /// As it was cut.
    pub before: Patch,
    /// As the network gets it.
    pub after: Patch,
}

/// The first `count` patches of the training that `config` describes. `note` hears what
/// takes time.
///
/// # Errors
/// As a training refuses its configuration, dataset and transforms.
pub fn examples(
    config: &RunConfig,
    count: u64,
    note: &mut dyn FnMut(String),
) -> Result<Vec<Example>, RunError> {
    config.check("the run configuration")?;
    let dataset = Dataset::open(config)?;
    let outputs = Outputs::new(config, &dataset.facts.classes)?;
    let geometry = dataset::patch_geometry(config)?;
    let setting = setting(config, geometry, &dataset.facts)?;
    let ids = &dataset.facts.split.train;
    note(format!("loading {} training subject(s)", ids.len()));
    let mut store = dataset::store(config);
    let cohort = Arc::new(dataset.training(config, &outputs, &mut store, note)?);
    let sampler = sampler(config, &setting, cohort, note)?;
    let batch = config.train.batch as u64;
    let example = |number: u64| {
        let (iteration, sample) = (number / batch, number % batch);
        let before = sampler.untransformed(iteration, sample)?;
        let mut after = sampler.patch(iteration, sample)?;
        after.trim();
        Ok(Example { before, after })
    };
    (0..count).map(example).collect()
}
