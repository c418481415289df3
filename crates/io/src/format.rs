//! Which format a file has, by what it holds and not by its name.

use std::path::Path;

use crate::ImageError;
use crate::nifti;
use crate::source::Source;

/// Bytes looked at: the longest distance to a magic, that of DICOM.
const START_BYTES: usize = 132;

/// A format that images are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// NIfTI-1 or NIfTI-2, a single file or a `.hdr`/`.img` pair.
    Nifti,
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
        let mut source = Source::open(path)?;
        let mut start = [0; START_BYTES];
        let read = source
            .read(&mut start)
            .map_err(|e| source.error(e, "header", source.position(), START_BYTES as u64))?;
        let start = &start[..read];
        match start.first_chunk::<4>() {
            // Too short for any mark: reading tells how much is missing.
            None => Ok(Self::Nifti),
            Some(&first) if nifti::recognise(first).is_some() => Ok(Self::Nifti),
            Some(first) => {
                let (found, remedy) = looks_like(start).map_or_else(
                    || {
                        let size = i32::from_le_bytes(*first);
                        let found = format!("sizeof_hdr {size} (bytes {first:?})");
                        (found, "give a NIfTI file, or convert this one")
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

/// Name of a format that is known but not read, and what to do.
fn looks_like(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const CONVERT: &str = "convert it to NIfTI";
    const MARKS: [(&[u8], &str, &str); 6] = [
        (b"NRRD0", "NRRD", CONVERT),
        (b"ObjectType", "MetaImage", CONVERT),
        (b"NDims", "MetaImage", CONVERT),
        (b"\x89HDF", "HDF5 or MINC", CONVERT),
        (b"\x89PNG", "PNG", "give the scan itself, as a NIfTI file"),
        (b"PK\x03\x04", "zip", "unpack it"),
    ];
    if start.get(128..132) == Some(b"DICM") {
        let remedy = "convert its series to NIfTI, for example with dcm2niix";
        return Some(("DICOM", remedy));
    }
    MARKS
        .iter()
        .find(|(mark, ..)| start.starts_with(mark))
        .map(|&(_, name, remedy)| (name, remedy))
}
