//! The two files of a `.hdr`/`.img` pair, told by their names.

use std::path::{Path, PathBuf};

use super::error::NiftiError;

const HEADER_ENDINGS: [&str; 2] = [".hdr", ".hdr.gz"];
const IMAGE_ENDINGS: [&str; 2] = [".img", ".img.gz"];

/// The ending of `endings` that a file name has.
fn ending(path: &Path, endings: &[&'static str]) -> Option<&'static str> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    endings.iter().copied().find(|e| name.ends_with(e))
}

/// Whether the name is that of the half with the voxels.
pub(crate) fn is_image_half(path: &Path) -> bool {
    ending(path, &IMAGE_ENDINGS).is_some()
}

/// Whether the name is that of the half with the header.
pub(super) fn is_header_half(path: &Path) -> bool {
    ending(path, &HEADER_ENDINGS).is_some()
}

/// The file with the header: the `.hdr` of an `.img`, else the file itself.
pub(super) fn header_of(path: &Path) -> Result<PathBuf, NiftiError> {
    match ending(path, &IMAGE_ENDINGS) {
        Some(image) => sibling(path, image, &HEADER_ENDINGS),
        None => Ok(path.to_owned()),
    }
}

/// The `.img` file of a `.hdr` file.
pub(super) fn image_of(header: &Path) -> Result<PathBuf, NiftiError> {
    let ending = ending(header, &HEADER_ENDINGS).unwrap_or_default();
    sibling(header, ending, &IMAGE_ENDINGS)
}

/// The other half of a pair; `None` for a single file.
pub(crate) fn other_half(path: &Path) -> Result<Option<PathBuf>, NiftiError> {
    match (is_image_half(path), is_header_half(path)) {
        (true, _) => header_of(path).map(Some),
        (_, true) => image_of(path).map(Some),
        _ => Ok(None),
    }
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
