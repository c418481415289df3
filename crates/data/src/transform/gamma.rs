//! Gamma correction.

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::inside::{Values, change, voxels};
use super::span::{check_share, happens};
use super::{Span, Transform, TransformError};
use crate::sampler::Patch;

/// Bends the intensities of each channel: between its lowest and highest value inside,
/// scaled to 0 and 1, v becomes v^gamma; then mean and SD are restored. As nnU-Net's
/// `GammaTransform` with `p_retain_stats = 1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gamma {
    /// Share of the patches, above 0 and up to 1.
    pub probability: f64,
    /// The exponent, drawn for each channel, half of the times below 1.
    pub range: Span,
    /// Bends the negative of the image, so that bright and dark change places.
    pub inverted: bool,
}

impl Default for Gamma {
    fn default() -> Self {
        Self {
            probability: 0.3,
            range: Span(0.7, 1.5),
            inverted: false,
        }
    }
}

impl Gamma {
    pub(super) fn check(&self) -> Result<(), TransformError> {
        check_share("gamma", "probability", self.probability)?;
        self.range.check("gamma", "range", [0.1, 10.0])
    }
}

impl Transform for Gamma {
    fn apply(&self, patch: &mut Patch, rng: &mut ChaCha8Rng) {
        if !happens(self.probability, rng) {
            return;
        }
        let inside = voxels(&patch.inside);
        for image in &mut patch.images {
            bend(
                image.data_mut(),
                inside,
                self.range.draw_factor(rng),
                self.inverted,
            );
        }
    }
}

fn bend(channel: &mut [f32], inside: Option<&[bool]>, gamma: f64, inverted: bool) {
    let Some(before) = Values::of(channel, inside).filter(|values| values.high > values.low) else {
        return;
    };
    let (low, high) = (f64::from(before.low), f64::from(before.high));
    let share = |v: f32| (f64::from(v) - low) / (high - low);
    change(channel, inside, |v| match inverted {
        false => share(v).powf(gamma) as f32,
        true => 1.0 - (1.0 - share(v)).powf(gamma) as f32,
    });
    let Some(bent) = Values::of(channel, inside).filter(|bent| bent.sd > 0.0) else {
        return;
    };
    change(channel, inside, |v| {
        ((f64::from(v) - bent.mean) / bent.sd * before.sd + before.mean) as f32
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct Golden {
        power: f64,
        image: Vec<f32>,
        expected: Vec<f32>,
        inverted: Vec<f32>,
    }

    #[test]
    fn bent_as_numpy_does_and_outside_stays() {
        let text = include_str!("../../../../tests/golden/augment/gamma.json");
        let golden: Golden = serde_json::from_str(text).unwrap();
        for (inverted, expected) in [(false, &golden.expected), (true, &golden.inverted)] {
            let mut whole = golden.image.clone();
            bend(&mut whole, None, golden.power, inverted);
            // The same with something outside, which does not count.
            let mut part = golden.image.clone();
            part.insert(7, 100.0);
            let mut inside = vec![true; part.len()];
            inside[7] = false;
            bend(&mut part, Some(&inside), golden.power, inverted);
            assert_eq!(part.remove(7), 100.0);
            for ((a, b), expected) in whole.iter().zip(&part).zip(expected) {
                assert!((a - expected).abs() < 1e-4 && a == b, "{a} {b} {expected}");
            }
        }
    }

    #[test]
    fn a_square_by_hand_and_what_has_no_contrast() {
        // 0, 1, 2 are 0, 1/2, 1; squared 0, 1/4, 1.
        let mut values = [0.0, 1.0, 2.0];
        bend(&mut values, None, 2.0, false);
        let (mean, sd) = (5.0 / 12.0, (17.0_f32 / 48.0 - 25.0 / 144.0).sqrt());
        let expected = [0.0, 0.25, 1.0].map(|v| (v - mean) / sd * (2.0_f32 / 3.0).sqrt() + 1.0);
        for (found, expected) in values.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{values:?} {expected}");
        }
        let mut flat = [3.0; 4];
        bend(&mut flat, None, 2.0, false);
        assert_eq!(flat, [3.0; 4]);
        bend(&mut flat, Some(&[false; 4]), 2.0, false);
        assert_eq!(flat, [3.0; 4]);
    }
}
