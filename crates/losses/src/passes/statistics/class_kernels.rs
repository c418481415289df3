//! The two passes for `f32` logits of exclusive classes, by the vector kernels.

use crate::loss::Needs;
use crate::passes::chunk::Chunk;
use crate::passes::counts::Counts;
use crate::passes::kernel_input::{elements, wanted};
use crate::statistics::{ClassTable, Matrices, Statistics, StatisticsGradient};
use crate::{Input, Options, Reference};
use lacuna_kernels::{Instructions, ReferenceClass, SoftmaxReference, SoftmaxSlopes, SoftmaxSums};
use lacuna_kernels::{softmax_gradient, softmax_sums};
use rayon::prelude::*;

/// First pass: the sums of every sample, or `None` where a label names no class
/// or a logit is not finite. Leaves the probabilities in the memory of the
/// gradient. An ignored label has the weight 0 already.
pub(super) fn sums_by_sample(
    instructions: Instructions,
    options: &Options,
    input: &Input<f32>,
    needs: Needs,
    chunks: &mut [Chunk<f32>],
) -> Option<(Vec<Statistics>, Counts)> {
    let layout = input.layout;
    let wanted = wanted(needs);
    let parts: Vec<(Statistics, Counts)> = chunks
        .par_iter_mut()
        .map(|chunk| {
            let planes = chunk.planes(layout, input.logits);
            let shares = shares(input, chunk);
            let reference = reference(input, chunk, &shares);
            let out = &mut chunk.gradient;
            let sums = softmax_sums(instructions, &planes, reference, wanted, out)?;
            let plain = shares.is_empty() && reference.weights.is_none();
            let counts = match plain {
                true => foreground_counts(&sums),
                false => Counts::of_chunk(options, input, chunk),
            };
            let mut statistics = Statistics::from(sums);
            if !shares.is_empty() {
                statistics.elements = elements(input, chunk);
            }
            Some((statistics, counts))
        })
        .collect::<Option<_>>()?;
    let mut samples = vec![Statistics::exclusive(layout.classes); layout.batch];
    let mut counts = Counts::default();
    for (chunk, (part, counted)) in chunks.iter().zip(parts) {
        counts.add(counted);
        samples[chunk.sample].add(&part);
    }
    Some((samples, counts))
}

/// The chunk's soft labels by class; none where labels are hard.
fn shares<'a>(input: &Input<'a, f32>, chunk: &Chunk<f32>) -> Vec<&'a [f32]> {
    match input.reference {
        Reference::Labels(_) => Vec::new(),
        Reference::Soft(shares) => chunk.planes(input.layout, shares),
    }
}

fn reference<'a>(
    input: &Input<'a, f32>,
    chunk: &Chunk<f32>,
    shares: &'a [&'a [f32]],
) -> SoftmaxReference<'a> {
    let map = |weights| chunk.map(input.layout, weights);
    SoftmaxReference {
        class: match input.reference {
            Reference::Labels(labels) => ReferenceClass::Labels(chunk.map(input.layout, labels)),
            Reference::Soft(_) => ReferenceClass::Shares(shares),
        },
        weights: input.weights.map(map),
    }
}

/// Of labels without weights.
fn foreground_counts(sums: &SoftmaxSums) -> Counts {
    let predicted: f64 = sums.foreground.iter().skip(1).sum();
    let reference: f64 = sums.count.iter().skip(1).sum();
    Counts {
        tp: predicted as u64,
        fp: sums.foreground[0] as u64,
        fn_: (reference - predicted) as u64,
    }
}

impl From<SoftmaxSums> for Statistics {
    fn from(sums: SoftmaxSums) -> Self {
        let matrices = Matrices {
            sum_p: sums.probability,
            squared_error: sums.squared_error,
            sum_log_p: sums.log_probability,
        };
        Self {
            reference_square: sums.share_square,
            ..Self::of_volumes(sums.count, matrices)
        }
    }
}

/// Second pass: turns the probabilities into the gradient by the logits;
/// `derivatives[sample]` are by that sample's sums. Begins at the end, which is
/// still in the cache.
pub(super) fn write_gradient(
    instructions: Instructions,
    input: &Input<f32>,
    derivatives: &[StatisticsGradient],
    chunks: &mut [Chunk<f32>],
) {
    let slopes: Vec<SoftmaxSlopes> = derivatives
        .iter()
        .map(|derivatives| match &derivatives.sums {
            ClassTable::Exclusive(m) => {
                SoftmaxSlopes::new(&m.sum_p, &m.squared_error, &m.sum_log_p)
            }
            ClassTable::Overlapping(_) => unreachable!("the kernels take exclusive classes"),
        })
        .collect();
    chunks.par_iter_mut().rev().for_each(|chunk| {
        let shares = shares(input, chunk);
        let reference = reference(input, chunk, &shares);
        let slopes = &slopes[chunk.sample];
        softmax_gradient(instructions, &mut chunk.gradient, reference, slopes);
    });
}

#[cfg(test)]
mod tests;
