//! Why a configuration was refused.

use std::path::PathBuf;

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the run configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML, or a value of the wrong type.
    #[error("{origin}: {message}")]
    Invalid {
        /// The file, or the `--set` argument.
        origin: String,
        /// Line, found and expected.
        message: String,
    },
    /// A key that no part of the configuration has.
    #[error("{origin}: unknown key `{key}`{suggestion}; `lacuna config` prints every key")]
    UnknownKey {
        /// The file, or the `--set` argument.
        origin: String,
        /// Dotted key.
        key: String,
        /// ", did you mean `...`?" or empty.
        suggestion: String,
    },
    /// Regions that are not sets of the dataset's classes.
    #[error("`regions` of the run configuration: {source}")]
    Regions {
        /// Which region, and what is expected.
        source: lacuna_losses::RegionError,
    },
    /// A value outside its range.
    #[error("{origin}: `{key}` is {found}, expected {expected}")]
    Range {
        /// The file.
        origin: String,
        /// Dotted key.
        key: &'static str,
        /// The value.
        found: String,
        /// The legal values.
        expected: &'static str,
    },
}
