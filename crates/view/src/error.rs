//! Why there is nothing to look at.

use std::io;
use std::path::PathBuf;

/// Results that cannot be shown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The manifest was refused.
    #[error(transparent)]
    Manifest(#[from] lacuna_data::manifest::ManifestError),
    /// A recorded file cannot be read.
    #[error(transparent)]
    Record(#[from] lacuna_record::RecordError),
    /// A prediction cannot be read, or does not fit its reference.
    #[error(transparent)]
    Evaluate(#[from] lacuna_evaluate::EvaluateError),
    /// An image cannot be read.
    #[error(transparent)]
    Image(#[from] lacuna_io::ImageError),
    /// Masks cannot be compared.
    #[error(transparent)]
    Metrics(#[from] lacuna_metrics::MetricsError),
    /// The path is nothing that can be shown.
    #[error(
        "{path}: {found}; expected a dataset manifest, a folder of predictions, of a run, of \
         `lacuna evaluate` or of `lacuna auto`"
    )]
    Nothing {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// A folder of `lacuna auto` that has not come far enough.
    #[error(
        "{folder} holds no out-of-fold predictions yet; let `lacuna auto` go on until it has \
         judged them, or give the manifest to look at the images"
    )]
    Unjudged {
        /// The folder.
        folder: PathBuf,
    },
    /// Predictions do not say of which images they are.
    #[error(
        "{folder}: say with --dataset which manifest has the images that these predictions are of"
    )]
    NoDataset {
        /// The folder.
        folder: PathBuf,
    },
    /// A manifest was given twice.
    #[error("{path} is a manifest itself; leave --dataset out, or give a folder of predictions")]
    TwoDatasets {
        /// The path.
        path: PathBuf,
    },
    /// `run.toml` names no dataset.
    #[error("{file}: {found}; expected `dataset = ...`; restore the file")]
    AutoDataset {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        found: String,
    },
    /// Nothing can be saved into a folder.
    #[error(
        "{folder} cannot take corrections: {found}; name another folder with --corrections, one \
         that is not there yet, or that of earlier corrections of this dataset"
    )]
    CorrectionsFolder {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// A label map that editing starts with has other voxels than the image.
    #[error(
        "{file} has {found:?} voxels in another place than the image, which has {expected:?}: it \
         cannot be corrected voxel by voxel; bring it onto the grid of the image"
    )]
    CorrectionGrid {
        /// The file.
        file: PathBuf,
        /// Its shape.
        found: [usize; 3],
        /// That of the image.
        expected: [usize; 3],
    },
    /// No subject of the manifest has a prediction.
    #[error(
        "{folder} holds no prediction <id>.nii.gz of a subject of {manifest}; give the manifest \
         that was predicted"
    )]
    NoPrediction {
        /// The folder.
        folder: PathBuf,
        /// The manifest.
        manifest: PathBuf,
    },
    /// Another program listens already.
    #[error(
        "port {port} of 127.0.0.1 is in use by another program; choose another --port, or leave \
         it out to take a free one"
    )]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The server cannot start.
    #[error("cannot listen on port {port} of 127.0.0.1: {source}; choose another --port")]
    Listen {
        /// The port, 0 for any.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The system has no random numbers, without which the page would be open to all users.
    #[error("the system gives no random numbers for the secret of the page: {found}")]
    NoSecret {
        /// What the system said.
        found: String,
    },
    /// A file went away or cannot be read.
    #[error("{path}: {source}; check that the file is there and can be read")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
