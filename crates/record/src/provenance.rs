//! What made a run, a study, a folder of predictions or an evaluation.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::unix_time;

/// The commit that the program was built from; a library does not know it.
static COMMIT: OnceLock<&'static str> = OnceLock::new();

/// Says which commit the running program was built from, once at its start.
pub fn built_from(commit: &'static str) {
    let _ = COMMIT.set(commit);
}

/// What made the files beside it. Parts are absent where they do not apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Provenance {
    /// Version of Lacuna.
    pub version: String,
    /// Commit it was built from; absent when that was not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The words of the command.
    pub command: Vec<String>,
    /// Unix time in seconds.
    pub time: f64,
    /// Threads that computed.
    pub threads: usize,
    /// Vector instructions of the processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Where tensors were: `cpu`, `vulkan` or `cuda`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// SHA-256 of the weights' file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
}

impl Provenance {
    /// That of the running process, computing with so many threads.
    pub fn of_process(threads: usize) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit: COMMIT.get().map(|&commit| commit.to_owned()),
            command: std::env::args_os()
                .map(|word| word.to_string_lossy().into_owned())
                .collect(),
            time: unix_time(),
            threads,
            ..Self::default()
        }
    }
}
