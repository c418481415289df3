//! Precision against recall of voxels over all thresholds of a probability, and the area under
//! that curve.
//!
//! The area is the average precision `sum_n (R_n - R_(n-1)) P_n` over descending thresholds:
//! no straight lines between points, which would flatter (Davis & Goadrich, ICML 2006). Of
//! foreground that is rare it tells more than a receiver operating characteristic, as voxels of
//! background that are called so do not count; at random it is the share of foreground. The
//! measure of the lesions of IDRiD (Porwal et al., Med Image Anal 59, 2020).

use serde::{Deserialize, Serialize};

use crate::MetricsError;

/// Lowest bits of a probability that are not looked at: twelve significant ones are left, so
/// that steps are .05 % wide at most, whatever the probability is.
const UNSEEN_BITS: u32 = 12;
/// Steps from 0 to 1.
const STEPS: usize = (1.0_f32.to_bits() >> UNSEEN_BITS) as usize + 1;

/// Voxels of background and foreground by their probability. Counts of subjects may be added
/// in any order.
#[derive(Clone, Debug, PartialEq)]
pub struct PrecisionRecall {
    /// Of background and of foreground at each step of probability.
    counts: Vec<[u64; 2]>,
}

/// The area under a curve, and of how many voxels it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AveragePrecision {
    /// Voxels that were counted.
    pub voxels: u64,
    /// Those that are foreground.
    pub foreground: u64,
    /// The average precision; `None` without foreground.
    pub average_precision: Option<f64>,
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrecisionRecallPoint {
    /// Share of the foreground that has at least this probability.
    pub recall: f64,
    /// Share of the voxels of at least this probability that are foreground.
    pub precision: f64,
    /// The probability, to twelve significant bits.
    pub probability: f32,
}

impl Default for PrecisionRecall {
    fn default() -> Self {
        Self {
            counts: vec![[0; 2]; STEPS],
        }
    }
}

impl PrecisionRecall {
    /// Counts voxels, each with its probability and whether it is foreground.
    ///
    /// # Errors
    /// When a probability is none; what came before it is counted then.
    pub fn add(
        &mut self,
        voxels: impl IntoIterator<Item = (f32, bool)>,
    ) -> Result<(), MetricsError> {
        for (at, (probability, foreground)) in voxels.into_iter().enumerate() {
            if !(0.0..=1.0).contains(&probability) {
                let found = f64::from(probability);
                return Err(MetricsError::Probability { at, found });
            }
            // The bits of positive numbers are in the order of the numbers; -0 is 0.
            let step = (probability.abs().to_bits() >> UNSEEN_BITS) as usize;
            self.counts[step][usize::from(foreground)] += 1;
        }
        Ok(())
    }

    /// Adds the voxels of another count.
    pub fn merge(&mut self, other: &Self) {
        for (mine, others) in self.counts.iter_mut().zip(&other.counts) {
            mine[0] += others[0];
            mine[1] += others[1];
        }
    }

    /// The area under the curve.
    pub fn average_precision(&self) -> AveragePrecision {
        let foreground = self.foreground();
        let gained = self
            .thresholds()
            .map(|(_, [_, here], [background, found])| {
                here as f64 * found as f64 / (background + found) as f64
            });
        let area = gained.sum::<f64>() / foreground as f64;
        AveragePrecision {
            voxels: self.counts.iter().flatten().sum(),
            foreground,
            average_precision: (foreground > 0).then_some(area),
        }
    }

    /// The points of the curve at which recall first reaches 1, 2, to `points` parts of `points`;
    /// those that one threshold reaches at once are one. None without foreground.
    pub fn points(&self, points: u64) -> Vec<PrecisionRecallPoint> {
        let foreground = self.foreground();
        let mut reached = 0;
        let mut curve = Vec::new();
        for (step, _, [background, found]) in self.thresholds() {
            if found * points >= (reached + 1) * foreground {
                reached = found * points / foreground;
                curve.push(PrecisionRecallPoint {
                    recall: found as f64 / foreground as f64,
                    precision: found as f64 / (background + found) as f64,
                    probability: f32::from_bits((step as u32) << UNSEEN_BITS),
                });
            }
        }
        curve
    }

    fn foreground(&self) -> u64 {
        self.counts.iter().map(|[_, foreground]| foreground).sum()
    }

    /// The steps that hold foreground, from 1 down: each with its voxels of background and
    /// foreground, and with all from 1 down to it.
    fn thresholds(&self) -> impl Iterator<Item = (usize, [u64; 2], [u64; 2])> {
        let mut above = [0, 0];
        let steps = self.counts.iter().enumerate().rev();
        let counted = steps.map(move |(step, &here)| {
            above = [above[0] + here[0], above[1] + here[1]];
            (step, here, above)
        });
        counted.filter(|(_, here, _)| here[1] > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(voxels: &[(f32, bool)]) -> PrecisionRecall {
        let mut counted = PrecisionRecall::default();
        counted.add(voxels.iter().copied()).unwrap();
        counted
    }

    /// By hand: thresholds .8 (1 of 1), .4 (1 of 2, no gain), .35 (2 of 3): (1 + 2/3) / 2.
    #[test]
    fn the_area_is_the_mean_precision_at_each_find() {
        let found = of(&[(0.1, false), (0.4, false), (0.35, true), (0.8, true)]);
        let area = found.average_precision();
        assert_eq!((area.voxels, area.foreground), (4, 2));
        assert!((area.average_precision.unwrap() - 5.0 / 6.0).abs() < 1e-12);
        let points = found.points(10);
        let pairs: Vec<[f64; 2]> = points.iter().map(|p| [p.recall, p.precision]).collect();
        assert_eq!(pairs, [[0.5, 1.0], [1.0, 2.0 / 3.0]]);
        assert!((points[1].probability - 0.35).abs() < 2e-4);
    }

    /// A probability that says nothing is as good as chance: the share of foreground.
    #[test]
    fn without_an_order_it_is_the_share_of_foreground() {
        let same = of(&[
            (0.5, false),
            (0.5, true),
            (0.5, false),
            (-0.0, false),
            (0.5, false),
        ]);
        assert_eq!(same.average_precision().average_precision, Some(0.25));
        let none = of(&[(1.0, false), (0.0, false)]);
        assert_eq!(none.average_precision().average_precision, None);
        assert!(none.points(10).is_empty());
    }

    #[test]
    fn subjects_add_up_and_what_is_no_probability_is_refused() {
        let [one, other] = [[(0.9, true), (0.2, false)], [(0.95, false), (1e-30, true)]];
        let mut added = of(&one);
        added.merge(&of(&other));
        assert_eq!(added, of(&[one, other].concat()));
        let mut counted = PrecisionRecall::default();
        for wrong in [-0.1, 1.0001, f32::NAN] {
            let error = counted.add([(0.5, true), (wrong, false)]).unwrap_err();
            assert!(matches!(error, MetricsError::Probability { at: 1, .. }));
        }
    }
}
