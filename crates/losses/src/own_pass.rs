//! The two passes, by the vector kernels, of losses of every element's own
//! probability: logits to `log p` of the labels, slopes by them to the gradient.

use crate::chunk::{CHUNK, Chunk};
use crate::evaluate::{Counts, Outcome};
use crate::loss::{Own, OwnLoss, Volumes};
use crate::reference::Truth;
use crate::{Compatibility, Input, Options};
use lacuna_kernels::{Instructions, Spread, own_gradient, softmax_own};
use rayon::prelude::*;

/// Constants of a loss for the volumes of a group.
pub(crate) type Factors<'a> = dyn Fn(&Volumes, Option<Compatibility>) -> Vec<f64> + 'a;

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
    let count = layout.batch * layout.elements;
    let detected = Instructions::detected();
    let weights = weights(options, input, labels);
    let weights = weights.as_deref();
    let (mut log_p, mut rest) = (vec![0.0_f32; count], vec![0.0_f32; count]);
    let mut chunks = Chunk::all(layout, gradient);
    let counts: Vec<Counts> = (chunks.par_iter_mut())
        .zip(by_chunk(&mut log_p, layout.elements).zip(by_chunk(&mut rest, layout.elements)))
        .map(|(chunk, (log_p, rest))| {
            let planes = chunk.logits(layout, input.logits);
            let labels = chunk.labels(layout, labels);
            softmax_own(
                detected,
                &planes,
                labels,
                &mut chunk.gradient,
                [log_p, rest],
            );
            let weights = weights.map(|w| &w[chunk.sample * layout.elements + chunk.start..]);
            foreground(&planes, labels, weights)
        })
        .collect();

    let mut outcome = Outcome::default();
    counts.into_iter().for_each(|c| outcome.counts.add(c));
    let mut slopes = vec![0.0_f32; count];
    let groups = options.groups(layout.batch);
    let share = options.share(layout.batch);
    let truth = Truth::new(input, options);
    let mut spreads = Vec::new();
    for (group, slopes) in slopes.chunks_mut(count / groups).enumerate() {
        let samples = layout.batch / groups;
        let range = group * slopes.len()..(group + 1) * slopes.len();
        let volumes = truth.volumes(group * samples..(group + 1) * samples);
        let mut factors = factors(&volumes, options.compatibility);
        // Where no element counts they are beyond f32.
        factors
            .iter_mut()
            .for_each(|factor| *factor = factor.min(1e30));
        let own = Own {
            labels: &labels[range.clone()],
            log_p: &log_p[range.clone()],
            rest: &rest[range.clone()],
            weights: weights.map(|weights| &weights[range.clone()]),
            classes: layout.classes,
            factors: &factors,
        };
        let mut value = loss.evaluate(&own, slopes);
        let spread = loss.spread(&factors);
        if let Some(spread) = &spread {
            value += spread_value(spread, input, range.start, &own);
        }
        outcome.values.push(value);
        spreads.push(spread.map(|k| k.iter().map(|k| k * share as f32).collect::<Vec<f32>>()));
        if share != 1.0 {
            slopes.iter_mut().for_each(|slope| *slope *= share as f32);
        }
    }

    let ones = vec![1.0_f32; CHUNK];
    chunks.par_iter_mut().rev().for_each(|chunk| {
        let first = chunk.sample * layout.elements + chunk.start;
        let range = first..first + chunk.len();
        let spread = spreads[options.group(chunk.sample)].as_deref();
        let spread = spread.map(|classes| Spread {
            classes,
            elements: weights.map_or(&ones[..chunk.len()], |weights| &weights[range.clone()]),
        });
        let labels = &labels[range.clone()];
        let (rest, slopes) = (&rest[range.clone()], &slopes[range.clone()]);
        own_gradient(detected, &mut chunk.gradient, labels, rest, slopes, spread);
    });
    outcome
}

/// A plane of all elements in the parts that chunks have.
fn by_chunk(plane: &mut [f32], elements: usize) -> impl IndexedParallelIterator<Item = &mut [f32]> {
    let samples = plane.chunks_mut(elements);
    let parts: Vec<&mut [f32]> = samples
        .flat_map(|sample| sample.chunks_mut(CHUNK))
        .collect();
    parts.into_par_iter()
}

/// Weights with 0 for ignored labels, if there are any.
fn weights(options: &Options, input: &Input<f32>, labels: &[u8]) -> Option<Vec<f32>> {
    let ignored = options.ignore_label;
    if ignored.is_none() && input.weights.is_none() {
        return None;
    }
    let weight = |(at, label): (usize, &u8)| match Some(*label) == ignored {
        true => 0.0,
        false => input.weights.map_or(1.0, |weights| weights[at]),
    };
    Some(
        labels
            .par_iter()
            .enumerate()
            .with_min_len(CHUNK)
            .map(weight)
            .collect(),
    )
}

fn foreground(planes: &[&[f32]], labels: &[u8], weights: Option<&[f32]>) -> Counts {
    let mut counts = Counts::default();
    for (i, label) in labels.iter().enumerate() {
        if weights.is_some_and(|weights| weights[i] == 0.0) {
            continue;
        }
        let background = planes[0][i];
        let predicted = planes[1..].iter().any(|plane| plane[i] > background);
        counts.count([*label > 0, predicted]);
    }
    counts
}

/// `-sum_n w_n sum_c k_c log p_cn`: from the logits, as `log p_c` is `log p_l`
/// and the difference of the logits.
fn spread_value(spread: &[f32], input: &Input<f32>, first: usize, own: &Own) -> f64 {
    let layout = input.layout;
    let sum: f64 = spread.iter().map(|k| f64::from(*k)).sum();
    let runs: Vec<f64> = (0..own.len().div_ceil(CHUNK))
        .into_par_iter()
        .map(|run| {
            let mut value = 0.0;
            for i in run * CHUNK..own.len().min((run + 1) * CHUNK) {
                let weight = own.weight(i);
                if weight == 0.0 {
                    continue;
                }
                let (sample, element) =
                    ((first + i) / layout.elements, (first + i) % layout.elements);
                let at = |c: usize| {
                    input.logits[(sample * layout.classes + c) * layout.elements + element]
                };
                let reference = at(usize::from(own.labels[i]));
                let rises = spread.iter().enumerate();
                let rises: f32 = rises.map(|(c, k)| k * (at(c) - reference)).sum();
                let log = sum * f64::from(own.log_p[i]) + f64::from(rises);
                value -= f64::from(weight) * log;
            }
            value
        })
        .collect();
    runs.iter().sum()
}
