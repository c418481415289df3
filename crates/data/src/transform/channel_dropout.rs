//! Sequences that a subject lacks.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::inside::{constant_outside, voxels};
use super::span::{check_share, happens};
use super::{Setting, Transform, TransformError};
use crate::sampler::Patch;

/// Fills channels with the constant around the head, or 0 where there is none: the value
/// that prepared images have outside. At least one channel stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelDropout {
    /// Share of the patches in which a channel is filled, for each channel by itself,
    /// above 0 and up to 1.
    pub probability: f64,
}

impl Default for ChannelDropout {
    fn default() -> Self {
        Self { probability: 0.1 }
    }
}

impl ChannelDropout {
    pub(super) fn check(&self, setting: &Setting) -> Result<(), TransformError> {
        match setting.channels {
            0 | 1 => Err(TransformError::Idle {
                transform: "channel-dropout",
                why: "the dataset has one modality, which has to stay; remove it",
            }),
            _ => check_share("channel-dropout", "probability", self.probability),
        }
    }
}

impl Transform for ChannelDropout {
    fn apply(&self, patch: &mut Patch, rng: &mut ChaCha8Rng) {
        let mut filled: Vec<bool> = (patch.images.iter())
            .map(|_| happens(self.probability, rng))
            .collect();
        if filled.iter().all(|filled| *filled) {
            let kept = rng.random_range(0..filled.len().max(1) as u64) as usize;
            filled
                .iter_mut()
                .skip(kept)
                .take(1)
                .for_each(|filled| *filled = false);
        }
        let inside = voxels(&patch.inside);
        let images = patch.images.iter_mut().zip(filled);
        for (image, _) in images.filter(|(_, filled)| *filled) {
            let outside = inside.and_then(|inside| constant_outside(image.data(), inside));
            image.data_mut().fill(outside.unwrap_or(0.0));
        }
    }
}
