//! The one-dimensional transforms of F(4, 3): four outputs of a kernel of three
//! taps from six products (Winograd 1980; Lavin and Gray, CVPR 2016).
//!
//! With the interpolation points 0, +-sqrt 2, +-1/sqrt 2 and infinity:
//! `y = A' [(G w) * (B' x)]` for an input line `x` of 6 and taps `w` of 3. These
//! points keep the rounding error of three nested transforms near 1.5e-6 of the
//! norm, a third of that of the usual points 0, +-1, +-2. The gradient by the
//! taps is the same form read backwards: `dw = G' [(B' x) * (A dy)]`.

use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use crate::vector::Vector;

/// Outputs of a line.
pub(crate) const OUTPUTS: usize = 4;
/// Taps of a line's kernel.
pub(crate) const TAPS: usize = 3;
/// Inputs of a line, and products.
pub(crate) const INPUTS: usize = OUTPUTS + TAPS - 1;

/// `B' x`.
#[inline(always)]
pub(crate) unsafe fn of_input<V: Vector>(x: [V; INPUTS]) -> [V; INPUTS] {
    // SAFETY: the caller runs where V's instructions are.
    unsafe {
        let c = |value: f32| V::splat(value);
        let even = x[4].add_product(c(-0.5), x[2]);
        let odd = c(SQRT_2).mul(x[3]).add_product(c(-FRAC_1_SQRT_2), x[1]);
        let even_far = x[4].add_product(c(-2.0), x[2]);
        let odd_far = c(FRAC_1_SQRT_2).mul(x[3]).add_product(c(-SQRT_2), x[1]);
        [
            x[0].add(x[4]).add_product(c(-2.5), x[2]),
            even.add(odd),
            even.sub(odd),
            even_far.add(odd_far),
            even_far.sub(odd_far),
            x[1].add(x[5]).add_product(c(-2.5), x[3]),
        ]
    }
}

/// `G w`.
#[inline(always)]
pub(crate) unsafe fn of_taps<V: Vector>(w: [V; TAPS]) -> [V; INPUTS] {
    // SAFETY: the caller runs where V's instructions are.
    unsafe {
        let c = |value: f32| V::splat(value);
        let even = c(1.0 / 6.0).mul(w[0]).add_product(c(1.0 / 3.0), w[2]);
        let odd = c(SQRT_2 / 6.0).mul(w[1]);
        let even_far = c(-2.0 / 3.0).mul(w[0]).add_product(c(-1.0 / 3.0), w[2]);
        let odd_far = c(-SQRT_2 / 3.0).mul(w[1]);
        [
            w[0],
            even.add(odd),
            even.sub(odd),
            even_far.add(odd_far),
            even_far.sub(odd_far),
            w[2],
        ]
    }
}

/// `A' m`.
#[inline(always)]
pub(crate) unsafe fn to_output<V: Vector>(m: [V; INPUTS]) -> [V; OUTPUTS] {
    // SAFETY: the caller runs where V's instructions are.
    unsafe {
        let c = |value: f32| V::splat(value);
        let (even, odd) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (even_far, odd_far) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add(even).add(even_far),
            c(SQRT_2).mul(odd).add_product(c(FRAC_1_SQRT_2), odd_far),
            c(2.0).mul(even).add_product(c(0.5), even_far),
            m[5].add_product(c(2.0 * SQRT_2), odd)
                .add_product(c(0.5 * FRAC_1_SQRT_2), odd_far),
        ]
    }
}

/// `A dy`.
#[inline(always)]
pub(crate) unsafe fn of_output<V: Vector>(y: [V; OUTPUTS]) -> [V; INPUTS] {
    // SAFETY: the caller runs where V's instructions are.
    unsafe {
        let c = |value: f32| V::splat(value);
        let even = y[0].add_product(c(2.0), y[2]);
        let odd = c(SQRT_2).mul(y[1]).add_product(c(2.0 * SQRT_2), y[3]);
        let even_far = y[0].add_product(c(0.5), y[2]);
        let odd_far = (c(FRAC_1_SQRT_2).mul(y[1])).add_product(c(0.5 * FRAC_1_SQRT_2), y[3]);
        [
            y[0],
            even.add(odd),
            even.sub(odd),
            even_far.add(odd_far),
            even_far.sub(odd_far),
            y[3],
        ]
    }
}

/// `G' m`.
#[inline(always)]
pub(crate) unsafe fn to_taps<V: Vector>(m: [V; INPUTS]) -> [V; TAPS] {
    // SAFETY: the caller runs where V's instructions are.
    unsafe {
        let c = |value: f32| V::splat(value);
        let (even, odd) = (m[1].add(m[2]), m[1].sub(m[2]));
        let (even_far, odd_far) = (m[3].add(m[4]), m[3].sub(m[4]));
        [
            m[0].add_product(c(1.0 / 6.0), even)
                .add_product(c(-2.0 / 3.0), even_far),
            (c(SQRT_2 / 6.0).mul(odd)).add_product(c(-SQRT_2 / 3.0), odd_far),
            m[5].add_product(c(1.0 / 3.0), even)
                .add_product(c(-1.0 / 3.0), even_far),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::Lanes;

    fn lanes<const N: usize>(values: [f32; N]) -> [Lanes; N] {
        // SAFETY: the portable path needs no instructions.
        values.map(|v| unsafe { Lanes::splat(v) })
    }

    fn first<const N: usize>(lanes: [Lanes; N]) -> [f32; N] {
        lanes.map(|lane| {
            let mut values = [0.0f32; 8];
            // SAFETY: the portable path needs no instructions; room for 8 values.
            unsafe { lane.store(values.as_mut_ptr()) };
            values[0]
        })
    }

    const X: [f32; 6] = [0.5, -1.0, 2.0, 0.25, -0.75, 3.0];
    const W: [f32; 3] = [1.5, -2.0, 0.5];
    const DY: [f32; 4] = [1.0, -0.5, 2.0, 0.75];

    #[test]
    fn four_outputs_are_the_sums_over_three_taps() {
        // By hand: y0 = 1.5*.5 + 2*1 + .5*2 = 3.75, and so on.
        let expected = [3.75, -5.375, 2.125, 3.375];
        // SAFETY: the portable path.
        let found = unsafe {
            let (x, w) = (of_input(lanes(X)), of_taps(lanes(W)));
            first(to_output(std::array::from_fn(|i| x[i].mul(w[i]))))
        };
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn the_gradient_by_the_taps_is_the_sum_over_outputs() {
        // By hand: dw_k = sum_i dy_i x_(i+k).
        let expected = [5.1875, -2.0625, 2.625];
        // SAFETY: the portable path.
        let found = unsafe {
            let (x, dy) = (of_input(lanes(X)), of_output(lanes(DY)));
            first(to_taps(std::array::from_fn(|i| x[i].mul(dy[i]))))
        };
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }
}
