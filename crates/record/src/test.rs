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
    let path = run.join("test/calibration.json");
    let read: Option<Reliability> = read_optional(&path)?;
    match read.as_ref().and_then(Reliability::fault) {
        Some(found) => Err(RecordError::Corrupt { path, found }),
        None => Ok(read),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calibration_that_cannot_be_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("test")).unwrap();
        let sound = Reliability {
            voxels: vec![5, 7],
            probability: vec![0.5, 6.5],
            foreground: vec![0, 7],
            predicted: 7,
        };
        let read = |change: &dyn Fn(&mut Reliability)| {
            let mut found = sound.clone();
            change(&mut found);
            let text = serde_json::to_vec(&found).unwrap();
            std::fs::write(folder.path().join("test/calibration.json"), text).unwrap();
            read_calibration(folder.path()).map_err(|e| e.to_string())
        };
        assert_eq!(read(&|_| {}).unwrap(), Some(sound.clone()));
        let changes: [&dyn Fn(&mut Reliability); 6] = [
            &|r| r.voxels.truncate(1),
            &|r| r.foreground.push(0),
            &|r| r.voxels[1] = u64::MAX,
            &|r| r.predicted = u64::MAX,
            &|r| r.foreground[0] = 6,
            &|r| r.probability[0] = -1.0,
        ];
        for change in changes {
            let error = read(change).unwrap_err();
            assert!(error.contains("calibration.json: "), "{error}");
        }
    }
}
