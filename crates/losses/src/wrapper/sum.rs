//! Weighted sum of losses:
//!
//! `L = sum_i f_i(t) L_i`
//!
//! with constant factors or such that move over the training (t: iteration), as
//! Kervadec et al. (MIDL 2019) bring in the boundary loss beside a region loss.
//! Terms that are functions of sums over the elements share their passes.

use super::Factor;
use crate::chunk::CHUNK;
use crate::evaluate::{Outcome, evaluate_form, evaluate_statistics};
use crate::loss::{Form, Honours, Loss, Reads};
use crate::statistics_pass::StatisticsSum;
use crate::{Input, LossError, NamedLoss, Options, Real};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// One term of a [`Sum`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// What the loss is multiplied by.
    #[serde(default)]
    pub factor: Factor,
    /// The loss.
    pub loss: NamedLoss,
}

/// A weighted sum of losses; see [the module](self).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sum {
    /// The terms, at least one.
    pub terms: Vec<Term>,
}

impl Sum {
    /// Name in a run configuration.
    pub(crate) const NAME: &'static str = "sum";
}

impl Default for Sum {
    /// Dice and cross-entropy, each with factor 1.
    fn default() -> Self {
        let term = |loss| Term {
            factor: Factor::default(),
            loss,
        };
        Self {
            terms: vec![
                term(NamedLoss::Dice(Default::default())),
                term(NamedLoss::CrossEntropy(Default::default())),
            ],
        }
    }
}

impl Loss for Sum {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn check(&self, classes: usize) -> Result<(), LossError> {
        if self.terms.is_empty() {
            return Err(LossError::OptionValue {
                loss: Self::NAME,
                option: "terms",
                found: "[]".into(),
                expected: "at least one { factor = 1.0, loss = { name = ... } }".into(),
            });
        }
        for term in &self.terms {
            term.factor.check(Self::NAME, "factor")?;
            term.loss.check(classes)?;
        }
        Ok(())
    }

    fn honours(&self) -> Honours {
        let all = Honours {
            monai: true,
            niftynet: true,
            ..Honours::ALL
        };
        self.terms
            .iter()
            .fold(all, |all, term| all.and(term.loss.honours()))
    }

    fn reads(&self) -> Reads {
        self.terms
            .iter()
            .fold(Reads::default(), |all, term| all.or(term.loss.reads()))
    }

    fn form(&self) -> Form<'_> {
        let terms = self.terms.iter();
        Form::Sum(terms.map(|t| (t.factor, t.loss.form())).collect())
    }
}

/// A sum of terms that do not all share their passes; those that do are
/// evaluated together.
pub(crate) fn whole_sum<F: Real>(
    terms: &[(Factor, Form)],
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Result<Outcome, LossError> {
    let mut of_sums = StatisticsSum::default();
    let mut others = Vec::new();
    for (factor, form) in terms {
        let factor = factor.at(input.iteration);
        match StatisticsSum::of(form, input.iteration) {
            Some(sum) => of_sums.extend(factor, sum),
            None => others.push((factor, form)),
        }
    }
    let mut outcome: Option<Outcome> = None;
    if !of_sums.is_empty() {
        outcome = Some(evaluate_statistics(&of_sums, options, input, gradient));
    }
    let mut own = vec![F::from_f64(0.0); gradient.len()];
    for (factor, form) in others {
        let part = evaluate_form(form, options, input, &mut own)?;
        let add = |(total, own): (&mut F, &F)| {
            let before = if outcome.is_some() {
                total.to_f64()
            } else {
                0.0
            };
            *total = F::from_f64(before + factor * own.to_f64());
        };
        (gradient.par_iter_mut().with_min_len(CHUNK).zip(&own)).for_each(add);
        let outcome = outcome.get_or_insert_with(|| Outcome {
            values: vec![0.0; part.values.len()],
            counts: part.counts,
        });
        for (value, part) in outcome.values.iter_mut().zip(part.values) {
            *value += factor * part;
        }
    }
    Ok(outcome.expect("a sum has a term"))
}
