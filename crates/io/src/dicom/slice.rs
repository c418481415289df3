//! One slice of a series.

use std::error::Error;
use std::path::{Path, PathBuf};

use dicom_core::value::Value;
use dicom_object::{DefaultDicomObject, OpenFileOptions, Tag};
use dicom_pixeldata::{DecodedPixelData, PixelDecoder, PixelRepresentation};

use super::{FORMAT, lengths};
use crate::ImageError;
use crate::guarded::guarded;
use crate::picture::PIXELS_OF_A_BYTE;

const IMAGE_TYPE: Tag = Tag(0x0008, 0x0008);
const SERIES_DESCRIPTION: Tag = Tag(0x0008, 0x103E);
const SLICE_THICKNESS: Tag = Tag(0x0018, 0x0050);
const SPACING_BETWEEN_SLICES: Tag = Tag(0x0018, 0x0088);
const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);
const IMAGE_POSITION: Tag = Tag(0x0020, 0x0032);
const IMAGE_ORIENTATION: Tag = Tag(0x0020, 0x0037);
const SAMPLES_PER_PIXEL: Tag = Tag(0x0028, 0x0002);
const NUMBER_OF_FRAMES: Tag = Tag(0x0028, 0x0008);
const PHOTOMETRIC: Tag = Tag(0x0028, 0x0004);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const PIXEL_SPACING: Tag = Tag(0x0028, 0x0030);
const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
const BITS_STORED: Tag = Tag(0x0028, 0x0101);
const HIGH_BIT: Tag = Tag(0x0028, 0x0102);
const RESCALE_INTERCEPT: Tag = Tag(0x0028, 0x1052);
const RESCALE_SLOPE: Tag = Tag(0x0028, 0x1053);
const MODALITY_LUT: Tag = Tag(0x0028, 0x3000);
const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

/// Transfer syntaxes that no pure Rust decodes.
const UNREAD: [(&str, &str); 9] = [
    ("1.2.840.10008.1.2.4.51", "JPEG of 12 bits"),
    ("1.2.840.10008.1.2.4.80", "JPEG-LS"),
    ("1.2.840.10008.1.2.4.81", "JPEG-LS"),
    ("1.2.840.10008.1.2.4.110", "JPEG XL"),
    ("1.2.840.10008.1.2.4.111", "JPEG XL"),
    ("1.2.840.10008.1.2.4.112", "JPEG XL"),
    ("1.2.840.10008.1.2.4.201", "HTJ2K"),
    ("1.2.840.10008.1.2.4.202", "HTJ2K"),
    ("1.2.840.10008.1.2.4.203", "HTJ2K"),
];

/// The transfer syntax of run lengths, and the most segments of a fragment of them.
const RUN_LENGTHS: &str = "1.2.840.10008.1.2.5";
const MOST_SEGMENTS: u32 = 15;

/// By how much directions may miss length 1 and right angles.
const NOT_SQUARE: f64 = 1e-3;

/// What places the pixels of one file.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    pub path: PathBuf,
    /// Of the series, and what it is called.
    pub series: (String, String),
    /// Columns and rows.
    pub size: [usize; 2],
    /// Along a row, and along a column (left-posterior-superior).
    pub directions: [[f64; 3]; 2],
    /// Of the first pixel (mm).
    pub position: [f64; 3],
    /// Between columns, and between rows (mm).
    pub spacing: [f64; 2],
    /// What the file says of the distance to the next slice (mm).
    pub apart: Option<f64>,
    slope: f64,
    intercept: f64,
}

/// A file whose elements are read.
struct Elements<'a> {
    path: &'a Path,
    object: DefaultDicomObject,
}

impl Slice {
    /// Reads all but the pixels; `None` for a file without any, as of a report.
    pub fn read(path: &Path) -> Result<Option<Self>, ImageError> {
        lengths::check(path)?;
        let open = || {
            OpenFileOptions::new()
                .read_until(PIXEL_DATA)
                .open_file(path)
        };
        let object = opened(path, open)?;
        let elements = Elements { path, object };
        let (Some(rows), Some(columns)) = (elements.first(ROWS)?, elements.first(COLUMNS)?) else {
            return Ok(None);
        };
        elements.refuse_unread()?;
        let size = [columns, rows].map(|n| n as usize);
        let bytes = std::fs::metadata(path).map_or(0, |m| m.len());
        let pixels = (size[0] as u64).saturating_mul(size[1] as u64);
        if pixels == 0 || pixels > bytes.saturating_mul(PIXELS_OF_A_BYTE as u64) {
            let found = format!("{columns} x {rows} in {bytes} bytes");
            return Err(elements.wrong("Columns and Rows", found, "pixels that the file can hold"));
        }
        let [xx, xy, xz, yx, yy, yz] =
            elements.numbers(IMAGE_ORIENTATION, "ImageOrientationPatient")?;
        let [between_rows, between_columns] = elements.numbers(PIXEL_SPACING, "PixelSpacing")?;
        let (x, y) = ([xx, xy, xz], [yx, yy, yz]);
        let dot = |a: [f64; 3], b: [f64; 3]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let off = [dot(x, x) - 1.0, dot(y, y) - 1.0, dot(x, y)];
        // Also where one is no number.
        if !off.iter().all(|off| off.abs() < NOT_SQUARE) {
            let found = format!("{x:?}, {y:?}");
            let expected = "two directions of length 1 at right angles";
            return Err(elements.wrong("ImageOrientationPatient", found, expected));
        }
        let apart = [SPACING_BETWEEN_SLICES, SLICE_THICKNESS];
        let mut apart = apart
            .into_iter()
            .filter_map(|tag| elements.first(tag).ok()?);
        Ok(Some(Self {
            path: path.to_owned(),
            series: (
                elements.text(SERIES_INSTANCE_UID),
                elements.text(SERIES_DESCRIPTION),
            ),
            size,
            directions: [[xx, xy, xz], [yx, yy, yz]],
            position: elements.numbers(IMAGE_POSITION, "ImagePositionPatient")?,
            spacing: [between_columns, between_rows],
            apart: apart.find(|mm| *mm > 0.0),
            slope: elements.first(RESCALE_SLOPE)?.unwrap_or(1.0),
            intercept: elements.first(RESCALE_INTERCEPT)?.unwrap_or(0.0),
        }))
    }

    /// Its pixels, row by row, each stored value times the slope plus the intercept.
    pub fn values(&self) -> Result<Vec<f32>, ImageError> {
        let decoded = guarded(|| -> Result<Vec<f64>, ImageError> {
            let object =
                dicom_object::open_file(&self.path).map_err(|e| damaged(&self.path, &e))?;
            check_segments(&self.path, &object)?;
            let pixels = object.decode_pixel_data();
            let pixels = pixels.map_err(|e| damaged(&self.path, &e))?;
            Ok(stored_values(&pixels))
        });
        let stored = match decoded {
            Some(values) => values?,
            None => {
                let message = "its pixels cannot be decoded";
                return Err(ImageError::damaged(&self.path, FORMAT, message));
            }
        };
        let expected = self.size[0] * self.size[1];
        if stored.len() != expected {
            return Err(ImageError::Truncated {
                path: self.path.clone(),
                what: "pixels",
                found: stored.len() as u64,
                expected: expected as u64,
            });
        }
        let scaled = |value: f64| (value * self.slope + self.intercept) as f32;
        Ok(stored.into_iter().map(scaled).collect())
    }
}

/// Refuses run lengths in more segments than there can be, for each of which the decoder takes
/// memory. Source: DICOM PS3.5, annex G.5: a header of 16 numbers, the first how many follow.
fn check_segments(path: &Path, object: &DefaultDicomObject) -> Result<(), ImageError> {
    let syntax = object.meta().transfer_syntax();
    let pixels = object.get(PIXEL_DATA).map(|element| element.value());
    let Some(Value::PixelSequence(pixels)) = pixels else {
        return Ok(());
    };
    if syntax.trim_end_matches(['\0', ' ']) != RUN_LENGTHS {
        return Ok(());
    }
    let segments = pixels.fragments().iter().map(|fragment| {
        let number = fragment
            .first_chunk()
            .map(|bytes| u32::from_le_bytes(*bytes));
        number.filter(|_| fragment.len() >= 64).unwrap_or(u32::MAX)
    });
    match segments.max().filter(|most| *most > MOST_SEGMENTS) {
        None => Ok(()),
        Some(_) => Err(ImageError::damaged(
            path,
            FORMAT,
            "run lengths without their header",
        )),
    }
}

/// The stored bits of each pixel as a number; those above them, as of overlays, are no part.
fn stored_values(pixels: &DecodedPixelData) -> Vec<f64> {
    let signed = pixels.pixel_representation() == PixelRepresentation::Signed;
    let above = pixels.bits_allocated().saturating_sub(pixels.bits_stored());
    match pixels.bits_allocated() {
        8 => (pixels.data().iter())
            .map(|&byte| match (byte << above, signed) {
                (byte, true) => f64::from((byte as i8) >> above),
                (byte, false) => f64::from(byte >> above),
            })
            .collect(),
        _ => (pixels.data_ow().into_iter())
            .map(|word| match (word << above, signed) {
                (word, true) => f64::from((word as i16) >> above),
                (word, false) => f64::from(word >> above),
            })
            .collect(),
    }
}

impl Elements<'_> {
    fn text(&self, tag: Tag) -> String {
        let element = self.object.element_opt(tag).ok().flatten();
        let text = element.and_then(|e| Some(e.to_str().ok()?.trim().to_owned()));
        text.unwrap_or_default()
    }

    /// All numbers of an element; none where it is absent or empty.
    fn all(&self, tag: Tag) -> Result<Vec<f64>, ImageError> {
        match self.object.element_opt(tag) {
            Ok(Some(element)) if element.value().multiplicity() > 0 => {
                (element.to_multi_float64()).map_err(|e| damaged(self.path, &e))
            }
            Ok(_) => Ok(Vec::new()),
            Err(e) => Err(damaged(self.path, &e)),
        }
    }

    fn first(&self, tag: Tag) -> Result<Option<f64>, ImageError> {
        Ok(self.all(tag)?.first().copied())
    }

    fn numbers<const N: usize>(&self, tag: Tag, name: &str) -> Result<[f64; N], ImageError> {
        let found = self.all(tag)?;
        <[f64; N]>::try_from(found).map_err(|found| {
            let found = match found.is_empty() {
                true => "absent".to_owned(),
                false => format!("{found:?}"),
            };
            self.wrong(name, found, &format!("{N} numbers that place the slice"))
        })
    }

    /// Refuses by name what is no plain slice of grey values.
    fn refuse_unread(&self) -> Result<(), ImageError> {
        const CONVERT: &str = "convert the series to NIfTI, for example with dcm2niix";
        let frames = self.first(NUMBER_OF_FRAMES)?.unwrap_or(1.0);
        let samples = self.first(SAMPLES_PER_PIXEL)?.unwrap_or(1.0);
        let lut = self.object.element_opt(MODALITY_LUT).ok().flatten();
        let colours = self.text(PHOTOMETRIC);
        let bits = [BITS_ALLOCATED, BITS_STORED, HIGH_BIT].map(|tag| self.first(tag));
        let [allocated, stored, high] = bits;
        let (allocated, stored, high) = (allocated?, stored?, high?);
        let stored = stored.or(allocated).unwrap_or_default();
        let plain = [Some(8.0), Some(16.0)].contains(&allocated)
            && (1.0..=allocated.unwrap_or_default()).contains(&stored)
            && high.is_none_or(|high| high + 1.0 == stored);
        let syntax = self.object.meta().transfer_syntax();
        let syntax = syntax.trim_end_matches(['\0', ' ']);
        let what = if frames > 1.0 {
            format!("{frames} frames")
        } else if samples > 1.0 || !(colours.is_empty() || colours.starts_with("MONOCHROME")) {
            format!("colours ({colours})")
        } else if let Some((_, name)) = UNREAD.iter().find(|(uid, _)| *uid == syntax) {
            format!("pixels in {name}")
        } else if !plain {
            format!(
                "pixels of {} bits of which {stored} are stored",
                allocated.unwrap_or_default()
            )
        } else if self.text(IMAGE_TYPE).to_uppercase().contains("MOSAIC") {
            "a mosaic of slices".to_owned()
        } else if lut.is_some() {
            "a table of values (Modality LUT)".to_owned()
        } else {
            return Ok(());
        };
        Err(ImageError::not_read(self.path, FORMAT, what, CONVERT))
    }

    fn wrong(&self, field: &str, found: String, expected: &str) -> ImageError {
        ImageError::header(self.path, FORMAT, field, found, expected)
    }
}

/// The elements of a file that `open` reads, whose panics are an error too.
pub(super) fn opened<T, E: Error + 'static>(
    path: &Path,
    open: impl FnOnce() -> Result<T, E>,
) -> Result<T, ImageError> {
    match guarded(open) {
        Some(object) => object.map_err(|e| damaged(path, &e)),
        None => Err(ImageError::damaged(
            path,
            FORMAT,
            "its elements cannot be read",
        )),
    }
}

/// What the reader says, with what it came from.
pub(super) fn damaged(path: &Path, error: &dyn Error) -> ImageError {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    ImageError::damaged(path, FORMAT, message)
}
