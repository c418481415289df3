//! Blur.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::inside::{replace, voxels};
use super::separable::{Taps, along};
use super::span::{check_share, happens};
use super::{Span, Transform, TransformError};
use crate::sampler::Patch;
use crate::window::reflect;

/// Where a Gaussian ends, in SDs: SciPy's `truncate`.
const TRUNCATE: f64 = 4.0;

/// Smooths channels by a Gaussian, reflected at the edges of the patch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Blur {
    /// Share of the patches, above 0 and up to 1.
    pub probability: f64,
    /// Share of the channels of such a patch, above 0 and up to 1.
    pub channel_probability: f64,
    /// SD in voxels, drawn for each channel and axis.
    pub sigma: Span,
}

impl Default for Blur {
    fn default() -> Self {
        Self {
            probability: 0.2,
            channel_probability: 0.5,
            sigma: Span(0.5, 1.0),
        }
    }
}

impl Blur {
    pub(super) fn check(&self) -> Result<(), TransformError> {
        check_share("blur", "probability", self.probability)?;
        check_share("blur", "channel_probability", self.channel_probability)?;
        self.sigma.check("blur", "sigma", [0.0, 20.0])
    }
}

impl Transform for Blur {
    fn apply(&self, patch: &mut Patch, rng: &mut ChaCha8Rng) {
        if !happens(self.probability, rng) {
            return;
        }
        for image in &mut patch.images {
            if !happens(self.channel_probability, rng) {
                continue;
            }
            let sigma = [(); 3].map(|()| self.sigma.draw(rng));
            let blurred = blurred(image.data(), image.shape(), sigma);
            replace(image.data_mut(), voxels(&patch.inside), &blurred);
        }
    }
}

fn blurred(values: &[f32], shape: [usize; 3], sigma: [f64; 3]) -> Vec<f32> {
    let mut values = values.to_vec();
    for (axis, sigma) in sigma.into_iter().enumerate() {
        if sigma > 0.0 && shape[axis] > 1 {
            values = along(
                &values,
                &mut shape.clone(),
                axis,
                &gaussian(shape[axis], sigma),
            );
        }
    }
    values
}

/// What each of `n` voxels is made of.
fn gaussian(n: usize, sigma: f64) -> Vec<Taps> {
    let radius = (TRUNCATE * sigma + 0.5) as isize;
    let density = |k: isize| (-0.5 * (k as f64 / sigma).powi(2)).exp();
    let sum: f64 = (-radius..=radius).map(density).sum();
    let tap = |i: isize, k: isize| (reflect(i + k, n), (density(k) / sum) as f32);
    let of_voxel = |i: usize| (-radius..=radius).map(|k| tap(i as isize, k)).collect();
    (0..n).map(of_voxel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        shape: [usize; 3],
        sigma: [f64; 3],
        image: Vec<f32>,
        expected: Vec<f32>,
    }

    #[test]
    fn as_scipy_does() {
        let text = include_str!("../../../../tests/golden/augment/blur.json");
        let golden: Golden = serde_json::from_str(text).unwrap();
        let found = blurred(&golden.image, golden.shape, golden.sigma);
        for (found, expected) in found.iter().zip(&golden.expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        assert_eq!(blurred(&golden.image, golden.shape, [0.0; 3]), golden.image);
    }
}
