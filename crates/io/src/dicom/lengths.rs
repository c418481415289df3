//! Claimed lengths against the size of the file, before a decoder asks for as much memory.
//!
//! Source: DICOM PS3.5, chapter 7. Elements are walked as one flat list: what a sequence or an
//! item holds follows it. Not seen are deflated files, and what is in sequences of implicit
//! files whose length is given.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::MARK;
use crate::ImageError;
use crate::text::open_file;

/// Value representations whose length has 32 bits.
const LONG: [&[u8; 2]; 13] = [
    b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV",
];
/// The length of what ends by a mark.
const OPEN: u32 = u32::MAX;
/// The group of items and of the marks that end them.
const ITEMS: u16 = 0xFFFE;
const ITEM_END: (u16, u16) = (ITEMS, 0xE00D);
const SEQUENCE_END: (u16, u16) = (ITEMS, 0xE0DD);
/// Items and sequences in one another: readers recurse, and no scanner writes more.
const MOST_NESTED: usize = 64;
const TRANSFER_SYNTAX: (u16, u16) = (0x0002, 0x0010);
const PIXEL_DATA: (u16, u16) = (0x7FE0, 0x0010);

/// How elements are written.
#[derive(Clone, Copy)]
struct Syntax {
    explicit: bool,
    big_endian: bool,
}

/// What is wrong with a file.
enum Fault {
    /// Bytes that are left, and those that an element claims.
    TooLong(u64, u64),
    /// Sequences in sequences.
    TooDeep,
}

struct Walk {
    reader: BufReader<File>,
    left: u64,
}

/// Refuses a file in which an element claims to be longer than the rest of it.
pub(super) fn check(path: &Path) -> Result<(), ImageError> {
    let open = || -> io::Result<Walk> {
        let (file, metadata) = open_file(path)?;
        let left = metadata.len();
        let reader = BufReader::new(file);
        Ok(Walk { reader, left })
    };
    match open().and_then(|mut walk| walk.fault()) {
        Ok(None) => Ok(()),
        Ok(Some(Fault::TooDeep)) => {
            let message = "sequences nested too deep";
            Err(ImageError::damaged(path, super::FORMAT, message))
        }
        Ok(Some(Fault::TooLong(found, expected))) => Err(ImageError::Truncated {
            path: path.to_owned(),
            what: "an element",
            found,
            expected,
        }),
        Err(source) => Err(ImageError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

impl Walk {
    /// The first fault, by all that can be walked.
    fn fault(&mut self) -> io::Result<Option<Fault>> {
        let mut syntax = Syntax {
            explicit: true,
            big_endian: false,
        };
        let mut uid = Vec::new();
        let (mut in_meta, mut in_pixels) = (true, false);
        let mut depth = 0usize;
        // What is left of the file where the items and sequences end that have a length.
        let mut ends: Vec<u64> = Vec::new();
        self.skip((MARK.0 + MARK.1.len()) as u64)?;
        loop {
            while ends.last().is_some_and(|end| self.left <= *end) {
                ends.pop();
            }
            let Some(start) = self.bytes::<4>()? else {
                break;
            };
            // The first group is always explicit and little endian.
            if in_meta && start[..2] != [2, 0] {
                in_meta = false;
                let deflated = uid.starts_with(b"1.2.840.10008.1.2.1.99");
                if deflated {
                    return Ok(None);
                }
                let implicit = uid == b"1.2.840.10008.1.2";
                syntax = Syntax {
                    explicit: !implicit,
                    big_endian: uid == b"1.2.840.10008.1.2.2",
                };
            }
            let tag = (
                syntax.u16([start[0], start[1]]),
                syntax.u16([start[2], start[3]]),
            );
            let mut kind = *b"  ";
            let length = if tag.0 != ITEMS && syntax.explicit {
                let Some(found) = self.bytes()? else { break };
                kind = found;
                if LONG.contains(&&kind) {
                    self.skip(2)?;
                    self.bytes()?.map(|bytes| syntax.u32(bytes))
                } else {
                    self.bytes()?.map(|bytes| u32::from(syntax.u16(bytes)))
                }
            } else {
                self.bytes()?.map(|bytes| syntax.u32(bytes))
            };
            let Some(length) = length else { break };
            // Readers look for an end, and past it they would take what follows for a part.
            if let Some(&end) = ends.last()
                && self.left < end
            {
                return Ok(Some(Fault::TooLong(0, u64::from(length))));
            }
            if length == OPEN {
                // What it holds is written as another syntax.
                if kind == *b"UN" {
                    break;
                }
                in_pixels = tag == PIXEL_DATA || [*b"OB", *b"OW"].contains(&kind);
                depth += 1;
                if depth + ends.len() > MOST_NESTED {
                    return Ok(Some(Fault::TooDeep));
                }
                continue;
            }
            if [ITEM_END, SEQUENCE_END].contains(&tag) {
                depth = depth.saturating_sub(1);
                in_pixels = false;
                continue;
            }
            let length = u64::from(length);
            let room = self.left - ends.last().copied().unwrap_or(0);
            if length > room {
                return Ok(Some(Fault::TooLong(room, length)));
            }
            let holds_elements = (tag.0 == ITEMS && !in_pixels) || kind == *b"SQ";
            if tag == TRANSFER_SYNTAX {
                uid = self.text(length)?;
            } else if !holds_elements {
                self.skip(length)?;
            } else {
                ends.push(self.left - length);
                if depth + ends.len() > MOST_NESTED {
                    return Ok(Some(Fault::TooDeep));
                }
            }
        }
        Ok(None)
    }

    /// The next bytes; `None` where the file ends before.
    fn bytes<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        if self.left < N as u64 {
            return Ok(None);
        }
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.left -= N as u64;
        Ok(Some(bytes))
    }

    /// A text of a few bytes without what fills it up.
    fn text(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.reader.by_ref().take(length).read_to_end(&mut text)?;
        self.left -= length;
        while text.last().is_some_and(|byte| [0, b' '].contains(byte)) {
            text.pop();
        }
        Ok(text)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        // No file is longer.
        self.reader
            .seek_relative(i64::try_from(bytes).unwrap_or(i64::MAX))
    }
}

impl Syntax {
    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self.big_endian {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        }
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self.big_endian {
            true => u32::from_be_bytes(bytes),
            false => u32::from_le_bytes(bytes),
        }
    }
}
