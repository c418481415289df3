//! The one pass of losses that are a mean over elements: logits to value and gradient.

use super::activation::Activated;
use super::chunk::Chunk;
use super::counts::Counts;
use super::outcome::Outcome;
use super::reference::Truth;
use crate::loss::ElementLoss;
use crate::{Input, Options, Real};
use rayon::prelude::*;

pub(super) fn evaluate<F: Real>(
    loss: &dyn ElementLoss,
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Outcome {
    let mut chunks = Chunk::all(input.layout, gradient);
    let batch = input.layout.batch;
    let truth = Truth::new(input, options);
    let factors: Vec<Vec<f64>> = (options.groups(batch).into_iter())
        .map(|samples| loss.factors(&truth.volumes(samples), options.compatibility))
        .collect();
    let share = options.share(batch);
    let parts: Vec<(f64, Counts)> = chunks
        .par_iter_mut()
        .map(|chunk| {
            let factors = &factors[options.group(chunk.sample)];
            chunk_pass(loss, options, input, &truth, factors, share, chunk)
        })
        .collect();
    Outcome::of_chunks(options, factors.len(), &chunks, parts)
}

fn chunk_pass<F: Real>(
    loss: &dyn ElementLoss,
    options: &Options,
    input: &Input<F>,
    truth: &Truth<F>,
    factors: &[f64],
    share: f64,
    chunk: &mut Chunk<F>,
) -> (f64, Counts) {
    let layout = input.layout;
    let planes = chunk.planes(layout, input.logits);
    let mut activated = Activated::new(options.activation, layout.classes);
    let mut distance = vec![0.0; input.maps.distance.map_or(0, |_| layout.classes)];
    let mut value = 0.0;
    let mut counts = Counts::default();
    for i in 0..chunk.len() {
        let at = chunk.start + i;
        let weight = truth.weight(chunk.sample, at);
        if weight == 0.0 {
            chunk.clear(i);
            continue;
        }
        for (z, plane) in activated.z.iter_mut().zip(&planes) {
            *z = plane[i].to_f64();
        }
        truth.read(chunk.sample, at, &mut activated.reference);
        counts.count(truth.foreground(&activated.reference, &activated.z));
        if let Some(map) = input.maps.distance {
            for (class, distance) in distance.iter_mut().enumerate() {
                *distance = map[(chunk.sample * layout.classes + class) * layout.elements + at];
            }
        }
        activated.compute(true);
        activated.clear_slopes();
        let (element, mut slopes) = activated.parts(&distance);
        value += weight * loss.element(factors, &element, &mut slopes);
        activated.backward(weight * share);
        chunk.write(i, &activated.z);
    }
    (value, counts)
}
