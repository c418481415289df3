//! What can be wrong with a recorded file.

use std::io;
use std::path::{Path, PathBuf};

/// A file of a run or a study cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The system refused.
    #[error("{path}: {source}; check that the folder exists, can be written and has space left")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] lacuna_io::atomic::WriteError),
    /// A file is not what this program writes.
    #[error("{path}: {found}; restore the file, or remove it and make it again")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        found: String,
    },
    /// There is nothing to predict with or to resume.
    #[error("{run} holds no {missing}; expected a folder made by `lacuna train`")]
    NotARun {
        /// The folder.
        run: PathBuf,
        /// The file that is missing.
        missing: &'static str,
    },
    /// There is no study to go on with or to report.
    #[error("{folder} holds no study.json; expected a folder made by `lacuna sweep`")]
    NotAStudy {
        /// The folder.
        folder: PathBuf,
    },
}

impl RecordError {
    /// For `map_err`: an I/O error about `path`.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
