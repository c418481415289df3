//! Which vector instructions a kernel uses, chosen at run time.

use std::fmt;
use std::sync::OnceLock;

/// A set of vector instructions that the kernels have a path for.
///
/// The order is from the least to the most: a processor with one of them has
/// those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Instructions {
    /// What the compilation target has; every processor.
    Portable,
    /// x86-64 AVX2 and FMA: 8 values of 32 bits.
    Avx2,
    /// x86-64 AVX-512 F, BW, DQ and VL: 16 values of 32 bits.
    Avx512,
}

impl Instructions {
    /// The most this processor has; asked once.
    pub fn detected() -> Self {
        static DETECTED: OnceLock<Instructions> = OnceLock::new();
        *DETECTED.get_or_init(|| *Self::available().last().unwrap_or(&Self::Portable))
    }

    /// All that this processor has, the least first, so that a test can force each.
    pub fn available() -> Vec<Self> {
        #[allow(unused_mut)]
        let mut available = vec![Self::Portable];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                available.push(Self::Avx2);
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    available.push(Self::Avx512);
                }
            }
        }
        available
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Avx2 => "AVX2",
            Self::Avx512 => "AVX-512",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_portable_path_is_always_there_and_the_best_is_chosen() {
        let available = Instructions::available();
        assert_eq!(available[0], Instructions::Portable);
        assert!(available.is_sorted());
        assert_eq!(available.last(), Some(&Instructions::detected()));
    }
}
