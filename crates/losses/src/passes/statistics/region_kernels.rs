//! The two passes for `f32` logits of overlapping regions, by the vector kernels.

use crate::loss::Needs;
use crate::passes::chunk::Chunk;
use crate::passes::counts::Counts;
use crate::passes::kernel_input::{elements, region_references, wanted};
use crate::statistics::{ClassSums, ClassTable, Statistics, StatisticsGradient};
use crate::{Input, Options};
use lacuna_kernels::{Instructions, RegionSlopes, RegionSums};
use lacuna_kernels::{region_gradient, region_sums};
use rayon::prelude::*;

/// First pass: the sums of every sample, on checked input. Leaves the smaller of
/// `p` and `1 - p` in the memory of the gradient.
pub(super) fn sums_by_sample(
    options: &Options,
    input: &Input<f32>,
    needs: Needs,
    chunks: &mut [Chunk<f32>],
) -> (Vec<Statistics>, Counts) {
    let layout = input.layout;
    let wanted = wanted(needs);
    let detected = Instructions::detected();
    let parts: Vec<(Statistics, Counts)> = (chunks.par_iter_mut())
        .map(|chunk| {
            let mut statistics = Statistics::overlapping(layout.classes);
            statistics.elements = elements(input, chunk);
            let planes = chunk.planes(layout, input.logits);
            let references = region_references(input, chunk);
            for (class, (logits, reference)) in planes.into_iter().zip(references).enumerate() {
                let out = &mut chunk.gradient[class];
                let sums = region_sums(detected, logits, reference, wanted, out);
                statistics.set_region(class, &sums);
            }
            (statistics, Counts::of_chunk(options, input, chunk))
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
    fn set_region(&mut self, class: usize, sums: &RegionSums) {
        let ClassTable::Overlapping(table) = &mut self.sums else {
            unreachable!("made for overlapping regions");
        };
        self.volume[class] = sums.volume;
        self.reference_square[class] = sums.share_square;
        table[class] = ClassSums {
            hit: sums.hit,
            miss: sums.miss,
            false_alarm: sums.false_alarm,
            squared_miss: sums.squared_miss,
            squared_false_alarm: sums.squared_false_alarm,
            log_hit: sums.log_hit,
            log_rejection: sums.log_rejection,
        };
    }
}

/// Second pass: the gradient by the logits; `derivatives[sample]` are by that
/// sample's sums. Begins at the end, which is still in the cache.
pub(super) fn write_gradient(
    input: &Input<f32>,
    derivatives: &[StatisticsGradient],
    chunks: &mut [Chunk<f32>],
) {
    let slopes: Vec<Vec<RegionSlopes>> = derivatives.iter().map(region_slopes).collect();
    let detected = Instructions::detected();
    chunks.par_iter_mut().rev().for_each(|chunk| {
        let planes = chunk.planes(input.layout, input.logits);
        let references = region_references(input, chunk);
        let slopes = &slopes[chunk.sample];
        for (class, (logits, reference)) in planes.into_iter().zip(references).enumerate() {
            let plane = &mut chunk.gradient[class];
            region_gradient(detected, logits, reference, &slopes[class], plane);
        }
    });
}

fn region_slopes(derivatives: &StatisticsGradient) -> Vec<RegionSlopes> {
    let ClassTable::Overlapping(regions) = &derivatives.sums else {
        unreachable!("made for overlapping regions");
    };
    let of_region = |slopes: &ClassSums| {
        RegionSlopes::new(&RegionSums {
            hit: slopes.hit,
            false_alarm: slopes.false_alarm,
            squared_miss: slopes.squared_miss,
            squared_false_alarm: slopes.squared_false_alarm,
            log_hit: slopes.log_hit,
            log_rejection: slopes.log_rejection,
            ..RegionSums::default()
        })
    };
    regions.iter().map(of_region).collect()
}
