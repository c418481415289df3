//! Files that are compressed or carry checksums: damage inside is to come through.

use std::io::{Read, Write};

use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use flate2::{Compression, Crc};

/// Bytes of a compressed file that are looked into.
const MOST_INSIDE: u64 = 1 << 18;

pub enum Seal {
    /// Compressed as a whole.
    Gzip,
    /// A checksum after each chunk.
    Png,
    /// One for each member, in two places.
    Zip,
}

impl Seal {
    pub fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [0x89, b'P', b'N', b'G', ..] => Some(Self::Png),
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            _ => None,
        }
    }

    /// What is inside.
    pub fn open(&self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip => {
                let mut inside = Vec::new();
                // As much as there is.
                let _ = MultiGzDecoder::new(bytes)
                    .take(MOST_INSIDE)
                    .read_to_end(&mut inside);
                inside
            }
            Self::Png | Self::Zip => bytes.to_vec(),
        }
    }

    pub fn close(&self, inside: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
                encoder.write_all(inside).expect("memory takes it");
                encoder.finish().expect("memory takes it")
            }
            Self::Png => png(inside.to_vec()),
            Self::Zip => zip(inside.to_vec()),
        }
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Chunks are length, name, content, checksum of name and content.
fn png(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut at = 8;
    while let Some(length) = bytes.get(at..at + 4) {
        let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
        let end = at.saturating_add(8).saturating_add(length);
        let Some(chunk) = bytes.get(at + 4..end) else {
            break;
        };
        let sum = checksum(chunk).to_be_bytes();
        match bytes.get_mut(end..end + 4) {
            Some(place) => place.copy_from_slice(&sum),
            None => break,
        }
        at = end + 4;
    }
    bytes
}

/// The members that the list at the end names, those that are not compressed.
fn zip(mut bytes: Vec<u8>) -> Vec<u8> {
    let mut entry = 0;
    while let Some(found) =
        (bytes.get(entry..)).and_then(|rest| rest.windows(4).position(|mark| mark == b"PK\x01\x02"))
    {
        entry += found;
        let u16_at = |at: usize| {
            bytes
                .get(at..at + 2)
                .map(|b| usize::from(b[0]) | usize::from(b[1]) << 8)
        };
        let u32_at = |at: usize| Some(u16_at(at)? | u16_at(at + 2)? << 16);
        let sum = || {
            let (method, size) = (u16_at(entry + 10)?, u32_at(entry + 20)?);
            let local = u32_at(entry + 42)?;
            let data = local + 30 + u16_at(local + 26)? + u16_at(local + 28)?;
            let data = bytes.get(data..data + size)?;
            Some((local, checksum(data))).filter(|_| method == 0)
        };
        if let Some((local, sum)) = sum() {
            for at in [local + 14, entry + 16] {
                bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
            }
        }
        entry += 4;
    }
    bytes
}
