//! From derivatives by the sums of a region to the gradient by its logits.
//!
//! `dL/dz = p (1 - p) (i (a - 2 b (1 - p)) + o (c + 2 d p)) + i e (1 - p) - o f p`,
//!
//! where `i` and `o` are what the element weighs inside and outside, and `a` to
//! `f` the derivatives by the hits, squared misses, false alarms, squared false
//! alarms, logarithms of hits and of rejections.

use super::{RegionReference, RegionSums, Register, Tail};
use crate::Instructions;
use crate::masked::Masked;
use crate::softmax::LARGEST_SLOPE;
use crate::vector::with_vector;

/// Derivatives of a loss by the sums of a region, as the gradient needs them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegionSlopes {
    hit: f32,
    false_alarm: f32,
    /// Twice those by the squared sums.
    bends: [f32; 2],
    logs: [f32; 2],
}

impl RegionSlopes {
    /// `by_sums` holds the derivatives by the sums; those by `volume`,
    /// `share_square` and `miss` are not read. Where one exceeds 2^100, all are
    /// scaled down to that: the gradient keeps its direction and stays finite.
    pub fn new(by_sums: &RegionSums) -> Self {
        let RegionSums {
            hit,
            false_alarm,
            squared_miss,
            squared_false_alarm,
            log_hit,
            log_rejection,
            ..
        } = *by_sums;
        let all = [
            hit,
            false_alarm,
            squared_miss,
            squared_false_alarm,
            log_hit,
            log_rejection,
        ];
        let largest = all.iter().fold(0.0f64, |most, slope| most.max(slope.abs()));
        let scale = (LARGEST_SLOPE / largest).min(1.0);
        let as_f32 = |slope: f64| (slope * scale) as f32;
        Self {
            hit: as_f32(hit),
            false_alarm: as_f32(false_alarm),
            bends: [
                as_f32(2.0 * squared_miss),
                as_f32(2.0 * squared_false_alarm),
            ],
            logs: [as_f32(log_hit), as_f32(log_rejection)],
        }
    }
}

/// Turns the `min(p, 1 - p)` in `plane`, which `region_sums` left, into the
/// gradient by the logits.
///
/// # Panics
/// If lengths differ or the processor lacks the instructions.
pub fn region_gradient(
    instructions: Instructions,
    logits: &[f32],
    reference: RegionReference,
    slopes: &RegionSlopes,
    plane: &mut [f32],
) {
    reference.check(instructions, &[logits.len(), plane.len()]);
    // SAFETY: lengths and instructions were checked.
    unsafe {
        with_vector!(
            instructions,
            write(
                logits: &[f32],
                reference: RegionReference,
                slopes: &RegionSlopes,
                plane: &mut [f32],
            )
        );
    }
}

#[inline(always)]
unsafe fn write<V: Masked>(
    logits: &[f32],
    reference: RegionReference,
    slopes: &RegionSlopes,
    plane: &mut [f32],
) {
    let whole = logits.len() / V::LANES;
    // SAFETY: whole registers lie within logits, reference and plane, whose
    // lengths are equal; the rest goes through buffers of the widest register.
    unsafe {
        for register in 0..whole {
            let at = register * V::LANES;
            let z = V::load(logits.as_ptr().add(at));
            let to = plane.as_mut_ptr().add(at);
            slope(z, V::load(to), &reference.register(at), slopes).store(to);
        }
        let at = whole * V::LANES;
        if at < logits.len() {
            let tail = Tail::new(&reference, logits, at);
            let rest = &mut plane[at..];
            let mut part = [0.0; super::LANES_MAX];
            part[..rest.len()].copy_from_slice(rest);
            let z = V::load(tail.logits.as_ptr());
            let element = tail.reference().register(0);
            slope(z, V::load(part.as_ptr()), &element, slopes).store(part.as_mut_ptr());
            rest.copy_from_slice(&part[..rest.len()]);
        }
    }
}

#[inline(always)]
unsafe fn slope<V: Masked>(z: V, smaller: V, element: &Register<V>, slopes: &RegionSlopes) -> V {
    // SAFETY: arithmetic only, under the caller's instructions.
    unsafe {
        let zero = V::splat(0.0);
        let positive = z.greater(zero);
        let larger = V::splat(1.0).sub(smaller);
        let p = larger.or_else(positive, smaller);
        let rest = smaller.or_else(positive, larger);
        let [bend_inside, bend_outside] = slopes.bends.map(|bend| V::splat(bend));
        let [log_hit, log_rejection] = slopes.logs.map(|log| V::splat(log));
        let of_inside = V::splat(slopes.hit).sub(bend_inside.mul(rest));
        let of_outside = V::splat(slopes.false_alarm).add_product(bend_outside, p);
        let by_p = of_inside.mul(element.inside);
        let by_p = by_p.add_product(of_outside, element.outside);
        let by_logs = element.inside.mul(log_hit).mul(rest);
        let by_logs = by_logs.sub(element.outside.mul(log_rejection).mul(p));
        by_logs.add_product(by_p, p.mul(rest))
    }
}
