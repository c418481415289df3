//! From the logits of a region to sums over its elements.

use super::{RegionReference, Register, Tail};
use crate::Instructions;
use crate::SumsWanted;
use crate::exponential::{exp_difference, log_1p};
use crate::masked::Masked;
use crate::softmax::{LOG_FLOOR, RUN};
use crate::vector::with_vector;

/// Sums over the elements of a region and outside of it. Each has its own terms,
/// none is a difference of two others.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RegionSums {
    /// Elements inside.
    pub volume: f64,
    /// Squares of the shares inside.
    pub share_square: f64,
    /// `p` inside.
    pub hit: f64,
    /// `1 - p` inside.
    pub miss: f64,
    /// `p` outside.
    pub false_alarm: f64,
    /// `(1 - p)^2` inside. 0 unless wanted.
    pub squared_miss: f64,
    /// `p^2` outside. 0 unless wanted.
    pub squared_false_alarm: f64,
    /// `log p` inside, each at least `-2^100`. 0 unless wanted.
    pub log_hit: f64,
    /// `log (1 - p)` outside, each at least `-2^100`. 0 unless wanted.
    pub log_rejection: f64,
}

/// Sums of finite logits; writes `min(p, 1 - p)` to `smaller`.
///
/// # Panics
/// If lengths differ or the processor lacks the instructions.
pub fn region_sums(
    instructions: Instructions,
    logits: &[f32],
    reference: RegionReference,
    wanted: SumsWanted,
    smaller: &mut [f32],
) -> RegionSums {
    reference.check(instructions, &[logits.len(), smaller.len()]);
    let out = smaller;
    // SAFETY: lengths and instructions were checked.
    let totals = unsafe {
        with_vector!(
            instructions,
            sums(
                logits: &[f32],
                reference: RegionReference,
                wanted: SumsWanted,
                out: &mut [f32],
            ) -> [f64; COLUMNS]
        )
    };
    let [
        volume,
        share_square,
        hit,
        miss,
        false_alarm,
        squared_miss,
        squared_false_alarm,
        log_hit,
        log_rejection,
    ] = totals;
    RegionSums {
        volume,
        share_square,
        hit,
        miss,
        false_alarm,
        squared_miss,
        squared_false_alarm,
        log_hit,
        log_rejection,
    }
}

const COLUMNS: usize = 9;

#[inline(always)]
unsafe fn sums<V: Masked>(
    logits: &[f32],
    reference: RegionReference,
    wanted: SumsWanted,
    out: &mut [f32],
) -> [f64; COLUMNS] {
    // SAFETY: handed on from the caller.
    unsafe {
        match (wanted.squared_error, wanted.log_probability) {
            (false, false) => sums_of::<V, false, false>(logits, reference, out),
            (false, true) => sums_of::<V, false, true>(logits, reference, out),
            (true, false) => sums_of::<V, true, false>(logits, reference, out),
            (true, true) => sums_of::<V, true, true>(logits, reference, out),
        }
    }
}

/// Whether `SQUARES` and `LOGS` are wanted.
#[inline(always)]
unsafe fn sums_of<V: Masked, const SQUARES: bool, const LOGS: bool>(
    logits: &[f32],
    reference: RegionReference,
    out: &mut [f32],
) -> [f64; COLUMNS] {
    let whole = logits.len() / V::LANES;
    let mut totals = [0.0; COLUMNS];
    // SAFETY: whole registers lie within logits, reference and output, whose
    // lengths are equal; the rest goes through buffers of the widest register.
    unsafe {
        for first in (0..whole).step_by(RUN) {
            let mut run = [V::splat(0.0); COLUMNS];
            for register in first..whole.min(first + RUN) {
                let at = register * V::LANES;
                let z = V::load(logits.as_ptr().add(at));
                let element = reference.register(at);
                let smaller = add::<V, SQUARES, LOGS>(&mut run, z, &element);
                smaller.store(out.as_mut_ptr().add(at));
            }
            finish(&run, &mut totals);
        }
        let at = whole * V::LANES;
        if at < logits.len() {
            let tail = Tail::new(&reference, logits, at);
            let mut run = [V::splat(0.0); COLUMNS];
            let z = V::load(tail.logits.as_ptr());
            let element = tail.reference().register(0);
            let smaller = add::<V, SQUARES, LOGS>(&mut run, z, &element);
            let mut part = [0.0; super::LANES_MAX];
            smaller.store(part.as_mut_ptr());
            let rest = &mut out[at..];
            rest.copy_from_slice(&part[..rest.len()]);
            finish(&run, &mut totals);
        }
    }
    totals
}

/// Adds a register to the sums of a run, and gives `min(p, 1 - p)`.
#[inline(always)]
unsafe fn add<V: Masked, const SQUARES: bool, const LOGS: bool>(
    run: &mut [V; COLUMNS],
    z: V,
    element: &Register<V>,
) -> V {
    // SAFETY: arithmetic only, under the caller's instructions.
    unsafe {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let Register {
            share,
            inside,
            outside,
        } = *element;
        let positive = z.greater(zero);
        let opposite = zero.sub(z);
        let e = exp_difference(opposite.or_else(positive, z), zero);
        let larger = one.div(one.add(e));
        let smaller = e.mul(larger);
        let p = larger.or_else(positive, smaller);
        let rest = smaller.or_else(positive, larger);
        run[0] = run[0].add(inside);
        run[1] = run[1].add_product(share, inside);
        run[2] = run[2].add_product(p, inside);
        run[3] = run[3].add_product(rest, inside);
        run[4] = run[4].add_product(p, outside);
        if SQUARES {
            run[5] = run[5].add_product(rest.mul(rest), inside);
            run[6] = run[6].add_product(p.mul(p), outside);
        }
        if LOGS {
            let floor = V::splat(LOG_FLOOR);
            let log_larger = zero.sub(log_1p(e));
            let log_smaller = opposite.or_else(positive, z).max(floor).add(log_larger);
            let log_smaller = log_smaller.max(floor);
            run[7] = run[7].add_product(log_larger.or_else(positive, log_smaller), inside);
            run[8] = run[8].add_product(log_smaller.or_else(positive, log_larger), outside);
        }
        smaller
    }
}

/// Takes a run's sums to f64, lanes in order.
#[inline(always)]
unsafe fn finish<V: Masked>(run: &[V; COLUMNS], totals: &mut [f64; COLUMNS]) {
    for (part, total) in run.iter().zip(totals) {
        let mut lanes = [0.0f32; super::LANES_MAX];
        // SAFETY: `lanes` holds the widest register.
        unsafe { part.store(lanes.as_mut_ptr()) };
        let values = lanes[..V::LANES].iter();
        *total += values.map(|&lane| f64::from(lane)).sum::<f64>();
    }
}
