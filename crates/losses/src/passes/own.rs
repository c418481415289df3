//! Losses of every element's own probability, by the vector kernels.

mod classes;
mod constants;
mod regions;

use super::outcome::Outcome;
use crate::loss::OwnLoss;
use crate::{Activation, Input, Options, Real, Reference};
use constants::Factors;
use lacuna_kernels::SOFTMAX_CLASSES_MAX;

/// On checked input. `None` where the kernels do not take it: f64 logits, many
/// classes, soft labels.
pub(super) fn evaluate<F: Real>(
    own: &dyn OwnLoss,
    factors: &Factors,
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Option<Outcome> {
    let input = &input.as_f32()?;
    let gradient = F::as_f32_mut(gradient).expect("the type of the logits");
    if options.activation == Activation::Sigmoid {
        return regions::evaluate(own, factors, options, input, gradient);
    }
    match input.reference {
        Reference::Labels(labels) if input.layout.classes <= SOFTMAX_CLASSES_MAX => Some(
            classes::evaluate(own, factors, options, input, labels, gradient),
        ),
        _ => None,
    }
}
