//! The number format that convolutions multiply in.

/// What the factors of a convolution's products are rounded to. Sums are f32 in
/// either case, and so is everything that is not a product of a convolution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 24 bits of significand.
    #[default]
    F32,
    /// bfloat16: 8 bits of significand, the range of f32.
    Bf16,
    /// Each factor as the sum of two bfloat16 values and three products of
    /// them: 16 bits of significand. For processors with matrix tiles
    /// ([`crate::has_tiles`]); what the tiles do not compute is as in
    /// [`Self::F32`].
    Bf16x3,
}

/// The bfloat16 nearest to `value`, ties to even; what is not a number stays so.
#[inline(always)]
pub(crate) fn to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// `value` rounded to bfloat16, as f32.
#[inline(always)]
pub(crate) fn to_bf16_and_back(value: f32) -> f32 {
    f32::from_bits(u32::from(to_bf16(value)) << 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_round_to_the_nearest_bfloat16_and_ties_to_even() {
        // 1 has spacing 2^-7 above it.
        let step = 2f32.powi(-7);
        for (value, expected) in [
            (1.0, 1.0),
            (1.0 + 0.5 * step, 1.0),
            (1.0 + 1.5 * step, 1.0 + 2.0 * step),
            (1.0 + 0.51 * step, 1.0 + step),
            (-1.0 - 0.51 * step, -1.0 - step),
            (f32::MAX, f32::INFINITY),
            (f32::INFINITY, f32::INFINITY),
            (0.0, 0.0),
        ] {
            assert_eq!(to_bf16_and_back(value), expected, "{value}");
        }
        assert!(to_bf16_and_back(f32::NAN).is_nan());
        assert!(to_bf16_and_back(f32::from_bits(0x7f80_0001)).is_nan());
    }
}
