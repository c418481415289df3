//! The end of a run, `summary.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Ending, LastIterations};

/// How a session of training ended; `summary.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Iterations done.
    pub iterations: u64,
    /// True when all iterations asked for are done.
    pub finished: bool,
    /// Training DSC over the last 200 iterations.
    pub last_iterations: Option<LastIterations>,
    /// What the network predicts in its last iterations; version 0.1.0 did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// Times that the training began again since it had collapsed.
    #[serde(default)]
    pub restarts: u64,
    /// What each part of a sampler that is a mixture drew: patches, and of these, patches
    /// without foreground.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub drawn: BTreeMap<String, [u64; 2]>,
    /// Mean foreground share of the effective patches drawn.
    pub foreground_share: f64,
    /// Share of patches without foreground.
    pub empty_patch_rate: f64,
    /// Median seconds per iteration.
    pub seconds_per_iteration: f64,
    /// Share of the time spent waiting for patches.
    pub wait_share: f64,
    /// Trainable and running values of the network.
    pub parameters: usize,
    /// Peak resident memory of the process in bytes, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// Mean whole-volume foreground DSC of the validation subjects at the end.
    pub validation_dsc: Option<f64>,
    /// Iteration of the best checkpoint, by whole-volume DSC and lesion F1 of the
    /// validation subjects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_iteration: Option<u64>,
}

impl Summary {
    /// Of a network that was trained elsewhere.
    pub fn imported(parameters: usize) -> Self {
        Self {
            iterations: 0,
            finished: true,
            last_iterations: None,
            ending: None,
            restarts: 0,
            drawn: BTreeMap::new(),
            foreground_share: 0.0,
            empty_patch_rate: 0.0,
            seconds_per_iteration: 0.0,
            wait_share: 0.0,
            parameters,
            peak_memory_bytes: None,
            validation_dsc: None,
            best_iteration: None,
        }
    }
}
