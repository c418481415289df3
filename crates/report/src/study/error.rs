//! Why a study's report cannot be made.

use std::path::PathBuf;

/// A report of a study that cannot be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The study's folder.
    #[error(transparent)]
    Record(#[from] lacuna_record::RecordError),
    /// Scores that cannot be compared.
    #[error("the study's scores cannot be compared: {0}")]
    Metrics(#[from] lacuna_metrics::MetricsError),
    /// A picture.
    #[error(transparent)]
    Picture(#[from] crate::ReportError),
    /// The volumes of a picture.
    #[error("subject `{subject}` of run `{run}` cannot be drawn: {source}")]
    Volumes {
        /// The run.
        run: String,
        /// The subject.
        subject: String,
        /// The reason.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] lacuna_io::atomic::WriteError),
    /// A table as CSV.
    #[error("a table cannot be written as CSV: {0}")]
    Csv(std::io::Error),
    /// A file that no report wrote is where one would be.
    #[error(
        "{path} is there, and no report wrote it; give --out another folder, or --force to \
         replace it"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The list of what an earlier report wrote is not such a list.
    #[error(
        "{path} is not the list of files that a report writes; remove it, or give another --out"
    )]
    List {
        /// The list.
        path: PathBuf,
    },
    /// The folder for the report.
    #[error("{path}: {source}; check that the folder can be written")]
    Folder {
        /// The folder or a file in it.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}
