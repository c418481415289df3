//! What a register needs beyond [`Vector`] for kernels that choose by lane:
//! comparisons, labels of 8 bits and the exponent of a value.

use crate::vector::{Lanes, Vector};

/// A register whose lanes can be compared, masked and scaled by powers of two.
pub(crate) trait Masked: Vector {
    /// A truth per lane.
    type Mask: Copy;

    /// `LANES` bytes from `from`, as values.
    unsafe fn load_bytes(from: *const u8) -> Self;
    /// Where `self == other`.
    unsafe fn equals(self, other: Self) -> Self::Mask;
    /// Where `self > other`.
    unsafe fn greater(self, other: Self) -> Self::Mask;
    /// Lane i in bit i.
    unsafe fn bits(mask: Self::Mask) -> u32;
    /// `self` where `mask`, otherwise 0, whatever `self` is there.
    unsafe fn keep(self, mask: Self::Mask) -> Self;
    /// `self` where `mask`, otherwise `other`.
    unsafe fn or_else(self, mask: Self::Mask, other: Self) -> Self;
    /// Adds the low bits of `power`'s representation to the exponent of `self`.
    unsafe fn raise(self, power: Self) -> Self;
    /// Exponent e and significand m in [1, 2) of a normal positive value `2^e m`.
    unsafe fn split(self) -> (Self, Self);
}

impl Masked for Lanes {
    type Mask = [bool; 8];

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        // SAFETY: the caller gives 8 readable bytes.
        Self(unsafe { from.cast::<[u8; 8]>().read_unaligned() }.map(f32::from))
    }
    #[inline(always)]
    unsafe fn equals(self, other: Self) -> Self::Mask {
        std::array::from_fn(|i| self.0[i] == other.0[i])
    }
    #[inline(always)]
    unsafe fn greater(self, other: Self) -> Self::Mask {
        std::array::from_fn(|i| self.0[i] > other.0[i])
    }
    #[inline(always)]
    unsafe fn bits(mask: Self::Mask) -> u32 {
        (0..8).map(|i| u32::from(mask[i]) << i).sum()
    }
    #[inline(always)]
    unsafe fn keep(self, mask: Self::Mask) -> Self {
        Self(std::array::from_fn(
            |i| if mask[i] { self.0[i] } else { 0.0 },
        ))
    }
    #[inline(always)]
    unsafe fn or_else(self, mask: Self::Mask, other: Self) -> Self {
        let either = |i| if mask[i] { self.0[i] } else { other.0[i] };
        Self(std::array::from_fn(either))
    }
    #[inline(always)]
    unsafe fn raise(self, power: Self) -> Self {
        let raised = |i: usize| self.0[i].to_bits().wrapping_add(power.0[i].to_bits() << 23);
        Self(std::array::from_fn(|i| f32::from_bits(raised(i))))
    }
    #[inline(always)]
    unsafe fn split(self) -> (Self, Self) {
        let bits = self.0.map(f32::to_bits);
        (
            Self(bits.map(|b| (b >> 23) as f32 - 127.0)),
            Self(bits.map(|b| f32::from_bits(b & 0x007f_ffff | 0x3f80_0000))),
        )
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Masked, Vector};
    use std::arch::x86_64::*;

    // SAFETY of every block below: the intrinsics need the instructions of the
    // function that the method is inlined into, and valid pointers for loads;
    // both are the caller's duty by the trait's contract.

    impl Masked for __m256 {
        type Mask = __m256;

        #[inline(always)]
        unsafe fn load_bytes(from: *const u8) -> Self {
            unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()))) }
        }
        #[inline(always)]
        unsafe fn equals(self, other: Self) -> Self::Mask {
            unsafe { _mm256_cmp_ps::<_CMP_EQ_OQ>(self, other) }
        }
        #[inline(always)]
        unsafe fn greater(self, other: Self) -> Self::Mask {
            unsafe { _mm256_cmp_ps::<_CMP_GT_OQ>(self, other) }
        }
        #[inline(always)]
        unsafe fn bits(mask: Self::Mask) -> u32 {
            unsafe { _mm256_movemask_ps(mask) as u32 }
        }
        #[inline(always)]
        unsafe fn keep(self, mask: Self::Mask) -> Self {
            unsafe { _mm256_and_ps(self, mask) }
        }
        #[inline(always)]
        unsafe fn or_else(self, mask: Self::Mask, other: Self) -> Self {
            unsafe { _mm256_blendv_ps(other, self, mask) }
        }
        #[inline(always)]
        unsafe fn raise(self, power: Self) -> Self {
            unsafe {
                let shift = _mm256_slli_epi32::<23>(_mm256_castps_si256(power));
                _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(self), shift))
            }
        }
        #[inline(always)]
        unsafe fn split(self) -> (Self, Self) {
            unsafe {
                let bits = _mm256_castps_si256(self);
                let exponent = _mm256_cvtepi32_ps(_mm256_srli_epi32::<23>(bits));
                let fraction = _mm256_and_si256(bits, _mm256_set1_epi32(0x007f_ffff));
                let significand = _mm256_or_si256(fraction, _mm256_set1_epi32(0x3f80_0000));
                (
                    exponent.sub(Self::splat(127.0)),
                    _mm256_castsi256_ps(significand),
                )
            }
        }
    }

    impl Masked for __m512 {
        type Mask = __mmask16;

        #[inline(always)]
        unsafe fn load_bytes(from: *const u8) -> Self {
            unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()))) }
        }
        #[inline(always)]
        unsafe fn equals(self, other: Self) -> Self::Mask {
            unsafe { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(self, other) }
        }
        #[inline(always)]
        unsafe fn greater(self, other: Self) -> Self::Mask {
            unsafe { _mm512_cmp_ps_mask::<_CMP_GT_OQ>(self, other) }
        }
        #[inline(always)]
        unsafe fn bits(mask: Self::Mask) -> u32 {
            u32::from(mask)
        }
        #[inline(always)]
        unsafe fn keep(self, mask: Self::Mask) -> Self {
            unsafe { _mm512_maskz_mov_ps(mask, self) }
        }
        #[inline(always)]
        unsafe fn or_else(self, mask: Self::Mask, other: Self) -> Self {
            unsafe { _mm512_mask_blend_ps(mask, other, self) }
        }
        #[inline(always)]
        unsafe fn raise(self, power: Self) -> Self {
            unsafe {
                let shift = _mm512_slli_epi32::<23>(_mm512_castps_si512(power));
                _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(self), shift))
            }
        }
        #[inline(always)]
        unsafe fn split(self) -> (Self, Self) {
            unsafe {
                let bits = _mm512_castps_si512(self);
                let exponent = _mm512_cvtepi32_ps(_mm512_srli_epi32::<23>(bits));
                let fraction = _mm512_and_si512(bits, _mm512_set1_epi32(0x007f_ffff));
                let significand = _mm512_or_si512(fraction, _mm512_set1_epi32(0x3f80_0000));
                (
                    exponent.sub(Self::splat(127.0)),
                    _mm512_castsi512_ps(significand),
                )
            }
        }
    }
}
