//! Which format a file has, by what it holds and not by its name.

use std::path::{Path, PathBuf};

use crate::picture::Picture;
use crate::source::Source;
use crate::{ImageError, dicom, metaimage, mgh, nifti, nrrd};

/// Bytes looked at: the longest distance to a magic, that of DICOM.
const START_BYTES: usize = 132;

/// A format that images are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// NIfTI-1 or NIfTI-2, a single file or a `.hdr`/`.img` pair.
    Nifti,
    /// MetaImage, `.mha`, or `.mhd` with its file of voxels.
    MetaImage,
    /// NRRD, `.nrrd` (also Slicer's `.seg.nrrd`), or `.nhdr` with its file of voxels.
    Nrrd,
    /// FreeSurfer's `.mgh` and `.mgz`.
    Mgh,
    /// A DICOM series: the folder of its slices, or a file of one.
    Dicom,
    /// A picture, its colours as volumes.
    Picture(Picture),
}

impl Format {
    /// The format of the file at `path`. Of a pair either half will do.
    ///
    /// # Errors
    /// When the file cannot be read or is of no known format.
    pub fn of(path: impl AsRef<Path>) -> Result<Self, ImageError> {
        let path = path.as_ref();
        // Half of a pair is voxels without any mark, so only its name tells.
        if nifti::is_image_half(path) {
            return Ok(Self::Nifti);
        }
        if path.is_dir() {
            return Ok(Self::Dicom);
        }
        let mut source = Source::open(path)?;
        let mut start = [0; START_BYTES];
        let read = source
            .read(&mut start)
            .map_err(|e| source.error(e, "header", source.position(), START_BYTES as u64))?;
        let start = &start[..read];
        if start.get(dicom::MARK.0..) == Some(dicom::MARK.1) {
            return Ok(Self::Dicom);
        }
        if let Some(picture) = Picture::recognise(start) {
            return Ok(Self::Picture(picture));
        }
        match start.first_chunk::<4>() {
            // Too short for any mark: reading tells how much is missing.
            None => Ok(Self::Nifti),
            Some(&first) if nifti::recognise(first).is_some() => Ok(Self::Nifti),
            Some(&mgh::VERSION) => Ok(Self::Mgh),
            Some(_) if start.starts_with(nrrd::MAGIC) => Ok(Self::Nrrd),
            Some(_) if metaimage::STARTS.iter().any(|s| start.starts_with(s)) => {
                Ok(Self::MetaImage)
            }
            Some(first) => {
                let (found, remedy) = looks_like(start).map_or_else(
                    || {
                        let size = i32::from_le_bytes(*first);
                        let found = format!("sizeof_hdr {size} (bytes {first:?})");
                        (found, "give such a file, or convert this one")
                    },
                    |(name, remedy)| (format!("{name} content"), remedy),
                );
                Err(ImageError::UnknownFormat {
                    path: path.to_owned(),
                    found,
                    remedy,
                })
            }
        }
    }
}

/// The files that an image consists of, the one at `path` first: a pair has two, a header may
/// name one with the voxels, and a series is those in its folder.
///
/// # Errors
/// When the format cannot be told, or a file is missing.
pub fn files_of(path: impl AsRef<Path>) -> Result<Vec<PathBuf>, ImageError> {
    let path = path.as_ref();
    let other = match Format::of(path)? {
        Format::Nifti => nifti::other_half(path)?,
        Format::MetaImage => metaimage::data_file(path)?,
        Format::Nrrd => nrrd::data_file(path)?,
        Format::Dicom => return dicom::files(path),
        Format::Mgh | Format::Picture(_) => None,
    };
    Ok([path.to_owned()].into_iter().chain(other).collect())
}

/// Name of a format that is known but not read, and what to do.
fn looks_like(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const CONVERT: &str = "convert it to NIfTI";
    const MARKS: [(&[u8], &str, &str); 2] = [
        (b"\x89HDF", "HDF5 or MINC", CONVERT),
        (b"PK\x03\x04", "zip", "unpack it"),
    ];
    MARKS
        .iter()
        .find(|(mark, ..)| start.starts_with(mark))
        .map(|&(_, name, remedy)| (name, remedy))
}
