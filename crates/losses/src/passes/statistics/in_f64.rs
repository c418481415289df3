//! The two passes in f64, for every kind of input: f64 logits, voxel weights,
//! ignored and soft labels, overlapping regions, more classes than the vector
//! kernels take.

use crate::passes::activation::Activated;
use crate::passes::chunk::Chunk;
use crate::passes::counts::Counts;
use crate::passes::reference::Truth;
use crate::statistics::{ClassTable, Statistics, StatisticsGradient};
use crate::{Activation, Input, Options, Real};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// First pass: the sums of `groups` groups of elements. `group` `[batch,
/// elements]` tells which one an element belongs to; without it, its sample.
pub(in crate::passes) fn sums<F: Real>(
    options: &Options,
    input: &Input<F>,
    group: Option<&[u32]>,
    groups: usize,
    chunks: &[Chunk<F>],
    counts: &mut Counts,
) -> Vec<Statistics> {
    let parts: Vec<(BTreeMap<usize, Statistics>, Counts)> = chunks
        .par_iter()
        .map(|chunk| chunk_sums(options, input, group, chunk))
        .collect();
    let empty = empty(options.activation, input.layout.classes);
    let mut all = vec![empty; groups];
    for (part, counted) in parts {
        for (group, statistics) in part {
            all[group].add(&statistics);
        }
        counts.add(counted);
    }
    all
}

fn empty(activation: Activation, classes: usize) -> Statistics {
    match activation {
        Activation::Softmax => Statistics::exclusive(classes),
        Activation::Sigmoid => Statistics::overlapping(classes),
    }
}

fn chunk_sums<F: Real>(
    options: &Options,
    input: &Input<F>,
    group: Option<&[u32]>,
    chunk: &Chunk<F>,
) -> (BTreeMap<usize, Statistics>, Counts) {
    let layout = input.layout;
    let truth = Truth::new(input, options);
    let planes = chunk.planes(layout, input.logits);
    let mut element = Activated::new(options.activation, layout.classes);
    let mut parts = BTreeMap::new();
    let mut counts = Counts::default();
    let mut current = chunk.sample;
    let mut statistics = empty(options.activation, layout.classes);
    for i in 0..chunk.len() {
        let at = chunk.start + i;
        let weight = truth.weight(chunk.sample, at);
        if weight == 0.0 {
            continue;
        }
        let own = group.map_or(chunk.sample, |group| {
            group[chunk.sample * layout.elements + at] as usize
        });
        if own != current {
            // The elements of one lesion lie together: the sums in hand are kept.
            let other = parts.remove(&own);
            let other = other.unwrap_or_else(|| empty(options.activation, layout.classes));
            parts.insert(current, std::mem::replace(&mut statistics, other));
            current = own;
        }
        for (z, plane) in element.z.iter_mut().zip(&planes) {
            *z = plane[i].to_f64();
        }
        truth.read(chunk.sample, at, &mut element.reference);
        counts.count(truth.foreground(&element.reference, &element.z));
        element.compute(true);
        statistics.add_element(&element, weight);
    }
    parts.insert(current, statistics);
    (parts, counts)
}

impl Statistics {
    #[inline]
    fn add_element(&mut self, element: &Activated, weight: f64) {
        let classes = self.classes;
        self.elements += weight;
        let shares = element.reference.iter().enumerate();
        for (class, &share) in shares.clone() {
            self.volume[class] += weight * share;
            self.reference_square[class] += weight * share * share;
        }
        match &mut self.sums {
            ClassTable::Exclusive(matrices) => {
                for (label, share) in shares.filter(|(_, share)| **share != 0.0) {
                    let weight = weight * share;
                    matrices.sum_log_p[label] += weight * element.log_p[label];
                    for class in 0..classes {
                        let p = element.p[class];
                        let error = if class == label {
                            element.rest[class]
                        } else {
                            p
                        };
                        matrices.sum_p[label * classes + class] += weight * p;
                        matrices.squared_error[label * classes + class] += weight * error * error;
                    }
                }
            }
            ClassTable::Overlapping(sums) => {
                for (class, sums) in sums.iter_mut().enumerate() {
                    let (p, rest) = (element.p[class], element.rest[class]);
                    let inside = weight * element.reference[class];
                    let outside = weight * (1.0 - element.reference[class]);
                    sums.hit += inside * p;
                    sums.miss += inside * rest;
                    sums.false_alarm += outside * p;
                    sums.squared_miss += inside * rest * rest;
                    sums.squared_false_alarm += outside * p * p;
                    sums.log_hit += inside * element.log_p[class];
                    sums.log_rejection += outside * element.log_rest[class];
                }
            }
        }
    }
}

/// Second pass: the gradient by the logits; `derivatives[group]` are by that
/// group's sums.
pub(in crate::passes) fn write_gradient<F: Real>(
    options: &Options,
    input: &Input<F>,
    group: Option<&[u32]>,
    derivatives: &[StatisticsGradient],
    chunks: &mut [Chunk<F>],
) {
    let layout = input.layout;
    let truth = Truth::new(input, options);
    chunks.par_iter_mut().for_each(|chunk| {
        let planes = chunk.planes(layout, input.logits);
        let mut element = Activated::new(options.activation, layout.classes);
        for i in 0..chunk.len() {
            let at = chunk.start + i;
            let weight = truth.weight(chunk.sample, at);
            if weight == 0.0 {
                chunk.clear(i);
                continue;
            }
            let own = group.map_or(chunk.sample, |group| {
                group[chunk.sample * layout.elements + at] as usize
            });
            for (z, plane) in element.z.iter_mut().zip(&planes) {
                *z = plane[i].to_f64();
            }
            truth.read(chunk.sample, at, &mut element.reference);
            element.compute(false);
            element.set_slopes(&derivatives[own]);
            element.backward(weight);
            chunk.write(i, &element.z);
        }
    });
}

impl Activated {
    /// Derivatives by this element's probabilities of what the sums contribute.
    #[inline]
    fn set_slopes(&mut self, derivatives: &StatisticsGradient) {
        let classes = self.z.len();
        self.clear_slopes();
        let Self {
            p,
            rest,
            reference,
            by_p,
            by_log_p,
            by_log_rest,
            ..
        } = self;
        match &derivatives.sums {
            ClassTable::Exclusive(matrices) => {
                for (label, share) in reference.iter().enumerate() {
                    if *share == 0.0 {
                        continue;
                    }
                    by_log_p[label] += share * matrices.sum_log_p[label];
                    for class in 0..classes {
                        let error = if class == label {
                            -rest[class]
                        } else {
                            p[class]
                        };
                        let at = label * classes + class;
                        by_p[class] +=
                            share * (matrices.sum_p[at] + 2.0 * matrices.squared_error[at] * error);
                    }
                }
            }
            ClassTable::Overlapping(slopes) => {
                for (class, slopes) in slopes.iter().enumerate() {
                    let (inside, outside) = (reference[class], 1.0 - reference[class]);
                    by_p[class] = inside * (slopes.hit - 2.0 * slopes.squared_miss * rest[class])
                        + outside
                            * (slopes.false_alarm + 2.0 * slopes.squared_false_alarm * p[class]);
                    by_log_p[class] = inside * slopes.log_hit;
                    by_log_rest[class] = outside * slopes.log_rejection;
                }
            }
        }
    }
}
