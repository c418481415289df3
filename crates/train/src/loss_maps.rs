//! What a loss reads of a subject beside its labels: made once, from the whole
//! subject, so that a patch has the distances and lesions of the subject.

use lacuna_data::cohort::Cohort;
use lacuna_data::subject::Case;
use lacuna_losses::maps::{lesions, signed_distances};
use lacuna_losses::{Loss, LossConfig, PatchGrid};
use lacuna_volume::Zyx;

use crate::config::{RunConfig, VoxelWeights};
use crate::outputs::Outputs;
use crate::run::RunError;

/// Beyond this share, two spacings are not the same.
const SPACING_TOLERANCE: f64 = 0.01;

/// Gives a case the maps that the run's loss reads.
///
/// # Errors
/// When the run weights voxels by a map or mask that the subject does not have.
pub fn make(case: &mut Case, config: &RunConfig, outputs: &Outputs) -> Result<(), RunError> {
    let reads = config.loss.named.reads();
    case.maps.weight = match config.train.voxel_weights {
        VoxelWeights::None => None,
        VoxelWeights::Map => Some(case.weight.clone().ok_or_else(|| missing(case, "weight"))?),
        VoxelWeights::Mask => {
            let mask = case.mask.as_ref().ok_or_else(|| missing(case, "mask"))?;
            Some(mask.map(|&inside| f32::from(u8::from(inside))))
        }
    };
    let Some(label) = &case.label else {
        return Ok(());
    };
    if reads.distance {
        case.maps.distance = match outputs.regions() {
            Some(regions) => regions.signed_distances(label),
            None => signed_distances(label, outputs.count()),
        };
    }
    if reads.lesion {
        case.maps.lesion = Some(lesions(label));
    }
    Ok(())
}

/// All that [`make`] depends on beside the case.
pub fn key(config: &RunConfig, outputs: &Outputs) -> String {
    let reads = config.loss.named.reads();
    format!(
        "weights {:?}, distance {}, lesion {}, channels {}, regions {:?}",
        config.train.voxel_weights,
        reads.distance,
        reads.lesion,
        outputs.count(),
        config.regions
    )
}

fn missing(case: &Case, key: &'static str) -> RunError {
    RunError::NoVoxelWeights {
        subject: case.id.clone(),
        key,
    }
}

/// The grid of the effective patches, `effective` voxels along x, y and z.
///
/// # Errors
/// When the loss measures distances inside a patch and the subjects do not have
/// one spacing.
pub fn patch_grid(
    cohort: &Cohort,
    loss: &LossConfig,
    effective: [usize; 3],
) -> Result<PatchGrid, RunError> {
    let spacing = |subject: usize| cohort.spacing(subject).0;
    let [x, y, z] = spacing(0);
    let unlike = |subject: &usize| {
        let mut pairs = spacing(*subject).into_iter().zip([x, y, z]);
        pairs.any(|(a, b)| (a / b - 1.0).abs() > SPACING_TOLERANCE)
    };
    if loss.named.reads().grid
        && let Some(other) = (0..cohort.len()).find(unlike)
    {
        return Err(RunError::UnlikeSpacings {
            loss: loss.named.name(),
            subjects: [0, other].map(|subject| cohort.id(subject).to_owned()),
            spacings: [0, other].map(spacing),
        });
    }
    Ok(PatchGrid {
        shape: Zyx::from_xyz(effective),
        spacing: Zyx::from_xyz([x, y, z]),
    })
}
