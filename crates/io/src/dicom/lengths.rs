//! Claimed lengths against the size of the file, before a decoder asks for as much memory.
//!
//! Source: DICOM PS3.5, chapter 7, as `dicom-parser` reads it: the first group is as long as it
//! says, whatever stands in it, and a kind that is not known has a long length. Elements are
//! walked as one flat list: what a sequence or an item holds follows it.

use std::fs::File;
use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_object::StandardDataDictionary;
use flate2::bufread::DeflateDecoder;

use super::MARK;
use crate::ImageError;
use crate::text::open_file;

/// Value representations whose length has 16 bits.
const SHORT: [&[u8; 2]; 21] = [
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN",
    b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
];
const DEFLATED: &[u8] = b"1.2.840.10008.1.2.1.99";
const IMPLICIT: &[u8] = b"1.2.840.10008.1.2";
const BIG_ENDIAN: &[u8] = b"1.2.840.10008.1.2.2";
/// The length of what ends by a mark.
const OPEN: u32 = u32::MAX;
/// The group of items and of the marks that end them.
const ITEMS: u16 = 0xFFFE;
const ITEM_END: (u16, u16) = (ITEMS, 0xE00D);
const SEQUENCE_END: (u16, u16) = (ITEMS, 0xE0DD);
/// Items and sequences in one another: readers recurse, and no scanner writes more.
const MOST_NESTED: usize = 64;
const GROUP_LENGTH: (u16, u16) = (0x0002, 0x0000);
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
    /// Numbers of so many bytes in a length that is no multiple of it: readers lose their place.
    PartOfANumber(u64, u64),
}

/// The bytes that elements are read from.
enum Bytes {
    Plain(BufReader<File>),
    Inflated(DeflateDecoder<BufReader<File>>),
}

struct Walk {
    bytes: Bytes,
    left: u64,
}

/// Refuses a file in which an element claims to be longer than the rest of it.
pub(super) fn check(path: &Path) -> Result<(), ImageError> {
    let open = || -> io::Result<Walk> {
        let (file, metadata) = open_file(path)?;
        let left = metadata.len();
        let bytes = Bytes::Plain(BufReader::new(file));
        Ok(Walk { bytes, left })
    };
    match open().and_then(|mut walk| walk.fault()) {
        Ok(None) => Ok(()),
        Ok(Some(Fault::TooDeep)) => {
            let message = "sequences nested too deep";
            Err(ImageError::damaged(path, super::FORMAT, message))
        }
        Ok(Some(Fault::PartOfANumber(length, width))) => {
            let message = format!("numbers of {width} bytes in an element of {length}");
            Err(ImageError::damaged(path, super::FORMAT, message))
        }
        Err(source) if matches!(source.kind(), InvalidInput | InvalidData | UnexpectedEof) => {
            Err(ImageError::damaged(path, super::FORMAT, source))
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
        let mut in_pixels = false;
        // What is left of the file where the first group ends.
        let mut meta_end = Some(0);
        let mut depth = 0usize;
        // What is left of the file where the items and sequences end that have a length.
        let mut ends: Vec<u64> = Vec::new();
        self.skip((MARK.0 + MARK.1.len()) as u64)?;
        loop {
            while ends.last().is_some_and(|end| self.left <= *end) {
                ends.pop();
            }
            // The first group is always explicit and little endian.
            if meta_end.is_some_and(|end| self.left <= end) {
                meta_end = None;
                if uid == DEFLATED {
                    self.inflate()?;
                    ends.clear();
                    depth = 0;
                }
                syntax = Syntax {
                    explicit: uid != IMPLICIT,
                    big_endian: uid == BIG_ENDIAN,
                };
            }
            let Some(start) = self.bytes::<4>()? else {
                break;
            };
            let tag = (
                syntax.u16([start[0], start[1]]),
                syntax.u16([start[2], start[3]]),
            );
            let kind;
            let length = if tag.0 != ITEMS && syntax.explicit {
                let Some(found) = self.bytes()? else { break };
                kind = VR::from_binary(found).unwrap_or(VR::UN);
                if SHORT.contains(&&found) {
                    self.bytes()?.map(|bytes| u32::from(syntax.u16(bytes)))
                } else {
                    self.skip(2)?;
                    self.bytes()?.map(|bytes| syntax.u32(bytes))
                }
            } else {
                kind = kind_of(tag);
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
                in_pixels = tag == PIXEL_DATA;
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
            let holds_elements = (tag.0 == ITEMS && !in_pixels) || kind == VR::SQ;
            let in_meta = meta_end.is_some();
            let width = width(kind);
            if !in_meta && !length.is_multiple_of(width) {
                return Ok(Some(Fault::PartOfANumber(length, width)));
            }
            if meta_end == Some(0) && tag == GROUP_LENGTH && length == 4 {
                let bytes = self.bytes()?.unwrap_or_default();
                let group = u64::from(u32::from_le_bytes(bytes));
                // At 0 it would be looked for again.
                meta_end = Some(self.left.saturating_sub(group).max(1));
            } else if tag == TRANSFER_SYNTAX && in_meta {
                uid = self.text(length)?;
            } else if in_meta || !holds_elements {
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
        self.read_exact(&mut bytes)?;
        self.left -= N as u64;
        Ok(Some(bytes))
    }

    /// A text of a few bytes without what fills it up.
    fn text(&mut self, length: u64) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        self.by_ref().take(length).read_to_end(&mut text)?;
        self.left -= length;
        while text.last().is_some_and(|byte| [0, b' '].contains(byte)) {
            text.pop();
        }
        Ok(text)
    }

    fn skip(&mut self, bytes: u64) -> io::Result<()> {
        let bytes = bytes.min(self.left);
        self.left -= bytes;
        match &mut self.bytes {
            // No file is longer.
            Bytes::Plain(file) => file.seek_relative(i64::try_from(bytes).unwrap_or(i64::MAX)),
            Bytes::Inflated(stream) => io::copy(&mut stream.take(bytes), &mut io::sink()).map(drop),
        }
    }

    /// Goes on in the deflated stream that begins here, which is sound.
    fn inflate(&mut self) -> io::Result<()> {
        let Bytes::Plain(file) = &mut self.bytes else {
            return Ok(());
        };
        let start = file.stream_position()?;
        let mut again = BufReader::new(file.get_ref().try_clone()?);
        again.seek(SeekFrom::Start(start))?;
        let mut stream = DeflateDecoder::new(&mut again);
        let inflated = io::copy(&mut stream, &mut io::sink())?;
        again.seek(SeekFrom::Start(start))?;
        self.left = inflated;
        self.bytes = Bytes::Inflated(DeflateDecoder::new(again));
        Ok(())
    }
}

impl Read for Walk {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.bytes {
            Bytes::Plain(file) => file.read(buffer),
            Bytes::Inflated(stream) => stream.read(buffer),
        }
    }
}

/// The kind of an element in implicit files, as readers have it.
fn kind_of((group, element): (u16, u16)) -> VR {
    let entry = StandardDataDictionary.by_tag(Tag(group, element));
    entry.map_or(VR::UN, |entry| entry.vr().relaxed())
}

/// Bytes of a number of that kind. Words of pixels may lack a last byte.
fn width(kind: VR) -> u64 {
    match kind {
        VR::US | VR::SS => 2,
        VR::AT | VR::UL | VR::SL | VR::FL | VR::OL | VR::OF => 4,
        VR::FD | VR::SV | VR::UV | VR::OD | VR::OV => 8,
        _ => 1,
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
