//! What each element's own side of a region has: `p` inside, `1 - p` outside.

use crate::Instructions;
use crate::exponential::{exp_difference, log_1p};
use crate::masked::Masked;
use crate::softmax::LOG_FLOOR;
use crate::vector::with_vector;

/// Of finite `logits`, each already with the sign of its element's side, plus
/// inside and minus outside: writes the logarithm of the side's probability, at
/// least `-2^100`, over them, and to `rest` what it misses, `1 - p`.
///
/// # Panics
/// If lengths differ or the processor lacks the instructions.
pub fn region_own(instructions: Instructions, logits: &mut [f32], rest: &mut [f32]) {
    assert!(
        instructions <= Instructions::detected(),
        "this processor has no {instructions}"
    );
    assert_eq!(logits.len(), rest.len(), "logits and rests");
    // SAFETY: lengths and instructions were checked.
    unsafe {
        with_vector!(instructions, own(logits: &mut [f32], rest: &mut [f32]));
    }
}

#[inline(always)]
unsafe fn own<V: Masked>(logits: &mut [f32], rest: &mut [f32]) {
    let whole = logits.len() / V::LANES * V::LANES;
    // SAFETY: whole registers lie within both slices, whose lengths are equal;
    // the rest goes through buffers of the widest register.
    unsafe {
        for at in (0..whole).step_by(V::LANES) {
            let z = logits.as_mut_ptr().add(at);
            let (log, missed) = own_register(V::load(z));
            log.store(z);
            missed.store(rest.as_mut_ptr().add(at));
        }
        let (logits, rest) = (&mut logits[whole..], &mut rest[whole..]);
        let mut part = [0.0f32; super::LANES_MAX];
        part[..logits.len()].copy_from_slice(logits);
        let (log, missed) = own_register(V::load(part.as_ptr()));
        log.store(part.as_mut_ptr());
        logits.copy_from_slice(&part[..logits.len()]);
        missed.store(part.as_mut_ptr());
        rest.copy_from_slice(&part[..rest.len()]);
    }
}

#[inline(always)]
unsafe fn own_register<V: Masked>(z: V) -> (V, V) {
    // SAFETY: arithmetic only, under the caller's instructions.
    unsafe {
        let (zero, one) = (V::splat(0.0), V::splat(1.0));
        let positive = z.greater(zero);
        let below = zero.sub(z).or_else(positive, z);
        let e = exp_difference(below, zero);
        let larger = one.div(one.add(e));
        let log_larger = zero.sub(log_1p(e));
        let floor = V::splat(LOG_FLOOR);
        let log_smaller = below.max(floor).add(log_larger).max(floor);
        (
            log_larger.or_else(positive, log_smaller),
            e.mul(larger).or_else(positive, larger),
        )
    }
}
