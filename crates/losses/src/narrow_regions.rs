//! The two passes for `f32` logits of overlapping regions, by the vector kernels:
//! a sigmoid is a softmax of two classes of which one has the logit 0.

use crate::chunk::Chunk;
use crate::evaluate::Counts;
use crate::loss::Needs;
use crate::narrow::wanted;
use crate::shares::Shares;
use crate::statistics::{ClassSums, ClassTable, Statistics, StatisticsGradient};
use crate::{Input, Options, Reference};
use lacuna_kernels::{Instructions, SoftmaxReference, SoftmaxSlopes, SoftmaxSums, SumsWanted};
use lacuna_kernels::{softmax_gradient, softmax_sums};
use rayon::prelude::*;

/// Buffers of a thread for one region of a chunk.
#[derive(Default)]
struct Region {
    shares: Shares,
    zeros: Vec<f32>,
    p: [Vec<f32>; 2],
}

impl Region {
    /// Sums of outside and inside, and their probabilities into `p`.
    fn sums(&mut self, logits: &[f32], wanted: SumsWanted) -> SoftmaxSums {
        self.zeros.resize(logits.len(), 0.0);
        self.p.iter_mut().for_each(|p| p.resize(logits.len(), 0.0));
        let [out, inside] = &mut self.p;
        let mut p = [out.as_mut_slice(), inside.as_mut_slice()];
        let parts = self.shares.planes();
        let reference = SoftmaxReference::Shares(&parts);
        let planes = [self.zeros.as_slice(), logits];
        softmax_sums(Instructions::detected(), &planes, reference, wanted, &mut p)
            .expect("the values have been checked")
    }
}

/// First pass: the sums of every sample, on checked input.
pub(crate) fn sums_by_sample(
    options: &Options,
    input: &Input<f32>,
    needs: Needs,
    chunks: &[Chunk<f32>],
) -> (Vec<Statistics>, Counts) {
    let layout = input.layout;
    let wanted = wanted(needs);
    let parts: Vec<(Statistics, Counts)> = (chunks.par_iter())
        .map_init(Region::default, |region, chunk| {
            let planes = chunk.logits(layout, input.logits);
            region.shares.load_weights(options, input, chunk);
            let mut statistics = Statistics::overlapping(layout.classes);
            statistics.elements = region.shares.elements();
            for (class, logits) in planes.iter().enumerate() {
                region.shares.load_region(input, chunk, class);
                let sums = region.sums(logits, wanted);
                let square = region
                    .shares
                    .square(input, chunk, [class, 1], sums.count[1]);
                statistics.set_region(class, &sums, square);
            }
            let counts = foreground_counts(input, chunk, &planes, region.shares.weights());
            (statistics, counts)
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
    fn set_region(&mut self, class: usize, sums: &SoftmaxSums, square: f64) {
        self.volume[class] = sums.count[1];
        self.reference_square[class] = square;
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
fn foreground_counts(
    input: &Input<f32>,
    chunk: &Chunk<f32>,
    planes: &[&[f32]],
    weights: &[f32],
) -> Counts {
    let classes = planes.len() > 1 && matches!(input.reference, Reference::Labels(_));
    let mut reference = vec![false; weights.len()];
    let mut predicted = vec![false; weights.len()];
    for class in usize::from(classes)..planes.len() {
        Shares::mark_region(input, chunk, class, &mut reference);
        let marks = predicted.iter_mut().zip(planes[class]);
        match classes {
            true => (marks.zip(planes[0])).for_each(|((m, z), background)| *m |= z > background),
            false => marks.for_each(|(m, z)| *m |= *z > 0.0),
        }
    }
    let mut counts = Counts::default();
    for ((reference, predicted), weight) in reference.iter().zip(predicted).zip(weights) {
        let counted = *weight > 0.0;
        counts.count([reference & counted, predicted & counted]);
    }
    counts
}

/// Second pass: the gradient by the logits; `derivatives[sample]` are by that
/// sample's sums. The probabilities are computed anew.
pub(crate) fn write_gradient(
    options: &Options,
    input: &Input<f32>,
    derivatives: &[StatisticsGradient],
    chunks: &mut [Chunk<f32>],
) {
    let plain = wanted(Needs::PROBABILITIES);
    let slopes: Vec<Vec<SoftmaxSlopes>> = derivatives.iter().map(region_slopes).collect();
    (chunks.par_iter_mut()).for_each_init(Region::default, |region, chunk| {
        region.shares.load_weights(options, input, chunk);
        let planes = chunk.logits(input.layout, input.logits);
        for (class, logits) in planes.iter().enumerate() {
            region.shares.load_region(input, chunk, class);
            region.sums(logits, plain);
            let [out, inside] = &mut region.p;
            let mut planes = [out.as_mut_slice(), inside.as_mut_slice()];
            let parts = region.shares.planes();
            let reference = SoftmaxReference::Shares(&parts);
            let slopes = &slopes[chunk.sample][class];
            softmax_gradient(Instructions::detected(), &mut planes, reference, slopes);
            chunk.gradient[class].copy_from_slice(inside);
        }
    });
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
