//! Brightness.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::inside::{change, voxels};
use super::span::{check_share, happens};
use super::{Span, Transform, TransformError};
use crate::sampler::Patch;

/// Multiplies each channel by a factor and adds a number. nnU-Net multiplies only; where
/// images have a mean of 0, what is added changes the brightness and the factor the
/// contrast about 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Brightness {
    /// Share of the patches, above 0 and up to 1.
    pub probability: f64,
    /// The factor, drawn for each channel, half of the times below 1.
    pub factor: Span,
    /// What is added, drawn for each channel, in units of the prepared image (of SDs
    /// after "z-score").
    pub shift: Span,
}

impl Default for Brightness {
    fn default() -> Self {
        Self {
            probability: 0.15,
            factor: Span(0.75, 1.25),
            shift: Span(0.0, 0.0),
        }
    }
}

impl Brightness {
    pub(super) fn check(&self) -> Result<(), TransformError> {
        check_share("brightness", "probability", self.probability)?;
        self.factor.check("brightness", "factor", [0.01, 100.0])?;
        self.shift.check("brightness", "shift", [-1e6, 1e6])?;
        match (self.factor, self.shift) {
            (Span(1.0, 1.0), Span(0.0, 0.0)) => Err(TransformError::Idle {
                transform: "brightness",
                why: "its factor is 1 and its shift 0; set one, or remove it",
            }),
            _ => Ok(()),
        }
    }
}

impl Transform for Brightness {
    fn apply(&self, patch: &mut Patch, rng: &mut ChaCha8Rng) {
        if !happens(self.probability, rng) {
            return;
        }
        let inside = voxels(&patch.inside);
        for image in &mut patch.images {
            let factor = self.factor.draw_factor(rng) as f32;
            let shift = self.shift.draw(rng) as f32;
            change(image.data_mut(), inside, |v| v * factor + shift);
        }
    }
}
