//! What a run of a study found on its test subjects:
//!
//! ```text
//! RUN/test/predictions/        label maps
//! RUN/test/summary.json        scores, as `lacuna evaluate` writes them
//! RUN/test/overlays/           a picture of each subject
//! RUN/test/calibration.json    how far probabilities can be believed
//! RUN/outcome.json             written last: the run is done
//! ```

use std::path::Path;

use lacuna_metrics::Reliability;
use serde::{Deserialize, Serialize};

use crate::RecordError;
use crate::files::{read_json, read_optional};

/// How far the foreground probabilities of run folder `run` can be believed, over
/// the voxels of all test subjects inside their masks; `None` when it has not
/// been tested.
///
/// # Errors
/// When the file cannot be read.
pub fn read_calibration(run: &Path) -> Result<Option<Reliability>, RecordError> {
    read_optional(&run.join("test/calibration.json"))
}

/// The end of a run of a study, `outcome.json`: once it is there, the run is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Seconds of all training iterations.
    pub train_seconds: f64,
    /// Seconds of predicting and scoring the test subjects.
    pub test_seconds: f64,
    /// Threads that computed.
    pub threads: usize,
    /// Unix time of the end.
    pub wall_time: f64,
}

impl Outcome {
    /// The outcome of run folder `run`; `None` when it is not done.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(run: &Path) -> Result<Option<Self>, RecordError> {
        read_optional(&run.join("outcome.json"))
    }

    /// Writes it, last of all.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, run: &Path) -> Result<(), RecordError> {
        crate::write_json(&run.join("outcome.json"), self)
    }
}

impl crate::Summary {
    /// The summary of run folder `run`.
    ///
    /// # Errors
    /// When it is missing or cannot be read.
    pub fn read(run: &Path) -> Result<Self, RecordError> {
        read_json(run, "summary.json")
    }
}
