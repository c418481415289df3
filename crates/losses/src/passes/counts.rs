//! Hard predictions against the reference, foreground against background.

use super::chunk::Chunk;
use crate::{Activation, Input, Options, Reference};

/// Foreground against background by hard prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) tp: u64,
    pub(crate) fp: u64,
    pub(crate) fn_: u64,
}

impl Counts {
    #[inline]
    pub(crate) fn count(&mut self, [reference, predicted]: [bool; 2]) {
        self.tp += u64::from(reference & predicted);
        self.fp += u64::from(!reference & predicted);
        self.fn_ += u64::from(reference & !predicted);
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.tp += other.tp;
        self.fp += other.fp;
        self.fn_ += other.fn_;
    }

    /// Of the chunk's elements that have a weight: what
    /// [`super::reference::Truth::foreground`] says of each, plane by plane.
    pub(crate) fn of_chunk(options: &Options, input: &Input<f32>, chunk: &Chunk<f32>) -> Self {
        let layout = input.layout;
        let planes = chunk.planes(layout, input.logits);
        let soft = matches!(input.reference, Reference::Soft(_));
        let regions = options.activation == Activation::Sigmoid && (layout.classes == 1 || soft);
        let mut reference = vec![false; chunk.len()];
        let mut predicted = vec![false; chunk.len()];
        match input.reference {
            Reference::Labels(labels) => {
                let labels = chunk.map(layout, labels);
                let marks = reference.iter_mut().zip(labels);
                match regions {
                    true => marks.for_each(|(mark, label)| *mark = *label == 1),
                    false => marks.for_each(|(mark, label)| *mark = *label > 0),
                }
            }
            Reference::Soft(shares) => {
                let shares = chunk.planes(layout, shares);
                mark(&mut reference, &shares, regions, |share| share >= 0.5);
            }
        }
        mark(&mut predicted, &planes, regions, |z| z > 0.0);
        let mut sums = [0_u32; 3];
        let mut add = |reference: bool, predicted: bool| {
            sums[0] += u32::from(reference & predicted);
            sums[1] += u32::from(predicted);
            sums[2] += u32::from(reference);
        };
        let marks = reference.iter().zip(&predicted);
        match input.weights {
            None => marks.for_each(|(r, p)| add(*r, *p)),
            Some(weights) => {
                let weights = chunk.map(layout, weights);
                marks
                    .zip(weights)
                    .for_each(|((r, p), w)| add(*r & (*w > 0.0), *p & (*w > 0.0)));
            }
        }
        let [both, predicted, reference] = sums;
        Self {
            tp: both.into(),
            fp: (predicted - both).into(),
            fn_: (reference - both).into(),
        }
    }
}

/// Marks elements of any region by `is`, of exclusive classes those of which
/// another class has more than the first.
fn mark(marks: &mut [bool], planes: &[&[f32]], regions: bool, is: impl Fn(f32) -> bool) {
    if regions {
        for plane in planes {
            (marks.iter_mut().zip(*plane)).for_each(|(mark, value)| *mark |= is(*value));
        }
        return;
    }
    for plane in &planes[1..] {
        (marks.iter_mut().zip(*plane).zip(planes[0]))
            .for_each(|((mark, value), background)| *mark |= value > background);
    }
}
