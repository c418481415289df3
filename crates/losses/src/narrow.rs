//! The two passes for `f32` logits, by the vector kernels.

use crate::chunk::Chunk;
use crate::counts::Counts;
use crate::loss::Needs;
use crate::statistics::{ClassTable, Matrices, Statistics, StatisticsGradient};
use crate::{Input, Options, Reference};
use lacuna_kernels::{
    Instructions, ReferenceClass, SoftmaxReference, SoftmaxSlopes, SoftmaxSums, SumsWanted,
};
use lacuna_kernels::{softmax_gradient, softmax_sums};
use rayon::prelude::*;

/// First pass: the sums of every sample, or `None` where a label names no class
/// or a logit is not finite. Leaves the probabilities in the memory of the
/// gradient. An ignored label has the weight 0 already.
pub(crate) fn sums_by_sample(
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

pub(crate) fn wanted(needs: Needs) -> SumsWanted {
    SumsWanted {
        squared_error: needs.squared_error,
        log_probability: needs.sum_log_p,
    }
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

/// Sum of the weights of a chunk, in f64 and in eight lanes, so that no addition
/// waits for another.
pub(crate) fn elements(input: &Input<f32>, chunk: &Chunk<f32>) -> f64 {
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
pub(crate) fn write_gradient(
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
mod tests {
    use super::*;
    use crate::chunk::CHUNK;
    use crate::evaluate::Outcome;
    use crate::statistics_pass::{StatisticsSum, narrow_statistics};
    use crate::{Layout, Loss, LossConfig, Reduction};

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

    fn losses() -> Vec<LossConfig> {
        [
            "",
            "weight = 'volume-sum'\ndifferentiate_weight = true",
            "name = 'dice'",
            "name = 'dice'\nform = 'squared'",
            "name = 'sensitivity-specificity'\nform = 'symmetric'",
            "name = 'weighted-cross-entropy'\ndifferentiate_weight = true",
            "name = 'sum'",
        ]
        .map(|text| {
            let mut config: LossConfig = toml::from_str(text).unwrap();
            config.options.reduction = Reduction::Sample;
            config
        })
        .into()
    }

    /// Largest difference from the f64 path: of the value, relative, and of the
    /// gradient, relative to the largest. Where the loss hardly moves, to a
    /// hundredth of the change that one element of the sample can make: a
    /// gradient that is a small difference of large terms has their error.
    fn differences(
        instructions: Instructions,
        config: &LossConfig,
        layout: Layout,
        size: f32,
    ) -> [f64; 2] {
        let (logits, labels) = draw(layout, size);
        let wide: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
        let mut expected = vec![0.0f64; wide.len()];
        let input = Input::new(layout, &wide, &labels);
        let wide = config.value_and_gradient(&input, &mut expected).unwrap();
        let mut gradient = vec![f32::NAN; logits.len()];
        let mut chunks = Chunk::all(layout, &mut gradient);
        let form = config.named.form();
        let sum = StatisticsSum::of(&form, 0).unwrap();
        let input = Input::new(layout, &logits, &labels);
        let options = &config.options;
        let Outcome { values, counts } =
            narrow_statistics(instructions, &sum, options, &input, &mut chunks).unwrap();
        drop(chunks);
        let value = values.iter().sum::<f64>() / values.len() as f64;
        assert_eq!(
            (counts.tp, counts.fp, counts.fn_),
            (wide.tp, wide.fp, wide.fn_)
        );
        let least = 0.01 / layout.elements as f64;
        let largest = expected.iter().fold(least, |m, g| m.max(g.abs()));
        let furthest = gradient.iter().zip(&expected).fold(0.0f64, |m, (g, e)| {
            assert!(g.is_finite());
            m.max((f64::from(*g) - e).abs())
        });
        [
            (value - wide.value).abs() / wide.value.abs().max(1e-30),
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
                            let [value, gradient] = differences(instructions, &loss, layout, size);
                            assert!(
                                value < 1e-6 && gradient < 2e-6,
                                "{instructions} {} {layout:?} +-{size}: {value:e} {gradient:e}",
                                loss.named.name()
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
        let config = LossConfig::default();
        let mut expected = vec![0.0f64; wide.len()];
        let input = Input::new(layout, &wide, &labels);
        let wide = config.value_and_gradient(&input, &mut expected);
        let mut gradient = vec![0.0f32; logits.len()];
        let input = Input::new(layout, &logits, &labels);
        let found = config.value_and_gradient(&input, &mut gradient);
        assert_eq!(found, wide);
        let largest = expected.iter().fold(0.0f64, |m, g| m.max(g.abs()));
        for (g, e) in gradient.iter().zip(&expected) {
            assert!((f64::from(*g) - e).abs() <= 1e-6 * largest);
        }
    }
}
