//! Weights, ignored labels and soft labels of a chunk as the vector kernels take
//! them: a plane per class of what each element adds to it, `w r`.

use crate::chunk::Chunk;
use crate::loss::product_sum;
use crate::{Input, Options, Reference};

/// Weights that the kernels take: `f32` sums of a loss's terms, and derivatives
/// times a weight, stay in their range. 0 as well.
const WEIGHTS: [f32; 2] = [1e-12, 1e6];

/// Whether the kernels take the weights.
pub(crate) fn are_moderate(weights: &[f32]) -> bool {
    let [least, most] = WEIGHTS;
    let moderate = |w: &f32| (*w == 0.0) | ((*w >= least) & (*w <= most));
    // Blocks without an early exit, so that the comparison vectorises.
    let mut blocks = weights.chunks(1 << 12);
    blocks.all(|block| block.iter().fold(true, |all, w| all & moderate(w)))
}

/// Buffers of a thread for the elements of one chunk.
#[derive(Default)]
pub(crate) struct Shares {
    weights: Vec<f32>,
    planes: Vec<Vec<f32>>,
}

/// The chunk's part of a plane, of `planes` per sample.
fn part<'a, T>(
    input: &Input<f32>,
    chunk: &Chunk<f32>,
    values: &'a [T],
    [planes, plane]: [usize; 2],
) -> &'a [T] {
    let first = (chunk.sample * planes + plane) * input.layout.elements + chunk.start;
    &values[first..first + chunk.len()]
}

impl Shares {
    /// Reads the weights, 0 where an element is ignored.
    pub(crate) fn load_weights(
        &mut self,
        options: &Options,
        input: &Input<f32>,
        chunk: &Chunk<f32>,
    ) {
        self.weights.clear();
        match input.weights {
            Some(weights) => {
                let own = part(input, chunk, weights, [1, 0]);
                self.weights.extend_from_slice(own);
            }
            None => self.weights.resize(chunk.len(), 1.0),
        }
        if let (Reference::Labels(labels), Some(ignored)) = (input.reference, options.ignore_label)
        {
            let labels = part(input, chunk, labels, [1, 0]);
            for (weight, label) in self.weights.iter_mut().zip(labels) {
                *weight = if *label == ignored { 0.0 } else { *weight };
            }
        }
    }

    /// Reads what the elements are of each of the exclusive classes.
    pub(crate) fn load_classes(
        &mut self,
        options: &Options,
        input: &Input<f32>,
        chunk: &Chunk<f32>,
    ) {
        self.load_weights(options, input, chunk);
        let classes = input.layout.classes;
        self.planes.resize_with(classes, Vec::new);
        for (class, plane) in self.planes.iter_mut().enumerate() {
            fill_inside(&self.weights, input, chunk, [class, class], plane);
        }
    }

    /// Reads what the elements are of one of the overlapping regions: outside of
    /// it and inside. The weights must have been read.
    pub(crate) fn load_region(&mut self, input: &Input<f32>, chunk: &Chunk<f32>, class: usize) {
        self.planes.resize_with(2, Vec::new);
        let [outside, inside] = &mut self.planes[..] else {
            unreachable!("two planes");
        };
        let label = region_label(input, class);
        fill_inside(&self.weights, input, chunk, [class, label], inside);
        outside.clear();
        match input.reference {
            Reference::Labels(labels) => {
                let labels = part(input, chunk, labels, [1, 0]);
                let rest = |(w, own): (&f32, &u8)| if *own as usize == label { 0.0 } else { *w };
                outside.extend(self.weights.iter().zip(labels).map(rest));
            }
            Reference::Soft(shares) => {
                let shares = part(input, chunk, shares, [input.layout.classes, class]);
                outside.extend(self.weights.iter().zip(shares).map(|(w, s)| w * (1.0 - s)));
            }
        }
    }

    pub(crate) fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// A plane per class; outside and inside of a region.
    pub(crate) fn planes(&self) -> Vec<&[f32]> {
        self.planes.iter().map(Vec::as_slice).collect()
    }

    /// Sum of the weights.
    pub(crate) fn elements(&self) -> f64 {
        sum(&self.weights)
    }

    /// `sum w r^2` of a class, whose `w r` are in `plane`.
    pub(crate) fn square(
        &self,
        input: &Input<f32>,
        chunk: &Chunk<f32>,
        [class, plane]: [usize; 2],
        volume: f64,
    ) -> f64 {
        match input.reference {
            Reference::Labels(_) => volume,
            Reference::Soft(shares) => {
                let shares = part(input, chunk, shares, [input.layout.classes, class]);
                product_sum(&self.planes[plane], shares)
            }
        }
    }

    /// Whether each element is of a region, as a boolean that can be counted.
    pub(crate) fn mark_region(
        input: &Input<f32>,
        chunk: &Chunk<f32>,
        class: usize,
        marks: &mut [bool],
    ) {
        match input.reference {
            Reference::Labels(labels) => {
                let label = region_label(input, class);
                let labels = part(input, chunk, labels, [1, 0]);
                (marks.iter_mut().zip(labels)).for_each(|(m, l)| *m |= *l as usize == label);
            }
            Reference::Soft(shares) => {
                let shares = part(input, chunk, shares, [input.layout.classes, class]);
                (marks.iter_mut().zip(shares)).for_each(|(m, s)| *m |= *s >= 0.5);
            }
        }
    }
}

/// The label of a region: a single one is that of the label 1.
fn region_label(input: &Input<f32>, class: usize) -> usize {
    if input.layout.classes == 1 { 1 } else { class }
}

/// `w r` of a class, which has the label.
fn fill_inside(
    weights: &[f32],
    input: &Input<f32>,
    chunk: &Chunk<f32>,
    [class, label]: [usize; 2],
    plane: &mut Vec<f32>,
) {
    plane.clear();
    match input.reference {
        Reference::Labels(labels) => {
            let labels = part(input, chunk, labels, [1, 0]);
            let own = |(w, own): (&f32, &u8)| if *own as usize == label { *w } else { 0.0 };
            plane.extend(weights.iter().zip(labels).map(own));
        }
        Reference::Soft(shares) => {
            let shares = part(input, chunk, shares, [input.layout.classes, class]);
            plane.extend(weights.iter().zip(shares).map(|(w, s)| w * s));
        }
    }
}

/// In f64 and in eight lanes, so that no addition waits for another.
fn sum(values: &[f32]) -> f64 {
    let mut lanes = [0.0_f64; 8];
    let parts = values.chunks_exact(8);
    let rest: f64 = parts.remainder().iter().map(|v| f64::from(*v)).sum();
    for part in parts {
        for (lane, value) in lanes.iter_mut().zip(part) {
            *lane += f64::from(*value);
        }
    }
    lanes.iter().sum::<f64>() + rest
}
