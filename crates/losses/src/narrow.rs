//! The two passes for `f32` logits, by the vector kernels.

use crate::chunk::Chunk;
use crate::evaluate::Counts;
use crate::loss::Needs;
use crate::reference::Truth;
use crate::statistics::{ClassTable, Matrices, Statistics, StatisticsGradient};
use crate::{Input, Layout, Options};
use lacuna_kernels::{Instructions, SoftmaxSlopes, SoftmaxSums, SumsWanted};
use lacuna_kernels::{softmax_gradient, softmax_sums};
use rayon::prelude::*;

/// First pass: the sums of every sample, or `None` where a label names no class
/// or a logit is not finite. Leaves the probabilities in the memory of the
/// gradient; of elements that are left out, at its front.
pub(crate) fn sums_by_sample(
    instructions: Instructions,
    layout: Layout,
    logits: &[f32],
    labels: &[u8],
    kept: Option<&[Kept]>,
    needs: Needs,
    chunks: &mut [Chunk<f32>],
) -> Option<(Vec<Statistics>, Counts)> {
    let wanted = wanted(needs);
    let parts: Vec<SoftmaxSums> = chunks
        .par_iter_mut()
        .enumerate()
        .map(|(number, chunk)| {
            let planes = chunk.logits(layout, logits);
            let own_labels = chunk.labels(layout, labels);
            let out = &mut chunk.gradient;
            let Some(kept) = kept.map(|kept| &kept[number]) else {
                return softmax_sums(instructions, &planes, own_labels, wanted, out);
            };
            let gathered: Vec<Vec<f32>> = planes.iter().map(|plane| kept.gather(plane)).collect();
            let planes: Vec<&[f32]> = gathered.iter().map(Vec::as_slice).collect();
            let mut out = kept.front(out);
            softmax_sums(instructions, &planes, &kept.labels, wanted, &mut out)
        })
        .collect::<Option<_>>()?;
    let mut samples = vec![Statistics::exclusive(layout.classes); layout.batch];
    let mut counts = Counts::default();
    for (chunk, part) in chunks.iter().zip(parts) {
        counts.add(foreground_counts(&part));
        samples[chunk.sample].add(&part.into());
    }
    Some((samples, counts))
}

pub(crate) fn wanted(needs: Needs) -> SumsWanted {
    SumsWanted {
        squared_error: needs.squared_error,
        log_probability: needs.sum_log_p,
    }
}

/// The elements of a chunk that count, where some do not.
pub(crate) struct Kept {
    at: Vec<u16>,
    pub(crate) labels: Vec<u8>,
}

impl Kept {
    /// Of every chunk; `None` where all elements count, and an error where one
    /// counts in part, which the kernels do not take.
    pub(crate) fn of(
        options: &Options,
        input: &Input<f32>,
        labels: Option<&[u8]>,
        chunks: &[Chunk<f32>],
    ) -> Result<Option<Vec<Self>>, Weighted> {
        if options.ignore_label.is_none() && input.weights.is_none() {
            return Ok(None);
        }
        let truth = Truth::new(input, options);
        let kept = chunks.par_iter().map(|chunk| {
            let mut kept = Self {
                at: Vec::with_capacity(chunk.len()),
                labels: Vec::with_capacity(chunk.len()),
            };
            for i in 0..chunk.len() {
                let weight = truth.weight(chunk.sample, chunk.start + i);
                if weight == 0.0 {
                    continue;
                }
                if weight != 1.0 {
                    return Err(Weighted);
                }
                kept.at.push(i as u16);
                if let Some(labels) = labels {
                    kept.labels
                        .push(labels[chunk.sample * input.layout.elements + chunk.start + i]);
                }
            }
            Ok(kept)
        });
        kept.collect::<Result<Vec<_>, _>>().map(Some)
    }

    /// How many.
    pub(crate) fn len(&self) -> usize {
        self.at.len()
    }

    /// Their values of a plane.
    pub(crate) fn gather<T: Copy>(&self, plane: &[T]) -> Vec<T> {
        self.at.iter().map(|at| plane[usize::from(*at)]).collect()
    }

    /// As many values at the front of each plane.
    fn front<'a>(&self, planes: &'a mut [&mut [f32]]) -> Vec<&'a mut [f32]> {
        planes
            .iter_mut()
            .map(|plane| &mut plane[..self.len()])
            .collect()
    }

    /// Moves the values at the front of a plane to where their elements are, and
    /// writes 0 elsewhere.
    pub(crate) fn spread(&self, plane: &mut [f32]) {
        let mut left = self.len();
        for i in (0..plane.len()).rev() {
            plane[i] = match left > 0 && usize::from(self.at[left - 1]) == i {
                true => {
                    left -= 1;
                    plane[left]
                }
                false => 0.0,
            };
        }
    }
}

/// An element counts in part.
pub(crate) struct Weighted;

fn foreground_counts(sums: &SoftmaxSums) -> Counts {
    let predicted = sums.foreground.iter().skip(1).sum();
    let reference: u64 = sums.count.iter().skip(1).sum();
    Counts {
        tp: predicted,
        fp: sums.foreground[0],
        fn_: reference - predicted,
    }
}

impl From<SoftmaxSums> for Statistics {
    fn from(sums: SoftmaxSums) -> Self {
        let matrices = Matrices {
            sum_p: sums.probability,
            squared_error: sums.squared_error,
            sum_log_p: sums.log_probability,
        };
        Self::of_counts(&sums.count, matrices)
    }
}

/// Second pass: turns the probabilities into the gradient by the logits;
/// `derivatives[sample]` are by that sample's sums. Begins at the end, which is
/// still in the cache.
pub(crate) fn write_gradient(
    instructions: Instructions,
    layout: Layout,
    labels: &[u8],
    kept: Option<&[Kept]>,
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
    chunks
        .par_iter_mut()
        .enumerate()
        .rev()
        .for_each(|(number, chunk)| {
            let slopes = &slopes[chunk.sample];
            let Some(kept) = kept.map(|kept| &kept[number]) else {
                let labels = chunk.labels(layout, labels);
                return softmax_gradient(instructions, &mut chunk.gradient, labels, slopes);
            };
            let mut front = kept.front(&mut chunk.gradient);
            softmax_gradient(instructions, &mut front, &kept.labels, slopes);
            chunk
                .gradient
                .iter_mut()
                .for_each(|plane| kept.spread(plane));
        });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::CHUNK;
    use crate::evaluate::Outcome;
    use crate::statistics_pass::{StatisticsSum, narrow_statistics_by};
    use crate::{Loss, LossConfig, Reduction};

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
        let options = &config.options;
        let Outcome { values, counts } = narrow_statistics_by(
            instructions,
            &sum,
            options,
            layout,
            &logits,
            &labels,
            None,
            &mut chunks,
        )
        .unwrap();
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
