//! What a run of a study found on its test subjects:
//!
//! ```text
//! RUN/test/predictions/        label maps
//! RUN/test/summary.json        scores, as `lacuna evaluate` writes them
//! RUN/test/overlays/           a picture of each subject
//! RUN/test/calibration.json    how far probabilities can be believed
//! RUN/outcome.json             written last: the run is done
//! ```

use std::path::{Path, PathBuf};

use lacuna_metrics::Reliability;
use serde::{Deserialize, Serialize};

use crate::RecordError;
use crate::files::{read_json, read_optional};

/// The part of an evaluation's `summary.json` that comparisons need.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TestScores {
    /// One entry per test subject.
    pub subjects: Vec<SubjectScores>,
}

/// The scores of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectScores {
    /// Subject id.
    pub subject: String,
    /// Its picture.
    pub overlay: Overlay,
    /// One row per foreground class, then their union when there are several.
    pub classes: Vec<ClassRow>,
}

/// A picture on disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overlay {
    /// Below the folder of the evaluation.
    pub file: PathBuf,
    /// What it shows.
    pub caption: String,
    /// Pixels across and down.
    pub size: [usize; 2],
}

/// The scores of one class of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "named as the metrics are")]
pub struct ClassRow {
    pub class: String,
    pub true_positive: u64,
    pub false_positive: u64,
    pub false_negative: u64,
    pub true_negative: u64,
    pub dsc: f64,
    pub sensitivity: f64,
    pub precision: f64,
    pub reference_mm3: f64,
    pub prediction_mm3: f64,
    pub avd_percent: f64,
    pub hd95_mm: f64,
    pub nsd: f64,
    pub lesion_recall: f64,
    pub lesion_precision: f64,
    pub lesion_f1: f64,
    pub lesions: Lesions,
}

/// The lesions of both masks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lesions {
    /// Lesions of the reference.
    pub reference: Vec<Lesion>,
    /// Lesions of the prediction.
    pub prediction: Vec<Lesion>,
}

/// One connected component of a mask.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lesion {
    /// Size in voxels.
    pub voxels: usize,
    /// Size in mm^3.
    pub mm3: f64,
    /// Voxels that the other mask holds too.
    pub overlap_voxels: usize,
    /// Voxels of the other mask's lesions that touch this one, in all.
    pub touching_voxels: usize,
    /// At least one voxel is in the other mask.
    pub detected: bool,
}

impl TestScores {
    /// The scores of run folder `run`; `None` when it has not been tested.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(run: &Path) -> Result<Option<Self>, RecordError> {
        read_optional(&run.join("test/summary.json"))
    }
}

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
