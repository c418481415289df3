//! The files of a checkpoint, bound together by the hashes in its `state.json`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use lacuna_io::text::read_bytes;
use lacuna_record::{Sessions, read_json, sha256, write_json};
use serde::{Deserialize, Serialize};

use super::{STATE, State};
use crate::run::RunError;

/// The most bytes of a part, more than any network has.
const MOST_BYTES: u64 = 1 << 40;

/// `state.json`. Those of earlier versions have the counters alone.
#[derive(Serialize, Deserialize)]
struct Manifest {
    #[serde(flatten)]
    state: State,
    /// [`Sessions::run`] of the run that it is of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    /// SHA-256 of each other file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<String, String>,
}

/// A checkpoint folder that is being filled.
pub(super) struct Parts {
    folder: PathBuf,
    hashes: BTreeMap<String, String>,
}

impl Parts {
    /// The parts that go into `folder`.
    pub(super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            hashes: BTreeMap::new(),
        }
    }

    /// Writes a part.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> Result<(), RunError> {
        lacuna_io::atomic::write_bytes(self.folder.join(name), bytes)?;
        self.hashes.insert(name.to_owned(), sha256(bytes));
        Ok(())
    }

    /// Writes a part as JSON.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(super) fn write_json(
        &mut self,
        name: &str,
        value: &impl Serialize,
    ) -> Result<(), RunError> {
        let bytes = serde_json::to_vec(value).map_err(|e| damaged(&self.folder.join(name), &e))?;
        self.write(name, &bytes)
    }

    /// Writes the counters of `run`, and the hashes of all parts.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub(super) fn finish(self, run: &Path, state: &State) -> Result<(), RunError> {
        let manifest = Manifest {
            state: state.clone(),
            run: Sessions::read(run)?.run,
            parts: self.hashes,
        };
        Ok(write_json(&self.folder.join(STATE), &manifest)?)
    }
}

/// The counters of the checkpoint `folder` of `run`.
///
/// # Errors
/// When they cannot be read or name another run.
pub(super) fn state(run: &Path, folder: &Path) -> Result<State, RunError> {
    let manifest: Manifest = read_json(folder, STATE)?;
    match (manifest.run, Sessions::read(run)?.run) {
        (Some(theirs), Some(ours)) if theirs != ours => Err(damaged(
            &folder.join(STATE),
            &format!("the checkpoint is of another run than {}", run.display()),
        )),
        _ => Ok(manifest.state),
    }
}

/// Whether the checkpoint `folder` has that part.
///
/// # Errors
/// When its `state.json` cannot be read.
pub(super) fn has(folder: &Path, name: &str) -> Result<bool, RunError> {
    let manifest: Manifest = read_json(folder, STATE)?;
    // A part on the list that is not there is missed by whoever reads it.
    Ok(manifest.parts.contains_key(name) || folder.join(name).exists())
}

/// The bytes of a part that were written with the others.
///
/// # Errors
/// When they cannot be read, or are others.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, RunError> {
    let bytes = read_bytes(path, MOST_BYTES).map_err(|e| damaged(path, &e))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let folder = path.parent().unwrap_or(path);
    let manifest: Manifest = read_json(folder, STATE)?;
    match manifest.parts.get(&*name) {
        Some(expected) if *expected != sha256(&bytes) => Err(damaged(
            path,
            &"it is not the file that was saved with this checkpoint (state.json has the hash \
              of another)",
        )),
        // On no list, it was added later.
        None if !manifest.parts.is_empty() => Err(damaged(
            path,
            &"it is no part of this checkpoint (state.json lists none of that name)",
        )),
        _ => Ok(bytes),
    }
}

/// A file of a checkpoint that cannot be used.
pub(super) fn damaged(path: &Path, found: &dyn fmt::Display) -> RunError {
    RunError::Checkpoint {
        path: path.to_owned(),
        found: found.to_string(),
        folder: path.parent().unwrap_or(path).to_owned(),
    }
}
