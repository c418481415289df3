//! How far foreground probabilities can be believed.
//!
//! [`Reliability`] sorts voxels into equal bins of foreground probability and
//! counts how many are foreground. The expected calibration error (Naeini et
//! al., AAAI 2015; here of the foreground probability rather than that of the
//! chosen class) is the mean over voxels of the gap between the two in their bin.

use crate::MetricsError;
use serde::{Deserialize, Serialize};

/// What [`Reliability::add`] reads, voxel by voxel.
#[derive(Clone, Copy, Debug)]
pub struct Probabilities<'a> {
    /// Probability of foreground, 0 to 1: all classes but the background.
    pub foreground: &'a [f32],
    /// Reference labels, 0 for background.
    pub reference: &'a [u8],
    /// Predicted labels, 0 for background.
    pub prediction: &'a [u8],
    /// Voxels to count; all if there is none. Nothing else is read of the others.
    pub mask: Option<&'a [bool]>,
}

/// Foreground probability against how often it was foreground.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Voxels in each of the equal bins of probability. A bin holds its lower
    /// end, the last one holds 1 too.
    pub voxels: Vec<u64>,
    /// Sum of the probabilities in each bin.
    pub probability: Vec<f64>,
    /// Voxels of each bin that are foreground in the reference.
    pub foreground: Vec<u64>,
    /// Voxels that the label map calls foreground.
    pub predicted: u64,
}

impl Default for Reliability {
    /// 20 empty bins.
    fn default() -> Self {
        Self::empty(20)
    }
}

impl Reliability {
    /// Nothing counted yet, in `bins` bins.
    ///
    /// # Errors
    /// When there are none.
    pub fn new(bins: usize) -> Result<Self, MetricsError> {
        if bins == 0 {
            return Err(MetricsError::Bins {
                found: 0,
                expected: "1 or more".to_owned(),
            });
        }
        Ok(Self::empty(bins))
    }

    fn empty(bins: usize) -> Self {
        Self {
            voxels: vec![0; bins],
            probability: vec![0.0; bins],
            foreground: vec![0; bins],
            predicted: 0,
        }
    }

    /// Counts the voxels of one subject.
    ///
    /// # Errors
    /// When the sequences differ in length or a probability to be counted is
    /// none; nothing is counted then.
    pub fn add(&mut self, voxels: &Probabilities) -> Result<(), MetricsError> {
        voxels.check()?;
        let bins = self.voxels.len();
        let mut added = Self::empty(bins);
        for (at, &probability) in voxels.foreground.iter().enumerate() {
            if voxels.mask.is_some_and(|mask| !mask[at]) {
                continue;
            }
            let probability = f64::from(probability);
            if !(0.0..=1.0).contains(&probability) {
                let found = probability;
                return Err(MetricsError::Probability { at, found });
            }
            let bin = ((probability * bins as f64) as usize).min(bins - 1);
            added.voxels[bin] += 1;
            added.probability[bin] += probability;
            added.foreground[bin] += u64::from(voxels.reference[at] > 0);
            added.predicted += u64::from(voxels.prediction[at] > 0);
        }
        self.merge(&added)
    }

    /// What is wrong with a count that was read: lists of other lengths, more foreground than
    /// voxels, more voxels than can be, or probabilities that are no numbers.
    pub fn fault(&self) -> Option<String> {
        let lengths = [&self.voxels, &self.foreground].map(Vec::len);
        let bins = self.probability.len();
        if bins == 0 || lengths != [bins; 2] {
            let [voxels, foreground] = lengths;
            return Some(format!(
                "{voxels} bins of voxels, {bins} of probabilities and {foreground} of foreground; \
                 expected as many, and at least one"
            ));
        }
        // Sums over studies stay far below what a count can hold.
        let most = 1 << 48;
        let counts = self.voxels.iter().chain([&self.predicted]);
        if let Some(many) = counts.max().filter(|count| **count > most) {
            return Some(format!("{many} voxels, expected at most {most}"));
        }
        let pairs = || self.foreground.iter().zip(&self.voxels);
        if let Some((foreground, voxels)) = pairs().find(|(f, v)| f > v) {
            return Some(format!("{foreground} voxels of {voxels} are foreground"));
        }
        let probability = self
            .probability
            .iter()
            .find(|p| !(**p >= 0.0 && p.is_finite()));
        probability.map(|p| format!("a sum of probabilities is {p}"))
    }

    /// Adds the voxels of another count.
    ///
    /// # Errors
    /// When it has other bins.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricsError> {
        if self.voxels.len() != other.voxels.len() {
            return Err(MetricsError::Bins {
                found: other.voxels.len(),
                expected: format!("{} as in the count to add to", self.voxels.len()),
            });
        }
        for bin in 0..self.voxels.len() {
            self.voxels[bin] += other.voxels[bin];
            self.probability[bin] += other.probability[bin];
            self.foreground[bin] += other.foreground[bin];
        }
        self.predicted += other.predicted;
        Ok(())
    }

    /// Expected calibration error: the mean over voxels of |foreground share -
    /// mean probability| of their bin. `None` without voxels.
    pub fn ece(&self) -> Option<f64> {
        self.error_from(0)
    }

    /// The same over the voxels above the lowest bin. Where the target is rare
    /// nearly all voxels are surely background and hide every other error.
    /// `None` without such voxels.
    pub fn ece_above_lowest_bin(&self) -> Option<f64> {
        self.error_from(1)
    }

    fn error_from(&self, first: usize) -> Option<f64> {
        let voxels: u64 = self.voxels.iter().skip(first).sum();
        // Voxels of a bin times its gap is |foreground voxels - sum of probabilities|.
        let bins = self.foreground.iter().zip(&self.probability).skip(first);
        let gaps: f64 = bins.map(|(&f, &p)| (f as f64 - p).abs()).sum();
        (voxels > 0).then(|| gaps / voxels as f64)
    }
}

impl Probabilities<'_> {
    fn check(&self) -> Result<(), MetricsError> {
        let probabilities = self.foreground.len();
        let lengths = [
            ("reference", self.reference.len()),
            ("prediction", self.prediction.len()),
            ("mask", self.mask.map_or(probabilities, <[bool]>::len)),
        ];
        match lengths
            .into_iter()
            .find(|(_, found)| *found != probabilities)
        {
            None => Ok(()),
            Some((image, found)) => Err(MetricsError::ProbabilityCount {
                probabilities,
                image,
                found,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voxels<'a>(foreground: &'a [f32], reference: &'a [u8]) -> Probabilities<'a> {
        Probabilities {
            foreground,
            reference,
            prediction: reference,
            mask: None,
        }
    }

    #[test]
    fn four_bins_by_hand() {
        let mut found = Reliability::new(4).unwrap();
        let subject = Probabilities {
            foreground: &[0.0, 0.125, 0.25, 0.5, 0.75, 1.0, 0.875, f32::NAN],
            reference: &[0, 1, 0, 1, 1, 2, 0, 1],
            prediction: &[0, 0, 0, 1, 1, 1, 2, 1],
            mask: Some(&[true, true, true, true, true, true, true, false]),
        };
        found.add(&subject).unwrap();
        assert_eq!(found.voxels, [2, 1, 1, 3]);
        assert_eq!(found.probability, [0.125, 0.25, 0.5, 2.625]);
        assert_eq!(found.foreground, [1, 0, 1, 2]);
        assert_eq!(found.predicted, 4);
        // Gaps 0.875, 0.25, 0.5 and 0.625 voxels.
        assert_eq!(found.ece(), Some(2.25 / 7.0));
        assert_eq!(found.ece_above_lowest_bin(), Some(1.375 / 5.0));
    }

    #[test]
    fn sure_background_hides_the_error() {
        // 996 voxels at 0, 4 at 0.75 of which 1 is foreground: 2 of 1000, 2 of 4.
        let mut p = vec![0.0; 996];
        p.extend([0.75; 4]);
        let mut r = vec![0; 999];
        r.push(1);
        let mut found = Reliability::default();
        found.add(&voxels(&p, &r)).unwrap();
        assert_eq!(found.voxels.len(), 20);
        assert_eq!(found.ece(), Some(0.002));
        assert_eq!(found.ece_above_lowest_bin(), Some(0.5));
    }

    #[test]
    fn subjects_add_up() {
        let (p, r) = ([0.0, 0.25, 0.5, 1.0], [0, 0, 1, 1]);
        let count = |range: std::ops::Range<usize>| {
            let mut found = Reliability::default();
            found.add(&voxels(&p[range.clone()], &r[range])).unwrap();
            found
        };
        let mut parts = count(0..3);
        parts.merge(&count(3..4)).unwrap();
        assert_eq!(parts, count(0..4));
        let other = Reliability::new(10).unwrap();
        assert!(matches!(
            parts.merge(&other),
            Err(MetricsError::Bins { found: 10, .. })
        ));
    }

    #[test]
    fn nothing_counted_has_no_error() {
        let mut found = Reliability::default();
        assert_eq!((found.ece(), found.ece_above_lowest_bin()), (None, None));
        found.add(&voxels(&[0.0, 0.01], &[0, 0])).unwrap();
        assert!(found.ece().is_some());
        assert_eq!(found.ece_above_lowest_bin(), None);
    }

    #[test]
    fn input_without_meaning_is_refused_and_changes_nothing() {
        let mut found = Reliability::default();
        for bad in [-0.01, 1.01, f32::NAN, f32::INFINITY] {
            let error = found.add(&voxels(&[0.5, bad], &[0, 0])).unwrap_err();
            assert!(matches!(error, MetricsError::Probability { at: 1, .. }));
        }
        let error = found.add(&voxels(&[0.5], &[0, 0])).unwrap_err();
        assert!(error.to_string().contains("2 voxels in the reference"));
        let short = Probabilities {
            mask: Some(&[]),
            ..voxels(&[0.5], &[0])
        };
        let error = found.add(&short).unwrap_err();
        assert!(error.to_string().contains("0 voxels in the mask"));
        assert_eq!(found, Reliability::default());
        assert!(Reliability::new(0).is_err());
    }
}
