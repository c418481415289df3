//! The folder of an evaluation:
//!
//! ```text
//! OUT/summary.json    every score, read back by reports
//! OUT/scores.csv      one row per subject and class
//! OUT/lesions.csv     one row per lesion
//! OUT/lesion_conventions.csv  lesions by the conventions of several challenges
//! OUT/lesion_strata.csv       lesions by their volume
//! OUT/froc.csv        sensitivity by false positives per scan, with probabilities, as:
//! OUT/average_precision.csv   area under precision and recall of voxels, by subject
//! OUT/precision_recall.csv    that curve, over all voxels
//! OUT/overlays/       a picture of each subject
//! ```

use std::path::{Path, PathBuf};

use lacuna_metrics::{AveragePrecision, ClassScores, PrecisionRecallPoint};
use serde::{Deserialize, Serialize};

use crate::Ensemble;
use crate::files::{read_optional, write_json};
use crate::{Provenance, RecordError};

/// `summary.json` of an evaluation: all scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// What made it; absent in evaluations of version 0.1.0, as is what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
    /// The folder of predictions.
    #[serde(default)]
    pub predictions: PathBuf,
    /// The manifest with the references; absent in evaluations of version 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<PathBuf>,
    /// Whether the predictions were said to hold the dataset's own label values.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub label_values: bool,
    /// What a reader should know of the files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The scores over the subjects.
    pub summary: lacuna_metrics::Summary,
    /// Curves of the predicted probabilities, one for each foreground class; none without
    /// probabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub froc: Vec<ClassFroc>,
    /// The same over voxels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub precision_recall: Vec<ClassPrecisionRecall>,
    /// One entry per subject.
    pub subjects: Vec<SubjectScores>,
}

/// The FROC curve of a class over all subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassFroc {
    /// Class name.
    pub class: String,
    /// Candidates are components of the voxels of at least this probability, each with
    /// its largest.
    pub candidate_threshold: f64,
    /// Neighbours that join voxels of one lesion or candidate: 6, 18 or 26.
    pub connectivity: u8,
    /// The curve.
    #[serde(flatten)]
    pub froc: lacuna_metrics::Froc,
}

/// Precision against recall of the voxels of a class, over all thresholds of its probability.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassPrecisionRecall {
    /// Class name.
    pub class: String,
    /// The area under the curve of all voxels of all subjects.
    pub all: AveragePrecision,
    /// That of each subject.
    pub subjects: Vec<AveragePrecision>,
    /// The curve of all voxels, by ascending recall.
    pub points: Vec<PrecisionRecallPoint>,
}

/// The scores of one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectScores {
    /// Subject id.
    pub subject: String,
    /// The file that was scored; absent in evaluations of version 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prediction: Option<ScoredFile>,
    /// Its picture.
    pub overlay: Overlay,
    /// The rows of [`lacuna_metrics::evaluate_pair`]; the union of the foreground
    /// classes is last.
    pub classes: Vec<ClassScores>,
}

/// A prediction that was scored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredFile {
    /// The file.
    pub file: PathBuf,
    /// SHA-256 of it.
    pub sha256: String,
    /// The run that made it; absent when another program did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<PathBuf>,
    /// SHA-256 of the run's weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The runs, where it is the mean of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<Ensemble>,
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

impl Evaluation {
    /// The evaluation in `folder`; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, RecordError> {
        read_optional(&folder.join("summary.json"))
    }

    /// Writes `summary.json` of `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), RecordError> {
        write_json(&folder.join("summary.json"), self)
    }

    /// Each row with the id of its subject.
    pub fn rows(&self) -> impl Iterator<Item = (&str, &ClassScores)> {
        (self.subjects.iter()).flat_map(|s| s.classes.iter().map(|row| (s.subject.as_str(), row)))
    }
}
