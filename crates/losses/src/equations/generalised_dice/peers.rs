//! Generalised Dice as MONAI and NiftyNet have it.
//!
//! Both give an absent class the largest weight of those present, and 0 to all
//! when none is present. MONAI adds 1e-5 after weighting:
//! `1 - (2 sum w TP + 1e-5) / (sum w (V + P) + 1e-5)`. NiftyNet adds nothing but
//! takes `max(V + P, 1)` in the denominator, and 0 where no class is present.

use super::{ClassWeight, GeneralisedDice};
use crate::options::PEER_EPSILON;
use crate::{ClassSums, Compatibility, Statistics, StatisticsGradient};

impl GeneralisedDice {
    /// Value and derivatives of that tool.
    pub(super) fn peer(
        &self,
        statistics: &Statistics,
        tool: Compatibility,
    ) -> (f64, StatisticsGradient) {
        let overlapping = statistics.is_overlapping();
        let classes = self.classes.members(statistics.classes(), overlapping);
        let inverse = |l: usize| {
            let volume = statistics.volume(l);
            match (volume > 0.0, self.weight) {
                (_, ClassWeight::Uniform) => Some(1.0),
                (false, _) => None,
                (true, ClassWeight::Square) => Some(1.0 / volume / volume),
                (true, _) => Some(1.0 / volume),
            }
        };
        let finite: Vec<Option<f64>> = classes.iter().map(|&l| inverse(l)).collect();
        let largest = finite.iter().flatten().fold(0.0_f64, |m, w| m.max(*w));
        let epsilon = match tool {
            Compatibility::Monai => PEER_EPSILON,
            Compatibility::Niftynet => 0.0,
        };
        let (mut hits, mut volumes) = (epsilon, epsilon);
        let mut by_volume = Vec::new();
        for (&l, weight) in classes.iter().zip(&finite) {
            let weight = weight.unwrap_or(largest);
            let both = statistics.volume(l) + statistics.predicted(l);
            let clamped = tool == Compatibility::Niftynet && both < 1.0;
            hits += 2.0 * weight * statistics.class(l).hit;
            volumes += weight * if clamped { 1.0 } else { both };
            by_volume.push((l, weight, if clamped { 0.0 } else { weight }));
        }
        let mut gradient = StatisticsGradient::zeros(statistics);
        if volumes == 0.0 {
            return (0.0, gradient);
        }
        let score = hits / volumes;
        for (l, weight, of_volume) in by_volume {
            let by_class = ClassSums {
                hit: (score * of_volume - 2.0 * weight) / volumes,
                false_alarm: score * of_volume / volumes,
                ..ClassSums::default()
            };
            gradient.add_class(l, &by_class);
        }
        (1.0 - score, gradient)
    }
}
