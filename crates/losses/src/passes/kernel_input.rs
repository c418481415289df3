//! An input as the vector kernels take it.

use super::chunk::Chunk;
use crate::layout::CHUNK;
use crate::loss::Needs;
use crate::{Input, Options, Reference};
use lacuna_kernels::{Inside, RegionReference, SumsWanted};
use rayon::prelude::*;
use std::borrow::Cow;

/// Weights with 0 for ignored labels; none where every element counts once.
pub(super) fn weights<'a>(options: &Options, input: &Input<'a, f32>) -> Option<Cow<'a, [f32]>> {
    let (Reference::Labels(labels), Some(ignored)) = (input.reference, options.ignore_label) else {
        return input.weights.map(Cow::Borrowed);
    };
    let mut weights = match input.weights {
        Some(weights) => weights.to_vec(),
        None => vec![1.0; labels.len()],
    };
    let parts = weights.par_chunks_mut(CHUNK).zip(labels.par_chunks(CHUNK));
    parts.for_each(|(weights, labels)| {
        for (weight, label) in weights.iter_mut().zip(labels) {
            *weight = if *label == ignored { 0.0 } else { *weight };
        }
    });
    Some(Cow::Owned(weights))
}

/// Sum of the weights of a chunk, in f64 and in eight lanes, so that no addition
/// waits for another.
pub(super) fn elements(input: &Input<f32>, chunk: &Chunk<f32>) -> f64 {
    let Some(weights) = input.weights else {
        return chunk.len() as f64;
    };
    let mut lanes = [0.0_f64; 8];
    let parts = chunk.map(input.layout, weights).chunks_exact(8);
    let rest: f64 = parts.remainder().iter().map(|w| f64::from(*w)).sum();
    for part in parts {
        for (lane, weight) in lanes.iter_mut().zip(part) {
            *lane += f64::from(*weight);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

pub(super) fn wanted(needs: Needs) -> SumsWanted {
    SumsWanted {
        squared_error: needs.squared_error,
        log_probability: needs.sum_log_p,
    }
}

/// What the chunk's elements are of each region. An ignored label has the weight
/// 0 already.
pub(super) fn region_references<'a>(
    input: &Input<'a, f32>,
    chunk: &Chunk<f32>,
) -> Vec<RegionReference<'a>> {
    let layout = input.layout;
    let weights = (input.weights).map(|weights| chunk.map(layout, weights));
    let of_region = |inside| RegionReference { inside, weights };
    match input.reference {
        Reference::Labels(labels) => {
            let labels = chunk.map(layout, labels);
            // A single region is that of the label 1.
            let first = if layout.classes == 1 { 1 } else { 0 };
            let regions = (first..first + layout.classes).map(|label| label as u8);
            regions
                .map(|label| of_region(Inside::Label(labels, label)))
                .collect()
        }
        Reference::Soft(shares) => (chunk.planes(layout, shares).into_iter())
            .map(|shares| of_region(Inside::Shares(shares)))
            .collect(),
    }
}
