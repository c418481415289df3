//! A folder of predictions, one `<subject id>.nii.gz` each, and what made them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::RecordError;
use crate::files::{read_optional, write_json};

/// `predictions.json`: what a folder of predictions holds or will hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predictions {
    /// The run folder.
    pub run: PathBuf,
    /// Iterations behind the weights.
    pub iteration: u64,
    /// Class names in the order of the values written.
    pub classes: Vec<String>,
    /// Regions that the network was trained on, as sets of classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Vec<String>>,
    /// Subjects that were asked for.
    pub subjects: Vec<String>,
}

impl Predictions {
    /// The list in `folder`; `None` when another program made its files.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, RecordError> {
        read_optional(&folder.join("predictions.json"))
    }

    /// Writes the list of `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), RecordError> {
        write_json(&folder.join("predictions.json"), self)
    }
}

/// Where the prediction of a subject lies.
pub fn prediction_path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.nii.gz"))
}
