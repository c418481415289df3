//! What a loss reads of a subject beside its labels: made once, from the whole
//! subject, so that a patch has the distances and lesions of the subject.

use lacuna_data::cohort::Cohort;
use lacuna_data::sampler::{PatchGeometry, Plane};
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

/// The grid of the effective patches along the network's axes, whose slices lie in
/// `plane` where it is 2-D.
///
/// # Errors
/// When the loss measures distances inside a patch and the subjects do not have
/// one spacing.
pub fn patch_grid(
    cohort: &Cohort,
    loss: &LossConfig,
    geometry: PatchGeometry,
    plane: Plane,
) -> Result<PatchGrid, RunError> {
    let spacing = |subject: usize| cohort.spacing(subject).0;
    let first = spacing(0);
    let unlike = |subject: &usize| {
        let mut pairs = spacing(*subject).into_iter().zip(first);
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
    let axes = match geometry.rank {
        2 => plane.axes(),
        _ => [0, 1, 2],
    };
    Ok(PatchGrid {
        shape: geometry.effective,
        spacing: Zyx::from_xyz(axes.map(|axis| first[axis])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::{Affine, Spacing, Volume};

    fn case(id: &str, spacing: [f64; 3]) -> Case {
        let affine = Affine::from_spacing(Spacing(spacing));
        let image = Volume::filled([2, 3, 4], affine, 0.0).unwrap();
        Case::of_images(id, vec![image])
    }

    fn loss(name: &str) -> LossConfig {
        toml::from_str(&format!("name = \"{name}\"")).unwrap()
    }

    fn geometry(rank: usize, effective: [usize; 3]) -> PatchGeometry {
        PatchGeometry {
            rank,
            input: Zyx(effective),
            effective: Zyx(effective),
        }
    }

    /// The loss walks the patch as memory has it, x last; so lengths and edges. A slice
    /// has one voxel along its first axis, in whatever plane it lies.
    #[test]
    fn a_patch_has_its_lengths_and_edges_in_the_order_of_memory() {
        let cohort = Cohort::from(vec![case("a", [0.5, 1.0, 3.0])]);
        let of = |geometry, plane| {
            let grid = patch_grid(&cohort, &loss("hausdorff"), geometry, plane).unwrap();
            (grid.shape.0, grid.spacing.0)
        };
        let solid = of(geometry(3, [6, 16, 20]), Plane::Axial);
        assert_eq!(solid, ([6, 16, 20], [3.0, 1.0, 0.5]));
        let slice = geometry(2, [1, 6, 20]);
        assert_eq!(of(slice, Plane::Axial), ([1, 6, 20], [3.0, 1.0, 0.5]));
        assert_eq!(of(slice, Plane::Coronal), ([1, 6, 20], [1.0, 3.0, 0.5]));
        assert_eq!(of(slice, Plane::Sagittal), ([1, 6, 20], [0.5, 3.0, 1.0]));
    }

    #[test]
    fn a_loss_that_measures_in_mm_wants_one_spacing() {
        // The same edges along other axes.
        let cases = || vec![case("a", [0.5, 1.0, 3.0]), case("b", [3.0, 1.0, 0.5])];
        let cohort = Cohort::from(cases());
        let refused = patch_grid(
            &cohort,
            &loss("hausdorff"),
            geometry(3, [4; 3]),
            Plane::Axial,
        )
        .unwrap_err();
        let told = refused.to_string();
        for part in ["\"hausdorff\"", "subject a", "[0.5, 1.0, 3.0]", "and b"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(patch_grid(&cohort, &loss("dice"), geometry(3, [4; 3]), Plane::Axial).is_ok());
        // A hundredth is what headers are rounded by.
        let near = vec![case("a", [1.0; 3]), case("b", [1.0, 1.009, 1.0])];
        assert!(
            patch_grid(
                &near.into(),
                &loss("hausdorff"),
                geometry(3, [4; 3]),
                Plane::Axial
            )
            .is_ok()
        );
    }
}
