//! Losses of every element's own probability, by the vector kernels: logits to
//! `log p` of the labels, slopes by them to the gradient, a chunk at a time while
//! it is in the cache. A loss that ranks the elements has a pass before.

use crate::chunk::{CHUNK, Chunk};
use crate::evaluate::{Counts, Outcome};
use crate::loss::{Own, OwnLoss, Volumes};
use crate::reference::Truth;
use crate::{Compatibility, Input, Options};
use lacuna_kernels::{Instructions, Spread, own_gradient, softmax_own};
use rayon::prelude::*;

/// Constants of a loss for the volumes of a group.
pub(crate) type Factors<'a> = dyn Fn(&Volumes, Option<Compatibility>) -> Vec<f64> + 'a;

/// A group of samples: its constants.
struct Group {
    factors: Vec<f64>,
    spread: Option<Vec<f32>>,
}

/// On checked input of exclusive classes with hard labels.
pub(crate) fn evaluate(
    loss: &dyn OwnLoss,
    factors: &Factors,
    options: &Options,
    input: &Input<f32>,
    labels: &[u8],
    gradient: &mut [f32],
) -> Outcome {
    let layout = input.layout;
    let weights = weights(options, input);
    let weights = weights.as_deref();
    let mut chunks = Chunk::all(layout, gradient);
    let ranked = loss
        .is_ranked()
        .then(|| all_log_p(input, labels, &mut chunks));
    let truth = Truth::new(input, options);
    let groups: Vec<Group> = (options.groups(layout.batch).into_iter())
        .map(|samples| {
            let factors = match &ranked {
                None => factors(&truth.volumes(samples), options.compatibility),
                Some(log_p) => {
                    let range = samples.start * layout.elements..samples.end * layout.elements;
                    loss.rank(&log_p[range.clone()], weights.map(|w| &w[range]))
                }
            };
            // Where no element counts they are beyond f32.
            let factors: Vec<f64> = factors.into_iter().map(|f| f.min(1e30)).collect();
            Group {
                spread: loss.spread(&factors),
                factors,
            }
        })
        .collect();
    let share = options.share(layout.batch) as f32;
    let parts: Vec<(f64, Counts)> = chunks
        .par_iter_mut()
        .map_init(Buffers::default, |buffers, chunk| {
            let group = &groups[options.group(chunk.sample)];
            chunk_pass(loss, input, labels, weights, group, share, chunk, buffers)
        })
        .collect();
    let mut outcome = Outcome {
        values: vec![0.0; groups.len()],
        counts: Counts::default(),
    };
    for (chunk, (value, counts)) in chunks.iter().zip(parts) {
        outcome.values[options.group(chunk.sample)] += value;
        outcome.counts.add(counts);
    }
    outcome
}

/// Values of a chunk's elements.
#[derive(Default)]
struct Buffers {
    /// `log p`, then the slopes.
    slopes: Vec<f32>,
    rest: Vec<f32>,
    factors: Vec<f32>,
    ones: Vec<f32>,
}

impl Buffers {
    fn fit(&mut self, count: usize) {
        self.slopes.resize(count, 0.0);
        self.rest.resize(count, 0.0);
        self.factors.resize(count, 0.0);
        self.ones.resize(count, 1.0);
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "what all chunks share, and the chunk's own"
)]
fn chunk_pass(
    loss: &dyn OwnLoss,
    input: &Input<f32>,
    labels: &[u8],
    weights: Option<&[f32]>,
    group: &Group,
    share: f32,
    chunk: &mut Chunk<f32>,
    buffers: &mut Buffers,
) -> (f64, Counts) {
    let layout = input.layout;
    let detected = Instructions::detected();
    let planes = chunk.logits(layout, input.logits);
    let labels = chunk.labels(layout, labels);
    let first = chunk.sample * layout.elements + chunk.start;
    let weights = weights.map(|weights| &weights[first..first + chunk.len()]);
    buffers.fit(chunk.len());
    let Buffers {
        slopes,
        rest,
        factors,
        ones,
    } = buffers;
    softmax_own(
        detected,
        &planes,
        labels,
        &mut chunk.gradient,
        [slopes, rest],
    );
    let counts = foreground(&planes, labels, weights);
    let own = Own {
        labels,
        rest,
        weights,
        factors: &group.factors,
    };
    let mut value = match &group.spread {
        None => 0.0,
        Some(spread) => spread_value(spread, &planes, &own, slopes),
    };
    value += loss.run(&own, slopes, factors);
    if share != 1.0 {
        slopes.iter_mut().for_each(|slope| *slope *= share);
    }
    let constants: Option<Vec<f32>> =
        (group.spread.as_ref()).map(|spread| spread.iter().map(|k| k * share).collect());
    let spread = constants.as_deref().map(|classes| Spread {
        classes,
        elements: weights.unwrap_or(ones),
    });
    own_gradient(detected, &mut chunk.gradient, labels, rest, slopes, spread);
    (value, counts)
}

/// `[batch, elements]`: `log p` of every label.
fn all_log_p(input: &Input<f32>, labels: &[u8], chunks: &mut [Chunk<f32>]) -> Vec<f32> {
    let layout = input.layout;
    let mut log_p = vec![0.0_f32; labels.len()];
    let samples = log_p.chunks_mut(layout.elements);
    let parts: Vec<&mut [f32]> = samples
        .flat_map(|sample| sample.chunks_mut(CHUNK))
        .collect();
    chunks
        .par_iter_mut()
        .zip(parts)
        .for_each_init(Vec::new, |rest, (chunk, log_p)| {
            rest.resize(chunk.len(), 0.0);
            let planes = chunk.logits(layout, input.logits);
            let labels = chunk.labels(layout, labels);
            let detected = Instructions::detected();
            softmax_own(
                detected,
                &planes,
                labels,
                &mut chunk.gradient,
                [log_p, rest],
            );
        });
    log_p
}

/// Weights with 0 for ignored labels, if there are any.
fn weights(options: &Options, input: &Input<f32>) -> Option<Vec<f32>> {
    if options.ignore_label.is_none() && input.weights.is_none() {
        return None;
    }
    let truth = Truth::new(input, options);
    let elements = input.layout.elements;
    let all = (0..input.layout.batch * elements).into_par_iter();
    let weight = |at| truth.weight(at / elements, at % elements) as f32;
    Some(all.with_min_len(CHUNK).map(weight).collect())
}

fn foreground(planes: &[&[f32]], labels: &[u8], weights: Option<&[f32]>) -> Counts {
    let (mut both, mut predicted, mut reference) = (0_u32, 0_u32, 0_u32);
    let mut count = |label: u8, above: bool, counted: bool| {
        let (r, p) = ((label > 0) & counted, above & counted);
        both += u32::from(r & p);
        predicted += u32::from(p);
        reference += u32::from(r);
    };
    match (planes, weights) {
        ([background, foreground], None) => {
            for ((label, z0), z1) in labels.iter().zip(*background).zip(*foreground) {
                count(*label, z1 > z0, true);
            }
        }
        _ => {
            for (i, label) in labels.iter().enumerate() {
                let above = planes[1..].iter().any(|plane| plane[i] > planes[0][i]);
                count(
                    *label,
                    above,
                    weights.is_none_or(|weights| weights[i] > 0.0),
                );
            }
        }
    }
    Counts {
        tp: both.into(),
        fp: (predicted - both).into(),
        fn_: (reference - both).into(),
    }
}

/// `-sum_n w_n sum_c k_c log p_cn`: from the logits, as `log p_c` is `log p_l`
/// and the difference of the logits.
fn spread_value(spread: &[f32], planes: &[&[f32]], own: &Own, log_p: &[f32]) -> f64 {
    let sum: f32 = spread.iter().sum();
    let mut value = 0.0;
    for (i, &label) in own.labels.iter().enumerate() {
        let weight = own.weight(i);
        if weight == 0.0 {
            continue;
        }
        let reference = planes[usize::from(label)][i];
        let mut rises = 0.0;
        for (k, plane) in spread.iter().zip(planes) {
            rises += f64::from(*k) * (f64::from(plane[i]) - f64::from(reference));
        }
        value -= f64::from(weight) * (f64::from(sum * log_p[i]) + rises);
    }
    value
}
