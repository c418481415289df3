//! The passes of losses that need all probabilities at once.

use crate::activation::Activated;
use crate::chunk::CHUNK;
use crate::evaluate::{Counts, Outcome};
use crate::loss::{Field, FieldLoss, FieldSlopes};
use crate::reference::Truth;
use crate::{Activation, Input, Options, Real};
use rayon::prelude::*;

pub(crate) fn evaluate<F: Real>(
    loss: &dyn FieldLoss,
    options: &Options,
    input: &Input<F>,
    gradient: &mut [F],
) -> Outcome {
    let batch = input.layout.batch;
    let planes = input.layout.classes * input.layout.elements;
    if options.groups(batch) == 1 {
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

/// Start and end of each run of elements that is worked on together, by sample.
fn runs(batch: usize, elements: usize) -> Vec<(usize, std::ops::Range<usize>)> {
    (0..batch)
        .flat_map(|sample| {
            let starts = (0..elements).step_by(CHUNK);
            starts.map(move |start| (sample, start..(start + CHUNK).min(elements)))
        })
        .collect()
}

/// Fills the planes from the logits and the reference.
fn activate<F: Real>(log_p: bool, options: &Options, input: &Input<F>) -> (Planes, Counts) {
    let layout = input.layout;
    let truth = Truth::new(input, options);
    // Element by element first, so that threads write to parts of their own.
    let stride = layout.classes;
    let parts: Vec<(Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>, Counts)> =
        runs(layout.batch, layout.elements)
            .into_par_iter()
            .map(|(sample, range)| {
                let mut element = Activated::new(options.activation, stride);
                let length = range.len();
                let mut p = vec![0.0; length * stride];
                let mut logs = vec![0.0; if log_p { length * stride } else { 0 }];
                let mut reference = vec![0.0; length * stride];
                let mut weights = Vec::with_capacity(length);
                let mut counts = Counts::default();
                for (i, at) in range.enumerate() {
                    for (class, z) in element.z.iter_mut().enumerate() {
                        let plane = sample * stride + class;
                        *z = input.logits[plane * layout.elements + at].to_f64();
                    }
                    let weight = truth.weight(sample, at);
                    element.compute(log_p);
                    truth.read(sample, at, &mut element.reference);
                    if weight > 0.0 {
                        counts.count(truth.foreground(&element.reference, &element.z));
                    }
                    for class in 0..stride {
                        p[class * length + i] = element.p[class];
                        reference[class * length + i] = element.reference[class];
                        if log_p {
                            logs[class * length + i] = element.log_p[class];
                        }
                    }
                    weights.push(weight);
                }
                (p, logs, reference, weights, counts)
            })
            .collect();
    let size = layout.batch * stride * layout.elements;
    let mut planes = Planes {
        p: vec![0.0; size],
        log_p: vec![0.0; if log_p { size } else { 0 }],
        reference: vec![0.0; size],
        weights: Vec::with_capacity(layout.batch * layout.elements),
    };
    let mut counts = Counts::default();
    for ((sample, range), (p, logs, reference, weights, counted)) in
        runs(layout.batch, layout.elements).into_iter().zip(parts)
    {
        let length = range.len();
        for class in 0..stride {
            let to = (sample * stride + class) * layout.elements + range.start;
            let from = class * length..(class + 1) * length;
            planes.p[to..to + length].copy_from_slice(&p[from.clone()]);
            planes.reference[to..to + length].copy_from_slice(&reference[from.clone()]);
            if log_p {
                planes.log_p[to..to + length].copy_from_slice(&logs[from]);
            }
        }
        planes.weights.extend(weights);
        counts.add(counted);
    }
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
    let mut chunks = crate::chunk::Chunk::all(layout, gradient);
    chunks.par_iter_mut().for_each(|chunk| {
        let planes = chunk.logits(layout, input.logits);
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
