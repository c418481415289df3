//! The two passes for `f32` logits, by the vector kernels. Each reads logits and
//! labels; between them nothing is kept of the elements.

use crate::chunk::Chunk;
use crate::kernel::Sums;
use crate::statistics::{Statistics, StatisticsGradient};
use crate::{Layout, Needs};
use lacuna_kernels::{Instructions, SoftmaxSlopes, SoftmaxSums, SumsWanted};
use lacuna_kernels::{softmax_gradient, softmax_sums};
use rayon::prelude::*;

/// First pass: the sums of every sample, or `None` where a label names no class
/// or a logit is not finite.
pub(crate) fn sums_by_sample(
    instructions: Instructions,
    layout: Layout,
    logits: &[f32],
    labels: &[u8],
    needs: Needs,
    chunks: &[Chunk<f32>],
) -> Option<Vec<Sums>> {
    let wanted = SumsWanted {
        squared_error: needs.squared_error,
        log_probability: needs.sum_log_p,
    };
    let parts: Vec<Sums> = chunks
        .par_iter()
        .map(|chunk| {
            let planes = chunk.logits(layout, logits);
            let labels = chunk.labels(layout, labels);
            softmax_sums(instructions, &planes, labels, wanted).map(Sums::from)
        })
        .collect::<Option<_>>()?;
    Some(Sums::by_sample(layout, chunks, &parts))
}

impl From<SoftmaxSums> for Sums {
    fn from(sums: SoftmaxSums) -> Self {
        let predicted = sums.foreground.iter().skip(1).sum();
        let reference: u64 = sums.count.iter().skip(1).sum();
        Self {
            tp: predicted,
            fp: sums.foreground[0],
            fn_: reference - predicted,
            statistics: Statistics::new(
                sums.count,
                sums.probability,
                sums.squared_error,
                sums.log_probability,
            ),
        }
    }
}

/// Second pass: the gradient by the logits; `derivatives[sample]` are by that
/// sample's sums. From the end, where logits are still in the cache.
pub(crate) fn write_gradient(
    instructions: Instructions,
    layout: Layout,
    logits: &[f32],
    labels: &[u8],
    derivatives: &[StatisticsGradient],
    chunks: &mut [Chunk<f32>],
) {
    let slopes: Vec<SoftmaxSlopes> = derivatives
        .iter()
        .map(|d| SoftmaxSlopes::new(&d.sum_p, &d.squared_error, &d.sum_log_p))
        .collect();
    chunks.par_iter_mut().rev().for_each(|chunk| {
        let planes = chunk.logits(layout, logits);
        let labels = chunk.labels(layout, labels);
        let slopes = &slopes[chunk.sample];
        softmax_gradient(instructions, &planes, labels, slopes, &mut chunk.gradient);
    });
}
