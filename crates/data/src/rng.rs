//! Random numbers keyed by what they are for.
//!
//! Every draw takes its own ChaCha8 stream whose 32-byte key is the four
//! little-endian `u64` (seed, domain, iteration, sample). What is drawn for one
//! sample therefore depends on nothing drawn before it, on no thread, and on no
//! earlier part of a run: a resumed run draws what the uninterrupted one did.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// What a stream is for. The numbers are part of the file formats (a seed gives
/// the same run in every release), so they are never reused; 4 was given away once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Domain {
    /// Where training patches are cut.
    Sampling = 1,
    /// Which subjects train, validate and test.
    Split = 2,
    /// Synthetic subjects.
    Phantom = 3,
    /// How training patches are changed.
    Transform = 5,
}

/// The stream of one sample of one iteration.
pub fn keyed_rng(seed: u64, domain: Domain, iteration: u64, sample: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    for (bytes, word) in key
        .chunks_exact_mut(8)
        .zip([seed, domain as u64, iteration, sample])
    {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn the_stream_is_chacha8_under_the_documented_key() {
        // tests/golden/chacha8.py, a plain implementation of RFC 8439's block
        // function with 8 rounds.
        let mut rng = keyed_rng(7, Domain::Sampling, 1000, 3);
        assert_eq!(rng.next_u64(), 0xe29d_4d9d_ff38_219e);
        assert_eq!(rng.next_u64(), 0x3514_3bb6_8b07_6859);
    }

    #[test]
    fn each_part_of_the_key_changes_the_stream() {
        let first = |s, d, i, k| keyed_rng(s, d, i, k).next_u64();
        let base = first(1, Domain::Sampling, 2, 3);
        assert_ne!(base, first(2, Domain::Sampling, 2, 3));
        assert_ne!(base, first(1, Domain::Split, 2, 3));
        assert_ne!(base, first(1, Domain::Sampling, 3, 3));
        assert_ne!(base, first(1, Domain::Sampling, 2, 2));
    }
}
