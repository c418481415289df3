//! The passes of losses that need all probabilities at once.

use super::activation::Activated;
use super::chunk::Chunk;
use super::counts::Counts;
use super::outcome::Outcome;
use super::reference::Truth;
use crate::layout::CHUNK;
use crate::loss::{Field, FieldLoss, FieldSlopes};
use crate::{Activation, Input, Options, Real};
use rayon::prelude::*;

pub(super) fn evaluate<F: Real>(
    loss: &dyn FieldLoss,
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Outcome {
    let batch = input.layout.batch;
    let planes = input.layout.classes * input.layout.elements;
    if options.groups(batch).len() == 1 {
        let (value, counts) = pooled(loss, options, input, 1.0, gradient);
        return Outcome {
            values: vec![value],
            counts,
        };
    }
    let mut outcome = Outcome::default();
    for (sample, gradient) in gradient.chunks_exact_mut(planes).enumerate() {
        let share = options.share(batch);
        let (value, counts) = pooled(loss, options, &input.sample(sample), share, gradient);
        outcome.values.push(value);
        outcome.counts.add(counts);
    }
    outcome
}

/// The planes of a batch, element by element where they are filled and read.
struct Planes {
    p: Vec<f64>,
    log_p: Vec<f64>,
    reference: Vec<f64>,
    weights: Vec<f64>,
}

/// One loss of all samples; the gradient is multiplied by `share`.
fn pooled<F: Real>(
    loss: &dyn FieldLoss,
    options: &Options,
    input: &Input<F>,
    share: f64,
    gradient: &mut [F],
) -> (f64, Counts) {
    let layout = input.layout;
    let (planes, counts) = activate(loss.reads_log_p(), options, input);
    let field = Field {
        samples: layout.batch,
        classes: layout.classes,
        elements: layout.elements,
        overlapping: options.activation == Activation::Sigmoid,
        p: &planes.p,
        log_p: &planes.log_p,
        reference: &planes.reference,
        weights: &planes.weights,
        volume: planes
            .weights
            .chunks(CHUNK)
            .map(|w| w.iter().sum::<f64>())
            .sum(),
        distance: input.maps.distance.unwrap_or(&[]),
        grid: input.grid,
        compatibility: options.compatibility,
    };
    let mut by_p = vec![0.0; planes.p.len()];
    let mut by_log_p = vec![0.0; planes.log_p.len()];
    let mut slopes = FieldSlopes {
        p: &mut by_p,
        log_p: &mut by_log_p,
    };
    let value = loss.evaluate(&field, &mut slopes);
    backward(
        options,
        input,
        &planes.weights,
        [&by_p, &by_log_p],
        share,
        gradient,
    );
    (value, counts)
}

/// Fills the planes from the logits and the reference.
fn activate<F: Real>(log_p: bool, options: &Options, input: &Input<F>) -> (Planes, Counts) {
    let layout = input.layout;
    let truth = Truth::new(input, options);
    let size = layout.batch * layout.classes * layout.elements;
    let mut planes = Planes {
        p: vec![0.0; size],
        log_p: vec![0.0; if log_p { size } else { 0 }],
        reference: vec![0.0; size],
        weights: vec![0.0; layout.batch * layout.elements],
    };
    let of_samples = planes.weights.chunks_mut(layout.elements);
    let weights: Vec<&mut [f64]> = of_samples.flat_map(|w| w.chunks_mut(CHUNK)).collect();
    let p = Chunk::all(layout, &mut planes.p);
    let reference = Chunk::all(layout, &mut planes.reference);
    let mut logs: Vec<Option<Chunk<f64>>> = match log_p {
        true => (Chunk::all(layout, &mut planes.log_p).into_iter())
            .map(Some)
            .collect(),
        false => p.iter().map(|_| None).collect(),
    };
    let parts: Vec<Counts> = (p.into_par_iter().zip(reference))
        .zip(weights.into_par_iter().zip(&mut logs))
        .map(|((mut p, mut reference), (weights, logs))| {
            let mut element = Activated::new(options.activation, layout.classes);
            let logits = p.planes(layout, input.logits);
            let mut counts = Counts::default();
            for (i, weight) in weights.iter_mut().enumerate() {
                for (z, plane) in element.z.iter_mut().zip(&logits) {
                    *z = plane[i].to_f64();
                }
                element.compute(log_p);
                truth.read(p.sample, p.start + i, &mut element.reference);
                *weight = truth.weight(p.sample, p.start + i);
                if *weight > 0.0 {
                    counts.count(truth.foreground(&element.reference, &element.z));
                }
                p.write(i, &element.p);
                reference.write(i, &element.reference);
                if let Some(logs) = logs {
                    logs.write(i, &element.log_p);
                }
            }
            counts
        })
        .collect();
    let mut counts = Counts::default();
    parts.into_iter().for_each(|part| counts.add(part));
    (planes, counts)
}

/// Derivatives by the planes to the gradient by the logits.
fn backward<F: Real>(
    options: &Options,
    input: &Input<F>,
    weights: &[f64],
    [by_p, by_log_p]: [&[f64]; 2],
    share: f64,
    gradient: &mut [F],
) {
    let layout = input.layout;
    let mut chunks = Chunk::all(layout, gradient);
    chunks.par_iter_mut().for_each(|chunk| {
        let planes = chunk.planes(layout, input.logits);
        let mut element = Activated::new(options.activation, layout.classes);
        for i in 0..chunk.len() {
            let at = chunk.start + i;
            if weights[chunk.sample * layout.elements + at] == 0.0 {
                chunk.clear(i);
                continue;
            }
            for (z, plane) in element.z.iter_mut().zip(&planes) {
                *z = plane[i].to_f64();
            }
            element.compute(false);
            element.clear_slopes();
            for class in 0..layout.classes {
                let here = (chunk.sample * layout.classes + class) * layout.elements + at;
                element.by_p[class] = by_p[here];
                if !by_log_p.is_empty() {
                    element.by_log_p[class] = by_log_p[here];
                }
            }
            element.backward(share);
            chunk.write(i, &element.z);
        }
    });
}
