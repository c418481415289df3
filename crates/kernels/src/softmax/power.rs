//! Powers of many values.

use super::LANES_MAX;
use crate::Instructions;
use crate::exponential::{exp_difference, log_1p};
use crate::masked::Masked;
use crate::vector::with_vector;

/// `x^exponent` of every value, for finite `x > 0`, to about 1e-5 of itself and
/// within `e^-80` and `e^80`; 0 where `x` is 0.
///
/// # Panics
/// If the processor lacks the instructions.
pub fn power(instructions: Instructions, values: &mut [f32], exponent: f32) {
    assert!(
        instructions <= Instructions::detected(),
        "this processor has no {instructions}"
    );
    // SAFETY: instructions were checked.
    unsafe {
        with_vector!(instructions, raise_all(values: &mut [f32], exponent: f32));
    }
}

#[inline(always)]
unsafe fn raise_all<V: Masked>(values: &mut [f32], exponent: f32) {
    for part in values.chunks_mut(V::LANES) {
        let mut lanes = [1.0f32; LANES_MAX];
        lanes[..part.len()].copy_from_slice(part);
        // SAFETY: `lanes` holds the widest register.
        unsafe {
            let x = V::load(lanes.as_ptr());
            let (zero, one) = (V::splat(0.0), V::splat(1.0));
            // ln x from ln(1 + y) with y >= 0: of x, or of 1/x.
            let above = x.greater(one);
            let large = x.or_else(above, one.div(x));
            let log = log_1p(large.sub(one));
            let signed = log.or_else(above, zero.sub(log));
            let scaled = signed.mul(V::splat(exponent));
            // e^s for s <= 0, and the inverse of e^-s above.
            let rising = scaled.greater(zero);
            let falling = zero.sub(scaled).or_else(rising, scaled);
            // Keeps the inverse within f32.
            let falling = falling.max(V::splat(-80.0));
            let e = exp_difference(falling, zero);
            let result = one.div(e).or_else(rising, e);
            result.keep(x.greater(zero)).store(lanes.as_mut_ptr());
        }
        part.copy_from_slice(&lanes[..part.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_those_of_the_standard_library() {
        for instructions in Instructions::available() {
            for exponent in [0.3_f32, 0.5, 1.0, 2.7] {
                let values: Vec<f32> = (0..61).map(|i| 1e-6 * 1.5_f32.powi(i)).collect();
                let mut raised = values.clone();
                raised.push(0.0);
                power(instructions, &mut raised, exponent);
                assert_eq!(raised.pop(), Some(0.0));
                for (x, found) in values.iter().zip(raised) {
                    let expected = f64::from(*x).powf(f64::from(exponent));
                    assert!(
                        (f64::from(found) / expected - 1.0).abs() < 2e-5,
                        "{x} {exponent}"
                    );
                }
            }
        }
    }
}
