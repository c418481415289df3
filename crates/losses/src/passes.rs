//! From a form and a batch to a value and the gradient by the logits.
//!
//! Losses of sums take two passes over the batch, by vector kernels where those
//! take the input and else in f64; losses of elements take one; losses of all
//! probabilities fill their planes first. What a form is made of is computed by
//! the passes of its parts.
//!
//! Memory order: logits and gradient `[batch, classes, elements]`, maps
//! `[batch, elements]`.

mod activation;
mod chunk;
mod counts;
mod elements;
mod field;
mod form;
mod kernel_input;
mod lesion_weights;
mod maps;
mod outcome;
mod own;
mod per_lesion;
mod reference;
mod statistics;

pub(crate) use form::evaluate;
pub(crate) use statistics::StatisticsSum;
