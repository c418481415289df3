//! Top-k cross-entropy (Wu et al., 2016, arXiv 1605.06885): the mean
//! cross-entropy of the hardest elements,
//!
//! `L = (1/k) sum_{n in top k} -sum_c r_cn log p_cn`, `k = share M`
//!
//! of the M elements that count. A broken k counts its last element in part, and
//! elements that tie for the last places share them evenly, so neither value nor
//! gradient depends on the order of the elements or on copies of them. Classes are exclusive. Minimum 0.

use crate::LossError;
use crate::layout::CHUNK;
use crate::loss::{Field, FieldLoss, FieldSlopes, Form, Honours, Loss, Own, OwnLoss, product_sum};
use crate::options::check_number;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// Top-k cross-entropy; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TopKCrossEntropy {
    /// Share of the elements that counts, above 0 and at most 1.
    pub share: f64,
}

impl TopKCrossEntropy {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "top-k-cross-entropy";
}

impl Default for TopKCrossEntropy {
    /// A tenth, as in nnU-Net.
    fn default() -> Self {
        Self { share: 0.1 }
    }
}

impl Loss for TopKCrossEntropy {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, _classes: usize) -> Result<(), LossError> {
        check_number(Self::NAME, "share", self.share, [1e-9, 1.0])
    }

    fn honours(&self) -> Honours {
        Honours {
            sigmoid: false,
            weights: false,
            ..Honours::ALL
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Field(self)
    }
}

/// Share of the elements above the threshold (1), on it, and below (0).
struct Threshold {
    at: f64,
    of_ties: f64,
}

impl Threshold {
    /// Keeps `k` of the values, which may be a broken number of at most all.
    fn of(mut values: Vec<f64>, k: f64) -> Self {
        let last = (k.ceil() as usize).clamp(1, values.len()) - 1;
        let (above, at, _) = values.select_nth_unstable_by(last, |a, b| b.total_cmp(a));
        let at = *at;
        let greater = above.iter().filter(|v| **v > at).count();
        let ties = values.iter().filter(|v| **v == at).count();
        Self {
            at,
            of_ties: (k - greater as f64) / ties as f64,
        }
    }

    /// [`Threshold::of`] for the negatives of logarithms of at most 0: by the bits
    /// of the numbers, which are in the order of the numbers, sixteen at a time.
    fn of_logarithms(values: &[f32], k: f64) -> Self {
        let last = (k.ceil() as usize).clamp(1, values.len()) - 1;
        let bits = |log: &f32| (-log).max(0.0).to_bits();
        let counts = (values.par_chunks(16 * CHUNK))
            .fold(
                || vec![0_u32; 1 << 16],
                |mut counts, chunk| {
                    chunk
                        .iter()
                        .for_each(|v| counts[(bits(v) >> 16) as usize] += 1);
                    counts
                },
            )
            .reduce(
                || vec![0_u32; 1 << 16],
                |mut all, part| {
                    all.iter_mut().zip(part).for_each(|(a, b)| *a += b);
                    all
                },
            );
        let mut above = 0;
        let mut high = 0;
        for (key, count) in counts.iter().enumerate().rev() {
            if above + *count as usize > last {
                high = key;
                break;
            }
            above += *count as usize;
        }
        let mut alike: Vec<f32> = values
            .par_iter()
            .with_min_len(CHUNK)
            .filter(|v| (bits(v) >> 16) as usize == high)
            .map(|log| (-log).max(0.0))
            .collect();
        let within = last - above;
        let (_, at, _) = alike.select_nth_unstable_by(within, |a, b| b.total_cmp(a));
        let at = *at;
        let greater = above + alike.iter().filter(|v| **v > at).count();
        let ties = alike.iter().filter(|v| **v == at).count();
        Self {
            at: f64::from(at),
            of_ties: (k - greater as f64) / ties as f64,
        }
    }

    fn share(&self, value: f64) -> f64 {
        match value.partial_cmp(&self.at) {
            Some(std::cmp::Ordering::Greater) => 1.0,
            Some(std::cmp::Ordering::Equal) => self.of_ties,
            _ => 0.0,
        }
    }
}

impl OwnLoss for TopKCrossEntropy {
    fn is_ranked(&self) -> bool {
        true
    }

    /// The threshold, the share of the ties, and 1/k.
    fn rank(&self, log_p: &[f32], weights: Option<&[f32]>) -> Vec<f64> {
        let counted: Vec<f32>;
        let valid = match weights {
            None => log_p,
            Some(weights) => {
                let pairs = log_p
                    .iter()
                    .zip(weights)
                    .filter(|(_, weight)| **weight > 0.0);
                counted = pairs.map(|(log, _)| *log).collect();
                &counted
            }
        };
        if valid.is_empty() {
            return vec![0.0; 3];
        }
        let k = self.share * valid.len() as f64;
        let Threshold { at, of_ties } = Threshold::of_logarithms(valid, k);
        vec![at, of_ties, 1.0 / k]
    }

    fn run(&self, own: &Own, slopes: &mut [f32], scratch: &mut [f32]) -> f64 {
        let &[at, of_ties, share] = own.factors else {
            unreachable!("what `rank` gives");
        };
        let at = -at as f32;
        let (whole, ties) = (share as f32, (share * of_ties) as f32);
        for (factor, log) in scratch.iter_mut().zip(&*slopes) {
            let above = if *log < at { whole } else { 0.0 };
            *factor = if *log == at { ties } else { above };
        }
        if let Some(weights) = own.weights {
            let zeros = scratch
                .iter_mut()
                .zip(weights)
                .filter(|(_, weight)| **weight == 0.0);
            zeros.for_each(|(factor, _)| *factor = 0.0);
        }
        let value = -product_sum(scratch, slopes);
        slopes
            .iter_mut()
            .zip(scratch)
            .for_each(|(slope, factor)| *slope = -*factor);
        value
    }
}

impl FieldLoss for TopKCrossEntropy {
    fn own(&self) -> Option<&dyn OwnLoss> {
        Some(self)
    }

    fn reads_log_p(&self) -> bool {
        true
    }

    fn evaluate(&self, field: &Field, slopes: &mut FieldSlopes) -> f64 {
        let entropy: Vec<f64> = (0..field.samples * field.elements)
            .into_par_iter()
            .with_min_len(1 << 12)
            .map(|at| {
                let (sample, element) = (at / field.elements, at % field.elements);
                let own = |class| {
                    let plane = field.plane(sample, class).start;
                    field.reference[plane + element] * -field.log_p[plane + element]
                };
                (0..field.classes).map(own).sum()
            })
            .collect();
        let counted = entropy.iter().zip(field.weights);
        let valid: Vec<f64> = counted
            .filter(|(_, weight)| **weight > 0.0)
            .map(|(entropy, _)| *entropy)
            .collect();
        if valid.is_empty() {
            return 0.0;
        }
        let k = self.share * valid.len() as f64;
        let threshold = Threshold::of(valid, k);
        let mut value = 0.0;
        for sample in 0..field.samples {
            for element in 0..field.elements {
                let at = sample * field.elements + element;
                if field.weights[at] == 0.0 {
                    continue;
                }
                let share = threshold.share(entropy[at]) / k;
                if share == 0.0 {
                    continue;
                }
                value += share * entropy[at];
                for class in 0..field.classes {
                    let here = field.plane(sample, class).start + element;
                    slopes.log_p[here] -= share * field.reference[here];
                }
            }
        }
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_the_last_places() {
        let threshold = Threshold::of(vec![3.0, 1.0, 2.0, 2.0, 2.0, 0.0], 3.0);
        assert_eq!(threshold.at, 2.0);
        let shares = [3.0, 2.0, 1.0].map(|v| threshold.share(v));
        assert_eq!(shares, [1.0, 2.0 / 3.0, 0.0]);
        let values: Vec<f32> = (0..5000)
            .map(|i| -((i * 37 % 1009) as f32 * 0.01))
            .collect();
        for k in [1.0, 1.5, 77.25, 2500.0, 5000.0] {
            let wide = values.iter().map(|v| f64::from(-*v)).collect();
            let (a, b) = (Threshold::of(wide, k), Threshold::of_logarithms(&values, k));
            assert_eq!((a.at, a.of_ties), (b.at, b.of_ties), "{k}");
        }
        let broken = Threshold::of(vec![3.0, 1.0, 2.0], 1.5);
        assert_eq!((broken.at, broken.of_ties), (2.0, 0.5));
    }
}
