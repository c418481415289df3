//! A folder of predictions, one `<subject id>.nii.gz` each or of another ending, and `predictions.json`: what
//! made them. A file is on the list with its hash once it is whole, and not before, so
//! that what a killed command leaves is never taken for what it should have written.
//! Where a postprocess file was given, `postprocess.csv` tabulates what it removed.

mod folder;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lacuna_io::ending_of_maps;
use serde::{Deserialize, Serialize};

pub use folder::{Existing, PredictionsFolder};

use crate::cleaned::CleanedClass;
use crate::files::{read_optional, write_json};
use crate::{Provenance, RecordError};

/// Ending of the names of predictions, unless another is asked for.
pub const PREDICTION_ENDING: &str = ".nii.gz";
/// What follows an id in the names of the files beside its label map.
pub const BESIDE: [&str; 2] = [PROBABILITIES, UNCERTAINTY];
const PROBABILITIES: &str = ".probabilities";
const UNCERTAINTY: &str = ".uncertainty";
/// The list of a folder of predictions.
const LIST: &str = "predictions.json";
/// The table of what a postprocess file removed.
const CLEANED: &str = "postprocess.csv";
/// Predicted volumes and numbers of lesions, with what is expected of the truth.
pub const BURDEN: &str = "burden.csv";

/// `predictions.json`: what a folder of predictions holds. All files are of one run, or
/// of the mean of the same runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Predictions {
    /// The run folder; of several, the first.
    pub run: PathBuf,
    /// Iterations behind its weights.
    pub iteration: u64,
    /// SHA-256 of the weights; absent where there are several, and in version 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The runs, where the mean of several was predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<Ensemble>,
    /// Class names, in the order of their indices.
    pub classes: Vec<String>,
    /// What the files hold for each class, when not the class index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<u16>>,
    /// Ending of the label maps' names, when not [`PREDICTION_ENDING`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<String>,
    /// The rules of the postprocess file that was applied; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postprocess: Option<serde_json::Value>,
    /// Regions that the network was trained on, as sets of classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Vec<String>>,
    /// Subjects that were asked for, in all parts.
    pub subjects: Vec<String>,
    /// What was written, by subject; version 0.1.0 did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<String, PredictedFile>>,
    /// The commands that wrote them, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Provenance>,
}

/// The mean of several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    /// What the mean was taken of: `probabilities` or `logits`.
    pub average: String,
    /// The runs, in the order of the command.
    pub runs: Vec<AveragedRun>,
}

/// One of several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AveragedRun {
    /// The run folder.
    pub run: PathBuf,
    /// Iterations behind the weights.
    pub iteration: u64,
    /// SHA-256 of the weights.
    pub weights: String,
}

impl Ensemble {
    /// Whether both are the same mean of the same weights, in whatever order.
    fn is_of_the_same_runs(&self, other: &Self) -> bool {
        let weights = |ensemble: &Self| -> BTreeSet<String> {
            let runs = ensemble.runs.iter();
            runs.map(|run| run.weights.clone()).collect()
        };
        self.average == other.average && weights(self) == weights(other)
    }
}

/// A file of the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictedFile {
    /// SHA-256 of the label map.
    pub sha256: String,
    /// The command that wrote it, counted from 0 in `parts`.
    pub part: usize,
    /// What the postprocess file removed of each class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cleaned: Vec<CleanedClass>,
}

impl Predictions {
    /// The list in `folder`; `None` when another program made its files.
    ///
    /// # Errors
    /// When the file cannot be read, or names a subject whose files lie elsewhere.
    pub fn read(folder: &Path) -> Result<Option<Self>, RecordError> {
        let path = folder.join(LIST);
        let list: Option<Self> = read_optional(&path)?;
        let own = list.iter().flat_map(|list| {
            let files = list.files.iter().flat_map(BTreeMap::keys);
            list.subjects.iter().chain(files).chain(&list.ending)
        });
        // Whoever made the list says which files are written over and removed.
        match own.into_iter().find(|id| id.contains(['/', '\\'])) {
            None => Ok(list),
            Some(id) => Err(RecordError::Corrupt {
                path,
                found: format!("{id:?} is no part of a file's name"),
            }),
        }
    }

    /// Writes the list of `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), RecordError> {
        write_json(&folder.join(LIST), self)
    }

    /// Whether both lists are of the same weights and classes, in the same values, and
    /// postprocessed alike.
    fn of_the_same_run(&self, other: &Self) -> bool {
        let same_weights = match (&self.ensemble, &other.ensemble) {
            (Some(ensemble), Some(other)) => ensemble.is_of_the_same_runs(other),
            (None, None) => self.weights.is_some() && self.weights == other.weights,
            _ => false,
        };
        same_weights
            && self.classes == other.classes
            && self.values == other.values
            && self.ending == other.ending
            && self.postprocess == other.postprocess
    }

    /// Ending of the label maps' names.
    pub fn ending(&self) -> &str {
        self.ending.as_deref().unwrap_or(PREDICTION_ENDING)
    }

    /// What made the files, in words.
    fn maker(&self) -> String {
        let after = |run: &Path, iteration| {
            let run = run.display();
            format!("{run} after {iteration} iterations")
        };
        let Some(Ensemble { average, runs }) = &self.ensemble else {
            return after(&self.run, self.iteration);
        };
        let runs = runs.iter().map(|run| after(&run.run, run.iteration));
        let runs = runs.collect::<Vec<_>>().join(", ");
        format!("the mean {average} of {runs}")
    }

    /// The subjects whose files the list answers for.
    fn owned(&self) -> Vec<&String> {
        match &self.files {
            Some(files) => files.keys().collect(),
            None => self.subjects.iter().collect(),
        }
    }
}

/// The files of a subject.
fn files_of(folder: &Path, id: &str, ending: &str) -> [PathBuf; 3] {
    [
        prediction_path(folder, id, ending),
        probabilities_path(folder, id, ending),
        spread_path(folder, id, ending),
    ]
}

/// Where the prediction of a subject lies, in a folder of label maps of that ending.
pub fn prediction_path(folder: &Path, id: &str, ending: &str) -> PathBuf {
    folder.join(format!("{id}{ending}"))
}

/// Where the probabilities of a subject lie, in a folder of label maps of that ending.
pub fn probabilities_path(folder: &Path, id: &str, ending: &str) -> PathBuf {
    folder.join(format!("{id}{PROBABILITIES}{}", ending_of_maps(ending)))
}

/// Where the map of how far several networks are apart on a subject lies, in a folder of
/// label maps of that ending.
pub fn spread_path(folder: &Path, id: &str, ending: &str) -> PathBuf {
    folder.join(format!("{id}{UNCERTAINTY}{}", ending_of_maps(ending)))
}
