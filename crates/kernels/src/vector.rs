//! One register of f32 lanes, so that a kernel is written once for all
//! instruction sets.
//!
//! The methods are inlined into functions that enable the instructions; calling
//! them elsewhere is undefined on a processor without them, which is why they
//! are all unsafe.

/// A register of [`Self::LANES`] f32 values.
pub(crate) trait Vector: Copy {
    /// Values in a register.
    const LANES: usize;
    /// Registers that a kernel may fill with sums, leaving some for operands.
    const SUMS: usize;

    /// All lanes `value`.
    unsafe fn splat(value: f32) -> Self;
    /// `LANES` values from `from`, of any alignment.
    unsafe fn load(from: *const f32) -> Self;
    /// `LANES` values to `to`, of any alignment.
    unsafe fn store(self, to: *mut f32);
    /// `self + a * b`, rounded once where the processor can.
    unsafe fn add_product(self, a: Self, b: Self) -> Self;
    /// Lane by lane sum.
    unsafe fn add(self, other: Self) -> Self;
    /// Lane by lane difference.
    unsafe fn sub(self, other: Self) -> Self;
    /// Lane by lane product.
    unsafe fn mul(self, other: Self) -> Self;
    /// Lane by lane quotient.
    unsafe fn div(self, other: Self) -> Self;
    /// Lane by lane square root.
    unsafe fn sqrt(self) -> Self;
    /// Lane by lane larger value; `other` where `self` is not a number.
    unsafe fn max(self, other: Self) -> Self;
    /// `self` where `gate > 0`, otherwise 0.
    unsafe fn where_positive(self, gate: Self) -> Self;
    /// Each lane rounded to the nearest bfloat16, ties to even; what is not a
    /// number stays so.
    unsafe fn round_to_bf16(self) -> Self;
}

/// The portable path: plain arrays that the compiler turns into what the
/// target has.
#[derive(Clone, Copy)]
pub(crate) struct Lanes(pub(crate) [f32; 8]);

impl Lanes {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Vector for Lanes {
    const LANES: usize = 8;
    const SUMS: usize = 4;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Self([value; 8])
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller gives 8 readable values; the type has no padding.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller gives room for 8 values.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }
    #[inline(always)]
    unsafe fn add_product(self, a: Self, b: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + a.0[i] * b.0[i]))
    }
    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
    #[inline(always)]
    unsafe fn mul(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }
    #[inline(always)]
    unsafe fn div(self, other: Self) -> Self {
        self.zip(other, |a, b| a / b)
    }
    #[inline(always)]
    unsafe fn sqrt(self) -> Self {
        Self(self.0.map(f32::sqrt))
    }
    #[inline(always)]
    unsafe fn max(self, other: Self) -> Self {
        self.zip(other, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    unsafe fn where_positive(self, gate: Self) -> Self {
        self.zip(gate, |a, g| if g > 0.0 { a } else { 0.0 })
    }
    #[inline(always)]
    unsafe fn round_to_bf16(self) -> Self {
        Self(self.0.map(crate::precision::to_bf16_and_back))
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::Vector;
    use std::arch::x86_64::*;

    // SAFETY of every block below: the intrinsics need the instructions of the
    // function that the method is inlined into, and valid pointers for loads
    // and stores; both are the caller's duty by the trait's contract.

    impl Vector for __m256 {
        const LANES: usize = 8;
        const SUMS: usize = 12;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            unsafe { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { _mm256_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm256_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            unsafe { _mm256_fmadd_ps(a, b, self) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { _mm256_add_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            unsafe { _mm256_sub_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            unsafe { _mm256_mul_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn div(self, other: Self) -> Self {
            unsafe { _mm256_div_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn sqrt(self) -> Self {
            unsafe { _mm256_sqrt_ps(self) }
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            unsafe { _mm256_max_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn where_positive(self, gate: Self) -> Self {
            unsafe {
                let positive = _mm256_cmp_ps::<_CMP_GT_OQ>(gate, _mm256_setzero_ps());
                _mm256_and_ps(self, positive)
            }
        }
        #[inline(always)]
        unsafe fn round_to_bf16(self) -> Self {
            unsafe {
                let bits = _mm256_castps_si256(self);
                let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
                let half = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
                let top = _mm256_set1_epi32(-0x1_0000);
                let rounded = _mm256_and_si256(_mm256_add_epi32(bits, half), top);
                let number = _mm256_cmp_ps::<_CMP_ORD_Q>(self, self);
                _mm256_blendv_ps(self, _mm256_castsi256_ps(rounded), number)
            }
        }
    }

    impl Vector for __m512 {
        const LANES: usize = 16;
        const SUMS: usize = 24;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self {
            unsafe { _mm512_set1_ps(value) }
        }
        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self {
            unsafe { _mm512_loadu_ps(from) }
        }
        #[inline(always)]
        unsafe fn store(self, to: *mut f32) {
            unsafe { _mm512_storeu_ps(to, self) }
        }
        #[inline(always)]
        unsafe fn add_product(self, a: Self, b: Self) -> Self {
            unsafe { _mm512_fmadd_ps(a, b, self) }
        }
        #[inline(always)]
        unsafe fn add(self, other: Self) -> Self {
            unsafe { _mm512_add_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn sub(self, other: Self) -> Self {
            unsafe { _mm512_sub_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn mul(self, other: Self) -> Self {
            unsafe { _mm512_mul_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn div(self, other: Self) -> Self {
            unsafe { _mm512_div_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn sqrt(self) -> Self {
            unsafe { _mm512_sqrt_ps(self) }
        }
        #[inline(always)]
        unsafe fn max(self, other: Self) -> Self {
            unsafe { _mm512_max_ps(self, other) }
        }
        #[inline(always)]
        unsafe fn where_positive(self, gate: Self) -> Self {
            unsafe {
                let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(gate, _mm512_setzero_ps());
                _mm512_maskz_mov_ps(positive, self)
            }
        }
        #[inline(always)]
        unsafe fn round_to_bf16(self) -> Self {
            unsafe {
                let bits = _mm512_castps_si512(self);
                let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
                let half = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff));
                let top = _mm512_set1_epi32(-0x1_0000);
                let rounded = _mm512_and_si512(_mm512_add_epi32(bits, half), top);
                let number = _mm512_cmp_ps_mask::<_CMP_ORD_Q>(self, self);
                _mm512_mask_mov_ps(self, number, _mm512_castsi512_ps(rounded))
            }
        }
    }
}

/// Calls the generic function `$body::<V>(args)` with the vector of
/// `$instructions`, inside a function that enables those instructions.
macro_rules! with_vector {
    ($instructions:expr, $body:ident($($name:ident: $type:ty),* $(,)?) $(-> $result:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        unsafe fn with_avx512($($name: $type),*) $(-> $result)? {
            // SAFETY: handed on from the caller; the instructions are enabled.
            unsafe { $body::<std::arch::x86_64::__m512>($($name),*) }
        }
        #[cfg(target_arch = "x86_64")]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn with_avx2($($name: $type),*) $(-> $result)? {
            // SAFETY: as above.
            unsafe { $body::<std::arch::x86_64::__m256>($($name),*) }
        }
        match $instructions {
            #[cfg(target_arch = "x86_64")]
            $crate::Instructions::Avx512 => with_avx512($($name),*),
            #[cfg(target_arch = "x86_64")]
            $crate::Instructions::Avx2 => with_avx2($($name),*),
            _ => $body::<$crate::vector::Lanes>($($name),*),
        }
    }};
}
pub(crate) use with_vector;
