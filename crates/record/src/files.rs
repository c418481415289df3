//! JSON files, written whole or not at all.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;

use lacuna_io::text::{MOST_RECORD_BYTES, read_bytes, read_text};
use serde::{Serialize, de::DeserializeOwned};

use crate::RecordError;

/// Writes `value` as indented JSON, atomically.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), RecordError> {
    lacuna_io::atomic::write_atomic(path, |w| {
        serde_json::to_writer_pretty(&mut *w, value)?;
        w.write_all(b"\n")
    })?;
    Ok(())
}

/// Reads the JSON file `name` of run folder `run`.
///
/// # Errors
/// [`RecordError::NotARun`] when it is missing, [`RecordError::Corrupt`] when it
/// is not what was written.
pub fn read_json<T: DeserializeOwned>(run: &Path, name: &'static str) -> Result<T, RecordError> {
    read_optional(&run.join(name))?.ok_or_else(|| RecordError::NotARun {
        run: run.to_owned(),
        missing: name,
    })
}

/// Reads a JSON file; `None` when there is no such file.
pub(crate) fn read_optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RecordError> {
    let text = match read_text(path, MOST_RECORD_BYTES) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(RecordError::io(path)(e)),
    };
    let value = serde_json::from_str(&text).map_err(|e| RecordError::Corrupt {
        path: path.to_owned(),
        found: e.to_string(),
    })?;
    Ok(Some(value))
}

/// The values of a file with one JSON value per line; none when there is no such file.
///
/// # Errors
/// When it cannot be read, [`RecordError::Corrupt`] for a line other than the last.
pub fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, RecordError> {
    let text = match read_bytes(path, MOST_RECORD_BYTES) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(RecordError::io(path)(e)),
    };
    // Bytes: what a power cut left of the last line may be no text.
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let lines: Vec<&[u8]> = match text.is_empty() {
        true => Vec::new(),
        false => text.split(|byte| *byte == b'\n').collect(),
    };
    let mut values = Vec::with_capacity(lines.len());
    for (number, line) in lines.iter().enumerate() {
        match serde_json::from_slice(line) {
            Ok(value) => values.push(value),
            // A kill can cut the last line short; the run never depended on it.
            Err(_) if number + 1 == lines.len() => {}
            Err(e) => {
                return Err(RecordError::Corrupt {
                    path: path.to_owned(),
                    found: format!("line {}: {e}", number + 1),
                });
            }
        }
    }
    Ok(values)
}

/// Removes the file at `path`, where there is one.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_file(path: &Path) -> Result<(), RecordError> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(RecordError::io(path)(e)),
        _ => Ok(()),
    }
}

/// Opens the file at `path`, made where it is not there, and locks it against other
/// processes; the lock goes with the value. `None` when another process holds it. What is in
/// the file stays, and a link is not followed: a folder that came from elsewhere must not reach
/// any other file.
///
/// # Errors
/// When the file cannot be made, is a link, or the system cannot lock it.
pub fn lock(path: &Path) -> Result<Option<File>, RecordError> {
    let mut options = File::options();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, libc::O_NOFOLLOW);
    let file = options
        .open(path)
        .map_err(|error| match path.is_symlink() {
            true => RecordError::LinkedLock {
                path: path.to_owned(),
            },
            false => RecordError::io(path)(error),
        })?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(RecordError::io(path)(e)),
    }
}

/// Seconds since the Unix epoch.
pub fn unix_time() -> f64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_lock_reaches_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let (precious, path) = (folder.path().join("precious"), folder.path().join(".lock"));
        std::fs::write(&precious, b"years of work").unwrap();
        std::os::unix::fs::symlink(&precious, &path).unwrap();
        let error = lock(&path).unwrap_err();
        assert!(error.to_string().contains(".lock is a link"), "{error}");
        std::fs::remove_file(&path).unwrap();
        // The same file under another name cannot be told, and is left as it is.
        std::fs::hard_link(&precious, &path).unwrap();
        let held = lock(&path).unwrap();
        assert!(held.is_some());
        assert!(lock(&path).unwrap().is_none());
        assert_eq!(std::fs::read(&precious).unwrap(), b"years of work");
    }
}
