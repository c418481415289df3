//! DICOM series: the folder that holds its slices, or the one file of a single slice.
//!
//! Source of the geometry: DICOM PS3.3, C.7.6.2.1.1 (Image Plane). Slices are sorted by where
//! they lie along their normal, never by name or number.

mod lengths;
mod segmentation;
mod series;
mod slice;

use std::path::{Path, PathBuf};

use crate::encoding::{Datatype, Encoding};
use crate::voxels::{Layout, Voxels};
use crate::{Format, ImageError, Reference};
pub(crate) use segmentation::write as write_segmentation;
use slice::Slice;

const FORMAT: &str = "DICOM";

/// The mark of a file, which comes after 128 bytes of anything.
pub(crate) const MARK: (usize, &[u8]) = (128, b"DICM");

/// Opens the series of a folder, or a file; or a segmentation.
pub(crate) fn open(path: &Path) -> Result<(Reference, Voxels), ImageError> {
    let files = files(path)?;
    if let [file] = &files[..]
        && segmentation::is_one(file)?
    {
        return segmentation::open(file);
    }
    let mut slices = Vec::new();
    for file in files {
        slices.extend(Slice::read(&file)?);
    }
    let (slices, affine) = series::sorted(path, slices)?;
    let [x, y] = slices[0].size;
    let mut layout = Layout {
        shape: [x, y, slices.len()],
        volumes: 1,
        affine,
        encoding: Encoding {
            datatype: Datatype::F32,
            big_endian: false,
            scaling: None,
        },
        offset: 0,
        interleaved: false,
    };
    let reference = Reference::of_layout(&mut layout, 3);
    let reference = reference.of_slices(slices.iter().map(|slice| slice.path.clone()));
    // The header alone is often all that is asked for.
    let decode = move || -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        for slice in &slices {
            let values = slice.values()?;
            bytes.extend(values.into_iter().flat_map(f32::to_le_bytes));
        }
        Ok(bytes)
    };
    Ok((reference, Voxels::decoded_later(path, layout, decode)?))
}

/// The DICOM files of a folder, by name, or the file itself.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>, ImageError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let read = |source| ImageError::Read {
        path: path.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(read)? {
        let file = entry.map_err(read)?.path();
        // A link to what was not fetched would be a slice that is missing.
        let about = std::fs::metadata(&file).map_err(|e| ImageError::opening(&file, e))?;
        if about.is_file() && is_dicom(&file)? {
            files.push(file);
        }
    }
    files.sort();
    match files.is_empty() {
        false => Ok(files),
        true => Err(ImageError::NotAFile {
            path: path.to_owned(),
        }),
    }
}

fn is_dicom(file: &Path) -> Result<bool, ImageError> {
    let marked = match Format::of(file) {
        Ok(format) => format == Format::Dicom,
        Err(ImageError::UnknownFormat { .. }) => false,
        Err(error) => return Err(error),
    };
    let ending = file.extension().unwrap_or_default();
    let named = ["dcm", "ima"]
        .iter()
        .any(|e| ending.eq_ignore_ascii_case(e));
    match named && !marked {
        false => Ok(marked),
        true => Err(ImageError::damaged(
            file,
            FORMAT,
            "no mark of the format in it",
        )),
    }
}
