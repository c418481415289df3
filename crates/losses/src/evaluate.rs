//! From a loss and a batch to a value and a gradient.

use crate::{Activation, Input, Loss, LossError, Options, Real, Reference, passes};

/// What one evaluation of a loss gives besides the gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// Loss; with [`Reduction::None`](crate::Reduction::None) the mean of the samples'.
    pub value: f64,
    /// One loss per sample with [`Reduction::Sample`](crate::Reduction::Sample) and [`Reduction::None`](crate::Reduction::None),
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

/// Value of a loss and its gradient with respect to the logits.
///
/// `gradient` is `[batch, classes, elements]` as the logits are, and is
/// overwritten. Value and gradient are finite for any finite logits and any
/// reference. With [`Reduction::None`](crate::Reduction::None) the gradient of a sample is that of its
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
    let outcome = passes::evaluate(&loss.form(), loss.reads(), options, input, gradient)?;
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
}
