//! Reading NIfTI files.
//!
//! Every size in the header is checked against what the file can hold, and
//! memory grows with the voxels found, so a lying header cannot exhaust it.
//! Values that are not finite are legal here; the caller judges them.

use std::collections::TryReserveError;
use std::path::{Path, PathBuf};

use lacuna_volume::Volume;

use crate::NiftiError;
use crate::ahead::{Stopped, read_ahead};
use crate::header::Header;
use crate::layout::{self, BYTES_1, BYTES_2, Fields, Version};
use crate::source::Source;

/// Memory asked for before the first voxel is found, in voxels: enough for most
/// volumes, so that they never move. What is not filled is not touched either.
const FIRST_VOXELS: usize = 1 << 24;

/// How far from a whole number a label may be: some tools store masks as
/// floating-point numbers that were interpolated or scaled.
const LABEL_TOLERANCE: f64 = 1e-3;

/// Reads and checks the header of a NIfTI file. Of a `.hdr`/`.img` pair either
/// name will do.
///
/// # Errors
/// When the file is missing, no NIfTI file, or its header is unusable.
pub fn read_header(path: impl AsRef<Path>) -> Result<Header, NiftiError> {
    Ok(open_header(path.as_ref())?.0)
}

/// Reads one volume, scaled by the header's slope and intercept. A 2-D image
/// gets a last axis of length 1.
///
/// # Errors
/// When the file is missing, damaged or cut off, or holds several volumes.
pub fn read_image(path: impl AsRef<Path>) -> Result<Volume<f32>, NiftiError> {
    let mut voxels = Voxels::open(path.as_ref())?;
    voxels.expect_one_volume()?;
    let volume = voxels.next_volume(|value| value as f32)?;
    voxels.finish()?;
    Ok(volume)
}

/// Reads all volumes of a file, one for each index along the fourth axis.
///
/// # Errors
/// When the file is missing, damaged or cut off.
pub fn read_image_4d(path: impl AsRef<Path>) -> Result<Vec<Volume<f32>>, NiftiError> {
    let mut voxels = Voxels::open(path.as_ref())?;
    let volumes = (0..voxels.header.volumes())
        .map(|_| voxels.next_volume(|value| value as f32))
        .collect::<Result<_, _>>()?;
    voxels.finish()?;
    Ok(volumes)
}

/// Reads a label map of any datatype. Values within 0.001 of a whole number
/// count as that number.
///
/// # Errors
/// When a voxel is farther from a whole number, not finite or beyond 32 bits;
/// and as [`read_image`].
pub fn read_labels(path: impl AsRef<Path>) -> Result<Volume<i32>, NiftiError> {
    let mut voxels = Voxels::open(path.as_ref())?;
    voxels.expect_one_volume()?;
    let mut position = 0;
    let mut bad = None;
    let labels = voxels.next_volume(|value| {
        let label = label(value);
        if label.is_none() && bad.is_none() {
            bad = Some((position, value));
        }
        position += 1;
        label.unwrap_or(0)
    })?;
    voxels.finish()?;
    match bad {
        None => Ok(labels),
        Some((position, value)) => {
            let [nx, ny, _] = labels.shape();
            Err(NiftiError::NotALabel {
                path: path.as_ref().to_owned(),
                voxel: [position % nx, position / nx % ny, position / nx / ny],
                value,
            })
        }
    }
}

fn label(value: f64) -> Option<i32> {
    // The cast saturates and makes NaN 0, so only true whole numbers pass.
    let whole = value as i32;
    if f64::from(whole) == value {
        return Some(whole);
    }
    let whole = value.round();
    let fits = whole >= f64::from(i32::MIN) && whole <= f64::from(i32::MAX);
    (fits && (value - whole).abs() <= LABEL_TOLERANCE).then_some(whole as i32)
}

/// A file opened at its first voxel.
struct Voxels {
    header: Header,
    source: Source,
    voxels: usize,
    /// Bytes of all volumes.
    bytes: u64,
}

impl Voxels {
    fn open(path: &Path) -> Result<Self, NiftiError> {
        let (header, header_source) = open_header(path)?;
        let source = if header.pair {
            Source::open(&image_of(header_source.path())?)?
        } else {
            header_source
        };
        let (voxels, bytes) = header.sizes(source.path())?;
        let mut opened = Self {
            header,
            source,
            voxels,
            bytes,
        };
        opened.seek_first_voxel()?;
        Ok(opened)
    }

    fn seek_first_voxel(&mut self) -> Result<(), NiftiError> {
        let offset = self.header.vox_offset;
        let most = self.source.most_bytes().saturating_sub(offset);
        if most < self.bytes {
            return Err(NiftiError::Truncated {
                path: self.source.path().to_owned(),
                what: if self.source.is_compressed() {
                    "voxels (the most that so small a compressed file can hold)"
                } else {
                    "voxels"
                },
                found: most,
                expected: self.bytes,
            });
        }
        match self.source.skip_to(offset) {
            Ok(reached) if reached < offset => Err(self.truncated()),
            Ok(_) => Ok(()),
            Err(e) => Err(self.source.error(e, "voxels", 0, self.bytes)),
        }
    }

    fn expect_one_volume(&self) -> Result<(), NiftiError> {
        match self.header.volumes() {
            1 => Ok(()),
            found => Err(NiftiError::VolumeCount {
                path: self.source.path().to_owned(),
                found,
            }),
        }
    }

    fn next_volume<T>(&mut self, mut to: impl FnMut(f64) -> T) -> Result<Volume<T>, NiftiError> {
        let encoding = self.header.encoding;
        let voxel_bytes = encoding.datatype.bytes();
        let bytes = self.voxels.saturating_mul(voxel_bytes);
        let mut data = Vec::new();
        let read = read_ahead(&mut self.source, bytes, |chunk| {
            reserve(&mut data, chunk.len() / voxel_bytes, self.voxels)?;
            encoding.decode(chunk, &mut data, &mut to);
            Ok(())
        });
        read.map_err(|stopped| match stopped {
            Stopped::Short => self.truncated(),
            Stopped::Read(e) => self.source.error(e, "voxels", self.found(), self.bytes),
            Stopped::Memory => NiftiError::TooLarge {
                path: self.source.path().to_owned(),
                bytes: self.voxels as u128 * size_of::<T>() as u128,
            },
        })?;
        Volume::new(self.header.shape(), *self.header.affine(), data).map_err(|source| {
            NiftiError::Volume {
                path: self.source.path().to_owned(),
                source: Box::new(source),
            }
        })
    }

    /// Reads a compressed stream to its end, so that its checksum is compared.
    fn finish(mut self) -> Result<(), NiftiError> {
        self.source
            .finish()
            .map_err(|e| self.source.error(e, "voxels", self.found(), self.bytes))
    }

    fn found(&self) -> u64 {
        let offset = self.header.vox_offset;
        self.source.position().saturating_sub(offset)
    }

    fn truncated(&self) -> NiftiError {
        NiftiError::Truncated {
            path: self.source.path().to_owned(),
            what: "voxels",
            found: self.found(),
            expected: self.bytes,
        }
    }
}

/// Makes room for `more` of `voxels`, and for as many again as are there.
fn reserve<T>(data: &mut Vec<T>, more: usize, voxels: usize) -> Result<(), TryReserveError> {
    if data.capacity() - data.len() >= more {
        return Ok(());
    }
    data.try_reserve_exact(data.len().max(FIRST_VOXELS).min(voxels - data.len()))
}

/// Opens the file that holds the header and reads that.
fn open_header(path: &Path) -> Result<(Header, Source), NiftiError> {
    let path = &header_of(path)?;
    let mut source = Source::open(path)?;
    let fields = read_fields(&mut source)?;
    let header = Header::from_fields(&fields, path)?;
    if header.pair != (ending(path, &HEADER_ENDINGS).is_some()) {
        let (found, expected) = if header.pair {
            (
                "the magic of a .hdr/.img pair",
                "a name that ends with .hdr",
            )
        } else {
            ("the magic of a single file", "a name that ends with .nii")
        };
        return Err(NiftiError::NotNifti {
            path: path.to_owned(),
            found: found.to_owned(),
            expected,
            remedy: "rename the file",
        });
    }
    Ok((header, source))
}

fn read_fields(source: &mut Source) -> Result<Fields, NiftiError> {
    let mut bytes = [0; BYTES_2];
    read_part(source, &mut bytes, 0, 4, BYTES_1)?;
    let first = [bytes[0], bytes[1], bytes[2], bytes[3]];
    let (version, big_endian) = layout::recognise(first).ok_or_else(|| NiftiError::NotNifti {
        path: source.path().to_owned(),
        found: format!("sizeof_hdr {} (bytes {first:?})", i32::from_le_bytes(first)),
        expected: "348 or 540",
        remedy: "give a NIfTI file, or convert this one",
    })?;
    read_part(
        source,
        &mut bytes,
        4,
        version.header_bytes(),
        version.header_bytes(),
    )?;
    Ok(match version {
        Version::Nifti1 => {
            let mut start = [0; BYTES_1];
            start.copy_from_slice(&bytes[..BYTES_1]);
            Fields::parse_1(&start, big_endian)
        }
        Version::Nifti2 => Fields::parse_2(&bytes, big_endian),
    })
}

/// Reads bytes `from..to` of the header, which has `expected` bytes in all.
fn read_part(
    source: &mut Source,
    header: &mut [u8; BYTES_2],
    from: usize,
    to: usize,
    expected: usize,
) -> Result<(), NiftiError> {
    match source.read(&mut header[from..to]) {
        Ok(n) if n < to - from => Err(NiftiError::Truncated {
            path: source.path().to_owned(),
            what: "header",
            found: source.position(),
            expected: expected as u64,
        }),
        Ok(_) => Ok(()),
        Err(e) => Err(source.error(e, "header", source.position(), expected as u64)),
    }
}

const HEADER_ENDINGS: [&str; 2] = [".hdr", ".hdr.gz"];
const IMAGE_ENDINGS: [&str; 2] = [".img", ".img.gz"];

/// The ending of `endings` that a file name has.
fn ending(path: &Path, endings: &[&'static str]) -> Option<&'static str> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    endings.iter().copied().find(|e| name.ends_with(e))
}

/// The file with the header: the `.hdr` of an `.img`, else the file itself.
fn header_of(path: &Path) -> Result<PathBuf, NiftiError> {
    match ending(path, &IMAGE_ENDINGS) {
        Some(image) => sibling(path, image, &HEADER_ENDINGS),
        None => Ok(path.to_owned()),
    }
}

/// The `.img` file of a `.hdr` file.
fn image_of(header: &Path) -> Result<PathBuf, NiftiError> {
    let ending = ending(header, &HEADER_ENDINGS).unwrap_or_default();
    sibling(header, ending, &IMAGE_ENDINGS)
}

/// The file that has another of `endings` in place of `ending`; the two halves
/// of a pair need not be compressed alike, but alike is tried first.
fn sibling(path: &Path, ending: &str, endings: &[&str; 2]) -> Result<PathBuf, NiftiError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = &name[..name.len() - ending.len()];
    let mut expected = endings.map(|e| path.with_file_name(format!("{stem}{e}")));
    if ending.ends_with(".gz") {
        expected.reverse();
    }
    let found = expected
        .iter()
        .find(|candidate| candidate.exists())
        .cloned();
    found.ok_or_else(|| NiftiError::NoPair {
        path: path.to_owned(),
        expected: expected.to_vec(),
    })
}
