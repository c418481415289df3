//! What a loss reads of a subject beside its labels: made once, from the whole
//! subject, so that a patch has the distances and lesions of the subject.

use lacuna_data::subject::Case;
use lacuna_losses::maps::{lesions, signed_distances};
use lacuna_losses::{Loss, LossConfig, PatchGrid};
use rayon::prelude::*;

use crate::config::{RunConfig, VoxelWeights};
use crate::outputs::Outputs;
use crate::run::RunError;

/// Beyond this share, two spacings are not the same.
const SPACING_TOLERANCE: f64 = 0.01;

/// Gives every case the maps that the run's loss reads.
///
/// # Errors
/// When the run weights voxels by a map or mask that a subject does not have.
pub fn make(cases: &mut [Case], config: &RunConfig, outputs: &Outputs) -> Result<(), RunError> {
    let reads = config.loss.named.reads();
    cases.par_iter_mut().try_for_each(|case| {
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
    })
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
    cases: &[Case],
    loss: &LossConfig,
    effective: [usize; 3],
) -> Result<PatchGrid, RunError> {
    let spacing = |case: &Case| case.channels[0].spacing().0;
    let first = &cases[0];
    let [x, y, z] = spacing(first);
    let unlike = |case: &&Case| {
        let pairs = spacing(case).into_iter().zip(spacing(first));
        pairs
            .into_iter()
            .any(|(a, b)| (a / b - 1.0).abs() > SPACING_TOLERANCE)
    };
    if loss.named.reads().grid
        && let Some(other) = cases.iter().find(unlike)
    {
        return Err(RunError::UnlikeSpacings {
            loss: loss.named.name(),
            subjects: [first.id.clone(), other.id.clone()],
            spacings: [spacing(first), spacing(other)],
        });
    }
    let [nx, ny, nz] = effective;
    Ok(PatchGrid {
        shape: [nz, ny, nx],
        spacing: [z, y, x],
    })
}
