//! The two passes for `f32` logits, by the vector kernels.

use crate::chunk::Chunk;
use crate::evaluate::Counts;
use crate::loss::Needs;
use crate::shares::Shares;
use crate::statistics::{ClassTable, Matrices, Statistics, StatisticsGradient};
use crate::{Input, Options};
use lacuna_kernels::{Instructions, SoftmaxReference, SoftmaxSlopes, SoftmaxSums, SumsWanted};
use lacuna_kernels::{softmax_gradient, softmax_sums};
use rayon::prelude::*;

/// A batch of exclusive classes.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a> {
    pub(crate) instructions: Instructions,
    pub(crate) options: &'a Options,
    pub(crate) input: &'a Input<'a, f32>,
    /// Labels, where every element counts, once and for one class.
    pub(crate) plain: Option<&'a [u8]>,
}

/// First pass: the sums of every sample, or `None` where a plain label names no
/// class or a logit is not finite. Leaves the probabilities in the memory of the
/// gradient.
pub(crate) fn sums_by_sample(
    batch: &Batch,
    needs: Needs,
    chunks: &mut [Chunk<f32>],
) -> Option<(Vec<Statistics>, Counts)> {
    let layout = batch.input.layout;
    let parts: Vec<(Statistics, Counts)> = chunks
        .par_iter_mut()
        .map_init(Shares::default, |shares, chunk| {
            chunk_sums(batch, wanted(needs), shares, chunk)
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

fn chunk_sums(
    batch: &Batch,
    wanted: SumsWanted,
    shares: &mut Shares,
    chunk: &mut Chunk<f32>,
) -> Option<(Statistics, Counts)> {
    let Batch {
        instructions,
        options,
        input,
        ..
    } = *batch;
    let planes = chunk.logits(input.layout, input.logits);
    if let Some(labels) = batch.plain {
        let labels = SoftmaxReference::Labels(chunk.labels(input.layout, labels));
        let sums = softmax_sums(instructions, &planes, labels, wanted, &mut chunk.gradient)?;
        let counts = foreground_counts(&sums);
        return Some((sums.into(), counts));
    }
    shares.load_classes(options, input, chunk);
    let parts = shares.planes();
    let reference = SoftmaxReference::Shares(&parts);
    let sums = softmax_sums(
        instructions,
        &planes,
        reference,
        wanted,
        &mut chunk.gradient,
    )?;
    let mut statistics = Statistics::from(sums);
    statistics.elements = shares.elements();
    for class in 0..input.layout.classes {
        statistics.reference_square[class] =
            shares.square(input, chunk, [class; 2], statistics.volume[class]);
    }
    Some((
        statistics,
        weighted_counts(&planes, shares.weights(), &parts),
    ))
}

/// Of plain labels.
fn foreground_counts(sums: &SoftmaxSums) -> Counts {
    let predicted: f64 = sums.foreground.iter().skip(1).sum();
    let reference: f64 = sums.count.iter().skip(1).sum();
    Counts {
        tp: predicted as u64,
        fp: sums.foreground[0] as u64,
        fn_: (reference - predicted) as u64,
    }
}

/// Of elements that are of several classes or count in part: an element is
/// foreground where a class has more of it than the background.
fn weighted_counts(planes: &[&[f32]], weights: &[f32], shares: &[&[f32]]) -> Counts {
    let mut counts = Counts::default();
    let exceeds = |planes: &[&[f32]], i: usize| {
        let background = planes[0][i];
        (planes[1..].iter()).fold(false, |any, plane| any | (plane[i] > background))
    };
    for (i, weight) in weights.iter().enumerate() {
        counts.count([exceeds(shares, i), exceeds(planes, i) & (*weight > 0.0)]);
    }
    counts
}

impl From<SoftmaxSums> for Statistics {
    fn from(sums: SoftmaxSums) -> Self {
        let matrices = Matrices {
            sum_p: sums.probability,
            squared_error: sums.squared_error,
            sum_log_p: sums.log_probability,
        };
        Self::of_volumes(sums.count, matrices)
    }
}

/// Second pass: turns the probabilities into the gradient by the logits;
/// `derivatives[sample]` are by that sample's sums. Begins at the end, which is
/// still in the cache.
pub(crate) fn write_gradient(
    batch: &Batch,
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
    (chunks.par_iter_mut().rev()).for_each_init(Shares::default, |shares, chunk| {
        let slopes = &slopes[chunk.sample];
        let parts;
        let reference = match batch.plain {
            Some(labels) => SoftmaxReference::Labels(chunk.labels(batch.input.layout, labels)),
            None => {
                shares.load_classes(batch.options, batch.input, chunk);
                parts = shares.planes();
                SoftmaxReference::Shares(&parts)
            }
        };
        softmax_gradient(batch.instructions, &mut chunk.gradient, reference, slopes);
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
        let batch = Batch {
            instructions,
            options: &config.options,
            input: &input,
            plain: Some(&labels),
        };
        let Outcome { values, counts } = narrow_statistics(&sum, &batch, &mut chunks).unwrap();
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
