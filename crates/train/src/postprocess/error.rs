//! Why a postprocess file was refused.

use std::path::PathBuf;

/// Why a postprocess file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostprocessError {
    /// The file cannot be read.
    #[error("cannot read the postprocess file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML, a key missing, or a value of the wrong type.
    #[error("{path}: {message}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, found and expected.
        message: String,
    },
    /// A key that there is not.
    #[error("{path}: unknown key `{key}`{suggestion}; expected {expected}")]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// Dotted key.
        key: String,
        /// ", did you mean `...`?" or empty.
        suggestion: String,
        /// The keys that there are in its place.
        expected: String,
    },
    /// A table of a class that the file does not list, or of the background.
    #[error(
        "{path}: [class.{class}]: `{class}` is no foreground class of `classes`{suggestion}; \
         expected some of {expected}"
    )]
    UnknownClass {
        /// The file.
        path: PathBuf,
        /// The name.
        class: String,
        /// ", did you mean `...`?" or empty.
        suggestion: String,
        /// Names of the foreground classes.
        expected: String,
    },
    /// A value outside its range.
    #[error("{path}: `{key}` is {found}, expected {expected}")]
    Range {
        /// The file.
        path: PathBuf,
        /// Dotted key.
        key: String,
        /// The value.
        found: f64,
        /// The legal values.
        expected: &'static str,
    },
    /// No rule at all.
    #[error("{path}: the file asks for nothing; add [foreground] or [class.NAME] with a rule")]
    Nothing {
        /// The file.
        path: PathBuf,
    },
    /// The file is for other classes than those of the run.
    #[error(
        "{path} is a postprocess file of another dataset: its `classes` are {found:?}, and those \
         of {run} are {expected:?}; give the file that was made for this run"
    )]
    OtherClasses {
        /// The file.
        path: PathBuf,
        /// Classes of the file.
        found: Vec<String>,
        /// The run.
        run: PathBuf,
        /// Classes of the run.
        expected: Vec<String>,
    },
    /// The file is for another dataset than the run's.
    #[error(
        "{path} is a postprocess file of another dataset: its `dataset` is {found:?}, and {run} \
         was trained on {expected:?}; give the file that was made for this run"
    )]
    OtherDataset {
        /// The file.
        path: PathBuf,
        /// Dataset of the file.
        found: String,
        /// The run.
        run: PathBuf,
        /// Dataset of the run.
        expected: String,
    },
}
