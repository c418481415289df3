//! What a pass gives besides the gradient.

use super::chunk::Chunk;
use super::counts::Counts;
use crate::Options;

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
