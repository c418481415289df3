//! Losses of every element's own probability for overlapping regions. A region is two classes, outside and inside.

use super::constants::{Factors, of_volumes};
use crate::layout::CHUNK;
use crate::loss::{Own, OwnLoss};
use crate::passes::chunk::Chunk;
use crate::passes::counts::Counts;
use crate::passes::kernel_input::{region_references, weights};
use crate::passes::outcome::Outcome;
use crate::passes::reference::Truth;
use crate::{Input, Options, Reference};
use lacuna_kernels::{Inside, Instructions, RegionReference, region_own};
use rayon::prelude::*;

/// Constants of one region.
struct Region {
    factors: Vec<f64>,
    /// Of outside and inside.
    spread: Option<[f32; 2]>,
}

/// On checked input. `None` where the kernels do not take it: shares other than 0
/// and 1, or a loss that tells regions apart from classes.
pub(super) fn evaluate(
    loss: &dyn OwnLoss,
    factors: &Factors,
    options: &Options,
    input: &Input<f32>,
    gradient: &mut [f32],
) -> Option<Outcome> {
    if !is_hard(input.reference) {
        return None;
    }
    let layout = input.layout;
    let weights = weights(options, input);
    let input = &Input {
        weights: weights.as_deref(),
        ..*input
    };
    let truth = Truth::new(input, options);
    let groups: Vec<Vec<Region>> = (options.groups(layout.batch).into_iter())
        .map(|samples| {
            let factors = of_volumes(factors, &truth.volumes(samples), options.compatibility);
            let regions = (0..layout.classes).map(|class| region(loss, &factors, class));
            regions.collect()
        })
        .collect::<Option<_>>()?;
    let share = options.share(layout.batch) as f32;
    let mut chunks = Chunk::all(layout, gradient);
    let parts: Vec<(f64, Counts)> = (chunks.par_iter_mut())
        .map_init(Buffers::default, |buffers, chunk| {
            let regions = &groups[options.group(chunk.sample)];
            let planes = chunk.planes(layout, input.logits);
            let references = region_references(input, chunk);
            let mut value = 0.0;
            for (class, region) in regions.iter().enumerate() {
                let (logits, reference) = (planes[class], references[class]);
                let gradient = &mut *chunk.gradient[class];
                value += region_pass(loss, logits, reference, region, share, gradient, buffers);
            }
            (value, Counts::of_chunk(options, input, chunk))
        })
        .collect();
    Some(Outcome::of_chunks(options, groups.len(), &chunks, parts))
}

fn is_hard(reference: Reference<f32>) -> bool {
    match reference {
        Reference::Labels(_) => true,
        Reference::Soft(shares) => shares.par_chunks(CHUNK).all(|part| {
            let hard = |share: &f32| (*share == 0.0) | (*share == 1.0);
            part.iter().fold(true, |all, share| all & hard(share))
        }),
    }
}

fn region(loss: &dyn OwnLoss, factors: &[f64], class: usize) -> Option<Region> {
    let factors = loss.region_factors(factors, class)?;
    let spread = loss.spread(&factors);
    Some(Region {
        spread: spread.map(|spread| [spread[0], spread[1]]),
        factors,
    })
}

/// Values of the elements of one region in a chunk.
#[derive(Default)]
struct Buffers {
    /// 1 inside, 0 outside.
    inside: Vec<u8>,
    /// `log p` of the own side, then the slopes by it.
    slopes: Vec<f32>,
    rest: Vec<f32>,
    scratch: Vec<f32>,
}

fn region_pass(
    loss: &dyn OwnLoss,
    logits: &[f32],
    reference: RegionReference,
    region: &Region,
    share: f32,
    gradient: &mut [f32],
    buffers: &mut Buffers,
) -> f64 {
    let Buffers {
        inside,
        slopes,
        rest,
        scratch,
    } = buffers;
    inside.clear();
    match reference.inside {
        Inside::Label(labels, own) => {
            inside.extend(labels.iter().map(|label| u8::from(*label == own)));
        }
        Inside::Shares(shares) => inside.extend(shares.iter().map(|s| u8::from(*s > 0.5))),
    }
    slopes.clear();
    slopes.extend(
        logits
            .iter()
            .zip(&*inside)
            .map(|(z, inside)| side(*inside) * z),
    );
    rest.resize(logits.len(), 0.0);
    scratch.resize(logits.len(), 0.0);
    region_own(Instructions::detected(), slopes, rest);

    let own = Own {
        labels: inside,
        rest,
        weights: reference.weights,
        factors: &region.factors,
    };
    let mut value = match region.spread {
        None => 0.0,
        Some(spread) => spread_value(spread, logits, &own, slopes),
    };
    value += loss.run(&own, slopes, scratch);

    // The slope by log p, times d log p / dz: 1 - p inside, -(1 - p) outside.
    for (((gradient, slope), rest), inside) in
        (gradient.iter_mut().zip(&*slopes).zip(own.rest)).zip(own.labels)
    {
        *gradient = share * side(*inside) * slope * rest;
    }
    if let Some([outside, inside]) = region.spread {
        for (i, gradient) in gradient.iter_mut().enumerate() {
            let rest = own.rest[i];
            let [p, q] = match own.labels[i] {
                0 => [rest, 1.0 - rest],
                _ => [1.0 - rest, rest],
            };
            *gradient += share * own.weight(i) * (outside * p - inside * q);
        }
    }
    value
}

/// The sign of the own side's logit.
#[inline]
fn side(inside: u8) -> f32 {
    f32::from(2 * i8::from(inside > 0) - 1)
}

/// `-sum_n w_n (k_0 log (1 - p_n) + k_1 log p_n)`: the logarithm of the other
/// side is that of the own less its logit.
fn spread_value(spread: [f32; 2], logits: &[f32], own: &Own, log_p: &[f32]) -> f64 {
    let sum = f64::from(spread[0]) + f64::from(spread[1]);
    let mut value = 0.0;
    for (i, z) in logits.iter().enumerate() {
        let inside = own.labels[i];
        let other = f64::from(spread[usize::from(1 - inside)]);
        let of_both = sum * f64::from(log_p[i]) - other * f64::from(side(inside) * z);
        value -= f64::from(own.weight(i)) * of_both;
    }
    value
}
