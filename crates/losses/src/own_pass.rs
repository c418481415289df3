//! Losses of every element's own probability, by the vector kernels: logits to
//! `log p` of the labels, slopes by them to the gradient, a chunk at a time while
//! it is in the cache. A loss that ranks the elements has a pass before.

use crate::chunk::{CHUNK, Chunk};
use crate::counts::Counts;
use crate::evaluate::Outcome;
use crate::loss::{Own, OwnLoss, Volumes};
use crate::reference::Truth;
use crate::statistics_pass::weights;
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
    let input = &Input { weights, ..*input };
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
            chunk_pass(loss, options, input, labels, group, share, chunk, buffers)
        })
        .collect();
    Outcome::of_chunks(options, groups.len(), &chunks, parts)
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
    options: &Options,
    input: &Input<f32>,
    labels: &[u8],
    group: &Group,
    share: f32,
    chunk: &mut Chunk<f32>,
    buffers: &mut Buffers,
) -> (f64, Counts) {
    let layout = input.layout;
    let detected = Instructions::detected();
    let planes = chunk.planes(layout, input.logits);
    let labels = chunk.map(layout, labels);
    let weights = (input.weights).map(|weights| chunk.map(layout, weights));
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
    let own = Own {
        labels,
        rest,
        weights,
        factors: &group.factors,
    };
    let mut value = match &group.spread {
        None => 0.0,
        Some(spread) => spread_value(spread, &planes, &own, [slopes, ones], factors),
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
    (value, Counts::of_chunk(options, input, chunk))
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
            let planes = chunk.planes(layout, input.logits);
            let labels = chunk.map(layout, labels);
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

/// `-sum_n w_n sum_c k_c log p_cn`: from the logits, as `log p_c` is `log p_l`
/// and the difference of the logits. `own_logits` is overwritten.
fn spread_value(
    spread: &[f32],
    planes: &[&[f32]],
    own: &Own,
    [log_p, ones]: [&[f32]; 2],
    own_logits: &mut [f32],
) -> f64 {
    own_logits.fill(0.0);
    for (class, plane) in planes.iter().enumerate() {
        for ((logit, z), label) in own_logits.iter_mut().zip(*plane).zip(own.labels) {
            *logit = if usize::from(*label) == class {
                *z
            } else {
                *logit
            };
        }
    }
    let sum = f64::from(spread.iter().sum::<f32>());
    let weights = own.weights.unwrap_or(ones);
    // In lanes, so that no addition waits for another.
    const LANES: usize = 8;
    let mut lanes = [0.0_f64; LANES];
    for first in (0..log_p.len()).step_by(LANES) {
        let run = first..log_p.len().min(first + LANES);
        let mut terms = [0.0_f64; LANES];
        for (term, log) in terms.iter_mut().zip(&log_p[run.clone()]) {
            *term = sum * f64::from(*log);
        }
        for (k, plane) in spread.iter().zip(planes) {
            let rises = plane[run.clone()].iter().zip(&own_logits[run.clone()]);
            for (term, (z, own)) in terms.iter_mut().zip(rises) {
                *term += f64::from(*k) * (f64::from(*z) - f64::from(*own));
            }
        }
        let weighted = terms.iter().zip(&weights[run]);
        for (lane, (term, weight)) in lanes.iter_mut().zip(weighted) {
            *lane -= f64::from(*weight) * term;
        }
    }
    lanes.iter().sum()
}
