//! The two passes over a batch: logits and labels to sums, derivatives by the
//! sums to the gradient by the logits.
//!
//! With `a = dL/d sum_p`, `b = dL/d squared_error` and `e = dL/d sum_log_p`, an
//! element with label l has `g_c = dL/dp_c = a_lc + 2 b_lc (p_c - [c = l])`, and
//! `dL/dz_c = p_c (g_c - sum_k p_k g_k) + e_l ([c = l] - p_c)`.
//!
//! Both passes run over chunks of fixed size, and the sums of the chunks are
//! added in order, so no bit depends on the number of threads.

use crate::chunk::Chunk;
use crate::statistics::{Statistics, StatisticsGradient};
use crate::{Layout, Loss, LossError, Real, narrow, wide};
use lacuna_kernels::{Instructions, SOFTMAX_CLASSES_MAX};
use serde::{Deserialize, Serialize};

/// Floor of a log-probability. A difference of two `f32` logits never reaches
/// it; `f64` logits can, and their sums must stay finite.
pub(crate) const LOG_FLOOR: f64 = -1e100;

/// How the samples of a batch make one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// One loss over the pooled elements of the batch, as NiftyNet did at the
    /// time of the paper: a patch without lesion shares the sums of the others.
    #[default]
    Batch,
    /// The mean of one loss per sample, as NiftyNet did later.
    Sample,
}

/// What one evaluation of a loss gives besides the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evaluation {
    /// Loss.
    pub value: f64,
    /// Foreground elements (label > 0) whose largest logit is of a foreground
    /// class, pooled over the batch. Of equal logits the background wins.
    pub tp: u64,
    /// Background elements whose largest logit is of a foreground class.
    pub fp: u64,
    /// Foreground elements whose largest logit is the background's.
    pub fn_: u64,
}

/// Value of a loss and its gradient with respect to the logits.
///
/// `logits` and `gradient` are `[batch, classes, elements]`, `labels` are
/// `[batch, elements]`. The gradient is overwritten. Value and gradient are
/// finite for any finite logits and any labels.
///
/// # Errors
/// When the loss refuses its options, the shape holds nothing or less than two classes, an array does not
/// fit it, a label names no class or a logit is not finite. After a bad label or
/// logit the values of the gradient mean nothing; after another error they are
/// what they were.
pub fn value_and_gradient<F: Real>(
    loss: &dyn Loss,
    reduction: Reduction,
    layout: Layout,
    logits: &[F],
    labels: &[u8],
    gradient: &mut [F],
) -> Result<Evaluation, LossError> {
    loss.check()?;
    if layout.classes <= SOFTMAX_CLASSES_MAX
        && let (Some(logits), Some(gradient)) = (F::as_f32(logits), F::as_f32_mut(gradient))
    {
        let detected = Instructions::detected();
        return narrow_value_and_gradient(
            detected, loss, reduction, layout, logits, labels, gradient,
        );
    }
    layout.check(logits, labels, gradient)?;
    let mut chunks = Chunk::all(layout, gradient);
    let samples = wide::sums_by_sample(layout, logits, labels, &mut chunks);
    let (evaluation, derivatives) = evaluate(loss, reduction, &samples);
    wide::write_gradient(layout, labels, &derivatives, &mut chunks);
    Ok(evaluation)
}

/// [`value_and_gradient`] with the vector kernels.
pub(crate) fn narrow_value_and_gradient(
    instructions: Instructions,
    loss: &dyn Loss,
    reduction: Reduction,
    layout: Layout,
    logits: &[f32],
    labels: &[u8],
    gradient: &mut [f32],
) -> Result<Evaluation, LossError> {
    layout.check_lengths(logits, labels, gradient)?;
    let mut chunks = Chunk::all(layout, gradient);
    let needs = loss.needs();
    let samples = narrow::sums_by_sample(instructions, layout, logits, labels, needs, &mut chunks);
    let Some(samples) = samples else {
        // The pass tells that there is a bad value, not where.
        layout.check_values(logits, labels)?;
        unreachable!("a value that the sums refuse is bad");
    };
    let (evaluation, derivatives) = evaluate(loss, reduction, &samples);
    narrow::write_gradient(instructions, layout, labels, &derivatives, &mut chunks);
    Ok(evaluation)
}

/// The loss, and its derivatives by the sums of each sample.
fn evaluate(
    loss: &dyn Loss,
    reduction: Reduction,
    samples: &[Sums],
) -> (Evaluation, Vec<StatisticsGradient>) {
    let mut pooled = samples[0].clone();
    for sample in &samples[1..] {
        pooled.add(sample);
    }
    let (value, derivatives) = match reduction {
        Reduction::Batch => {
            let (value, derivatives) = loss.evaluate(&pooled.statistics);
            (value, vec![derivatives; samples.len()])
        }
        Reduction::Sample => mean_over_samples(loss, samples),
    };
    let evaluation = Evaluation {
        value,
        tp: pooled.tp,
        fp: pooled.fp,
        fn_: pooled.fn_,
    };
    (evaluation, derivatives)
}

/// Mean of the samples' values, and the derivatives of that mean per sample.
fn mean_over_samples(loss: &dyn Loss, samples: &[Sums]) -> (f64, Vec<StatisticsGradient>) {
    let share = 1.0 / samples.len() as f64;
    let mut value = 0.0;
    let mut derivatives = Vec::with_capacity(samples.len());
    for sample in samples {
        let (sample_value, mut sample_derivatives) = loss.evaluate(&sample.statistics);
        sample_derivatives.scale(share);
        value += share * sample_value;
        derivatives.push(sample_derivatives);
    }
    (value, derivatives)
}

/// What the first pass gathers.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    pub(crate) statistics: Statistics,
    pub(crate) tp: u64,
    pub(crate) fp: u64,
    pub(crate) fn_: u64,
}

impl Sums {
    pub(crate) fn empty(classes: usize) -> Self {
        Self {
            statistics: Statistics::empty(classes),
            tp: 0,
            fp: 0,
            fn_: 0,
        }
    }

    /// The sums `parts` of the chunks, added in order to those of their samples.
    pub(crate) fn by_sample<F>(layout: Layout, chunks: &[Chunk<F>], parts: &[Self]) -> Vec<Self> {
        let mut samples = vec![Self::empty(layout.classes); layout.batch];
        for (chunk, part) in chunks.iter().zip(parts) {
            samples[chunk.sample].add(part);
        }
        samples
    }

    fn add(&mut self, other: &Self) {
        self.statistics.add(&other.statistics);
        self.tp += other.tp;
        self.fp += other.fp;
        self.fn_ += other.fn_;
    }

    /// Counts one element by label and hard prediction, foreground against background.
    #[inline]
    pub(crate) fn count_foreground(&mut self, reference: bool, predicted: bool) {
        self.tp += u64::from(reference & predicted);
        self.fp += u64::from(!reference & predicted);
        self.fn_ += u64::from(reference & !predicted);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::CHUNK;
    use crate::{LossConfig, two_class};

    fn wave(count: usize) -> Vec<f32> {
        (0..count)
            .map(|i| (i as f32 * 0.7).sin() * 4.0 + (i as f32 * 0.013).cos())
            .collect()
    }

    fn run(
        threads: usize,
        layout: Layout,
        logits: &[f32],
        labels: &[u8],
    ) -> (Evaluation, Vec<f32>) {
        let config = LossConfig::default();
        let loss = config.build().unwrap();
        let mut gradient = vec![f32::NAN; logits.len()];
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let evaluation = pool.install(|| {
            value_and_gradient(
                loss.as_ref(),
                config.reduction,
                layout,
                logits,
                labels,
                &mut gradient,
            )
        });
        (evaluation.unwrap(), gradient)
    }

    #[test]
    fn bits_do_not_depend_on_the_number_of_threads() {
        for classes in [2, 3] {
            let layout = Layout {
                batch: 2,
                classes,
                elements: 3 * CHUNK + 17,
            };
            let logits = wave(2 * classes * layout.elements);
            let labels: Vec<u8> = (0..2 * layout.elements)
                .map(|i| (i % 97 % classes) as u8)
                .collect();
            let (one, one_gradient) = run(1, layout, &logits, &labels);
            let (three, three_gradient) = run(3, layout, &logits, &labels);
            assert_eq!(one.value.to_bits(), three.value.to_bits());
            assert_eq!(one, three);
            assert_eq!(one_gradient, three_gradient);
            assert!(one_gradient.iter().all(|g| g.is_finite()));
        }
    }

    /// Three classes of which the third cannot be predicted are two classes.
    #[test]
    fn two_and_three_classes_agree() {
        let elements = CHUNK + 300;
        let logits = wave(2 * elements);
        let labels: Vec<u8> = (0..elements).map(|i| u8::from(i % 50 == 0)).collect();
        let two = Layout {
            batch: 1,
            classes: 2,
            elements,
        };
        let mut wider = logits.clone();
        wider.resize(3 * elements, -1e30);
        let three = Layout { classes: 3, ..two };
        let (a, a_gradient) = run(1, two, &logits, &labels);
        let (b, b_gradient) = run(1, three, &wider, &labels);
        assert!((a.value - b.value).abs() < 1e-14);
        assert_eq!((a.tp, a.fp, a.fn_), (b.tp, b.fp, b.fn_));
        for (a, b) in a_gradient.iter().zip(&b_gradient) {
            assert!((a - b).abs() <= 1e-6 * a.abs() + 1e-12, "{a} {b}");
        }
        assert!(b_gradient[2 * elements..].iter().all(|&g| g == 0.0));
    }

    #[test]
    fn foreground_is_any_class_but_the_first_and_ties_are_background() {
        let layout = Layout {
            batch: 1,
            classes: 3,
            elements: 5,
        };
        let logits = [
            [0.0, 1.0, 1.0, 3.0, 0.0],
            [2.0, 0.0, 1.0, 2.0, 0.0],
            [1.0, 2.0, 0.0, 1.0, 0.5_f32],
        ]
        .concat();
        // Predicted 1, 2, 0 (tie), 0, 2.
        let (evaluation, _) = run(1, layout, &logits, &[2, 0, 1, 0, 2]);
        assert_eq!((evaluation.tp, evaluation.fp, evaluation.fn_), (2, 1, 1));
    }

    #[test]
    fn equal_samples_have_the_loss_of_one() {
        let layout = Layout {
            batch: 1,
            classes: 2,
            elements: 40,
        };
        let labels: Vec<u8> = (0..40).map(|i| u8::from(i % 7 == 0)).collect();
        let logits = wave(80);
        let (one, one_gradient) = run(1, layout, &logits, &labels);
        let loss = LossConfig::default().build().unwrap();
        for reduction in [Reduction::Batch, Reduction::Sample] {
            let mut gradient = vec![0.0; 240];
            let three = value_and_gradient(
                loss.as_ref(),
                reduction,
                Layout { batch: 3, ..layout },
                &logits.repeat(3),
                &labels.repeat(3),
                &mut gradient,
            )
            .unwrap();
            assert!((three.value - one.value).abs() < 1e-14);
            assert_eq!(three.tp, 3 * one.tp);
            for (g, one) in gradient.iter().zip(one_gradient.repeat(3)) {
                assert!((3.0 * g - one).abs() < 1e-8);
            }
        }
    }

    /// An f32 sum of ones stops at 2^24. 2^24 + 1 elements with p = 1/4 and 3/4
    /// of a chunk that is added again and again.
    #[test]
    fn more_elements_than_an_f32_can_count() {
        assert_eq!(16_777_216.0_f32 + 1.0, 16_777_216.0_f32);
        let rise = 3.0_f64.ln();
        let sums = |count: usize| {
            let mut sums = Sums::empty(2);
            let logits = [vec![0.0; count], vec![rise; count]];
            let mut p = [vec![0.0; count], vec![0.0; count]];
            let [p0, p1] = &mut p;
            two_class::add_sums(
                [&logits[0], &logits[1]],
                &vec![0; count],
                [p0, p1],
                &mut sums,
            );
            sums
        };
        let chunk = sums(CHUNK);
        let mut total = sums(1);
        for _ in 0..(1 << 24) / CHUNK {
            total.add(&chunk);
        }
        let n = 16_777_217.0;
        let statistics = &total.statistics;
        assert_eq!(statistics.elements(), n);
        assert_eq!(total.fp, 16_777_217);
        for (sum, expected) in [
            (statistics.sum_p(0, 0), n / 4.0),
            (statistics.predicted(1), n * 0.75),
            (statistics.squared_error(0, 1), n * 0.5625),
            (statistics.sum_log_p(0), -n * 4.0_f64.ln()),
        ] {
            assert!((sum / expected - 1.0).abs() < 1e-12, "{sum} for {expected}");
        }
    }

    #[test]
    fn errors_name_the_first_bad_value_and_a_wrong_length_leaves_the_gradient_alone() {
        let layout = Layout {
            batch: 1,
            classes: 2,
            elements: CHUNK + 2,
        };
        let loss = LossConfig::default().build().unwrap();
        let mut logits = vec![0.0f32; 2 * layout.elements];
        let mut labels = vec![0; layout.elements];
        let mut gradient = vec![7.0f32; logits.len()];
        let mut result = |logits: &[f32], labels: &[u8]| {
            let batch = Reduction::Batch;
            let of =
                value_and_gradient(loss.as_ref(), batch, layout, logits, labels, &mut gradient);
            (of.unwrap_err(), gradient.clone())
        };

        let (error, gradient) = result(&logits, &labels[1..]);
        assert!(matches!(
            error,
            LossError::Length {
                array: "labels",
                ..
            }
        ));
        assert!(gradient.iter().all(|&g| g == 7.0));
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for class in 0..2 {
                for element in [5, CHUNK - 1, CHUNK + 1] {
                    logits[class * layout.elements + element] = value;
                    let (error, _) = result(&logits, &labels);
                    assert!(
                        matches!(error, LossError::NonFiniteLogit { sample: 0, class: c, element: e, .. }
                            if c == class && e == element),
                        "{error}"
                    );
                    logits[class * layout.elements + element] = 0.0;
                }
            }
        }
        for element in [3, CHUNK + 1] {
            labels[element] = 2;
            let (error, _) = result(&logits, &labels);
            assert!(
                matches!(error, LossError::LabelOutOfRange { label: 2, element: e, .. } if e == element),
                "{error}"
            );
            labels[element] = 0;
        }
    }
}
