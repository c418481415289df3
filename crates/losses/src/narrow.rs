//! The two passes for `f32` logits, by the vector kernels.

use crate::chunk::Chunk;
use crate::kernel::Sums;
use crate::statistics::{Statistics, StatisticsGradient};
use crate::{Layout, Needs};
use lacuna_kernels::{Instructions, SoftmaxSlopes, SoftmaxSums, SumsWanted};
use lacuna_kernels::{softmax_gradient, softmax_sums};
use rayon::prelude::*;

/// First pass: the sums of every sample, or `None` where a label names no class
/// or a logit is not finite. Leaves the probabilities in the memory of the gradient.
pub(crate) fn sums_by_sample(
    instructions: Instructions,
    layout: Layout,
    logits: &[f32],
    labels: &[u8],
    needs: Needs,
    chunks: &mut [Chunk<f32>],
) -> Option<Vec<Sums>> {
    let wanted = SumsWanted {
        squared_error: needs.squared_error,
        log_probability: needs.sum_log_p,
    };
    let parts: Vec<Sums> = chunks
        .par_iter_mut()
        .map(|chunk| {
            let planes = chunk.logits(layout, logits);
            let labels = chunk.labels(layout, labels);
            let out = &mut chunk.gradient;
            softmax_sums(instructions, &planes, labels, wanted, out).map(Sums::from)
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

/// Second pass: turns the probabilities into the gradient by the logits;
/// `derivatives[sample]` are by that sample's sums. Begins at the end, which is
/// still in the cache.
pub(crate) fn write_gradient(
    instructions: Instructions,
    layout: Layout,
    labels: &[u8],
    derivatives: &[StatisticsGradient],
    chunks: &mut [Chunk<f32>],
) {
    let slopes: Vec<SoftmaxSlopes> = derivatives
        .iter()
        .map(|d| SoftmaxSlopes::new(&d.sum_p, &d.squared_error, &d.sum_log_p))
        .collect();
    chunks.par_iter_mut().rev().for_each(|chunk| {
        let labels = chunk.labels(layout, labels);
        let slopes = &slopes[chunk.sample];
        softmax_gradient(instructions, &mut chunk.gradient, labels, slopes);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::CHUNK;
    use crate::kernel::narrow_value_and_gradient;
    use crate::{Evaluation, Loss, LossConfig, Reduction, value_and_gradient};

    /// Logits within `size`, and labels of which higher ones are rarer.
    fn draw(layout: Layout, size: f32) -> (Vec<f32>, Vec<u8>) {
        let mut state = (layout.classes * 1000 + layout.elements) as u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 24) as f32
        };
        let logits = (0..layout.batch * layout.classes * layout.elements)
            .map(|_| size * (2.0 * uniform() - 1.0))
            .collect();
        let labels = (0..layout.batch * layout.elements)
            .map(|_| (uniform().powi(4) * layout.classes as f32) as u8)
            .collect();
        (logits, labels)
    }

    fn losses() -> Vec<Box<dyn Loss>> {
        [
            "",
            "weight = 'volume-sum'\ndifferentiate_weight = true",
            "name = 'dice'",
            "name = 'sensitivity-specificity'\nform = 'symmetric'",
            "name = 'weighted-cross-entropy'\ndifferentiate_weight = true",
        ]
        .map(|text| toml::from_str::<LossConfig>(text).unwrap().build().unwrap())
        .into()
    }

    /// Largest difference from the f64 path: of the value, relative, and of the
    /// gradient, relative to the largest. Where the loss hardly moves, to a
    /// hundredth of the change that one element of the sample can make: a
    /// gradient that is a small difference of large terms has their error.
    fn differences(
        instructions: Instructions,
        loss: &dyn Loss,
        layout: Layout,
        size: f32,
    ) -> [f64; 2] {
        let (logits, labels) = draw(layout, size);
        let wide: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
        let sample = Reduction::Sample;
        let mut expected = vec![0.0f64; wide.len()];
        let wide = value_and_gradient(loss, sample, layout, &wide, &labels, &mut expected).unwrap();
        let mut gradient = vec![f32::NAN; logits.len()];
        let found = narrow_value_and_gradient(
            instructions,
            loss,
            sample,
            layout,
            &logits,
            &labels,
            &mut gradient,
        )
        .unwrap();
        let Evaluation { tp, fp, fn_, .. } = wide;
        assert_eq!((found.tp, found.fp, found.fn_), (tp, fp, fn_));
        let least = 0.01 / layout.elements as f64;
        let largest = expected.iter().fold(least, |m, g| m.max(g.abs()));
        let furthest = gradient.iter().zip(&expected).fold(0.0f64, |m, (g, e)| {
            assert!(g.is_finite());
            m.max((f64::from(*g) - e).abs())
        });
        [
            (found.value - wide.value).abs() / wide.value.abs().max(1e-30),
            furthest / largest,
        ]
    }

    #[test]
    fn every_path_agrees_with_f64() {
        let lengths = [1, 7, 8, 9, 15, 16, 17, 33, 257, CHUNK + 13];
        for instructions in Instructions::available() {
            for classes in [2, 3, 4, 5, 6, 7, 8, 16] {
                for elements in lengths {
                    for size in [1.0, 20.0, 1e4] {
                        let layout = Layout {
                            batch: 2,
                            classes,
                            elements,
                        };
                        for loss in losses() {
                            let [value, gradient] =
                                differences(instructions, loss.as_ref(), layout, size);
                            assert!(
                                value < 1e-6 && gradient < 2e-6,
                                "{instructions} {} {layout:?} +-{size}: {value:e} {gradient:e}",
                                loss.name()
                            );
                        }
                    }
                }
            }
        }
    }

    /// More classes than the vector kernels take go through f64.
    #[test]
    fn seventeen_classes_are_computed_too() {
        let layout = Layout {
            batch: 1,
            classes: 17,
            elements: 40,
        };
        let (logits, labels) = draw(layout, 3.0);
        let wide: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
        let loss = LossConfig::default().build().unwrap();
        let batch = Reduction::Batch;
        let mut expected = vec![0.0f64; wide.len()];
        let wide = value_and_gradient(loss.as_ref(), batch, layout, &wide, &labels, &mut expected);
        let mut gradient = vec![0.0f32; logits.len()];
        let found = value_and_gradient(
            loss.as_ref(),
            batch,
            layout,
            &logits,
            &labels,
            &mut gradient,
        );
        assert_eq!(found, wide);
        let largest = expected.iter().fold(0.0f64, |m, g| m.max(g.abs()));
        for (g, e) in gradient.iter().zip(&expected) {
            assert!((f64::from(*g) - e).abs() <= 1e-6 * largest);
        }
    }
}
