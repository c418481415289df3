//! The two passes in f64: for f64 logits, and for more classes than the vector
//! kernels take.

use crate::chunk::Chunk;
use crate::kernel::Sums;
use crate::statistics::StatisticsGradient;
use crate::{Layout, Real, multi_class, two_class};
use rayon::prelude::*;

/// First pass: the sums of every sample. Leaves the probabilities in the
/// memory of the gradient, so that the second pass needs no exponentials.
pub(crate) fn sums_by_sample<F: Real>(
    layout: Layout,
    logits: &[F],
    labels: &[u8],
    chunks: &mut [Chunk<F>],
) -> Vec<Sums> {
    let parts: Vec<Sums> = chunks
        .par_iter_mut()
        .map(|chunk| {
            let mut sums = Sums::empty(layout.classes);
            let labels = chunk.labels(layout, labels);
            match (&chunk.logits(layout, logits)[..], &mut chunk.gradient[..]) {
                (&[z0, z1], [p0, p1]) => {
                    two_class::add_sums([z0, z1], labels, [p0, p1], &mut sums);
                }
                (logits, p) => multi_class::add_sums(logits, labels, p, &mut sums),
            }
            sums
        })
        .collect();

    Sums::by_sample(layout, chunks, &parts)
}

/// Second pass: turns the probabilities into the gradient by the logits;
/// `derivatives[sample]` are by that sample's sums.
pub(crate) fn write_gradient<F: Real>(
    layout: Layout,
    labels: &[u8],
    derivatives: &[StatisticsGradient],
    chunks: &mut [Chunk<F>],
) {
    chunks.par_iter_mut().for_each(|chunk| {
        let labels = chunk.labels(layout, labels);
        let derivatives = &derivatives[chunk.sample];
        match &mut chunk.gradient[..] {
            [background, foreground] => {
                two_class::write_gradient([background, foreground], labels, derivatives);
            }
            planes => multi_class::write_gradient(planes, labels, derivatives),
        }
    });
}
