//! Where effective patches may be cut in one subject.

use lacuna_volume::Volume;
use rand::{Rng, RngExt};

use super::components::around;
use super::{SamplerError, SamplerKind};
use crate::cohort::{Annotations, CohortError, Held};
use crate::positions::{Positions, WeightedVoxels};

/// The places of one subject; never empty.
#[derive(Debug)]
pub(super) enum Places {
    /// First voxels of effective patches.
    Origins(Positions),
    /// Centres of effective patches, by class present.
    CentresByClass(Vec<Positions>),
    /// Voxels that patches lie anywhere around.
    Voxels(Positions),
    /// Centres in proportion to the case's weight map.
    CentresByWeight(WeightedVoxels),
}

impl Places {
    /// The places of a subject; `None` when there is nothing to draw. An effective
    /// patch that is longer than the volume starts with it.
    pub(super) fn of(
        id: &str,
        subject: &Annotations<'_>,
        kind: SamplerKind,
        effective: [usize; 3],
    ) -> Result<Option<Self>, SamplerError> {
        let shape = subject.shape;
        // The part of a patch that lies in the volume.
        let held = [0, 1, 2].map(|axis| effective[axis].min(shape[axis]));
        let label = |i: usize| subject.label.as_ref().map_or(0, |label| label.data()[i]);
        let foreground = |i: usize| label(i) > 0;
        let in_mask = |i: usize| subject.mask.as_ref().is_none_or(|mask| mask.data()[i]);
        Ok(match kind {
            SamplerKind::Foreground => {
                let origins = Positions::of_boxes(shape, held, &[&foreground, &in_mask]);
                (!origins.is_empty()).then_some(Self::Origins(origins))
            }
            // Where the network is wrong is not known yet.
            SamplerKind::Uniform => {
                let origins = Positions::of_boxes(shape, held, &[&in_mask]);
                (!origins.is_empty()).then_some(Self::Origins(origins))
            }
            SamplerKind::Balanced => {
                let classes: Vec<Positions> = classes_present(subject)
                    .map(|class| {
                        let of_class = |i: usize| label(i) == class && in_mask(i);
                        Positions::of_boxes(shape, [1; 3], &[&of_class])
                    })
                    .filter(|centres| !centres.is_empty())
                    .collect();
                (!classes.is_empty()).then_some(Self::CentresByClass(classes))
            }
            SamplerKind::Weighted => {
                let named = || id.to_owned();
                let weights = subject
                    .weight
                    .as_ref()
                    .ok_or_else(|| SamplerError::NoWeight {
                        subjects: vec![named()],
                    })?;
                let bad = |w: &f32| !(w.is_finite() && *w >= 0.0);
                if let Some(i) = weights.data().iter().position(bad) {
                    return Err(SamplerError::Weight {
                        subject: named(),
                        value: weights.data()[i],
                        voxel: [
                            i % shape[0],
                            i / shape[0] % shape[1],
                            i / (shape[0] * shape[1]),
                        ],
                    });
                }
                let voxels = WeightedVoxels::new(weights, &in_mask)
                    .ok_or_else(|| SamplerError::ZeroWeights { subject: named() })?;
                Some(Self::CentresByWeight(voxels))
            }
            SamplerKind::Components | SamplerKind::Mask | SamplerKind::Errors => {
                unreachable!("these draw around voxels")
            }
        })
    }

    /// Patches anywhere around the voxels of a mask.
    pub(super) fn around_all(mask: &Volume<bool>) -> Option<Self> {
        let inside = |i: usize| mask.data()[i];
        let voxels = Positions::of_boxes(mask.shape(), [1; 3], &[&inside]);
        (!voxels.is_empty()).then_some(Self::Voxels(voxels))
    }

    /// First voxel of an effective patch. A patch around a centre is moved
    /// inside the volume; it still holds the centre, and so touches the mask.
    ///
    /// # Errors
    /// When the weights of a subject on disk cannot be read.
    pub(super) fn draw(
        &self,
        subject: &Held,
        effective: [usize; 3],
        rng: &mut impl Rng,
    ) -> Result<[usize; 3], CohortError> {
        let shape = subject.grid().shape;
        let centre = match self {
            Self::Origins(origins) => return Ok(origins.draw(rng).expect(NEVER_EMPTY)),
            Self::Voxels(voxels) => {
                let voxel = voxels.draw(rng).expect(NEVER_EMPTY);
                return Ok(around(voxel, effective, shape, rng));
            }
            Self::CentresByClass(classes) => {
                let class = rng.random_range(0..classes.len() as u64) as usize;
                classes[class].draw(rng)
            }
            Self::CentresByWeight(voxels) => {
                voxels.draw(shape, |row| subject.weight_row(row), rng)?
            }
        };
        let centre = centre.expect(NEVER_EMPTY);
        Ok([0, 1, 2].map(|axis| {
            centre[axis]
                .saturating_sub(effective[axis] / 2)
                .min(shape[axis].saturating_sub(effective[axis]))
        }))
    }
}

const NEVER_EMPTY: &str = "subjects without places are left out when the sampler is made";

fn classes_present(subject: &Annotations<'_>) -> impl Iterator<Item = u8> {
    let mut present = [false; 256];
    for &class in subject.label.iter().flat_map(|label| label.data()) {
        present[usize::from(class)] = true;
    }
    (0..=255u8).filter(move |&class| present[usize::from(class)])
}
