//! f32 rows to the bfloat16 layouts that tiles read.
//!
//! A value in two parts is its bfloat16 and the bfloat16 of what that leaves
//! out. The type parameter `V` of the functions only names the instructions
//! that the compiler uses for the loops.

use std::mem::MaybeUninit;

use super::unit::SIDE;
use crate::instructions::Instructions;
use crate::precision::to_bf16;
use crate::source::Rectifier;
use crate::vector::{Vector, with_vector};

/// Values that a pattern of per-channel numbers is long at least, so that loops
/// over few channels still fill vectors.
const PATTERN: usize = 64;

/// Rounds a source's voxels.
pub(super) struct Rounder {
    instructions: Instructions,
    /// Scale, shift and slope, repeated for several voxels.
    rectified: Option<[Vec<f32>; 3]>,
}

impl Rounder {
    /// One for each image of which the rectifier knows, or one for all.
    pub(super) fn of_images(rectified: Option<Rectifier<'_>>, channels: usize) -> Vec<Self> {
        let images = rectified.map_or(1, |r| r.images(channels));
        (0..images)
            .map(|n| Self::new(rectified.map(|r| r.of_image(n, channels)), channels))
            .collect()
    }

    fn new(rectified: Option<Rectifier<'_>>, channels: usize) -> Self {
        let repeated = |values: &[f32]| {
            assert_eq!(values.len(), channels, "the rectifier's channels");
            values.repeat(PATTERN.div_ceil(channels))
        };
        Self {
            instructions: Instructions::detected(),
            rectified: rectified.map(|r| [r.scale, r.shift, r.slope].map(repeated)),
        }
    }

    /// Whole voxels `from` to as many values of each part of `to`: at `to`, and
    /// `part` values further where there are two `parts`.
    ///
    /// # Safety
    /// `to` must reach the values, which nothing else may use meanwhile.
    pub(super) unsafe fn round(&self, from: &[f32], to: *mut u16, part: usize, parts: usize) {
        let length = from.len();
        let memory = to.cast::<MaybeUninit<u16>>();
        // SAFETY: the caller's promise.
        let large = unsafe { std::slice::from_raw_parts_mut(memory, length) };
        let small = match parts {
            1 => &mut [],
            // SAFETY: as above; the parts do not overlap.
            _ => unsafe { std::slice::from_raw_parts_mut(memory.add(part), length) },
        };
        let rectified = &self.rectified;
        let instructions = self.instructions;
        // SAFETY: the processor has the detected instructions.
        unsafe {
            with_vector!(
                instructions,
                round(
                    rectified: &Option<[Vec<f32>; 3]>,
                    from: &[f32],
                    large: &mut [MaybeUninit<u16>],
                    small: &mut [MaybeUninit<u16>],
                )
            )
        }
    }
}

#[inline(always)]
unsafe fn round<V: Vector>(
    rectified: &Option<[Vec<f32>; 3]>,
    from: &[f32],
    large: &mut [MaybeUninit<u16>],
    small: &mut [MaybeUninit<u16>],
) {
    let Some([scale, shift, slope]) = rectified else {
        return split(from, large, small);
    };
    let mut values = [0.0f32; PATTERN];
    for (i, from) in from.chunks(PATTERN).enumerate() {
        // Where the pattern is longer or not a multiple of the chunk, go on in it.
        let period = scale.len();
        let mut done = 0;
        while done < from.len() {
            let start = (i * PATTERN + done) % period;
            let count = (period - start).min(from.len() - done);
            let pattern = scale[start..][..count]
                .iter()
                .zip(&shift[start..][..count])
                .zip(&slope[start..][..count]);
            let pairs = values[done..][..count]
                .iter_mut()
                .zip(&from[done..][..count]);
            for ((to, from), ((scale, shift), slope)) in pairs.zip(pattern) {
                let value = scale * from + shift;
                *to = if value < 0.0 { slope * value } else { value };
            }
            done += count;
        }
        let at = i * PATTERN;
        let small = match small.is_empty() {
            true => &mut [],
            false => &mut small[at..][..from.len()],
        };
        split(&values[..from.len()], &mut large[at..][..from.len()], small);
    }
}

#[inline(always)]
fn split(from: &[f32], large: &mut [MaybeUninit<u16>], small: &mut [MaybeUninit<u16>]) {
    for (to, &value) in large.iter_mut().zip(from) {
        to.write(to_bf16(value));
    }
    for (to, &value) in small.iter_mut().zip(from) {
        to.write(to_bf16(rest(value)));
    }
}

/// What `value` holds beyond its bfloat16; nothing where that is infinite.
#[inline(always)]
pub(super) fn rest(value: f32) -> f32 {
    let large = f32::from_bits(u32::from(to_bf16(value)) << 16);
    if large.is_infinite() {
        0.0
    } else {
        value - large
    }
}

/// One row of voxels as pairs: for each two voxels, [`SIDE`] columns or fewer of
/// both. What lies beyond the voxels or their channels is 0.
pub(super) struct Pairs<'a> {
    /// The row.
    pub voxels: &'a [f32],
    pub channels: usize,
    /// The channel of the first column.
    pub first: usize,
    pub columns: usize,
    /// The second part of the values instead of the first.
    pub small: bool,
}

impl Pairs<'_> {
    /// Writes all of `to`, `[pair, column]`.
    pub(super) fn write(&self, instructions: Instructions, to: &mut [MaybeUninit<u32>]) {
        let pairs = self;
        // SAFETY: the processor has the instructions.
        unsafe {
            with_vector!(
                instructions,
                write_pairs(pairs: &Pairs<'_>, to: &mut [MaybeUninit<u32>])
            )
        }
    }
}

#[inline(always)]
unsafe fn write_pairs<V: Vector>(pairs: &Pairs<'_>, to: &mut [MaybeUninit<u32>]) {
    match pairs.small {
        true => write_rounded(pairs, to, |v| to_bf16(rest(v))),
        false => write_rounded(pairs, to, to_bf16),
    }
}

#[inline(always)]
fn write_rounded(
    pairs: &Pairs<'_>,
    to: &mut [MaybeUninit<u32>],
    round: impl Fn(f32) -> u16 + Copy,
) {
    let &Pairs {
        voxels,
        channels,
        first,
        columns,
        ..
    } = pairs;
    let count = columns.min(channels - first);
    let zeros = [0.0f32; SIDE];
    let (full, padding) = to.split_at_mut(columns * voxels.len().div_ceil(2 * channels));
    for (to, pair) in full
        .chunks_exact_mut(columns)
        .zip(voxels.chunks(2 * channels))
    {
        let a = &pair[first..][..count];
        let b = match pair.len() > channels {
            true => &pair[channels + first..][..count],
            false => &zeros[..count],
        };
        let fixed = (
            a.as_array::<SIDE>(),
            b.as_array::<SIDE>(),
            to.as_mut_array::<SIDE>(),
        );
        match fixed {
            // The usual number, known to the compiler.
            (Some(a), Some(b), Some(to)) => write_pair(a, b, to, round),
            _ => write_pair(a, b, to, round),
        }
    }
    padding.fill(MaybeUninit::new(0));
}

#[inline(always)]
fn write_pair(a: &[f32], b: &[f32], to: &mut [MaybeUninit<u32>], round: impl Fn(f32) -> u16) {
    let (full, padding) = to.split_at_mut(a.len());
    for ((to, &a), &b) in full.iter_mut().zip(a).zip(b) {
        to.write(u32::from(round(a)) | u32::from(round(b)) << 16);
    }
    padding.fill(MaybeUninit::new(0));
}

/// Eight rows of eight values at `from`, `from_pitch` apart, as the first
/// `rows` columns at `to`, `to_pitch` apart.
///
/// # Safety
/// The pointers must reach all of these values.
pub(super) unsafe fn transpose(
    from: *const u16,
    from_pitch: usize,
    to: *mut u16,
    to_pitch: usize,
    rows: usize,
) {
    use std::arch::x86_64::*;
    // SAFETY: the caller's promise; every x86-64 processor has the instructions.
    unsafe {
        let row = |i: usize| _mm_loadu_si128(from.add(i * from_pitch).cast());
        let rows8: [__m128i; 8] = std::array::from_fn(row);
        // Values i and i + 4 meet in three rounds.
        let round = |r: [__m128i; 8]| -> [__m128i; 8] {
            std::array::from_fn(|i| match i % 2 {
                0 => _mm_unpacklo_epi16(r[i / 2], r[i / 2 + 4]),
                _ => _mm_unpackhi_epi16(r[i / 2], r[i / 2 + 4]),
            })
        };
        let columns = round(round(round(rows8)));
        for (i, column) in columns.iter().enumerate().take(rows) {
            _mm_storeu_si128(to.add(i * to_pitch).cast(), *column);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transposition_swaps_rows_and_columns() {
        let from: Vec<u16> = (0..80).collect();
        let mut to = vec![u16::MAX; 8 * 9];
        // SAFETY: rows of 10 and of 9 values.
        unsafe { transpose(from.as_ptr(), 10, to.as_mut_ptr(), 9, 7) };
        for r in 0..8 {
            for c in 0..8 {
                let expected = if c < 7 { from[r * 10 + c] } else { u16::MAX };
                assert_eq!(to[c * 9 + r], expected);
            }
        }
    }

    #[test]
    fn two_parts_hold_sixteen_bits_of_a_value() {
        // 1 + 2^-9 + 2^-16: the first part is 1, the second the rest but 2^-16's
        // rounding within 8 bits: 2^-9 (1 + 2^-7).
        let value = 1.0 + 2f32.powi(-9) + 2f32.powi(-16);
        let rounder = Rounder::new(None, 1);
        let mut parts = [0u16; 2];
        // SAFETY: two values, one for each part.
        unsafe { rounder.round(&[value], parts.as_mut_ptr(), 1, 2) };
        assert_eq!(parts, [0x3f80, 0x3b01]);
        assert_eq!(rest(f32::INFINITY), 0.0);
        assert!(rest(f32::NAN).is_nan());
    }

    #[test]
    fn voxels_are_read_through_the_rectifier_of_their_channel() {
        for channels in [1, 3, 16, 50, 80] {
            let numbers = |offset: f32| -> Vec<f32> {
                (0..channels).map(|c| c as f32 / 8.0 - offset).collect()
            };
            let (scale, shift, slope) = (numbers(2.0), numbers(1.0), numbers(0.5));
            let rectifier = Rectifier {
                scale: &scale,
                shift: &shift,
                slope: &slope,
            };
            let from: Vec<f32> = (0..channels * 7).map(|i| i as f32 / 4.0 - 9.0).collect();
            let mut to = vec![0u16; from.len()];
            let rounder = Rounder::new(Some(rectifier), channels);
            // SAFETY: as many values.
            unsafe { rounder.round(&from, to.as_mut_ptr(), 0, 1) };
            for (i, (&to, &from)) in to.iter().zip(&from).enumerate() {
                let c = i % channels;
                let value = scale[c] * from + shift[c];
                let value = if value < 0.0 { slope[c] * value } else { value };
                assert_eq!(to, to_bf16(value), "{channels} channels, value {i}");
            }
        }
    }
}
