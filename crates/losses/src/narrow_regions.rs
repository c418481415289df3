//! The two passes for `f32` logits of overlapping regions, by the vector kernels:
//! a sigmoid is a softmax of two classes of which one has the logit 0.

use crate::chunk::Chunk;
use crate::evaluate::Counts;
use crate::loss::Needs;
use crate::narrow::{Kept, wanted};
use crate::statistics::{ClassSums, ClassTable, Statistics, StatisticsGradient};
use crate::{Input, Reference};
use lacuna_kernels::{Instructions, SoftmaxSlopes, SoftmaxSums, SumsWanted};
use lacuna_kernels::{softmax_gradient, softmax_sums};
use rayon::prelude::*;

/// Whether every reference is 0 or 1, as the kernels take it.
pub(crate) fn is_hard(reference: Reference<f32>) -> bool {
    match reference {
        Reference::Labels(_) => true,
        Reference::Soft(shares) => shares
            .par_iter()
            .all(|share| *share == 0.0 || *share == 1.0),
    }
}

/// Buffers of a thread for one region of a chunk.
#[derive(Default)]
struct Region {
    zeros: Vec<f32>,
    logits: Vec<f32>,
    labels: Vec<u8>,
    p: [Vec<f32>; 2],
}

impl Region {
    /// Reads the elements of a region that count.
    fn load(&mut self, input: &Input<f32>, chunk: &Chunk<f32>, kept: Option<&Kept>, class: usize) {
        let layout = input.layout;
        let plane = chunk.logits(layout, input.logits)[class];
        let on = |at: usize| -> u8 {
            let is_on = match input.reference {
                Reference::Labels(labels) => {
                    let label = usize::from(labels[chunk.sample * layout.elements + at]);
                    label == if layout.classes == 1 { 1 } else { class }
                }
                Reference::Soft(shares) => {
                    shares[(chunk.sample * layout.classes + class) * layout.elements + at] > 0.5
                }
            };
            u8::from(is_on)
        };
        self.labels.clear();
        self.labels
            .extend((chunk.start..chunk.start + chunk.len()).map(on));
        self.logits.clear();
        match kept {
            None => self.logits.extend_from_slice(plane),
            Some(kept) => {
                self.logits.extend(kept.gather(plane));
                self.labels = kept.gather(&self.labels);
            }
        }
        let count = self.logits.len();
        self.zeros.resize(count, 0.0);
        self.p.iter_mut().for_each(|p| p.resize(count, 0.0));
    }

    /// Sums of the two classes, and their probabilities into `p`.
    fn sums(&mut self, instructions: Instructions, wanted: SumsWanted) -> SoftmaxSums {
        let [out, inside] = &mut self.p;
        let mut p = [out.as_mut_slice(), inside.as_mut_slice()];
        let planes = [self.zeros.as_slice(), self.logits.as_slice()];
        softmax_sums(instructions, &planes, &self.labels, wanted, &mut p)
            .expect("the values have been checked")
    }
}

/// First pass: the sums of every sample, on checked input.
pub(crate) fn sums_by_sample(
    input: &Input<f32>,
    kept: Option<&[Kept]>,
    needs: Needs,
    chunks: &[Chunk<f32>],
) -> (Vec<Statistics>, Counts) {
    let detected = Instructions::detected();
    let layout = input.layout;
    let wanted = wanted(needs);
    let parts: Vec<(Statistics, Counts)> = (chunks.par_iter().enumerate())
        .map_init(Region::default, |region, (number, chunk)| {
            let kept = kept.map(|kept| &kept[number]);
            let mut statistics = Statistics::overlapping(layout.classes);
            let mut of_chunk = Foreground::new(kept.map_or(chunk.len(), Kept::len));
            for class in 0..layout.classes {
                region.load(input, chunk, kept, class);
                of_chunk.look(input, class, region);
                statistics.set_region(class, &region.sums(detected, wanted));
            }
            (statistics, of_chunk.counts())
        })
        .collect();
    let mut samples = vec![Statistics::overlapping(layout.classes); layout.batch];
    let mut counts = Counts::default();
    for (chunk, (statistics, counted)) in chunks.iter().zip(parts) {
        samples[chunk.sample].add(&statistics);
        counts.add(counted);
    }
    (samples, counts)
}

impl Statistics {
    fn set_region(&mut self, class: usize, sums: &SoftmaxSums) {
        let inside = sums.count[1] as f64;
        self.elements = inside + sums.count[0] as f64;
        self.volume[class] = inside;
        self.reference_square[class] = inside;
        let ClassTable::Overlapping(table) = &mut self.sums else {
            unreachable!("made for overlapping regions");
        };
        table[class] = ClassSums {
            hit: sums.probability[3],
            miss: sums.probability[2],
            false_alarm: sums.probability[1],
            squared_miss: sums.squared_error[3],
            squared_false_alarm: sums.squared_error[1],
            log_hit: sums.log_probability[1],
            log_rejection: sums.log_probability[0],
        };
    }
}

/// Foreground of a chunk's elements, in the reference and by the logits. Where
/// channels are classes, class 0 is the background and the largest logit
/// decides; where they are regions, any of them.
struct Foreground {
    reference: Vec<bool>,
    predicted: Vec<bool>,
    background: Vec<f32>,
}

impl Foreground {
    fn new(count: usize) -> Self {
        Self {
            reference: vec![false; count],
            predicted: vec![false; count],
            background: vec![0.0; count],
        }
    }

    fn look(&mut self, input: &Input<f32>, class: usize, region: &Region) {
        let classes = input.layout.classes > 1 && matches!(input.reference, Reference::Labels(_));
        if classes && class == 0 {
            self.background.copy_from_slice(&region.logits);
            return;
        }
        for (reference, label) in self.reference.iter_mut().zip(&region.labels) {
            *reference |= *label == 1;
        }
        let above = region.logits.iter().zip(&self.background);
        for (predicted, (z, background)) in self.predicted.iter_mut().zip(above) {
            *predicted |= z > background;
        }
    }

    fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (reference, predicted) in self.reference.iter().zip(&self.predicted) {
            counts.count([*reference, *predicted]);
        }
        counts
    }
}

/// Second pass: the gradient by the logits; `derivatives[sample]` are by that
/// sample's sums. The probabilities are computed anew.
pub(crate) fn write_gradient(
    input: &Input<f32>,
    kept: Option<&[Kept]>,
    derivatives: &[StatisticsGradient],
    chunks: &mut [Chunk<f32>],
) {
    let detected = Instructions::detected();
    let plain = wanted(Needs::PROBABILITIES);
    let slopes: Vec<Vec<SoftmaxSlopes>> = derivatives.iter().map(region_slopes).collect();
    (chunks.par_iter_mut().enumerate()).for_each_init(
        Region::default,
        |region, (number, chunk)| {
            let kept = kept.map(|kept| &kept[number]);
            for class in 0..input.layout.classes {
                region.load(input, chunk, kept, class);
                region.sums(detected, plain);
                let [out, inside] = &mut region.p;
                let mut planes = [out.as_mut_slice(), inside.as_mut_slice()];
                let slopes = &slopes[chunk.sample][class];
                softmax_gradient(detected, &mut planes, &region.labels, slopes);
                let plane = &mut *chunk.gradient[class];
                plane[..inside.len()].copy_from_slice(inside);
                if let Some(kept) = kept {
                    kept.spread(plane);
                }
            }
        },
    );
}

/// Derivatives by the sums of each region as of two classes, inside last.
fn region_slopes(derivatives: &StatisticsGradient) -> Vec<SoftmaxSlopes> {
    let ClassTable::Overlapping(regions) = &derivatives.sums else {
        unreachable!("made for overlapping regions");
    };
    let of_region = |s: &ClassSums| {
        SoftmaxSlopes::new(
            &[0.0, s.false_alarm, 0.0, s.hit],
            &[0.0, s.squared_false_alarm, 0.0, s.squared_miss],
            &[s.log_rejection, s.log_hit],
        )
    };
    regions.iter().map(of_region).collect()
}
