//! Noise.

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::inside::{change, voxels};
use super::span::{check_share, happens};
use super::{Span, Transform, TransformError};
use crate::sampler::Patch;

/// Adds Gaussian noise, independent in each voxel and channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Noise {
    /// Share of the patches, above 0 and up to 1.
    pub probability: f64,
    /// SD, one for all channels, in units of the prepared image.
    pub sd: Span,
}

impl Default for Noise {
    fn default() -> Self {
        Self {
            probability: 0.1,
            sd: Span(0.0, 0.1),
        }
    }
}

impl Noise {
    pub(super) fn check(&self) -> Result<(), TransformError> {
        check_share("noise", "probability", self.probability)?;
        self.sd.check("noise", "sd", [0.0, 1e6])
    }
}

impl Transform for Noise {
    fn apply(&self, patch: &mut Patch, rng: &mut ChaCha8Rng) {
        if !happens(self.probability, rng) {
            return;
        }
        let sd = self.sd.draw(rng) as f32;
        let inside = voxels(&patch.inside);
        for image in &mut patch.images {
            change(image.data_mut(), inside, |v| {
                let normal: f32 = StandardNormal.sample(rng);
                v + sd * normal
            });
        }
    }
}
