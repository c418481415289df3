//! Why a dataset cannot be written as a folder of nnU-Net.

use std::io;
use std::path::{Path, PathBuf};

use lacuna_io::ImageError;
use lacuna_io::atomic::WriteError;
use lacuna_volume::VolumeError;

use crate::manifest::ManifestError;
use crate::split::SplitsFileError;

/// Why a dataset cannot be written as a folder of nnU-Net. Nothing is left of it then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NnunetError {
    /// nnU-Net would not find the folder.
    #[error("{path}: nnU-Net finds folders by their name; expected DatasetNNN_NAME, such as Dataset001_lesions", path = path.display())]
    Name {
        /// The folder to write.
        path: PathBuf,
    },
    /// Something is there.
    #[error("{path} is there already; choose another name, or remove it", path = path.display())]
    Exists {
        /// The folder to write.
        path: PathBuf,
    },
    /// A class whose name means something else to nnU-Net.
    #[error("{manifest}: the class `{class}` has a name that nnU-Net reserves; rename it", manifest = manifest.display())]
    Class {
        /// The manifest.
        manifest: PathBuf,
        /// The class.
        class: String,
    },
    /// Files of one subject on different grids.
    #[error(
        "subject {subject}: the corners of {file} lie up to {apart_mm} mm from those of {first}, \
         and nnU-Net needs one grid; resample it, or for an image name the one whose grid is \
         meant as `grid` in the manifest", file = file.display(), first = first.display()
    )]
    Grid {
        /// The subject.
        subject: String,
        /// The file.
        file: PathBuf,
        /// The image whose grid it should have.
        first: PathBuf,
        /// How far apart; infinite where the shapes differ.
        apart_mm: f64,
    },
    /// The folder cannot be written.
    #[error("cannot write {path}: {source}; check the folder that it lies in, and the disk", path = path.display())]
    Write {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A description or a list of folds cannot be written.
    #[error(transparent)]
    File(#[from] WriteError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// An image or a label map does not fit the manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// An image that cannot be brought onto the grid of another.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// The folds do not fit the dataset.
    #[error(transparent)]
    Splits(#[from] SplitsFileError),
}

impl NnunetError {
    pub(super) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self::Write {
            path: path.to_owned(),
            source,
        }
    }
}
