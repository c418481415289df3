//! Where effective patches may be cut in one subject.

use lacuna_volume::{Volume, is_foreground};
use rand::{Rng, RngExt};

use super::SamplerError;
use super::components::around;
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

/// A way to find places gives `None` when there is nothing to draw.
impl Places {
    /// Effective patches that hold foreground and touch the mask. One that is longer than
    /// the volume starts with it.
    pub(super) fn foreground(subject: &Annotations<'_>, effective: [usize; 3]) -> Option<Self> {
        let holds = |i: usize| is_foreground(class(subject, i));
        Self::origins(subject, effective, &[&holds, &|i| subject.in_mask(i)])
    }

    /// All effective patches that touch the mask.
    pub(super) fn uniform(subject: &Annotations<'_>, effective: [usize; 3]) -> Option<Self> {
        Self::origins(subject, effective, &[&|i| subject.in_mask(i)])
    }

    fn origins(
        subject: &Annotations<'_>,
        effective: [usize; 3],
        conditions: &[&dyn Fn(usize) -> bool],
    ) -> Option<Self> {
        // The part of a patch that lies in the volume.
        let held = [0, 1, 2].map(|axis| effective[axis].min(subject.shape[axis]));
        let origins = Positions::of_boxes(subject.shape, held, conditions);
        (!origins.is_empty()).then_some(Self::Origins(origins))
    }

    /// Centres of each class that lies in the mask.
    pub(super) fn balanced(subject: &Annotations<'_>) -> Option<Self> {
        let centres = |present| {
            let of_class = |i: usize| class(subject, i) == present && subject.in_mask(i);
            Positions::of_boxes(subject.shape, [1; 3], &[&of_class])
        };
        let classes: Vec<Positions> = classes_present(subject)
            .map(centres)
            .filter(|centres| !centres.is_empty())
            .collect();
        (!classes.is_empty()).then_some(Self::CentresByClass(classes))
    }

    /// Centres in the mask in proportion to the weight map.
    ///
    /// # Errors
    /// Without weights, and where they are negative, not finite or all 0.
    pub(super) fn weighted(id: &str, subject: &Annotations<'_>) -> Result<Self, SamplerError> {
        let shape = subject.shape;
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
        WeightedVoxels::new(weights, &|i| subject.in_mask(i))
            .map(Self::CentresByWeight)
            .ok_or_else(|| SamplerError::ZeroWeights { subject: named() })
    }

    /// Patches anywhere around the voxels of a mask that may be drawn.
    pub(super) fn around_all(subject: &Annotations<'_>, mask: &Volume<bool>) -> Option<Self> {
        let inside = |i: usize| mask.data()[i] && subject.in_mask(i);
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

fn class(subject: &Annotations<'_>, i: usize) -> u8 {
    subject.label.as_ref().map_or(0, |label| label.data()[i])
}

fn classes_present(subject: &Annotations<'_>) -> impl Iterator<Item = u8> {
    let mut present = [false; 256];
    for &class in subject.label.iter().flat_map(|label| label.data()) {
        present[usize::from(class)] = true;
    }
    (0..=255u8).filter(move |&class| present[usize::from(class)])
}
