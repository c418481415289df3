//! The run folder: what lies where, and what can be wrong with it.
//!
//! ```text
//! RUN/run.toml            effective configuration
//! RUN/dataset.json        modalities, classes and split that the network was trained with
//! RUN/provenance.json     what trained it on which files, one entry for each session
//! RUN/events.jsonl        one line per iteration
//! RUN/tensorboard/        the same for TensorBoard
//! RUN/checkpoint-000100/  weights.safetensors, optimiser.bin, state.json; where the run has
//!                         them, average.safetensors and errors.json
//! RUN/best-000100/        weights.safetensors, state.json
//! RUN/validation.jsonl    whole-volume DSC of the validation subjects
//! RUN/validation/         pictures of those that were segmented worst when last looked at
//! RUN/summary.json        last-200 DSC, sampler shares, time and memory
//! ```

mod dataset_facts;
mod error;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use lacuna_record::lock;

use crate::config::RunConfig;

pub use dataset_facts::{DatasetFacts, UNLIKE_SPACING};
pub use error::RunError;

/// A run folder held by this process; the lock goes with the value.
pub struct RunFolder {
    /// The folder.
    pub path: PathBuf,
    lock: File,
}

impl RunFolder {
    /// Creates or opens `path` and locks it against other processes.
    ///
    /// # Errors
    /// When it cannot be created or another process holds it.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        std::fs::create_dir_all(path).map_err(RunError::io(path))?;
        let path = path.to_owned();
        match lock(&path.join(".lock"))? {
            Some(lock) => Ok(Self { path, lock }),
            None => Err(RunError::Locked { run: path }),
        }
    }

    /// Refuses to go on where the folder, or its lock, is no longer at its path: files would
    /// be made where nothing or something else is.
    ///
    /// # Errors
    /// [`RunError::Moved`]
    pub fn check_in_place(&self, kept: u64) -> Result<(), RunError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let held = self.lock.metadata().map_err(RunError::io(&self.path))?;
            let there = std::fs::symlink_metadata(self.path.join(".lock"));
            let same =
                |there: &std::fs::Metadata| (there.dev(), there.ino()) == (held.dev(), held.ino());
            if !there.as_ref().is_ok_and(same) {
                return Err(RunError::Moved {
                    run: self.path.clone(),
                    now: self.moved_to(),
                    kept,
                });
            }
        }
        #[cfg(not(unix))]
        let _ = kept;
        Ok(())
    }

    /// Where the folder is now, where the system tells (Linux).
    #[cfg(unix)]
    fn moved_to(&self) -> Option<PathBuf> {
        use std::os::fd::AsRawFd;
        let link = format!("/proc/self/fd/{}", self.lock.as_raw_fd());
        let folder = std::fs::read_link(link).ok()?.parent()?.to_owned();
        // A file that was removed has a name that leads nowhere.
        folder.join(".lock").exists().then_some(folder)
    }

    /// Opens `path` for a new run.
    ///
    /// # Errors
    /// As [`Self::open`], and as [`Self::check_new`].
    pub fn create(path: &Path) -> Result<Self, RunError> {
        let folder = Self::open(path)?;
        // Another process may have begun and ended a run in the meantime.
        Self::check_new(path)?;
        Ok(folder)
    }

    /// Refuses a folder in which no new run can be: one that holds a run, whose
    /// checkpoints would be taken for the new run's, or anything else. What a
    /// start that was cut off leaves is no hindrance.
    ///
    /// # Errors
    /// [`RunError::Exists`], [`RunError::NotEmpty`]
    pub fn check_new(path: &Path) -> Result<(), RunError> {
        if path.join("run.toml").exists() {
            return Err(RunError::Exists {
                run: path.to_owned(),
            });
        }
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(RunError::io(path)(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(RunError::io(path))?.file_name();
            names.push(name.to_string_lossy().into_owned());
        }
        // The files of a start in their order; only an earlier one makes a later one ours.
        let begun = names.iter().any(|name| name == "provenance.json");
        let no_events =
            || std::fs::metadata(path.join("events.jsonl")).is_ok_and(|events| events.len() == 0);
        names.retain(|name| match name.as_str() {
            "dataset.json" | "provenance.json" => false,
            "events.jsonl" | "tensorboard" => !(begun && no_events()),
            other => !other.starts_with('.'),
        });
        match names.into_iter().min() {
            None => Ok(()),
            Some(found) => Err(RunError::NotEmpty {
                run: path.to_owned(),
                found,
            }),
        }
    }
}

/// The configuration that a run was made with.
///
/// # Errors
/// When `run` is no run folder, and those of [`RunConfig::read`].
pub(crate) fn config_of(run: &Path) -> Result<RunConfig, RunError> {
    let path = run.join("run.toml");
    if !path.exists() {
        return Err(RunError::not_a_run(run, "run.toml"));
    }
    Ok(RunConfig::read(&path, &[])?)
}

/// Peak resident memory of this process in bytes, where the system tells (Linux).
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
