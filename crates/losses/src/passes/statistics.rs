//! The two passes of losses that are functions of sums: logits and reference to
//! sums, derivatives by the sums to the gradient by the logits.
//!
//! With `a = dL/d sum_p`, `b = dL/d squared_error` and `e = dL/d sum_log_p`, an
//! element with label l has `g_c = dL/dp_c = a_lc + 2 b_lc (p_c - [c = l])`, and
//! `dL/dz_c = p_c (g_c - sum_k p_k g_k) + e_l ([c = l] - p_c)`.
//!
//! Both passes run over chunks of fixed size, and the sums of the chunks are
//! added in order, so no bit depends on the number of threads.

mod class_kernels;
mod in_f64;
mod region_kernels;

pub(super) use in_f64::{sums, write_gradient};

use super::chunk::Chunk;
use super::counts::Counts;
use super::kernel_input::weights;
use super::outcome::Outcome;
use crate::layout::CHUNK;
use crate::loss::{Form, Needs, StatisticsLoss};
use crate::statistics::{Statistics, StatisticsGradient};
use crate::{Activation, Compatibility, Input, Options, Real, Reference};
use lacuna_kernels::{Instructions, SOFTMAX_CLASSES_MAX};
use rayon::prelude::*;

/// A weighted sum of losses of the same sums, which costs the passes of one.
#[derive(Default)]
pub(crate) struct StatisticsSum<'a>(Vec<(f64, &'a dyn StatisticsLoss)>);

impl<'a> StatisticsSum<'a> {
    /// The loss as such a sum, if it is one.
    pub(crate) fn of(form: &Form<'a>, iteration: u64) -> Option<Self> {
        match form {
            Form::Statistics(loss) => Some(Self(vec![(1.0, *loss)])),
            Form::Sum(terms) => {
                let mut all = Self::default();
                for (factor, term) in terms {
                    all.extend(factor.at(iteration), Self::of(term, iteration)?);
                }
                Some(all)
            }
            _ => None,
        }
    }

    /// The terms of a loss that are losses of sums; the others are left out.
    pub(crate) fn within(form: &Form<'a>, iteration: u64) -> Self {
        let mut all = Self::default();
        match form {
            Form::Statistics(loss) => all.0.push((1.0, *loss)),
            Form::Sum(terms) => {
                for (factor, term) in terms {
                    all.extend(factor.at(iteration), Self::within(term, iteration));
                }
            }
            _ => {}
        }
        all
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds `factor` times another sum.
    pub(crate) fn extend(&mut self, factor: f64, other: Self) {
        let scaled = other.0.into_iter().map(|(f, loss)| (f * factor, loss));
        self.0.extend(scaled);
    }

    pub(crate) fn needs(&self) -> Needs {
        self.0
            .iter()
            .fold(Needs::PROBABILITIES, |all, (_, loss)| all.or(loss.needs()))
    }

    pub(crate) fn evaluate(
        &self,
        statistics: &Statistics,
        compatibility: Option<Compatibility>,
    ) -> (f64, StatisticsGradient) {
        let mut value = 0.0;
        let mut gradient = StatisticsGradient::zeros(statistics);
        for (factor, loss) in &self.0 {
            let (term, by_sums) = loss.evaluate(statistics, compatibility);
            value += factor * term;
            // Where no element counts, none moves the sums.
            if statistics.elements() > 0.0 {
                gradient.add(&by_sums, *factor);
            }
        }
        (value, gradient)
    }

    /// Values of the groups, and the derivatives by the sums of each sample.
    fn evaluate_samples(
        &self,
        options: &Options,
        samples: &[Statistics],
    ) -> (Vec<f64>, Vec<StatisticsGradient>) {
        let mut groups: Vec<Statistics> = Vec::new();
        for (sample, statistics) in samples.iter().enumerate() {
            match groups.get_mut(options.group(sample)) {
                Some(group) => group.add(statistics),
                None => groups.push(statistics.clone()),
            }
        }
        let share = options.share(samples.len());
        let (values, derivatives): (Vec<f64>, Vec<StatisticsGradient>) = groups
            .iter()
            .map(|group| {
                let (value, gradient) = self.evaluate(group, options.compatibility);
                (value, gradient.scaled(share))
            })
            .unzip();
        let of_sample = |sample| derivatives[options.group(sample)].clone();
        (values, (0..samples.len()).map(of_sample).collect())
    }
}

/// Exclusive classes of which every element counts once, on input whose values
/// have not been checked: the kernels see each of them. The outer `None` where
/// they do not take it, the inner one where a label names no class or a logit is
/// not finite.
pub(super) fn unchecked<F: Real>(
    sum: &StatisticsSum,
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Option<Option<Outcome>> {
    let plain = options.activation == Activation::Softmax
        && options.ignore_label.is_none()
        && input.weights.is_none()
        && matches!(input.reference, Reference::Labels(_));
    if !plain || input.layout.classes > SOFTMAX_CLASSES_MAX {
        return None;
    }
    let (input, gradient) = (input.as_f32()?, F::as_f32_mut(gradient)?);
    let mut chunks = Chunk::all(input.layout, gradient);
    let detected = Instructions::detected();
    Some(of_classes(detected, sum, options, &input, &mut chunks))
}

/// On checked input.
pub(super) fn evaluate<F: Real>(
    sum: &StatisticsSum,
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Outcome {
    if let Some(input) = input.as_f32()
        && let Some(gradient) = F::as_f32_mut(gradient)
        && let Some(outcome) = with_kernels(sum, options, &input, gradient)
    {
        return outcome;
    }
    let mut chunks = Chunk::all(input.layout, gradient);
    let samples = input.layout.batch;
    let mut counts = Counts::default();
    let sums = in_f64::sums(options, input, None, samples, &chunks, &mut counts);
    let (values, derivatives) = sum.evaluate_samples(options, &sums);
    in_f64::write_gradient(options, input, None, &derivatives, &mut chunks);
    Outcome { values, counts }
}

/// Exclusive classes with the vector kernels. `None` where a label names no class
/// or a logit is not finite.
fn of_classes(
    instructions: Instructions,
    sum: &StatisticsSum,
    options: &Options,
    input: &Input<f32>,
    chunks: &mut [Chunk<f32>],
) -> Option<Outcome> {
    let needs = sum.needs();
    let (samples, counts) =
        class_kernels::sums_by_sample(instructions, options, input, needs, chunks)?;
    let (values, derivatives) = sum.evaluate_samples(options, &samples);
    class_kernels::write_gradient(instructions, input, &derivatives, chunks);
    Some(Outcome { values, counts })
}

/// With the vector kernels, on checked input; `None` where they do not take it:
/// many classes, huge or tiny weights.
fn with_kernels(
    sum: &StatisticsSum,
    options: &Options,
    input: &Input<f32>,
    gradient: &mut [f32],
) -> Option<Outcome> {
    let weights = weights(options, input);
    let input = &Input {
        weights: weights.as_deref(),
        ..*input
    };
    if !input.weights.is_none_or(are_moderate) {
        return None;
    }
    let instructions = Instructions::detected();
    let mut chunks = Chunk::all(input.layout, gradient);
    match options.activation {
        Activation::Softmax if input.layout.classes <= SOFTMAX_CLASSES_MAX => {
            of_classes(instructions, sum, options, input, &mut chunks)
        }
        Activation::Softmax => None,
        Activation::Sigmoid => {
            let needs = sum.needs();
            let (samples, counts) =
                region_kernels::sums_by_sample(options, input, needs, &mut chunks);
            let (values, derivatives) = sum.evaluate_samples(options, &samples);
            region_kernels::write_gradient(input, &derivatives, &mut chunks);
            Some(Outcome { values, counts })
        }
    }
}

/// Whether the kernels take the weights: `f32` sums of a loss's terms, and
/// derivatives times a weight, must stay in their range.
fn are_moderate(weights: &[f32]) -> bool {
    let moderate = |w: &f32| (*w == 0.0) | ((*w >= 1e-12) & (*w <= 1e6));
    // Whole chunks without an early exit, so that the comparison vectorises.
    weights
        .par_chunks(CHUNK)
        .all(|part| part.iter().fold(true, |all, w| all & moderate(w)))
}
