//! Pictures: PNG, JPEG and TIFF, decoded by the crates of their formats.
//!
//! A picture is a 2-D image whose colours are its volumes. It says nothing of the patient, so
//! pixels have edges of 1 mm and lie as ITK has them: columns to the left, rows to the back.

mod jpeg;
mod png;
mod tiff;

use std::path::Path;

use crate::encoding::{Datatype, Encoding};
use crate::guarded::guarded;
use crate::lps::from_lps;
use crate::source::Source;
use crate::voxels::{Layout, Voxels};
use crate::{ImageError, Reference};

/// Bytes of the largest file, and of its pixels.
const MOST_BYTES: usize = 1 << 31;

/// Pixels that a byte of a file can stand for, at most: deflate has 8256 of one bit.
pub(crate) const PIXELS_OF_A_BYTE: usize = 1 << 14;

/// The format of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Picture {
    /// Portable Network Graphics.
    Png,
    /// Never a label map, whose values it would change.
    Jpeg,
    /// Of one page.
    Tiff,
}

impl Picture {
    /// By how a file begins.
    pub(crate) fn recognise(start: &[u8]) -> Option<Self> {
        const STARTS: [(&[u8], Picture); 6] = [
            (b"\x89PNG\r\n\x1A\n", Picture::Png),
            (b"\xFF\xD8\xFF", Picture::Jpeg),
            (b"II*\0", Picture::Tiff),
            (b"MM\0*", Picture::Tiff),
            (b"II+\0", Picture::Tiff),
            (b"MM\0+", Picture::Tiff),
        ];
        let mut all = STARTS.iter();
        all.find(|(mark, _)| start.starts_with(mark)).map(|of| of.1)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::Tiff => "TIFF",
        }
    }
}

/// Decoded pixels: rows from the top, the values of a pixel side by side.
struct Pixels {
    size: [usize; 2],
    /// Values of a pixel.
    channels: usize,
    /// The last of them is how opaque it is.
    alpha: bool,
    datatype: Datatype,
    big_endian: bool,
    data: Vec<u8>,
}

/// Why there are none.
enum Fault {
    /// What the decoder said.
    Damaged(String),
    /// What is in the way, and what to do.
    NotRead(String, &'static str),
}

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Opens the file at `path`.
pub(crate) fn open(path: &Path, picture: Picture) -> Result<(Reference, Voxels), ImageError> {
    let bytes = Source::open(path)?.read_all(MOST_BYTES)?;
    let decoded = guarded(|| match picture {
        Picture::Png => png::decode(&bytes),
        Picture::Jpeg => jpeg::decode(&bytes),
        Picture::Tiff => tiff::decode(&bytes),
    });
    let decoded = decoded.unwrap_or_else(|| Err(Fault::Damaged("no pixels".to_owned())));
    let pixels = decoded.and_then(Pixels::without_alpha);
    let pixels = pixels.map_err(|fault| match fault {
        Fault::Damaged(message) => ImageError::damaged(path, picture.name(), message),
        Fault::NotRead(what, remedy) => ImageError::not_read(path, picture.name(), what, remedy),
    })?;
    let mut layout = Layout {
        shape: [pixels.size[0], pixels.size[1], 1],
        volumes: pixels.channels,
        affine: from_lps(
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [0.0; 3],
        ),
        encoding: Encoding {
            datatype: pixels.datatype,
            big_endian: pixels.big_endian,
            scaling: None,
        },
        offset: 0,
        interleaved: pixels.channels > 1,
    };
    let reference = Reference::of_layout(&mut layout, 2);
    Ok((
        reference,
        Voxels::open(Source::of_bytes(path, pixels.data), layout)?,
    ))
}

/// Refuses a size that a file of so many bytes cannot have, before memory is asked for.
fn check_size(size: [usize; 2], pixel_bytes: usize, file_bytes: usize) -> Result<(), Fault> {
    let pixels = size[0].saturating_mul(size[1]);
    let most = file_bytes.saturating_mul(PIXELS_OF_A_BYTE);
    if pixels == 0 || pixels > most || pixels.saturating_mul(pixel_bytes) > MOST_BYTES {
        let [x, y] = size;
        return Err(Fault::Damaged(format!(
            "{file_bytes} bytes claim to be {x} x {y} pixels"
        )));
    }
    Ok(())
}

impl Pixels {
    /// The same without how opaque they are, where all are wholly so.
    fn without_alpha(self) -> Result<Self, Fault> {
        if !self.alpha {
            return Ok(self);
        }
        let value = self.datatype.bytes();
        let pixel = value * self.channels;
        let colours = pixel - value;
        let opaque = |pixel: &[u8]| pixel[colours..].iter().all(|byte| *byte == u8::MAX);
        if !self.data.chunks_exact(pixel).all(opaque) {
            let what = "pixels that are transparent".to_owned();
            return Err(Fault::NotRead(what, "save it without transparency"));
        }
        let data = (self.data.chunks_exact(pixel)).flat_map(|pixel| &pixel[..colours]);
        Ok(Self {
            data: data.copied().collect(),
            channels: self.channels - 1,
            alpha: false,
            ..self
        })
    }
}
