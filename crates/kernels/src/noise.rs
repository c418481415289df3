//! Values for tests.

/// `length` values in `[-2, 2)` that look random, the same for the same seed
/// (Steele, Lea and Flood 2014: SplitMix64).
pub(crate) fn noise(length: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x1234_5678_9abc_def1);
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..length)
        .map(|_| (next() >> 40) as f32 / (1u64 << 22) as f32 - 2.0)
        .collect()
}
