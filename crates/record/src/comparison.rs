//! The folder of a comparison of predictions:
//!
//! ```text
//! OUT/compare.json      everything, read back before it is replaced
//! OUT/differences.csv   one row per pair, subject, class and metric
//! OUT/summary.csv       one row per pair, class and metric
//! OUT/strata.csv        one row per pair, class and size of lesion
//! OUT/lesions.csv       one row per lesion that only one finds, or false one that only one has
//! OUT/compare.md, compare.html, pictures/
//! ```

use std::path::{Path, PathBuf};

use lacuna_metrics::{Bootstrap, Comparison, Conventions, LesionPlace};
use serde::{Deserialize, Serialize};

use crate::files::{read_optional, write_json};
use crate::{Overlay, Provenance, RecordError};

/// `compare.json`: predictions of the same subjects, each compared with each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedPredictions {
    /// What made it.
    pub provenance: Provenance,
    /// The predictions, in the order of the command.
    pub predictions: Vec<ComparedFolder>,
    /// The subjects that were compared.
    pub subjects: Vec<String>,
    /// Subjects that not all folders hold.
    pub left_out: Vec<LeftOut>,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// What the metrics mean.
    pub conventions: Conventions,
    /// How the intervals were drawn.
    pub bootstrap: Bootstrap,
    /// One entry per subject, class and metric.
    pub values: Vec<SubjectValues>,
    /// Each two of the predictions, the earlier one first.
    pub pairs: Vec<ComparedPair>,
    /// Pictures of the subjects that differ most.
    pub pictures: Vec<Overlay>,
}

/// A folder of predictions, or of their evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedFolder {
    /// What it is called in tables.
    pub name: String,
    /// The folder.
    pub folder: PathBuf,
    /// It holds scores of a former evaluation, not label maps.
    pub evaluation: bool,
}

/// A subject that was not compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Subject id.
    pub subject: String,
    /// What it lacks.
    pub why: String,
}

/// One metric of one class in one subject.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubjectValues {
    /// Subject id.
    pub subject: String,
    /// A row of [`lacuna_metrics::evaluate_pair`].
    pub class: String,
    /// Name of the metric.
    pub metric: String,
    /// One value per prediction.
    pub values: Vec<f64>,
}

/// Two of the predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ComparedPair {
    /// Name of the first.
    pub first: String,
    /// Name of the second.
    pub second: String,
    /// One entry per class and metric.
    pub metrics: Vec<MetricDifference>,
    /// One entry per class and stratum, those of all sizes last in each class.
    pub strata: Vec<Stratum>,
    /// The lesions about which they differ.
    pub lesions: Vec<DisputedLesion>,
}

/// One metric of one class in two predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MetricDifference {
    /// Class, region or foreground.
    pub class: String,
    /// Name of the metric.
    pub metric: String,
    /// Means of the first and of the second over subjects.
    pub means: [f64; 2],
    /// Second minus first.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// Subjects in which the second is better, is worse, and is equal.
    pub better_worse_equal: [usize; 3],
    /// The p-value after Holm's adjustment over the `tests` of this class.
    pub holm_p: f64,
    /// Metrics times pairs of predictions.
    pub tests: usize,
}

/// Reference lesions of one class and a range of sizes, over all subjects. A lesion is
/// found when the prediction holds at least one of its voxels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stratum {
    /// Class, region or foreground.
    pub class: String,
    /// Least volume, mm³.
    pub from_mm3: f64,
    /// Volume that is too large, mm³; none in the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below_mm3: Option<f64>,
    /// Lesions.
    pub lesions: usize,
    /// Found by both.
    pub both: usize,
    /// Found by the first alone.
    pub only_first: usize,
    /// Found by the second alone.
    pub only_second: usize,
    /// Exact McNemar test, as if all lesions were independent.
    pub mcnemar_p: f64,
}

impl Stratum {
    /// Lesions that the first finds, that the second finds, and that neither does.
    pub fn found(&self) -> [usize; 3] {
        let [first, second] = [self.only_first, self.only_second].map(|only| self.both + only);
        [first, second, self.lesions - first - self.only_second]
    }
}

/// A lesion that only one of two predictions finds, or has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DisputedLesion {
    /// Subject id.
    pub subject: String,
    /// Class, region or foreground.
    pub class: String,
    /// What it is.
    pub kind: DisputeKind,
    /// Name of the prediction that finds or has it.
    pub only: String,
    /// Size in voxels.
    pub voxels: usize,
    /// Size in mm³.
    pub mm3: f64,
    /// Where it lies; evaluations of version 0.1.0 did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<LesionPlace>,
}

/// About what two predictions differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DisputeKind {
    /// A lesion of the reference of which only one holds a voxel.
    ReferenceLesion,
    /// A component of one that shares no voxel with the reference, nor with the other.
    FalseComponent,
}

impl DisputeKind {
    /// Its name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReferenceLesion => "reference_lesion",
            Self::FalseComponent => "false_component",
        }
    }
}

impl ComparedPredictions {
    /// Where it is in `folder`.
    pub fn path(folder: &Path) -> PathBuf {
        folder.join("compare.json")
    }

    /// The comparison in `folder`; `None` when there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, RecordError> {
        read_optional(&Self::path(folder))
    }

    /// Writes `compare.json` of `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), RecordError> {
        write_json(&Self::path(folder), self)
    }
}
