//! Lesions of other training subjects, pasted into a patch.
//!
//! After CarveMix (Zhang et al., MICCAI 2021, arXiv 2108.06883): a lesion is cut out
//! along a level of the signed distance to its boundary, so that it comes with some of
//! what surrounds it, or without its rim, and replaces what is there, image and label
//! together. There both subjects are aligned and a lesion keeps its place; here it goes
//! to a random place of the patch, wholly inside the mask and on no other lesion.

mod lesions;

use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::inside::voxels;
use super::span::{check_share, happens};
use super::{Frame, Setting, Span, Transform, TransformError};
use crate::cohort::Cohort;
use crate::sampler::Patch;
use lesions::{Lesion, MOST_BYTES, collect};

/// Pastes a lesion, drawn uniformly among those of all training subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paste {
    /// Share of the patches, above 0 and up to 1. A patch without a place for the lesion
    /// stays as it is.
    pub probability: f64,
}

impl Default for Paste {
    fn default() -> Self {
        Self { probability: 0.3 }
    }
}

const NAME: &str = "paste";
/// Places that are tried for a lesion.
const TRIES: usize = 32;

impl Paste {
    pub(super) fn check(&self, setting: &Setting) -> Result<(), TransformError> {
        check_share(NAME, "probability", self.probability)?;
        let reads = setting.reads;
        let read = [
            (reads.distance, "distances to boundaries"),
            (reads.lesion, "numbers of lesions"),
            (reads.weight, "a map of weights"),
        ];
        match read.into_iter().find(|(read, _)| *read) {
            None => Ok(()),
            Some((_, map)) => Err(TransformError::Stale {
                transform: NAME,
                map,
                why: "does not know of a pasted lesion",
                remedy: "remove it from `transform`, or choose another loss or \
                         train.voxel_weights",
            }),
        }
    }

    /// Cuts the lesions out of the subjects.
    ///
    /// # Errors
    /// When no lesion fits into a patch, the subjects have several spacings, or one
    /// cannot be read.
    pub(super) fn build(
        &self,
        setting: &Setting,
        cohort: &Cohort,
    ) -> Result<Pasting, TransformError> {
        let (_, effective) = setting.geometry.sizes(setting.plane);
        let slice_axis = setting.slices().map(|plane| plane.slice_axis());
        Ok(Pasting {
            probability: self.probability,
            lesions: Arc::new(collect(cohort, effective, slice_axis, MOST_BYTES)?),
        })
    }
}

/// [`Paste`] with its lesions.
#[derive(Debug)]
pub(super) struct Pasting {
    probability: f64,
    lesions: Arc<Vec<Lesion>>,
}

impl Transform for Pasting {
    fn apply(&self, patch: &mut Patch, rng: &mut ChaCha8Rng) {
        if !happens(self.probability, rng) {
            return;
        }
        let lesion = &self.lesions[rng.random_range(0..self.lesions.len() as u64) as usize];
        for _ in 0..TRIES {
            let region = lesion.region(level(lesion.deepest, rng));
            if let Some(at) = place(&region, lesion, patch, rng) {
                paste(&region, lesion, patch, at);
                return;
            }
        }
    }
}

/// The level of the signed distance (mm) at which a lesion is cut out whose deepest voxel
/// lies `deepest` mm inside: half of the times uniform from -deepest / 2 to 0, half from
/// 0 to deepest.
fn level(deepest: f32, rng: &mut ChaCha8Rng) -> f32 {
    let deepest = f64::from(deepest);
    let span = match rng.random::<bool>() {
        true => Span(-deepest / 2.0, 0.0),
        false => Span(0.0, deepest),
    };
    span.draw(rng) as f32
}

/// Where the lesion's box begins, in voxels of the patch's labels with their margin, if
/// all of `region` (voxels of that box) lies in the effective patch, inside and on
/// background.
fn place(
    region: &[[usize; 3]],
    lesion: &Lesion,
    patch: &Patch,
    rng: &mut ChaCha8Rng,
) -> Option<[isize; 3]> {
    let effective = Frame::of(patch).effective;
    let mut at = [0; 3];
    for axis in 0..3 {
        let along = || region.iter().map(|voxel| voxel[axis]);
        let (first, last) = (along().min()?, along().max()?);
        let free = (effective[axis] + first).checked_sub(last + 1)?;
        let drawn = rng.random_range(0..=free as u64) as usize;
        at[axis] = (patch.margin[axis] + drawn) as isize - first as isize;
    }
    let inside = voxels(&patch.inside);
    let border = border(patch);
    let images = patch.images[0].shape();
    let free = |voxel: &[usize; 3]| {
        let [x, y, z] = moved(*voxel, at);
        let [bx, by, bz] = [x + border[0], y + border[1], z + border[2]];
        let image = bx + images[0] * (by + images[1] * bz);
        patch.labels.data()[patch.labels.index([x, y, z])] == 0
            && inside.is_none_or(|inside| inside[image])
    };
    debug_assert_eq!(lesion.images.len(), patch.images.len());
    region.iter().all(free).then_some(at)
}

fn paste(region: &[[usize; 3]], lesion: &Lesion, patch: &mut Patch, at: [isize; 3]) {
    let border = border(patch);
    for voxel in region {
        let from = lesion.index(*voxel);
        let to = moved(*voxel, at);
        let label = patch.labels.index(to);
        patch.labels.data_mut()[label] = lesion.labels[from];
        for (image, values) in patch.images.iter_mut().zip(&lesion.images) {
            let to = image.index([0, 1, 2].map(|a| to[a] + border[a]));
            image.data_mut()[to] = values[from];
        }
    }
}

fn moved(voxel: [usize; 3], at: [isize; 3]) -> [usize; 3] {
    [0, 1, 2].map(|a| voxel[a].wrapping_add_signed(at[a]))
}

/// What images have more than labels on each side.
fn border(patch: &Patch) -> [usize; 3] {
    let (images, labels) = (patch.images[0].shape(), patch.labels.shape());
    [0, 1, 2].map(|a| (images[a] - labels[a]) / 2)
}

#[cfg(test)]
mod tests;
