//! The folder of a study:
//!
//! ```text
//! STUDY/study.toml            the file that was given
//! STUDY/study.json            every run it asks for
//! STUDY/provenance.json       what planned and executed it, one entry for each sweep
//! STUDY/configs/NAME.toml     effective configuration of a run
//! STUDY/runs/NAME/            its run folder, with test/ and outcome.json
//! STUDY/states/NAME.json      how its last attempt stands
//! STUDY/logs/NAME.log         what its attempts said
//! STUDY/phantoms/             datasets that the study makes
//! ```
//!
//! What is worth keeping of it is one file, `results.jsonl.gz`, see [`KeptResults`](crate::KeptResults).

use std::path::{Path, PathBuf};

use lacuna_volume::PatchSize;
use serde::{Deserialize, Serialize};

use crate::files::{read_optional, write_json};
use crate::results::TRAINING;
use crate::{Outcome, RecordError};

/// `study.json`: the runs that a study asks for, in the order of its axes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Study {
    /// Its name.
    pub name: String,
    /// What it is for and what was scaled down, for the report.
    pub description: String,
    /// Where its runs compute: `cpu`, `vulkan` or `cuda`.
    pub device: String,
    /// The runs.
    pub runs: Vec<PlannedRun>,
}

/// One run of a study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlannedRun {
    /// Unique in the study; names its folder.
    pub name: String,
    /// What each axis of the study gave it, in their order.
    pub axes: Vec<AxisValue>,
    /// Network, as in `model.name`.
    pub network: String,
    /// Loss with the options that set it apart, as in `sensitivity-specificity symmetric`.
    pub loss: String,
    /// Voxels of the input patch.
    pub patch: PatchSize,
    /// Voxels of the effective patch.
    pub effective_patch: PatchSize,
    /// Axes of the network: 2 or 3.
    pub rank: usize,
    /// Patches per iteration.
    pub batch: usize,
    /// Constant learning rate.
    pub learning_rate: f64,
    /// Optimiser steps.
    pub iterations: u64,
    /// Key of the random numbers.
    pub seed: u64,
    /// Fold that is tested on, when the study cross-validates.
    pub fold: Option<usize>,
    /// Lesion voxels as a share of all, when the study makes the dataset.
    pub phantom_share: Option<f64>,
}

/// What an axis gave a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AxisValue {
    /// The axis: its keys, joined by `+`.
    pub axis: String,
    /// The value, as it is in the run's name.
    pub label: String,
}

/// Where a run of a study stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Not begun.
    #[default]
    Waiting,
    /// Begun, and not known to have ended.
    Running,
    /// Stopped on request or out of time; it goes on from its last checkpoint.
    Interrupted,
    /// Ended by the system: a signal, or memory ran out.
    Killed,
    /// Ended with an error.
    Failed,
    /// Trained and tested.
    Done,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Killed => "killed",
            Self::Failed => "failed",
            Self::Done => "done",
        })
    }
}

/// `states/NAME.json`: how the last attempt of a run stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Where it stands.
    pub state: State,
    /// Why, when it failed or was killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Attempts begun.
    pub attempts: u32,
    /// Seconds of all attempts that have ended.
    pub seconds: f64,
    /// Slurm's id of the last attempt's job, when it ran there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

/// A study's folder and the paths in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyFolder(pub PathBuf);

impl StudyFolder {
    /// The plan; `None` when there is none yet.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn study(&self) -> Result<Option<Study>, RecordError> {
        read_optional(&self.0.join("study.json"))
    }

    /// The plan of a study that must be there.
    ///
    /// # Errors
    /// [`RecordError::NotAStudy`], or when the file cannot be read.
    pub fn existing_study(&self) -> Result<Study, RecordError> {
        self.study()?.ok_or_else(|| RecordError::NotAStudy {
            folder: self.0.clone(),
        })
    }

    /// Where [`KeptResults`](crate::KeptResults) lie, in a folder that holds nothing else of a
    /// study.
    pub fn results(&self) -> PathBuf {
        self.0.join("results.jsonl.gz")
    }

    /// Where the effective configuration of a run lies.
    pub fn config(&self, name: &str) -> PathBuf {
        self.0.join("configs").join(format!("{name}.toml"))
    }

    /// The run folder of a run.
    pub fn run(&self, name: &str) -> PathBuf {
        self.0.join("runs").join(name)
    }

    /// Where the datasets that the study makes lie.
    pub fn phantoms(&self) -> PathBuf {
        self.0.join("phantoms")
    }

    /// What the attempts of a run said.
    pub fn log(&self, name: &str) -> PathBuf {
        self.0.join("logs").join(format!("{name}.log"))
    }

    /// Where a run stands. A run is done when it has an outcome, and only then,
    /// whatever else is on disk.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn status(&self, name: &str) -> Result<Status, RecordError> {
        let mut status: Status = read_optional(&self.state_path(name))?.unwrap_or_default();
        match (Outcome::read(&self.run(name))?, status.state) {
            (Some(_), _) => {
                status.state = State::Done;
                status.message = None;
            }
            (None, State::Done) => status.state = State::Interrupted,
            (None, _) => {}
        }
        Ok(status)
    }

    /// Writes where a run stands.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write_status(&self, name: &str, status: &Status) -> Result<(), RecordError> {
        write_json(&self.state_path(name), status)
    }

    /// Every file that a report of the study reads, whether or not it is there.
    ///
    /// # Errors
    /// When its plan cannot be read.
    pub fn files(&self) -> Result<Vec<PathBuf>, RecordError> {
        let mut files = ["study.toml", "study.json", "provenance.json"]
            .map(|name| self.0.join(name))
            .to_vec();
        files.push(self.results());
        for run in self.study()?.map_or_else(Vec::new, |study| study.runs) {
            let folder = self.run(&run.name);
            files.extend([self.config(&run.name), self.state_path(&run.name)]);
            files.extend(
                [
                    "run.toml",
                    "events.jsonl",
                    TRAINING,
                    "summary.json",
                    "outcome.json",
                    "test/summary.json",
                    "test/calibration.json",
                ]
                .map(|name| folder.join(name)),
            );
        }
        Ok(files)
    }

    /// A path of the folder, for messages.
    pub fn path(&self) -> &Path {
        &self.0
    }

    fn state_path(&self, name: &str) -> PathBuf {
        self.0.join("states").join(format!("{name}.json"))
    }
}
