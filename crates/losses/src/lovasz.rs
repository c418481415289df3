//! Lovász-softmax loss (Berman et al., CVPR 2018): the mean over the classes of
//! the Lovász extension of the Jaccard loss at the errors
//!
//! `e_n = |r_cn - p_cn|`.
//!
//! With the errors in descending order and J_k the Jaccard loss of a prediction
//! that is wrong in the first k elements, it is `sum_k e_k (J_k - J_{k-1})`: a
//! surrogate that is exact for hard predictions. From 0 to 1. Equal errors may
//! stand in any order for the value; the elements that tie share the gradient
//! evenly.
//!
//! A class that the reference does not have: `share` (default), or `skip`, the
//! paper's classes `present`. Weights are 0 or 1 and labels hard.

use crate::LossError;
use crate::loss::{Field, FieldLoss, FieldSlopes, Form, Honours, Loss};
use crate::options::{AbsentClass, ClassSubset};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The Lovász-softmax loss; see [the module](self).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lovasz {
    /// Over which classes the mean runs.
    pub classes: ClassSubset,
    /// What a class costs that the reference does not have.
    pub empty_class: AbsentClass,
}

impl Lovasz {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "lovasz";
}

impl Default for Lovasz {
    /// All classes, `share`.
    fn default() -> Self {
        Self {
            classes: ClassSubset::All,
            empty_class: AbsentClass::Share,
        }
    }
}

impl Loss for Lovasz {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        if self.empty_class == AbsentClass::Smooth {
            return Err(LossError::OptionValue {
                loss: Self::NAME,
                option: "empty_class",
                found: "\"smooth\"".into(),
                expected: "\"share\" or \"skip\": it has no smoothing".into(),
            });
        }
        self.classes.check(Self::NAME, classes)
    }

    fn honours(&self) -> Honours {
        Honours {
            soft_labels: false,
            weights: false,
            ..Honours::ALL
        }
    }

    fn form(&self) -> Form<'_> {
        Form::Field(self)
    }
}

/// An element's error with its place and whether it is of the class, small
/// enough to be sorted fast.
#[derive(Clone, Copy)]
struct Ranked {
    error: f64,
    at: usize,
    inside: bool,
}

/// Loss of one class and the derivative by the error of each element that counts.
fn extension(mut ranked: Vec<Ranked>, volume: f64) -> (f64, Vec<(usize, f64)>) {
    ranked.par_sort_unstable_by(|a, b| b.error.total_cmp(&a.error).then(a.at.cmp(&b.at)));
    let mut value = 0.0;
    let mut slopes = Vec::with_capacity(ranked.len());
    let (mut missed, mut claimed, mut last) = (0.0, 0.0, 0.0);
    // Jaccard loss of what is wrong so far: 1 - (V - missed) / (V + claimed).
    let jaccard = |missed: f64, claimed: f64| (missed + claimed) / (volume + claimed);
    for ties in ranked.chunk_by(|a, b| a.error == b.error) {
        let inside = ties.iter().filter(|r| r.inside).count() as f64;
        let outside = ties.len() as f64 - inside;
        let next = jaccard(missed + inside, claimed + outside);
        value += ties[0].error * (next - last);
        // Elements of one kind are alike; the two kinds take the shares that
        // they have in the mean of both orders.
        let inside_first = jaccard(missed + inside, claimed) - last;
        let outside_first = next - jaccard(missed, claimed + outside);
        let of_inside = 0.5 * (inside_first + outside_first);
        let of_outside = next - last - of_inside;
        slopes.extend(ties.iter().map(|r| match r.inside {
            true => (r.at, of_inside / inside),
            false => (r.at, of_outside / outside),
        }));
        missed += inside;
        claimed += outside;
        last = next;
    }
    (value, slopes)
}

impl FieldLoss for Lovasz {
    fn evaluate(&self, field: &Field, slopes: &mut FieldSlopes) -> f64 {
        let members = self.classes.members(field.classes, field.overlapping);
        let mut costs = Vec::new();
        for class in members {
            let mut ranked = Vec::new();
            let mut volume = 0.0;
            for sample in 0..field.samples {
                let plane = field.plane(sample, class);
                let weights = field.sample_weights(sample);
                for (at, weight) in plane.zip(weights) {
                    if *weight == 0.0 {
                        continue;
                    }
                    let inside = field.reference[at] > 0.5;
                    volume += f64::from(u8::from(inside));
                    let p = field.p[at];
                    ranked.push(Ranked {
                        error: if inside { 1.0 - p } else { p },
                        at,
                        inside,
                    });
                }
            }
            if volume > 0.0 {
                costs.push(extension(ranked, volume));
            } else if self.empty_class == AbsentClass::Share && !ranked.is_empty() {
                let slope = 1.0 / ranked.len() as f64;
                let value = ranked.iter().map(|r| slope * r.error).sum();
                costs.push((value, ranked.iter().map(|r| (r.at, slope)).collect()));
            }
        }
        let share = 1.0 / costs.len().max(1) as f64;
        let mut total = 0.0;
        for (value, by_error) in costs {
            total += share * value;
            for (at, slope) in by_error {
                let sign = if field.reference[at] > 0.5 { -1.0 } else { 1.0 };
                slopes.p[at] += share * sign * slope;
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three elements, one of the class: errors .2 (inside), .7 and .1. The
    /// Jaccard loss of nothing, the second, the first two, all: 0, 1/2, 1, 1.
    #[test]
    fn hand_value() {
        let ranked = |error, at, inside| Ranked { error, at, inside };
        let elements = vec![
            ranked(0.2, 0, true),
            ranked(0.7, 1, false),
            ranked(0.1, 2, false),
        ];
        let (value, slopes) = extension(elements, 1.0);
        assert!((value - (0.7 * 0.5 + 0.2 * 0.5)).abs() < 1e-15);
        assert_eq!(slopes, [(1, 0.5), (0, 0.5), (2, 0.0)]);
    }

    /// Hard predictions: the Jaccard loss itself. Two of three of the class
    /// found, one false: 1 - 2/4.
    #[test]
    fn exact_for_hard_predictions() {
        let wrong = [false, false, true, true, false];
        let inside = [true, true, true, false, false];
        let elements = (0..5)
            .map(|at| Ranked {
                error: f64::from(u8::from(wrong[at])),
                at,
                inside: inside[at],
            })
            .collect();
        assert!((extension(elements, 3.0).0 - 0.5).abs() < 1e-15);
    }
}
