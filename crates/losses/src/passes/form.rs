//! Which passes compute a form, and sums of forms.

use super::lesion_weights::lesion_weights;
use super::maps::Made;
use super::outcome::Outcome;
use super::statistics::StatisticsSum;
use super::{elements, field, own, per_lesion, statistics};
use crate::factor::Factor;
use crate::layout::CHUNK;
use crate::loss::{Form, Reads, Volumes};
use crate::{Input, LossError, Options, Real};
use rayon::prelude::*;

/// A loss of this form that reads this, on input of which all but the values has
/// been checked.
pub(crate) fn evaluate<F: Real>(
    form: &Form,
    reads: Reads,
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Result<Outcome, LossError> {
    if let Some(sum) = StatisticsSum::of(form, input.iteration)
        && let Some(outcome) = statistics::unchecked(&sum, options, input, gradient)
    {
        return match outcome {
            Some(outcome) => Ok(outcome),
            None => {
                // The pass tells that there is a bad value, not where.
                input.check_values(options)?;
                unreachable!("a value that the sums refuse is bad");
            }
        };
    }
    input.check_values(options)?;
    let made = Made::of(reads, options, input)?;
    let input = made.with(input);
    Ok(checked(form, options, &input, gradient))
}

/// On input that has been checked and has the maps.
fn checked<F: Real>(
    form: &Form,
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Outcome {
    if let Some(sum) = StatisticsSum::of(form, input.iteration) {
        return statistics::evaluate(&sum, options, input, gradient);
    }
    match form {
        Form::Statistics(_) => unreachable!("a sum of one"),
        Form::Elements(loss) => {
            if let Some(own) = loss.own() {
                let factors = |volumes: &Volumes, tool| loss.factors(volumes, tool);
                if let Some(outcome) = own::evaluate(own, &factors, options, input, gradient) {
                    return outcome;
                }
            }
            elements::evaluate(*loss, options, input, gradient)
        }
        Form::Field(loss) => {
            if let Some(own) = loss.own() {
                let none = |_: &Volumes, _| Vec::new();
                if let Some(outcome) = own::evaluate(own, &none, options, input, gradient) {
                    return outcome;
                }
            }
            field::evaluate(*loss, options, input, gradient)
        }
        Form::Sum(terms) => of_terms(terms, options, input, gradient),
        Form::PerLesion { inner, whole, each } => {
            let sum = StatisticsSum::of(inner, input.iteration).expect("checked");
            per_lesion::evaluate(&sum, [*whole, *each], options, input, gradient)
        }
        Form::LesionsAlike(inner) => {
            let weights = lesion_weights(options, input);
            let weighted = Input {
                weights: Some(&weights),
                ..*input
            };
            checked(inner, options, &weighted, gradient)
        }
    }
}

/// A sum of terms that do not all share their passes; those that do are
/// evaluated together.
fn of_terms<F: Real>(
    terms: &[(Factor, Form)],
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Outcome {
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
        outcome = Some(statistics::evaluate(&of_sums, options, input, gradient));
    }
    let mut own = vec![F::from_f64(0.0); gradient.len()];
    for (factor, form) in others {
        let part = checked(form, options, input, &mut own);
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
    outcome.expect("a sum has a term")
}
