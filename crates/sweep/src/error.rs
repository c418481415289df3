//! What can be wrong with a study or its execution.

use std::io;
use std::path::PathBuf;

use lacuna_record::RecordError;

/// A study cannot be read, planned or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// A file of the study cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] lacuna_io::atomic::WriteError),
    /// The study file or its base cannot be read.
    #[error("cannot read {path}: {source}; give the path of a study file")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The study file says what no study can.
    #[error("{path}: {message}")]
    Study {
        /// The file.
        path: PathBuf,
        /// Found, expected and what to do.
        message: String,
    },
    /// Another process works through the study.
    #[error("{folder} is in use by another `lacuna sweep`; wait for it or stop it")]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds something else.
    #[error("{folder}: {found}; give --out a new or an empty folder, or that of this study")]
    OtherStudy {
        /// The folder.
        folder: PathBuf,
        /// What is there.
        found: String,
    },
    /// A run was begun with another configuration.
    #[error(
        "{config}: run `{run}` was planned with another configuration: {differences}; restore \
         these values, or give another --out"
    )]
    Changed {
        /// Configuration on disk.
        config: PathBuf,
        /// The run.
        run: String,
        /// What differs.
        differences: String,
    },
    /// A process cannot be started.
    #[error("cannot start {binary}: {source}")]
    Start {
        /// The program.
        binary: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
