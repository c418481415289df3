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
    /// A lock file that leads elsewhere.
    #[error(
        "{path} is a link, and a lock file that was made here is none; remove it if nobody \
         else put it there"
    )]
    LinkedLock {
        /// The file.
        path: PathBuf,
    },
    /// A file to write is one that the command reads.
    #[error("cannot write {output}: this command reads it (as {input}); choose another --out")]
    OutputIsInput {
        /// The file to write.
        output: PathBuf,
        /// The file that is read.
        input: PathBuf,
    },
    /// Results would mix with the files of a training.
    #[error(
        "{folder} holds a run (run.toml), which nothing else is written into; choose another --out"
    )]
    OutputIsRun {
        /// The run folder.
        folder: PathBuf,
    },
    /// A folder to write is something else.
    #[error("cannot write into {folder}: {found} is no folder; choose another --out")]
    NotAFolder {
        /// The folder to write.
        folder: PathBuf,
        /// What is in the way.
        found: PathBuf,
    },
    /// A folder to write, or the one that it would be in, takes no files.
    #[error(
        "cannot write into {folder}: {nearest} takes no files ({source}); choose another --out"
    )]
    NotWritable {
        /// The folder to write.
        folder: PathBuf,
        /// The nearest folder that exists.
        nearest: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A folder of predictions holds those of another run.
    #[error(
        "{folder} holds predictions of another run or state of it, of other runs, in other label \
         values, of another ending or by another postprocess file: {maker}; choose another --out, or replace them \
         with --force"
    )]
    OtherPredictions {
        /// The folder.
        folder: PathBuf,
        /// What made what is there.
        maker: String,
    },
    /// A file to write is there and not one's own.
    #[error(
        "{file} is there already and on no list of this run's files; choose another --out, or \
         replace it with --force"
    )]
    ForeignFile {
        /// The file.
        file: PathBuf,
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
