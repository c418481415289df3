//! What a command may write: nothing that it reads, and where it can.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::RecordError;

/// The files that a command reads, known by what they are and not by their names: a
/// link to one of them, soft or hard, is the same file.
#[derive(Clone, Debug, Default)]
pub struct Inputs(HashMap<Identity, PathBuf>);

#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = PathBuf;

#[cfg(unix)]
fn identity(path: &Path) -> Option<Identity> {
    use std::os::unix::fs::MetadataExt;
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Option<Identity> {
    path.canonicalize().ok()
}

impl Inputs {
    /// Those of `paths` that exist.
    pub fn of<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Self {
        let known = paths.into_iter().filter_map(|path| {
            let path = path.into();
            Some((identity(&path)?, path))
        });
        Self(known.collect())
    }

    /// Refuses to write or remove a file that is read.
    ///
    /// # Errors
    /// [`RecordError::OutputIsInput`]
    pub fn spare(&self, output: &Path) -> Result<(), RecordError> {
        match identity(output).and_then(|id| self.0.get(&id)) {
            None => Ok(()),
            Some(input) => Err(RecordError::OutputIsInput {
                output: output.to_owned(),
                input: input.clone(),
            }),
        }
    }
}

/// Refuses a file that could not be written later: its folder is missing or closed.
///
/// # Errors
/// As writing it would fail.
pub fn check_file(path: &Path) -> Result<(), RecordError> {
    Ok(lacuna_io::atomic::probe(path)?)
}

/// Refuses a folder that could not be made or written later; leaves no trace.
///
/// # Errors
/// [`RecordError::NotAFolder`], or as writing into the nearest folder that exists fails.
pub fn check_folder(path: &Path) -> Result<(), RecordError> {
    let here = Path::new(".");
    let mut nearest = path;
    while !nearest.exists() && nearest.symlink_metadata().is_err() {
        nearest = match nearest.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => here,
        };
    }
    if !nearest.is_dir() {
        return Err(RecordError::NotAFolder {
            folder: path.to_owned(),
            found: nearest.to_owned(),
        });
    }
    use lacuna_io::atomic::WriteError;
    match lacuna_io::atomic::probe(nearest.join("lacuna")) {
        Ok(()) => Ok(()),
        // The file that was tried, which the error names too, is nobody's concern.
        Err(WriteError::NotPermitted { source, .. } | WriteError::Failed { source, .. }) => {
            Err(RecordError::NotWritable {
                folder: path.to_owned(),
                nearest: nearest.to_owned(),
                source: source.kind().into(),
            })
        }
        Err(other) => Err(other.into()),
    }
}

/// Refuses the folder of a run, whose files would mix with what is written.
///
/// # Errors
/// [`RecordError::OutputIsRun`]
pub fn check_no_run(folder: &Path) -> Result<(), RecordError> {
    match folder.join("run.toml").exists() {
        false => Ok(()),
        true => Err(RecordError::OutputIsRun {
            folder: folder.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_is_known_by_any_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("label"), "a").unwrap();
        std::fs::write(path("other"), "a").unwrap();
        std::os::unix::fs::symlink(path("label"), path("soft")).unwrap();
        std::fs::hard_link(path("label"), path("hard")).unwrap();
        let inputs = Inputs::of([path("label"), path("not there")]);
        for name in ["label", "soft", "hard", "./label"] {
            let error = inputs.spare(&path(name)).unwrap_err().to_string();
            assert!(error.contains("label"), "{error}");
        }
        for name in ["other", "new", "not there"] {
            inputs.spare(&path(name)).unwrap();
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_takes_no_files_is_named() {
        // Nobody, not even root, may create files here.
        let error = check_folder(Path::new("/proc/x/y"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("cannot write into /proc/x/y: "),
            "{error}"
        );
        assert!(error.contains("/proc takes no files"), "{error}");
        assert!(!error.contains("lacuna"), "{error}");
    }

    #[test]
    fn a_folder_is_tested_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        check_folder(&folder.path().join("a/b/c")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for path in [file.join("a"), file] {
            let error = check_folder(&path).unwrap_err();
            assert!(matches!(error, RecordError::NotAFolder { .. }), "{error}");
        }
    }
}
