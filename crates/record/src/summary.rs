//! The end of a run, `summary.json`.

use serde::{Deserialize, Serialize};

use crate::LastIterations;

/// How a session of training ended; `summary.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Iterations done.
    pub iterations: u64,
    /// True when all iterations asked for are done.
    pub finished: bool,
    /// Training DSC over the last 200 iterations.
    pub last_iterations: Option<LastIterations>,
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
}
