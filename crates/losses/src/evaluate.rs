//! From a loss and a batch to a value and a gradient.

use crate::chunk::Chunk;
use crate::counts::Counts;
use crate::loss::{Form, OwnLoss, Volumes};
use crate::statistics_pass::{StatisticsSum, narrow_checked, narrow_statistics, wide_statistics};
use crate::wrapper::{blob_statistics, lesion_weights, whole_sum};
use crate::{
    Activation, Input, Loss, LossError, Options, Real, Reduction, Reference, element_pass,
    field_pass, maps, own_pass, own_regions,
};
use lacuna_kernels::{Instructions, SOFTMAX_CLASSES_MAX};
use std::ops::Range;

/// What one evaluation of a loss gives besides the gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Loss; with [`Reduction::None`] the mean of the samples'.
    pub value: f64,
    /// One loss per sample with [`Reduction::Sample`] and [`Reduction::None`],
    /// else the one value.
    pub values: Vec<f64>,
    /// Foreground elements (label > 0) whose largest logit is of a foreground
    /// class, pooled over the batch. Of equal logits the background wins. Where
    /// channels are overlapping regions, an element is foreground if it belongs
    /// to any of them, and is called so if any logit is above 0.
    pub tp: u64,
    /// Background elements whose largest logit is of a foreground class.
    pub fp: u64,
    /// Foreground elements whose largest logit is the background's.
    pub fn_: u64,
}

/// Values and counts of one pass.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// One per sample, or one of the pooled batch.
    pub(crate) values: Vec<f64>,
    pub(crate) counts: Counts,
}

impl Outcome {
    /// Of the parts of all chunks, which are added in order.
    pub(crate) fn of_chunks<F>(
        options: &Options,
        groups: usize,
        chunks: &[Chunk<F>],
        parts: Vec<(f64, Counts)>,
    ) -> Self {
        let mut outcome = Self {
            values: vec![0.0; groups],
            counts: Counts::default(),
        };
        for (chunk, (value, counts)) in chunks.iter().zip(parts) {
            outcome.values[options.group(chunk.sample)] += value;
            outcome.counts.add(counts);
        }
        outcome
    }
}

/// Value of a loss and its gradient with respect to the logits.
///
/// `gradient` is `[batch, classes, elements]` as the logits are, and is
/// overwritten. Value and gradient are finite for any finite logits and any
/// reference. With [`Reduction::None`] the gradient of a sample is that of its
/// own value, otherwise that of the one value.
///
/// # Errors
/// When the loss refuses its options or what it is asked for, the shape holds
/// nothing or too few classes, an array does not fit it, a label names no
/// class, a logit is not finite or a weight negative. After a bad label or
/// logit the values of the gradient mean nothing; after another error they are
/// what they were.
pub fn value_and_gradient<F: Real>(
    loss: &dyn Loss,
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Result<Evaluation, LossError> {
    check(loss, options, input, gradient)?;
    let outcome = evaluate(loss, options, input, gradient)?;
    let value = outcome.values.iter().sum::<f64>() / outcome.values.len() as f64;
    Ok(Evaluation {
        value,
        values: outcome.values,
        tp: outcome.counts.tp,
        fp: outcome.counts.fp,
        fn_: outcome.counts.fn_,
    })
}

/// Checks all but the values of the arrays.
fn check<F: Real>(
    loss: &dyn Loss,
    options: &Options,
    input: &Input<F>,
    gradient: &[F],
) -> Result<(), LossError> {
    let classes = input.layout.classes;
    input.layout.check(options.activation)?;
    options.check(loss)?;
    loss.check(classes)?;
    input.check_lengths(gradient)?;
    let honours = loss.honours();
    let refused = |input| LossError::Unsupported {
        loss: loss.name(),
        input,
    };
    let fraction = |value: f64| value != 0.0 && value != 1.0;
    if let Reference::Soft(shares) = input.reference
        && !honours.soft_labels
        && shares.iter().any(|share| fraction(share.to_f64()))
    {
        return Err(refused("soft labels other than 0 and 1"));
    }
    if matches!(input.reference, Reference::Soft(_)) && options.ignore_label.is_some() {
        return Err(refused(
            "ignore_label with soft labels, which name none (give those elements the weight 0)",
        ));
    }
    if loss.reads().grid && input.grid.is_none() {
        return Err(LossError::NoGrid { loss: loss.name() });
    }
    match input.weights {
        Some(weights)
            if !honours.weights && weights.iter().any(|&weight| fraction(weight.into())) =>
        {
            Err(refused("voxel weights other than 0 and 1"))
        }
        _ => Ok(()),
    }
}

fn evaluate<F: Real>(
    loss: &dyn Loss,
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Result<Outcome, LossError> {
    let form = loss.form();
    if let Some(sum) = StatisticsSum::of(&form, input.iteration)
        && options.is_plain(input)
        && input.layout.classes <= SOFTMAX_CLASSES_MAX
        && let (Some(narrow), Some(gradient)) = (narrow_input(input), F::as_f32_mut(gradient))
    {
        let mut chunks = Chunk::all(input.layout, gradient);
        let detected = Instructions::detected();
        return match narrow_statistics(detected, &sum, options, &narrow, &mut chunks) {
            Some(outcome) => Ok(outcome),
            None => {
                // The pass tells that there is a bad value, not where.
                input.check_values(options)?;
                unreachable!("a value that the sums refuse is bad");
            }
        };
    }
    input.check_values(options)?;
    let made = maps::Made::of(loss.reads(), options, input)?;
    let input = made.with(input);
    evaluate_form(&form, options, &input, gradient)
}

/// One form of a loss, on input that has been checked and has the maps.
pub(crate) fn evaluate_form<F: Real>(
    form: &Form,
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Result<Outcome, LossError> {
    if let Some(sum) = StatisticsSum::of(form, input.iteration) {
        return Ok(evaluate_statistics(&sum, options, input, gradient));
    }
    match form {
        Form::Statistics(_) => unreachable!("a sum of one"),
        Form::Elements(elements) => {
            if let Some(own) = elements.own()
                && let Some(narrow) = narrow_input(input)
            {
                let gradient = F::as_f32_mut(gradient).expect("the type of the logits");
                let factors = |volumes: &Volumes, tool| elements.factors(volumes, tool);
                if let Some(outcome) = evaluate_own(own, &factors, options, &narrow, gradient) {
                    return Ok(outcome);
                }
            }
            let mut chunks = Chunk::all(input.layout, gradient);
            Ok(element_pass::evaluate(
                *elements,
                options,
                input,
                &mut chunks,
            ))
        }
        Form::Field(field) => {
            if let Some(own) = field.own()
                && let Some(narrow) = narrow_input(input)
            {
                let gradient = F::as_f32_mut(gradient).expect("the type of the logits");
                let none = |_: &Volumes, _| Vec::new();
                if let Some(outcome) = evaluate_own(own, &none, options, &narrow, gradient) {
                    return Ok(outcome);
                }
            }
            Ok(field_pass::evaluate(*field, options, input, gradient))
        }
        Form::Sum(terms) => whole_sum(terms, options, input, gradient),
        Form::Blob(blob) => blob_statistics(blob, options, input, gradient),
        Form::SizeReweighted(wrapper) => {
            let weights = lesion_weights(options, input);
            let weighted = Input {
                weights: Some(&weights),
                ..*input
            };
            evaluate_form(&wrapper.loss.form(), options, &weighted, gradient)
        }
    }
}

/// With the kernels for own probabilities, where they take the batch.
fn evaluate_own(
    own: &dyn OwnLoss,
    factors: &own_pass::Factors,
    options: &Options,
    input: &Input<f32>,
    gradient: &mut [f32],
) -> Option<Outcome> {
    if options.activation == Activation::Sigmoid {
        return own_regions::evaluate(own, factors, options, input, gradient);
    }
    match input.reference {
        Reference::Labels(labels) if input.layout.classes <= SOFTMAX_CLASSES_MAX => Some(
            own_pass::evaluate(own, factors, options, input, labels, gradient),
        ),
        _ => None,
    }
}

/// The input where its logits are `f32`.
fn narrow_input<'a, F: Real>(input: &Input<'a, F>) -> Option<Input<'a, f32>> {
    Some(Input {
        layout: input.layout,
        logits: F::as_f32(input.logits)?,
        reference: match input.reference {
            Reference::Labels(labels) => Reference::Labels(labels),
            Reference::Soft(shares) => Reference::Soft(F::as_f32(shares)?),
        },
        weights: input.weights,
        grid: input.grid,
        maps: input.maps,
        iteration: input.iteration,
    })
}

/// A sum of losses of sums, on checked input.
pub(crate) fn evaluate_statistics<F: Real>(
    sum: &StatisticsSum,
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Outcome {
    if let Some(input) = narrow_input(input)
        && let Some(gradient) = F::as_f32_mut(gradient)
        && let Some(outcome) = narrow_checked(sum, options, &input, gradient)
    {
        return outcome;
    }
    let mut chunks = Chunk::all(input.layout, gradient);
    wide_statistics(sum, options, input, &mut chunks)
}

// How the options group samples, and what of them a loss refuses.
impl Options {
    /// Refuses what this loss cannot honour.
    ///
    /// # Errors
    /// [`LossError::Unsupported`].
    pub fn check(&self, loss: &dyn Loss) -> Result<(), LossError> {
        use crate::Compatibility::{Monai, Niftynet};
        let honours = loss.honours();
        let refused = match (self.activation, self.compatibility) {
            (Activation::Sigmoid, _) if !honours.sigmoid => "activation = \"sigmoid\"",
            (_, Some(Monai)) if !honours.monai => "compatibility = \"monai\"",
            (_, Some(Niftynet)) if !honours.niftynet => "compatibility = \"niftynet\"",
            _ => return Ok(()),
        };
        Err(LossError::Unsupported {
            loss: loss.name(),
            input: refused,
        })
    }

    /// Whether classes are exclusive and every element counts once and for one.
    fn is_plain<F>(&self, input: &Input<F>) -> bool {
        self.activation == Activation::Softmax
            && self.ignore_label.is_none()
            && input.weights.is_none()
            && matches!(input.reference, Reference::Labels(_))
    }

    /// The samples behind each value of a batch.
    pub(crate) fn groups(&self, batch: usize) -> Vec<Range<usize>> {
        match self.reduction {
            Reduction::Batch => std::iter::once(0..batch).collect(),
            Reduction::Sample | Reduction::None => (0..batch).map(|i| i..i + 1).collect(),
        }
    }

    /// The group that a sample's sums belong to.
    pub(crate) fn group(&self, sample: usize) -> usize {
        match self.reduction {
            Reduction::Batch => 0,
            Reduction::Sample | Reduction::None => sample,
        }
    }

    /// Factor of the gradient of one group's value.
    pub(crate) fn share(&self, batch: usize) -> f64 {
        match self.reduction {
            Reduction::Sample => 1.0 / batch as f64,
            Reduction::Batch | Reduction::None => 1.0,
        }
    }
}
