//! Voxels as they lie in a file of the cache: numbers of a table of the values that
//! occur, where there are few enough, else the values.
//!
//! A mask takes one bit for a voxel, a label one bit or byte, and an image that
//! was scanned as whole numbers two bytes: half of an `f32`, and nothing is lost.

use std::collections::HashMap;
use std::io;

/// A type of voxels, as 32 bits.
pub(super) trait Element: Copy {
    fn to_word(self) -> u32;
    fn from_word(word: u32) -> Self;
}

impl Element for f32 {
    fn to_word(self) -> u32 {
        self.to_bits()
    }
    fn from_word(word: u32) -> Self {
        Self::from_bits(word)
    }
}

impl Element for u32 {
    fn to_word(self) -> u32 {
        self
    }
    fn from_word(word: u32) -> Self {
        word
    }
}

impl Element for u8 {
    fn to_word(self) -> u32 {
        self.into()
    }
    fn from_word(word: u32) -> Self {
        word as u8
    }
}

impl Element for bool {
    fn to_word(self) -> u32 {
        self.into()
    }
    fn from_word(word: u32) -> Self {
        word != 0
    }
}

/// Volumes as bytes.
pub(super) struct Encoded {
    /// Bits of each voxel: 1, 8 or 16, numbers of `table`, or 32, the value.
    pub(super) bits: u32,
    /// The values that occur, in the order in which they do.
    pub(super) table: Vec<u32>,
    /// The voxels, from the least significant bit on.
    pub(super) bytes: Vec<u8>,
}

/// Writes voxels in as few bits as the number of their values allows.
pub(super) fn encode<T: Element>(values: &[T]) -> Encoded {
    let Some((table, codes)) = table_of(values) else {
        return Encoded {
            bits: 32,
            table: Vec::new(),
            bytes: values
                .iter()
                .flat_map(|v| v.to_word().to_le_bytes())
                .collect(),
        };
    };
    let (bits, bytes) = match table.len() {
        0..=2 => {
            let byte = |codes: &[u16]| {
                let bits = codes.iter().enumerate();
                bits.fold(0, |byte, (i, code)| byte | (*code as u8) << i)
            };
            (1, codes.chunks(8).map(byte).collect())
        }
        3..=256 => (8, codes.iter().map(|code| *code as u8).collect()),
        _ => (
            16,
            codes.iter().flat_map(|code| code.to_le_bytes()).collect(),
        ),
    };
    Encoded { bits, table, bytes }
}

/// The values that occur and the number of each voxel's; `None` when they are too
/// many for two bytes, or the table would take more than they save.
fn table_of<T: Element>(values: &[T]) -> Option<(Vec<u32>, Vec<u16>)> {
    let mut table = Vec::new();
    let mut known = HashMap::new();
    let mut codes = Vec::with_capacity(values.len());
    let mut last = None;
    for word in values.iter().map(|v| v.to_word()) {
        let code = match last {
            Some((same, code)) if same == word => code,
            _ => *known.entry(word).or_insert_with(|| {
                table.push(word);
                table.len() - 1
            }),
        };
        last = Some((word, code));
        codes.push(u16::try_from(code).ok()?);
    }
    (table.len() <= 256 || 2 * table.len() <= values.len()).then_some((table, codes))
}

/// First byte and number of bytes that hold `count` voxels from `first` on.
pub(super) fn bytes_of(bits: u32, first: u64, count: u64) -> (u64, u64) {
    let bits = u64::from(bits);
    let start = first * bits / 8;
    (start, ((first + count) * bits).div_ceil(8) - start)
}

/// Appends `count` voxels from `first` on; `bytes` are those of [`bytes_of`].
pub(super) fn decode<T: Element>(
    bits: u32,
    table: &[u32],
    bytes: &[u8],
    first: u64,
    count: u64,
    out: &mut Vec<T>,
) -> io::Result<()> {
    let unknown = || io::Error::new(io::ErrorKind::InvalidData, "a number beyond its table");
    let value = |code: usize| {
        table
            .get(code)
            .map(|w| T::from_word(*w))
            .ok_or_else(unknown)
    };
    out.reserve(count as usize);
    match bits {
        1 => {
            let skip = first as usize % 8;
            for i in skip..skip + count as usize {
                out.push(value(usize::from(bytes[i / 8] >> (i % 8) & 1))?);
            }
        }
        8 => {
            for byte in bytes {
                out.push(value(usize::from(*byte))?);
            }
        }
        16 => {
            for code in bytes.as_chunks().0 {
                out.push(value(usize::from(u16::from_le_bytes(*code)))?);
            }
        }
        _ => {
            let words = bytes.as_chunks().0.iter();
            out.extend(words.map(|word| T::from_word(u32::from_le_bytes(*word))));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<T: Element + PartialEq + std::fmt::Debug>(values: &[T]) -> (u32, usize) {
        let Encoded { bits, table, bytes } = encode(values);
        let n = values.len() as u64;
        for (first, count) in [(0, n), (1, n - 1), (n / 3, n / 2), (n - 1, 1)] {
            let (start, length) = bytes_of(bits, first, count);
            let part = &bytes[start as usize..][..length as usize];
            let mut out = Vec::new();
            decode(bits, &table, part, first, count, &mut out).unwrap();
            let words = |v: &[T]| v.iter().map(|v| v.to_word()).collect::<Vec<_>>();
            assert_eq!(
                words(&out),
                words(&values[first as usize..][..count as usize])
            );
        }
        (bits, bytes.len())
    }

    #[test]
    fn voxels_come_back_to_the_last_bit_in_as_few_bits_as_they_need() {
        let mask: Vec<bool> = (0..21).map(|i| i % 3 == 0).collect();
        assert_eq!(there_and_back(&mask), (1, 3));
        let classes: Vec<u8> = (0..21).map(|i| i % 4).collect();
        assert_eq!(there_and_back(&classes), (8, 21));
        // Negative zero and two NaNs are values of their own.
        let few = [0.0, -0.0, f32::NAN, -f32::NAN, f32::MIN_POSITIVE / 2.0, 1.5];
        assert_eq!(there_and_back(&few), (8, 6));
        let scanned: Vec<f32> = (0..2000).map(|i| (i % 700) as f32 / 3.0).collect();
        assert_eq!(there_and_back(&scanned), (16, 4000));
        let resampled: Vec<f32> = (0..2000).map(|i| i as f32 / 3.0).collect();
        assert_eq!(there_and_back(&resampled), (32, 8000));
        let many: Vec<u32> = (0..140_000).map(|i| i / 2).collect();
        assert_eq!(there_and_back(&many), (32, 560_000));
        assert_eq!(there_and_back(&many[..131_072]), (16, 262_144));
    }

    #[test]
    fn a_number_beyond_the_table_is_an_error() {
        let mut out = Vec::<f32>::new();
        let error = decode(8, &[0, 1], &[0, 2], 0, 2, &mut out).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
