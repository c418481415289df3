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

/// An element's error with its place and whether it is of the class, as one number
/// to be sorted fast: larger errors first, then in order of place. An error is not
/// negative, so its bits are in its order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Ranked(u128);

impl Ranked {
    fn new(error: f64, at: usize, inside: bool) -> Self {
        let place = (at as u64) << 1 | u64::from(inside);
        Self(u128::from(!error.abs().to_bits()) << 64 | u128::from(place))
    }

    fn error(self) -> f64 {
        f64::from_bits(!((self.0 >> 64) as u64))
    }

    fn at(self) -> usize {
        (self.0 as u64 >> 1) as usize
    }

    fn inside(self) -> bool {
        self.0 & 1 == 1
    }
}

/// Loss of one class; the derivatives by the probabilities of the elements that
/// count go to their places in `slopes`.
fn extension(mut ranked: Vec<Ranked>, volume: f64, slopes: &mut [f64]) -> f64 {
    ranked.par_sort_unstable();
    let mut value = 0.0;
    let (mut missed, mut claimed, mut last) = (0.0, 0.0, 0.0);
    // Jaccard loss of what is wrong so far: 1 - (V - missed) / (V + claimed).
    let jaccard = |missed: f64, claimed: f64| (missed + claimed) / (volume + claimed);
    for ties in ranked.chunk_by(|a, b| a.0 >> 64 == b.0 >> 64) {
        let inside = ties.iter().filter(|r| r.inside()).count() as f64;
        let outside = ties.len() as f64 - inside;
        let next = jaccard(missed + inside, claimed + outside);
        value += ties[0].error() * (next - last);
        // Elements of one kind are alike; the two kinds take the shares that
        // they have in the mean of both orders.
        let inside_first = jaccard(missed + inside, claimed) - last;
        let outside_first = next - jaccard(missed, claimed + outside);
        let of_inside = 0.5 * (inside_first + outside_first);
        let of_outside = next - last - of_inside;
        for element in ties {
            // The error inside is 1 - p.
            slopes[element.at()] = match element.inside() {
                true => -of_inside / inside,
                false => of_outside / outside,
            };
        }
        missed += inside;
        claimed += outside;
        last = next;
    }
    value
}

impl Lovasz {
    /// Loss of one class, unless it is absent and skipped, and the derivatives by
    /// its probabilities `[samples, elements]`.
    fn of_class(&self, field: &Field, class: usize) -> Option<(f64, Vec<f64>)> {
        let mut ranked = Vec::with_capacity(field.samples * field.elements);
        let mut volume = 0.0;
        for sample in 0..field.samples {
            let plane = field.plane(sample, class);
            let (p, reference) = (&field.p[plane.clone()], &field.reference[plane]);
            let elements = p.iter().zip(reference).zip(field.sample_weights(sample));
            for (at, ((p, reference), weight)) in elements.enumerate() {
                if *weight == 0.0 {
                    continue;
                }
                let inside = *reference > 0.5;
                volume += f64::from(u8::from(inside));
                let error = if inside { 1.0 - p } else { *p };
                ranked.push(Ranked::new(error, sample * field.elements + at, inside));
            }
        }
        let mut slopes = vec![0.0; field.samples * field.elements];
        if volume > 0.0 {
            let value = extension(ranked, volume, &mut slopes);
            return Some((value, slopes));
        }
        if self.empty_class != AbsentClass::Share || ranked.is_empty() {
            return None;
        }
        let slope = 1.0 / ranked.len() as f64;
        for element in &ranked {
            slopes[element.at()] = slope;
        }
        Some((ranked.iter().map(|r| slope * r.error()).sum(), slopes))
    }
}

impl FieldLoss for Lovasz {
    fn evaluate(&self, field: &Field, slopes: &mut FieldSlopes) -> f64 {
        let members = self.classes.members(field.classes, field.overlapping);
        let costs: Vec<_> = members
            .into_par_iter()
            .filter_map(|class| Some((class, self.of_class(field, class)?)))
            .collect();
        let share = 1.0 / costs.len().max(1) as f64;
        let mut total = 0.0;
        for (class, (value, by_p)) in costs {
            total += share * value;
            for (sample, by_p) in by_p.chunks_exact(field.elements).enumerate() {
                let plane = slopes.p[field.plane(sample, class)].iter_mut();
                plane
                    .zip(by_p)
                    .for_each(|(slope, by_p)| *slope += share * by_p);
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
        let elements = vec![
            Ranked::new(0.2, 0, true),
            Ranked::new(0.7, 1, false),
            Ranked::new(0.1, 2, false),
        ];
        let mut slopes = [f64::NAN; 3];
        let value = extension(elements, 1.0, &mut slopes);
        assert!((value - (0.7 * 0.5 + 0.2 * 0.5)).abs() < 1e-15);
        assert_eq!(slopes, [-0.5, 0.5, 0.0]);
    }

    /// Hard predictions: the Jaccard loss itself. Two of three of the class
    /// found, one false: 1 - 2/4.
    #[test]
    fn exact_for_hard_predictions() {
        let wrong = [false, false, true, true, false];
        let inside = [true, true, true, false, false];
        let elements = (0..5)
            .map(|at| Ranked::new(f64::from(u8::from(wrong[at])), at, inside[at]))
            .collect();
        let value = extension(elements, 3.0, &mut [0.0; 5]);
        assert!((value - 0.5).abs() < 1e-15);
    }
}
