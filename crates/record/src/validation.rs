//! Whole-volume scores of the validation subjects during a training, `validation.jsonl`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files::read_optional;
use crate::{Overlay, RecordError, read_lines, write_json};

const PICTURES: &str = "pictures.json";

/// One validation subject at one time; a line of `validation.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationScore {
    /// After this iteration.
    pub iteration: u64,
    /// Subject id.
    pub subject: String,
    /// DSC of all foreground as one over the whole volume.
    pub dsc: f64,
    /// Mean DSC of the classes, each 1 when both sides are empty; version 0.1.0 did not
    /// take it, nor the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class_dsc: Option<f64>,
    /// F1 of lesions by the convention "wmh".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesion_f1: Option<f64>,
}

/// The validation scores of a run folder, in order; none when it has no validation subject.
///
/// # Errors
/// When a line other than the last cannot be read.
pub fn read_validation(run: &Path) -> Result<Vec<ValidationScore>, RecordError> {
    read_lines(&run.join("validation.jsonl"))
}

/// Pictures of the validation subjects that a run segmented worst when it last looked;
/// `validation/pictures.json`, beside the pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationPictures {
    /// After this iteration.
    pub iteration: u64,
    /// Worst first. Their files lie below the folder of the run.
    pub pictures: Vec<Overlay>,
}

impl ValidationPictures {
    /// Where they lie in the folder of a run.
    pub const FOLDER: &str = "validation";

    /// Those of a run; `None` when it has none.
    ///
    /// # Errors
    /// When the record cannot be read.
    pub fn read(run: &Path) -> Result<Option<Self>, RecordError> {
        read_optional(&run.join(Self::FOLDER).join(PICTURES))
    }

    /// Writes the record into the folder that its pictures are in.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), RecordError> {
        write_json(&folder.join(PICTURES), self)
    }
}
