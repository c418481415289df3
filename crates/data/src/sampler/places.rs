//! Where effective patches may be cut in one subject.

use rand::{Rng, RngExt};

use super::{SamplerError, SamplerKind};
use crate::positions::{Positions, WeightedVoxels};
use crate::subject::Case;

/// The places of one subject; never empty.
#[derive(Debug)]
pub(super) enum Places {
    /// First voxels of effective patches.
    Origins(Positions),
    /// Centres of effective patches, by class present.
    CentresByClass(Vec<Positions>),
    /// Centres in proportion to the case's weight map.
    CentresByWeight(WeightedVoxels),
}

impl Places {
    /// The places of a case whose volume holds the effective patch; `None` when
    /// there is nothing to draw.
    pub(super) fn of(
        case: &Case,
        kind: SamplerKind,
        effective: [usize; 3],
    ) -> Result<Option<Self>, SamplerError> {
        let shape = case.shape();
        let label = |i: usize| case.label.as_ref().map_or(0, |label| label.data()[i]);
        let foreground = |i: usize| label(i) > 0;
        let in_mask = |i: usize| case.in_mask(i);
        Ok(match kind {
            SamplerKind::Foreground => {
                let origins = Positions::of_boxes(shape, effective, &[&foreground, &in_mask]);
                (!origins.is_empty()).then_some(Self::Origins(origins))
            }
            SamplerKind::Uniform => {
                let origins = Positions::of_boxes(shape, effective, &[&in_mask]);
                (!origins.is_empty()).then_some(Self::Origins(origins))
            }
            SamplerKind::Balanced => {
                let classes: Vec<Positions> = classes_present(case)
                    .map(|class| {
                        let of_class = |i: usize| label(i) == class && in_mask(i);
                        Positions::of_boxes(shape, [1; 3], &[&of_class])
                    })
                    .filter(|centres| !centres.is_empty())
                    .collect();
                (!classes.is_empty()).then_some(Self::CentresByClass(classes))
            }
            SamplerKind::Weighted => {
                let subject = || case.id.clone();
                let weights = case.weight.as_ref().ok_or_else(|| SamplerError::NoWeight {
                    subjects: vec![subject()],
                })?;
                let bad = |w: &f32| !(w.is_finite() && *w >= 0.0);
                if let Some(i) = weights.data().iter().position(bad) {
                    return Err(SamplerError::Weight {
                        subject: subject(),
                        value: weights.data()[i],
                        voxel: [
                            i % shape[0],
                            i / shape[0] % shape[1],
                            i / (shape[0] * shape[1]),
                        ],
                    });
                }
                let voxels = WeightedVoxels::new(weights, &in_mask)
                    .ok_or_else(|| SamplerError::ZeroWeights { subject: subject() })?;
                Some(Self::CentresByWeight(voxels))
            }
        })
    }

    /// First voxel of an effective patch. A patch around a centre is moved
    /// inside the volume; it still holds the centre, and so touches the mask.
    pub(super) fn draw(
        &self,
        case: &Case,
        effective: [usize; 3],
        rng: &mut impl Rng,
    ) -> Option<[usize; 3]> {
        let centre = match self {
            Self::Origins(origins) => return origins.draw(rng),
            Self::CentresByClass(classes) => {
                let class = rng.random_range(0..classes.len() as u64) as usize;
                classes[class].draw(rng)?
            }
            Self::CentresByWeight(voxels) => {
                voxels.draw(case.weight.as_ref()?, &|i| case.in_mask(i), rng)?
            }
        };
        let shape = case.shape();
        Some([0, 1, 2].map(|axis| {
            centre[axis]
                .saturating_sub(effective[axis] / 2)
                .min(shape[axis] - effective[axis])
        }))
    }
}

fn classes_present(case: &Case) -> impl Iterator<Item = u8> {
    let mut present = [false; 256];
    for &class in case.label.iter().flat_map(|label| label.data()) {
        present[usize::from(class)] = true;
    }
    (0..=255u8).filter(move |&class| present[usize::from(class)])
}
