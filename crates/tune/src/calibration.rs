//! How far the probabilities of a class can be believed.

use lacuna_metrics::{Probabilities, Reliability};
use serde::{Deserialize, Serialize};

use crate::TuneError;
use crate::error::check_probability;
use crate::log_odds::{CLIP, check_length};

/// A class against all else, over the voxels of all subjects that were added.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Probability against how often it was right, in 20 bins; holds the expected
    /// calibration error. `predicted` counts probabilities above 1/2.
    pub reliability: Reliability,
    /// Sum of the squared differences between probability and reference.
    pub squares: f64,
    /// Sum of the negative log likelihoods in nats, p clipped to 1e-7.
    pub log_loss: f64,
}

/// The calibration of a class before and after a temperature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassCalibration {
    /// Its name.
    pub class: String,
    /// As the network gave the probabilities.
    pub before: Calibration,
    /// Tempered.
    pub after: Calibration,
}

impl Calibration {
    /// Adds the voxels of a subject: the probability of the class, and where the
    /// reference has it; those inside of the mask where there is one.
    ///
    /// # Errors
    /// [`TuneError::Length`], [`TuneError::Probability`]; nothing is added then.
    pub fn add(
        &mut self,
        probability: &[f32],
        reference: &[bool],
        mask: Option<&[bool]>,
    ) -> Result<(), TuneError> {
        let voxels = probability.len();
        check_length("reference", reference.len(), voxels)?;
        check_length("mask", mask.map_or(voxels, <[bool]>::len), voxels)?;
        let inside = |at: &usize| mask.is_none_or(|mask| mask[*at]);
        let places: Vec<usize> = (0..voxels).filter(inside).collect();
        let mut foreground = Vec::with_capacity(places.len());
        for at in &places {
            check_probability(*at, probability[*at])?;
            foreground.push(probability[*at].clamp(0.0, 1.0));
        }
        let labels: Vec<u8> = places.iter().map(|at| u8::from(reference[*at])).collect();
        let predicted: Vec<u8> = foreground.iter().map(|p| u8::from(*p > 0.5)).collect();
        self.reliability.add(&Probabilities {
            foreground: &foreground,
            reference: &labels,
            prediction: &predicted,
            mask: None,
        })?;
        for (p, label) in foreground.iter().zip(&labels) {
            let own = if *label == 1 { *p } else { 1.0 - *p };
            self.squares += f64::from(1.0 - own).powi(2);
            self.log_loss -= f64::from(own.max(CLIP)).ln();
        }
        Ok(())
    }

    /// Voxels added.
    pub fn voxels(&self) -> u64 {
        self.reliability.voxels.iter().sum()
    }

    /// Expected calibration error; `None` without voxels.
    pub fn ece(&self) -> Option<f64> {
        self.reliability.ece()
    }

    /// The same over the voxels above the lowest bin; `None` without such voxels.
    pub fn ece_above_lowest_bin(&self) -> Option<f64> {
        self.reliability.ece_above_lowest_bin()
    }

    /// Mean squared difference between probability and reference (Brier, Monthly Weather
    /// Review 78, 1950, of the one class: half of his sum over both); `None` without voxels.
    pub fn brier(&self) -> Option<f64> {
        self.mean(self.squares)
    }

    /// Mean negative log likelihood in nats; `None` without voxels.
    pub fn nll(&self) -> Option<f64> {
        self.mean(self.log_loss)
    }

    fn mean(&self, sum: f64) -> Option<f64> {
        let voxels = self.voxels();
        (voxels > 0).then(|| sum / voxels as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_voxels_by_hand() {
        let mut found = Calibration::default();
        let mask = [true, true, true, true, false];
        let p = [0.0, 0.25, 0.75, 0.5, 0.9];
        let r = [false, true, true, false, false];
        found.add(&p, &r, Some(&mask)).unwrap();
        assert_eq!(found.voxels(), 4);
        // 0, 0.75², 0.25² and 0.5².
        assert_eq!(found.brier(), Some((0.5625 + 0.0625 + 0.25) / 4.0));
        let nll = -(0.25f64.ln() + 0.75f64.ln() + 0.5f64.ln()) / 4.0;
        assert!((found.nll().unwrap() - nll).abs() < 1e-12);
        // Each voxel has a bin of its own: gaps 0, 0.75, 0.25 and 0.5.
        assert_eq!(found.ece(), Some(1.5 / 4.0));
        assert_eq!(found.ece_above_lowest_bin(), Some(0.5));
        assert_eq!(found.reliability.predicted, 1);
    }

    #[test]
    fn nothing_has_no_error_and_bad_input_adds_nothing() {
        let mut found = Calibration::default();
        assert_eq!(
            (found.brier(), found.nll(), found.ece()),
            (None, None, None)
        );
        assert!(found.add(&[0.5, f32::NAN], &[true, true], None).is_err());
        assert!(found.add(&[0.5], &[true, true], None).is_err());
        assert_eq!(found, Calibration::default());
        // A surely wrong voxel has a finite loss: ln 1e7.
        found.add(&[1.0], &[false], None).unwrap();
        assert!((found.nll().unwrap() - 1e7f64.ln()).abs() < 1e-6);
    }
}
