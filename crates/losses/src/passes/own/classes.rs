//! Losses of every element's own probability for exclusive classes: logits to
//! `log p` of the labels, slopes by them to the gradient, a chunk at a time while
//! it is in the cache. A loss that ranks the elements has a pass before.

use super::constants::{Factors, LARGEST_FACTOR, of_volumes};
use crate::layout::CHUNK;
use crate::loss::{Own, OwnLoss, product_sum};
use crate::passes::chunk::Chunk;
use crate::passes::counts::Counts;
use crate::passes::kernel_input::weights;
use crate::passes::outcome::Outcome;
use crate::passes::reference::Truth;
use crate::{Input, Options};
use lacuna_kernels::{Instructions, Spread, own_gradient, softmax_own};
use rayon::prelude::*;

/// A group of samples: its constants.
struct Group {
    factors: Vec<f64>,
    spread: Option<Vec<f32>>,
}

/// On checked input of exclusive classes with hard labels.
pub(super) fn evaluate(
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
                None => of_volumes(factors, &truth.volumes(samples), options.compatibility),
                Some(log_p) => {
                    let range = samples.start * layout.elements..samples.end * layout.elements;
                    let ranked = loss.rank(&log_p[range.clone()], weights.map(|w| &w[range]));
                    ranked.into_iter().map(|f| f.min(LARGEST_FACTOR)).collect()
                }
            };
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
    /// Sums of all `log p`, each times a factor.
    logs: Vec<f32>,
}

impl Buffers {
    fn fit(&mut self, count: usize) {
        self.slopes.resize(count, 0.0);
        self.rest.resize(count, 0.0);
        self.factors.resize(count, 0.0);
        self.ones.resize(count, 1.0);
        self.logs.resize(count, 0.0);
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
        logs,
    } = buffers;
    let wanted = (group.spread.as_deref()).map(|factors| (factors, logs.as_mut_slice()));
    softmax_own(
        detected,
        &planes,
        labels,
        &mut chunk.gradient,
        [slopes, rest],
        wanted,
    );
    let own = Own {
        labels,
        rest,
        weights,
        factors: &group.factors,
    };
    let mut value = match group.spread {
        None => 0.0,
        Some(_) => -product_sum(logs, weights.unwrap_or(ones)),
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
                None,
            );
        });
    log_p
}
