//! Contrast.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::inside::{Values, change, voxels};
use super::span::{check_share, happens};
use super::{Span, Transform, TransformError};
use crate::sampler::Patch;

/// Stretches each channel about its mean inside; no value leaves the channel's range. As
/// nnU-Net's `ContrastTransform` with `preserve_range`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Contrast {
    /// Share of the patches, above 0 and up to 1.
    pub probability: f64,
    /// The factor, drawn for each channel, half of the times below 1.
    pub factor: Span,
}

impl Default for Contrast {
    fn default() -> Self {
        Self {
            probability: 0.15,
            factor: Span(0.75, 1.25),
        }
    }
}

impl Contrast {
    pub(super) fn check(&self) -> Result<(), TransformError> {
        check_share("contrast", "probability", self.probability)?;
        self.factor.check("contrast", "factor", [0.01, 100.0])
    }
}

impl Transform for Contrast {
    fn apply(&self, patch: &mut Patch, rng: &mut ChaCha8Rng) {
        if !happens(self.probability, rng) {
            return;
        }
        let inside = voxels(&patch.inside);
        for image in &mut patch.images {
            let factor = self.factor.draw_factor(rng) as f32;
            if let Some(Values {
                mean, low, high, ..
            }) = Values::of(image.data(), inside)
            {
                let mean = mean as f32;
                let stretched = |v: f32| ((v - mean) * factor + mean).clamp(low, high);
                change(image.data_mut(), inside, stretched);
            }
        }
    }
}
