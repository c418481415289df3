//! What can be wrong with a study or its execution.

/// A study cannot be read, planned or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// A file of the study cannot be read or written.
    #[error(transparent)]
    Record(#[from] lacuna_record::RecordError),
}
