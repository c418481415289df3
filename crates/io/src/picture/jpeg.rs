//! JPEG, grey or in colours.

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Fault, Pixels, check_size};
use crate::encoding::Datatype;

/// Pixels along an edge, of which the format allows no more.
const MOST_EDGE: usize = 1 << 16;

/// The tag of EXIF and TIFF.
const ORIENTATION: usize = 0x0112;

pub(super) fn decode(bytes: &[u8]) -> Result<Pixels, Fault> {
    // Strict, or what is missing at the end would be grey.
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(MOST_EDGE)
        .set_max_height(MOST_EDGE);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers()?;
    if decoder.exif().is_some_and(|exif| is_turned(exif)) {
        let what = "an orientation that turns it (EXIF)".to_owned();
        return Err(Fault::NotRead(
            what,
            "turn its pixels, as `exiftran -a` does",
        ));
    }
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let out = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => ColorSpace::Luma,
        Some(ColorSpace::YCbCr | ColorSpace::RGB) => ColorSpace::RGB,
        other => {
            let what = format!("the colours {other:?}");
            return Err(Fault::NotRead(what, "save it as grey or RGB"));
        }
    };
    let channels = out.num_components();
    check_size([width, height], channels, bytes.len())?;
    decoder.set_options(options.jpeg_set_out_colorspace(out));
    Ok(Pixels {
        size: [width, height],
        channels,
        alpha: false,
        datatype: Datatype::U8,
        big_endian: false,
        data: decoder.decode()?,
    })
}

/// Whether the first directory of EXIF data has an orientation other than 1.
fn is_turned(exif: &[u8]) -> bool {
    let big = exif.starts_with(b"MM");
    let number = |at: usize, bytes: usize| -> Option<usize> {
        let field = exif.get(at..at.checked_add(bytes)?)?.iter().copied();
        let add = |number: usize, byte: u8| number << 8 | usize::from(byte);
        Some(match big {
            true => field.fold(0, add),
            false => field.rev().fold(0, add),
        })
    };
    let orientation = || {
        let first = number(4, 4)?;
        (0..number(first, 2)?).find_map(|entry| {
            let at = first.checked_add(2 + 12 * entry)?;
            (number(at, 2)? == ORIENTATION).then(|| number(at + 8, 2))?
        })
    };
    orientation().is_some_and(|orientation| orientation > 1)
}
