//! A run examined before it is trained: its loss on patches that are as rare as those of
//! its dataset, and a few of its own steps.

mod steps;

use lacuna_losses::PatchGrid;
use lacuna_losses::doctor::{Examination, examine, examined_grid};
use lacuna_volume::{IGNORED, Zyx};

use crate::config::RunConfig;
use crate::dataset::{Dataset, patch_geometry};
use crate::outputs::Outputs;
use crate::run::RunError;

pub use steps::{TriedSteps, try_steps};

/// What came of the examination of a run's loss.
#[derive(Clone, Debug, PartialEq)]
pub struct ExaminedRun {
    /// Class names, background first.
    pub classes: Vec<String>,
    /// Share of each class in the voxels of the training subjects.
    pub shares: Vec<f64>,
    /// The patches that the loss was tried on.
    pub grid: PatchGrid,
    /// What the loss does there.
    pub examination: Examination,
}

/// Reads the labels of the training subjects of `config` and tries its loss on patches
/// of its size with the same shares of classes. `note` hears what takes time.
///
/// # Errors
/// When the configuration, the dataset or the loss are refused.
pub fn examine_run(
    config: &RunConfig,
    note: &mut dyn FnMut(String),
) -> Result<ExaminedRun, RunError> {
    let dataset = Dataset::open(config)?;
    let ids = &dataset.facts.split.train;
    note(format!(
        "reading the labels of {} training subject(s)",
        ids.len()
    ));
    let classes = dataset.facts.classes.len();
    let mut counts = vec![0_u64; classes];
    let mut first_spacing = None;
    for id in ids {
        let case = dataset.case(id, config)?;
        for &class in case.label.iter().flat_map(|label| label.data()) {
            if class != IGNORED {
                counts[usize::from(class)] += 1;
            }
        }
        first_spacing.get_or_insert(case.channels[0].spacing().0);
    }
    let total = counts.iter().sum::<u64>().max(1);
    let shares: Vec<f64> = counts.iter().map(|n| *n as f64 / total as f64).collect();

    let (_, effective) = patch_geometry(config)?.sizes(config.patch.plane);
    let spacing = first_spacing.unwrap_or([1.0; 3]);
    let grid = examined_grid(PatchGrid {
        shape: Zyx::from_xyz(effective),
        spacing: Zyx::from_xyz(spacing),
    });
    let outputs = Outputs::new(config, &dataset.facts.classes)?;
    let examination = examine(&config.loss, grid, &shares, outputs.regions())?;
    Ok(ExaminedRun {
        classes: dataset.facts.classes,
        shares,
        grid,
        examination,
    })
}
