//! TIFF of one page, grey or in colours, of integers or floating point.

use std::io::Cursor;

use ::tiff::ColorType;
use ::tiff::decoder::{Decoder, DecodingResult, Limits};
use ::tiff::tags::Tag;

use super::{Fault, MOST_BYTES, Pixels, check_size};
use crate::encoding::Datatype;

/// `PhotometricInterpretation` of indices into a list of colours.
const PALETTE: u16 = 3;
/// `PlanarConfiguration` of colours that lie apart.
const PLANES: u16 = 2;

pub(super) fn decode(bytes: &[u8]) -> Result<Pixels, Fault> {
    if let Some((tag, count)) = overlong(bytes) {
        let fault = format!("{} bytes claim {count} values of tag {tag}", bytes.len());
        return Err(Fault::Damaged(fault));
    }
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MOST_BYTES;
    limits.intermediate_buffer_size = MOST_BYTES;
    let mut decoder = Decoder::new(Cursor::new(bytes))?.with_limits(limits);
    let (width, height) = decoder.dimensions()?;
    let size = [width as usize, height as usize];
    let not_read = |what: &str, remedy| Err(Fault::NotRead(what.to_owned(), remedy));
    if decoder.more_images() {
        return not_read("several pages", "save each page as a file of its own");
    }
    let orientation: Option<u16> = decoder.find_tag_unsigned(Tag::Orientation)?;
    if orientation.is_some_and(|orientation| orientation > 1) {
        return not_read("an orientation that turns it", "turn its pixels");
    }
    if decoder.find_tag_unsigned(Tag::PhotometricInterpretation)? == Some(PALETTE) {
        let remedy = "save a label map as grey values, an image as RGB";
        return not_read("a palette of colours in place of values", remedy);
    }
    let (channels, bits, alpha) = match decoder.colortype()? {
        ColorType::Gray(bits) => (1, bits, false),
        ColorType::GrayA(bits) => (2, bits, true),
        ColorType::RGB(bits) => (3, bits, false),
        ColorType::RGBA(bits) => (4, bits, true),
        ColorType::Multiband {
            bit_depth,
            num_samples,
        } => (usize::from(num_samples), bit_depth, false),
        other => return not_read(&format!("the colours {other:?}"), "save it as grey or RGB"),
    };
    if bits % 8 != 0 {
        let what = format!("values of {bits} bits");
        return not_read(&what, "save it with 8 or 16 bits");
    }
    if channels > 1 && decoder.find_tag_unsigned(Tag::PlanarConfiguration)? == Some(PLANES) {
        return not_read(
            "colours in planes of their own",
            "save it with them pixel by pixel",
        );
    }
    check_size(size, channels * usize::from(bits / 8), bytes.len())?;
    let mut decoded = decoder.read_image()?;
    let datatype = match decoded {
        DecodingResult::U8(_) => Datatype::U8,
        DecodingResult::U16(_) => Datatype::U16,
        DecodingResult::U32(_) => Datatype::U32,
        DecodingResult::U64(_) => Datatype::U64,
        DecodingResult::I8(_) => Datatype::I8,
        DecodingResult::I16(_) => Datatype::I16,
        DecodingResult::I32(_) => Datatype::I32,
        DecodingResult::I64(_) => Datatype::I64,
        DecodingResult::F32(_) => Datatype::F32,
        DecodingResult::F64(_) => Datatype::F64,
        _ => return not_read("floating point of 16 bits", "save it with 32 bits"),
    };
    Ok(Pixels {
        size,
        channels,
        alpha,
        datatype,
        big_endian: cfg!(target_endian = "big"),
        data: decoded.as_buffer(0).as_bytes().to_vec(),
    })
}

/// A tag of the first page with more values than the file has bytes for, and how many: the
/// decoder takes memory for them before it reads them.
fn overlong(bytes: &[u8]) -> Option<(u64, u64)> {
    let big_endian = bytes.starts_with(b"MM");
    let number = |at: u64, width: usize| {
        let at = usize::try_from(at).ok()?;
        let field = bytes.get(at..at.checked_add(width)?)?;
        let digit = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
        Some(match big_endian {
            true => field.iter().fold(0, digit),
            false => field.iter().rev().fold(0, digit),
        })
    };
    // Widths of offsets and of the number of entries, and bytes of an entry.
    let (offset, entries, entry) = match number(2, 2)? {
        43 => (8, 8, 20),
        _ => (4, 2, 12),
    };
    let page = number(offset as u64, offset)?;
    let field = |n: u64| -> Option<[u64; 3]> {
        let at = page
            .checked_add(entries as u64)?
            .checked_add(n.checked_mul(entry)?)?;
        Some([number(at, 2)?, number(at + 2, 2)?, number(at + 4, offset)?])
    };
    let mut fields = (0..number(page, entries)?).map_while(field);
    let long = fields.find(|[_, kind, count]| {
        let width: u64 = match kind {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => 1,
        };
        count.saturating_mul(width) > bytes.len() as u64
    });
    long.map(|[tag, _, count]| (tag, count))
}
