//! What a coarser scan would show.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::flip::check_axes;
use super::inside::{replace, voxels};
use super::separable::{Taps, along};
use super::span::{check_share, happens};
use super::{AnatomicalAxis, Setting, Span, Transform, TransformError};
use crate::sampler::Patch;

/// Takes channels to fewer voxels (of which each takes the nearest) and back (linearly).
/// As nnU-Net's `SimulateLowResolutionTransform`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LowResolution {
    /// Share of the patches, above 0 and up to 1.
    pub probability: f64,
    /// Share of the channels of such a patch, above 0 and up to 1.
    pub channel_probability: f64,
    /// Voxels along an axis as a multiple of what there are, drawn for each channel.
    pub factor: Span,
    /// The axes that become coarser; all when empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub axes: Vec<AnatomicalAxis>,
}

impl Default for LowResolution {
    fn default() -> Self {
        Self {
            probability: 0.25,
            channel_probability: 0.5,
            factor: Span(0.5, 1.0),
            axes: Vec::new(),
        }
    }
}

const NAME: &str = "low-resolution";

impl LowResolution {
    pub(super) fn check(&self, setting: &Setting) -> Result<(), TransformError> {
        check_share(NAME, "probability", self.probability)?;
        check_share(NAME, "channel_probability", self.channel_probability)?;
        self.factor.check(NAME, "factor", [0.05, 1.0])?;
        check_axes(&self.axes, setting.slices()).map_err(|source| TransformError::Axes {
            transform: NAME,
            key: "axes",
            source,
        })
    }
}

impl Transform for LowResolution {
    fn apply(&self, patch: &mut Patch, rng: &mut ChaCha8Rng) {
        if !happens(self.probability, rng) {
            return;
        }
        let named = |axis: usize| self.axes.iter().any(|a| a.index() == axis);
        let coarser = [0, 1, 2].map(|a| self.axes.is_empty() || named(a));
        for image in &mut patch.images {
            if !happens(self.channel_probability, rng) {
                continue;
            }
            let factor = self.factor.draw(rng);
            let shown = lowered(image.data(), image.shape(), coarser, factor);
            replace(image.data_mut(), voxels(&patch.inside), &shown);
        }
    }
}

fn lowered(values: &[f32], shape: [usize; 3], coarser: [bool; 3], factor: f64) -> Vec<f32> {
    let (mut values, mut held) = (values.to_vec(), shape);
    let axes = || (0..3).filter(|a| coarser[*a] && shape[*a] > 1);
    for axis in axes() {
        let few = ((shape[axis] as f64 * factor).round() as usize).max(1);
        values = along(&values, &mut held, axis, &nearest(shape[axis], few));
    }
    for axis in axes() {
        let few = held[axis];
        values = along(&values, &mut held, axis, &linear(few, shape[axis]));
    }
    values
}

/// `n` voxels as `few` over the same extent.
fn nearest(n: usize, few: usize) -> Vec<Taps> {
    let place = |i: usize| ((i as f64 + 0.5) * n as f64 / few as f64) as usize;
    (0..few).map(|i| vec![(place(i).min(n - 1), 1.0)]).collect()
}

/// `few` voxels as `n` over the same extent; beyond the outermost centres their values
/// go on.
fn linear(few: usize, n: usize) -> Vec<Taps> {
    let of_voxel = |i: usize| {
        let place = (i as f64 + 0.5) * few as f64 / n as f64 - 0.5;
        let place = place.clamp(0.0, (few - 1) as f64);
        let below = place as usize;
        let part = (place - below as f64) as f32;
        vec![(below, 1.0 - part), ((below + 1).min(few - 1), part)]
    };
    (0..n).map(of_voxel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        shape: [usize; 3],
        factor: f64,
        image: Vec<f32>,
        expected: Vec<f32>,
    }

    #[test]
    fn as_numpy_does() {
        let text = include_str!("../../../../tests/golden/augment/low_resolution.json");
        let golden: Golden = serde_json::from_str(text).unwrap();
        let found = lowered(&golden.image, golden.shape, [true; 3], golden.factor);
        for (found, expected) in found.iter().zip(&golden.expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        assert_eq!(
            lowered(&golden.image, golden.shape, [true; 3], 1.0),
            golden.image
        );
        assert_eq!(
            lowered(&golden.image, golden.shape, [false; 3], 0.5),
            golden.image
        );
    }

    #[test]
    fn one_axis_by_hand() {
        // Four voxels as two, each the second of a pair; back at -0.25, 0.25, 0.75, 1.25.
        let found = lowered(&[0.0, 8.0, 1.0, 16.0], [4, 1, 1], [true, false, false], 0.5);
        assert_eq!(found, [8.0, 10.0, 14.0, 16.0]);
    }
}
