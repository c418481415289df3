//! Exponential and logarithm of a register, after the single-precision
//! polynomials of Cephes (S. Moshier, netlib.org/cephes).

use crate::masked::Masked;

/// Arguments below it have an exponential below the normal range of f32.
const LOWEST: f32 = -87.336_54;
/// Adding it rounds a small value to an integer, in the low bits.
const ROUNDER: f32 = 12_582_912.0;
/// `ln 2` in two parts, the first (0.693359375) short enough for exact products.
const LN_2: [f32; 2] = [355.0 / 512.0, -2.121_944_4e-4];

/// `e^(a - b)` for `a <= b`, to 2 units in the last place however large the
/// difference; 0 where it is below -87.33 and the result would not be a normal
/// number.
#[inline(always)]
pub(crate) unsafe fn exp_difference<V: Masked>(a: V, b: V) -> V {
    // SAFETY: arithmetic only, under the caller's instructions.
    unsafe {
        // What rounding takes from the difference (Knuth's two-sum).
        let x = a.sub(b);
        let b_seen = a.sub(x);
        let lost = a.sub(x.add(b_seen)).add(b_seen.sub(b));

        let rounder = V::splat(ROUNDER);
        let power = rounder.add_product(x, V::splat(std::f32::consts::LOG2_E));
        let k = power.sub(rounder);
        let r = x.add_product(k, V::splat(-LN_2[0]));
        let r = r.add_product(k, V::splat(-LN_2[1])).add(lost);
        // In pairs (Estrin): shorter chains than Horner's.
        let square = r.mul(r);
        let first = V::splat(0.5).add_product(r, V::splat(1.666_666_5e-1));
        let second = V::splat(4.166_579_6e-2).add_product(r, V::splat(8.333_452e-3));
        let third = V::splat(1.398_199_9e-3).add_product(r, V::splat(1.987_569_1e-4));
        let tail = first.add_product(square, second.add_product(square, third));
        let e = V::splat(1.0).add(r.add_product(tail, square));
        e.raise(power).keep(x.greater(V::splat(LOWEST)))
    }
}

/// `ln(1 + x)` for finite `x >= 0`, to 3 units in the last place, those of tiny
/// `x` included.
#[inline(always)]
pub(crate) unsafe fn log_1p<V: Masked>(x: V) -> V {
    // SAFETY: arithmetic only, under the caller's instructions.
    unsafe {
        let one = V::splat(1.0);
        let u = one.add(x);
        let lost = x.sub(u.sub(one)).div(u);

        // u = 2^k m with m about 1.
        let (k, m) = u.split();
        let high = m.greater(V::splat(std::f32::consts::SQRT_2));
        let k = k.add(one.keep(high));
        let f = m.mul(V::splat(0.5)).or_else(high, m).sub(one);

        // In pairs (Estrin): shorter chains than Horner's.
        let square = f.mul(f);
        let fourth = square.mul(square);
        let first = V::splat(3.333_333e-1).add_product(f, V::splat(-2.499_999_4e-1));
        let second = V::splat(2.000_071_5e-1).add_product(f, V::splat(-1.666_805_8e-1));
        let third = V::splat(1.424_932_3e-1).add_product(f, V::splat(-1.242_014_1e-1));
        let last = V::splat(1.167_699_9e-1).add_product(f, V::splat(-1.151_461e-1));
        let low = first.add_product(square, second);
        let high = third.add_product(square, last);
        let high = high.add_product(fourth, V::splat(7.037_683_6e-2));
        let tail = low.add_product(fourth, high);
        let small = tail.mul(f).mul(square).add_product(square, V::splat(-0.5));
        let small = small.add_product(k, V::splat(LN_2[1])).add(lost);
        f.add(small).add_product(k, V::splat(LN_2[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Instructions;
    use crate::vector::with_vector;

    unsafe fn both<V: Masked>(x: f32) -> [f32; 2] {
        let (mut e, mut l) = ([0.0; 16], [0.0; 16]);
        // SAFETY: the arrays hold the widest register.
        unsafe {
            exp_difference(V::splat(0.0), V::splat(x)).store(e.as_mut_ptr());
            log_1p(V::splat(x)).store(l.as_mut_ptr());
        }
        [e[0], l[0]]
    }

    fn of(instructions: Instructions, x: f32) -> [f32; 2] {
        // SAFETY: only available instructions are asked for.
        unsafe { with_vector!(instructions, both(x: f32) -> [f32; 2]) }
    }

    /// Units in the last place between `found` and the f64 `expected`.
    fn ulps(found: f32, expected: f64) -> f64 {
        let nearest = expected as f32;
        let ulp = f64::from(f32::from_bits(nearest.to_bits() + 1)) - f64::from(nearest);
        (f64::from(found) - expected).abs() / ulp
    }

    #[test]
    fn exponential_and_logarithm_are_those_of_f64() {
        for instructions in Instructions::available() {
            let mut worst = [0.0f64; 2];
            for i in 0..200_000 {
                let x = if i % 2 == 0 {
                    i as f32 * 4.36e-4
                } else {
                    (-(i as f32) * 4e-4).exp()
                };
                let [e, l] = of(instructions, x);
                worst[0] = worst[0].max(ulps(e, (-f64::from(x)).exp()));
                worst[1] = worst[1].max(ulps(l, f64::from(x).ln_1p()));
            }
            assert!(worst[0] < 2.0 && worst[1] < 3.0, "{instructions} {worst:?}");
        }
    }

    #[test]
    fn ends_of_the_range_are_exact() {
        for instructions in Instructions::available() {
            assert_eq!(of(instructions, 0.0), [1.0, 0.0]);
            assert!(of(instructions, 87.33)[0] >= f32::MIN_POSITIVE);
            for x in [87.4, 1e4, 1e30, f32::MAX, f32::INFINITY] {
                assert_eq!(of(instructions, x)[0], 0.0, "{instructions} {x}");
            }
            for x in [f32::MIN_POSITIVE, 1e-30, 1e-9] {
                assert_eq!(of(instructions, x), [1.0, x], "{instructions}");
            }
        }
    }
}
