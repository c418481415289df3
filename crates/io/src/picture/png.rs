//! PNG of 1 to 16 bits, grey or in colours.

use std::io::Cursor;

use ::png::{BitDepth, ColorType, Decoder, Limits, Transformations};

use super::{Fault, MOST_BYTES, Pixels, check_size};
use crate::encoding::Datatype;

pub(super) fn decode(bytes: &[u8]) -> Result<Pixels, Fault> {
    let limits = Limits { bytes: MOST_BYTES };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    // Values as they are: a mask of one bit has ones, not 255.
    decoder.set_transformations(Transformations::IDENTITY);
    let info = decoder.read_header_info()?;
    let size = [info.width as usize, info.height as usize];
    let channels = info.color_type.samples();
    let (colour, depth) = (info.color_type, info.bit_depth);
    if colour == ColorType::Indexed {
        let what = "a palette of colours in place of values".to_owned();
        return Err(Fault::NotRead(
            what,
            "save a label map as grey values, an image as RGB",
        ));
    }
    let value = if depth == BitDepth::Sixteen { 2 } else { 1 };
    check_size(size, channels * value, bytes.len())?;
    let mut reader = decoder.read_info()?;
    let length = reader.output_buffer_size();
    let length = length.ok_or_else(|| Fault::Damaged("too many pixels".to_owned()))?;
    let mut data = vec![0; length];
    let frame = reader.next_frame(&mut data)?;
    reader.finish()?;
    data.truncate(frame.buffer_size());
    let bits = depth as usize;
    if bits < 8 {
        let rows = data.chunks_exact(frame.line_size);
        data = rows
            .flat_map(|row| values(row, bits).take(size[0]))
            .collect();
    }
    Ok(Pixels {
        size,
        channels,
        alpha: matches!(colour, ColorType::GrayscaleAlpha | ColorType::Rgba),
        datatype: if value == 2 {
            Datatype::U16
        } else {
            Datatype::U8
        },
        big_endian: true,
        data,
    })
}

/// Values of 1, 2 or 4 bits, the first in the highest.
fn values(row: &[u8], bits: usize) -> impl Iterator<Item = u8> {
    let mask = u8::MAX >> (8 - bits);
    let of_byte = move |byte: &u8| {
        let byte = *byte;
        (0..8 / bits).map(move |at| (byte >> (8 - bits * (at + 1))) & mask)
    };
    row.iter().flat_map(of_byte)
}
