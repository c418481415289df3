//! Temperature scaling (Guo et al., On Calibration of Modern Neural Networks, ICML 2017):
//! one number that makes probabilities less or more sure, and changes no order of them
//! within a voxel.

use serde::{Deserialize, Serialize};

use crate::TuneError;
use crate::error::check_probability;
use crate::log_odds::{CLIP, LogOdds, check_length, is_unpredicted, mean_nll};

/// Lowest and highest temperature that is tried.
const RANGE: [f64; 2] = [0.2, 10.0];
/// Width of the last interval of log T.
const TOLERANCE: f64 = 1e-6;

/// The number that the log of every probability is divided by; above 1 predictions
/// become less sure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Temperature {
    /// T.
    pub value: f64,
}

impl Temperature {
    /// A temperature known from elsewhere, as 1 that changes nothing.
    ///
    /// # Errors
    /// [`TuneError::Temperature`] when it is not finite or not above 0.
    pub fn new(value: f64) -> Result<Self, TuneError> {
        match value.is_finite() && value > 0.0 {
            true => Ok(Self { value }),
            false => Err(TuneError::Temperature { found: value }),
        }
    }

    /// The temperature, 0.2 to 10, of least negative log likelihood: golden-section
    /// search (Kiefer, Proc. AMS 4, 1953) over log T. The likelihood is convex in 1 / T,
    /// so that there is one minimum.
    ///
    /// # Errors
    /// [`TuneError::NoVoxels`]
    pub fn fit(odds: &LogOdds) -> Result<Self, TuneError> {
        let cells = odds.sorted();
        if cells.is_empty() {
            return Err(TuneError::NoVoxels);
        }
        let [low, high] = RANGE.map(f64::ln);
        let log = golden_section(low, high, |log| mean_nll(&cells, log.exp()));
        Ok(Self { value: log.exp() })
    }

    /// Whether it is at an end of what is tried, where predictions are nearly all right
    /// or say nothing of the reference; look at them before it is used.
    pub fn is_at_end(self) -> bool {
        RANGE
            .iter()
            .any(|end| (self.value.ln() - end.ln()).abs() < 10.0 * TOLERANCE)
    }

    /// Mean negative log likelihood of the voxels at this temperature, in nats; `None`
    /// without voxels.
    pub fn nll(self, odds: &LogOdds) -> Option<f64> {
        let cells = odds.sorted();
        (!cells.is_empty()).then(|| mean_nll(&cells, self.value))
    }

    /// Tempers exclusive classes in place, one map per class: softmax(log p / T), p
    /// clipped to 1e-7. Voxels where the background, which goes first, has 1 and all else 0
    /// stay: nothing was predicted there, as outside of the mask.
    ///
    /// # Errors
    /// [`TuneError::Length`], [`TuneError::Probability`]; maps are half done then.
    pub fn apply_classes(self, probabilities: &mut [&mut [f32]]) -> Result<(), TuneError> {
        let voxels = probabilities.first().map_or(0, |map| map.len());
        for map in probabilities.iter() {
            check_length("next probability map", map.len(), voxels)?;
        }
        let mut voxel = vec![0.0; probabilities.len()];
        for at in 0..voxels {
            for (p, map) in voxel.iter_mut().zip(probabilities.iter()) {
                *p = map[at];
                check_probability(at, *p)?;
            }
            if is_unpredicted(&voxel) {
                continue;
            }
            self.apply_voxel(&mut voxel);
            for (p, map) in voxel.iter().zip(probabilities.iter_mut()) {
                map[at] = *p;
            }
        }
        Ok(())
    }

    /// Tempers a region in place: sigmoid(logit(p) / T), p clipped to 1e-7. Voxels of
    /// probability 0 stay: nothing was predicted there.
    ///
    /// # Errors
    /// [`TuneError::Probability`]; the map is half done then.
    pub fn apply_region(self, probability: &mut [f32]) -> Result<(), TuneError> {
        for (at, p) in probability.iter_mut().enumerate() {
            check_probability(at, *p)?;
            let mut voxel = [1.0 - *p, *p];
            if !is_unpredicted(&voxel) {
                self.apply_voxel(&mut voxel);
                *p = voxel[1];
            }
        }
        Ok(())
    }

    fn apply_voxel(self, voxel: &mut [f32]) {
        let power = |p: f32| (f64::from(p.clamp(CLIP, 1.0 - CLIP)).ln() / self.value).exp();
        let sum: f64 = voxel.iter().map(|p| power(*p)).sum();
        for p in voxel {
            *p = (power(*p) / sum) as f32;
        }
    }
}

/// The place of the least value of a function with one minimum.
fn golden_section(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut f_a, mut f_b) = (f(a), f(b));
    while high - low > TOLERANCE {
        if f_a <= f_b {
            (high, b, f_b) = (b, a, f_a);
            a = high - ratio * (high - low);
            f_a = f(a);
        } else {
            (low, a, f_a) = (a, b, f_b);
            b = low + ratio * (high - low);
            f_b = f(b);
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_section_finds_a_minimum_and_the_ends() {
        let found = golden_section(-1.0, 3.0, |x| (x - 0.7).powi(2));
        assert!((found - 0.7).abs() < 1e-6);
        assert!((golden_section(0.0, 1.0, |x| x)).abs() < 1e-6);
        assert!((golden_section(0.0, 1.0, |x| -x) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_temperature_of_two_takes_the_root() {
        // p = 0.8 and 0.2: roots 0.894 and 0.447, of their sum 2/3 and 1/3.
        let temperature = Temperature::new(2.0).unwrap();
        let (mut rest, mut class) = (vec![0.2, 1.0, 0.0], vec![0.8, 0.0, 1.0]);
        temperature
            .apply_classes(&mut [&mut rest, &mut class])
            .unwrap();
        assert!((class[0] - 2.0 / 3.0).abs() < 1e-6 && (rest[0] - 1.0 / 3.0).abs() < 1e-6);
        // Where nothing was predicted, nothing changes; what is too sure becomes less so:
        // 1 / (1 + sqrt(1e-7)).
        assert_eq!((class[1], rest[1]), (0.0, 1.0));
        assert!((class[2] - 0.999_683_9).abs() < 1e-6 && (rest[2] - 0.000_316_1).abs() < 1e-6);
        let mut region = [0.8, 0.0, 0.5];
        temperature.apply_region(&mut region).unwrap();
        assert!((region[0] - 2.0 / 3.0).abs() < 1e-6);
        assert_eq!(region[1..], [0.0, 0.5]);
        assert!(Temperature::new(0.0).is_err() && Temperature::new(f64::NAN).is_err());
    }

    #[test]
    fn without_voxels_there_is_nothing_to_fit() {
        let none = LogOdds::default();
        assert!(matches!(Temperature::fit(&none), Err(TuneError::NoVoxels)));
        assert_eq!(Temperature { value: 1.0 }.nll(&none), None);
    }

    /// One of four voxels of p = 0.9 is wrong: the logit ln 9 must become ln 3, T = 2.
    #[test]
    fn three_of_four_are_right() {
        let mut odds = LogOdds::default();
        odds.add_region(&[0.9; 4], &[true, true, true, false], None)
            .unwrap();
        let found = Temperature::fit(&odds).unwrap();
        assert!((found.value - 2.0).abs() < 0.01, "{found:?}");
        // -(3 ln 0.75 + ln 0.25) / 4 = 0.5623.
        assert!((found.nll(&odds).unwrap() - 0.562_335).abs() < 1e-4);
        // All right: the surer, the better.
        let mut right = LogOdds::default();
        right.add_region(&[0.9; 4], &[true; 4], None).unwrap();
        assert!(Temperature::fit(&right).unwrap().is_at_end());
    }
}
