//! Whole-volume scores of the validation subjects during a training, `validation.jsonl`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{RecordError, read_lines};

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
