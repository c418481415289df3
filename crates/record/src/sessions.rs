//! `provenance.json` of a run or a study: what worked in the folder, and on which files.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::files::{read_optional, write_json};
use crate::{Provenance, RecordError, sha256_of};

/// `provenance.json`: the sessions of work on a folder, in order. Folders of version 0.1.0
/// have none.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sessions {
    /// Hash of the configuration and the files that a run began with, by which its checkpoints
    /// know it; studies and earlier runs have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// One entry per session; a run that goes on adds one.
    pub sessions: Vec<SessionRecord>,
}

/// A session of work on a folder. Parts are absent where they do not apply.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// What worked; the weights are those that the session began with.
    pub provenance: Provenance,
    /// Iterations done before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iteration: Option<u64>,
    /// Voxel edges trained at, in mm along right, anterior and superior: the smallest and
    /// the largest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing_mm: Option<[[f64; 3]; 2]>,
    /// Files of the dataset that were read: all in the first session, in a later one
    /// those that had changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<SourceFile>,
}

/// A file of a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SourceFile {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Unix time of its last change in seconds, where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<f64>,
    /// SHA-256 of it.
    pub sha256: String,
}

impl SourceFile {
    /// Reads the file at `path`, in pieces.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of(path: &Path) -> Result<Self, RecordError> {
        let (bytes, modified) = stamp(path)?;
        Ok(Self {
            path: path.to_owned(),
            bytes,
            modified,
            sha256: sha256_of(path)?,
        })
    }

    /// Whether size and time say that the file is still the same, without reading it.
    pub fn seems_unchanged(&self) -> bool {
        self.modified.is_some()
            && stamp(&self.path).is_ok_and(|now| now == (self.bytes, self.modified))
    }
}

/// Size and time of the last change.
fn stamp(path: &Path) -> Result<(u64, Option<f64>), RecordError> {
    let found = std::fs::metadata(path).map_err(RecordError::io(path))?;
    let modified = (found.modified().ok())
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map(|since| since.as_secs_f64());
    Ok((found.len(), modified))
}

impl Sessions {
    /// Those of `folder`; none where there is no such file.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(folder: &Path) -> Result<Self, RecordError> {
        Ok(read_optional(&folder.join("provenance.json"))?.unwrap_or_default())
    }

    /// Writes them into `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), RecordError> {
        write_json(&folder.join("provenance.json"), self)
    }

    /// A file as the last session that recorded it found it.
    pub fn file(&self, path: &Path) -> Option<&SourceFile> {
        (self.sessions.iter().rev())
            .flat_map(|session| &session.files)
            .find(|file| file.path == path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_record_of_a_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        assert_eq!(Sessions::read(folder.path()).unwrap(), Sessions::default());
        let mut sessions = Sessions::default();
        for text in ["abc", "other"] {
            std::fs::write(&path, text).unwrap();
            sessions.sessions.push(SessionRecord {
                provenance: Provenance::of_process(3),
                iteration: Some(7),
                files: vec![SourceFile::of(&path).unwrap()],
                ..SessionRecord::default()
            });
        }
        sessions.write(folder.path()).unwrap();
        let read = Sessions::read(folder.path()).unwrap();
        assert_eq!(read, sessions);
        // The hash of "abc" in FIPS 180.
        let first = &read.sessions[0].files[0];
        assert!(first.sha256.starts_with("ba7816bf8f01cfea"), "{first:?}");
        assert_eq!(read.file(&path).unwrap().bytes, 5);
        assert!(!first.seems_unchanged());
        assert!(read.file(&path).unwrap().seems_unchanged());
        assert_eq!(read.file(folder.path()), None);
    }
}
