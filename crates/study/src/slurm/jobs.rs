//! `slurm/jobs.json`: what was submitted for a study.

use std::path::{Path, PathBuf};

use lacuna_record::{RecordError, read_json, write_json};
use serde::{Deserialize, Serialize};

const FILE: &str = "jobs.json";

/// The arrays of a study.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Jobs {
    /// Name of the jobs. That of a copied or moved folder is another, for its
    /// jobs would write to the old place.
    pub name: String,
    /// In the order of their submission.
    pub arrays: Vec<Submitted>,
    #[serde(skip)]
    folder: PathBuf,
}

/// One array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Submitted {
    /// Slurm's id; `None` from before `sbatch` is called until it has answered.
    pub job: Option<String>,
    /// The run of each task.
    pub runs: Vec<String>,
}

impl Jobs {
    /// Reads those of jobs called `name` in the folder `slurm` of a study.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(folder: &Path, name: &str) -> Result<Self, RecordError> {
        let mut jobs = Self::default();
        if folder.join(FILE).exists() {
            jobs = read_json(folder, FILE)?;
        }
        if jobs.name != name {
            jobs.arrays.clear();
            jobs.name = name.to_owned();
        }
        jobs.folder = folder.to_owned();
        Ok(jobs)
    }

    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self) -> Result<(), RecordError> {
        write_json(&self.folder.join(FILE), self)
    }

    /// The run of a task.
    pub fn run(&self, job: &str, index: usize) -> Option<&str> {
        let array = self.arrays.iter().find(|a| a.job.as_deref() == Some(job))?;
        array.runs.get(index).map(String::as_str)
    }

    /// Whether an array is listed.
    pub fn lists(&self, job: &str) -> bool {
        self.arrays.iter().any(|a| a.job.as_deref() == Some(job))
    }

    /// The submission that was cut off before its id was known.
    pub fn unanswered(&mut self) -> Option<&mut Submitted> {
        self.arrays.last_mut().filter(|a| a.job.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_read_back_by_the_same_folder_only() {
        let folder = tempfile::tempdir().unwrap();
        let mut jobs = Jobs::read(folder.path(), "lacuna-a").unwrap();
        jobs.arrays.push(Submitted {
            job: None,
            runs: vec!["x".into(), "y".into()],
        });
        jobs.unanswered().unwrap().job = Some("12".into());
        jobs.write().unwrap();

        let mut again = Jobs::read(folder.path(), "lacuna-a").unwrap();
        assert_eq!(again, jobs);
        assert_eq!(again.run("12", 1), Some("y"));
        assert_eq!((again.run("12", 2), again.run("13", 0)), (None, None));
        assert!(again.unanswered().is_none());
        let moved = Jobs::read(folder.path(), "lacuna-b").unwrap();
        assert!(moved.arrays.is_empty());
    }
}
