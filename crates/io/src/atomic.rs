//! Whole-file writes that either finish or leave nothing behind.
//!
//! The bytes go to a temporary file in the target's own folder, are flushed to
//! the disk, and take the target's name by `rename`, which POSIX defines as
//! atomic: a reader, or a run resumed after a crash, sees the old file or the
//! new one and never a part.
//!
//! A temporary file is locked while it is written. What a killed process left is not, and
//! the next write of the same file removes it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

const BUFFER_BYTES: usize = 1 << 18;
/// How the names of temporary files and folders end.
const PART: &str = ".part";
/// Between making a temporary file and locking it far less time passes.
const UNLOCKED: Duration = Duration::from_secs(2);

/// Whether an entry of a folder is a temporary file or folder of this module: what a killed
/// process left, or what another one is writing.
pub fn is_part(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") && name.ends_with(PART.as_bytes())
}

/// Removes all that killed processes left half-written in `folder`, which is this program's own:
/// some of its files are never written again.
pub fn tidy(folder: &Path) {
    remove_left(folder, &is_part);
}

/// Why a file could not be written. The old file, if any, is untouched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The path ends in no file name, or names a folder.
    #[error("cannot write {path}: it names a folder, a file is expected; add a file name")]
    NotAFile {
        /// The file to write.
        path: PathBuf,
    },
    /// The folder that should receive the file does not exist.
    #[error("cannot write {path}: there is no folder {folder}; create it first")]
    NoFolder {
        /// The file to write.
        path: PathBuf,
        /// The folder that is missing.
        folder: PathBuf,
    },
    /// The folder does not let this user make files.
    #[error(
        "cannot write {path}: the folder {folder} is not writable ({source}); \
         change its permissions or choose another folder"
    )]
    NotPermitted {
        /// The file to write.
        path: PathBuf,
        /// The folder that refuses.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No room on the disk, or the user's quota is spent.
    #[error(
        "cannot write {path}: the disk that holds {folder} is full ({source}); \
         free some space or choose another folder"
    )]
    Full {
        /// The file to write.
        path: PathBuf,
        /// The folder on the full disk.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Any other failure.
    #[error("cannot write {path}: to {step} failed ({source}); check the disk and try again")]
    Failed {
        /// The file to write.
        path: PathBuf,
        /// What was being done.
        step: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

/// Writes a file through `write`, atomically. Either the whole of what `write`
/// wrote stands at `path`, safely on the disk, or `path` is as it was before
/// and no temporary file is left. An existing file is replaced.
///
/// The writer is buffered; `write` need not flush it.
///
/// # Errors
/// When the folder is missing, not writable or full, or `write` fails.
pub fn write_atomic<F>(path: impl AsRef<Path>, write: F) -> Result<(), WriteError>
where
    F: FnOnce(&mut dyn Write) -> io::Result<()>,
{
    let path = path.as_ref();
    let target = Target::of(path)?;

    let mut file = target
        .temporary()
        .map_err(|e| target.error("make a temporary file", e))?;
    let mut buffer = BufWriter::with_capacity(BUFFER_BYTES, file.as_file_mut());
    write(&mut buffer)
        .and_then(|()| buffer.flush())
        .map_err(|e| target.error("write the contents", e))?;
    drop(buffer);

    file.as_file()
        .sync_all()
        .map_err(|e| target.error("flush the contents to the disk", e))?;
    let file =
        (file.persist(path)).map_err(|e| target.error("rename the temporary file", e.error))?;
    sync_folder(target.folder).map_err(|e| target.error("flush the folder to the disk", e))?;
    let bytes = file.metadata().map_or(0, |found| found.len());
    log::debug!("written: {}, {bytes} bytes", path.display());
    Ok(())
}

/// Fails as [`write_atomic`] would before a byte is written, and leaves no trace: to be
/// asked before long work whose result goes to `path`.
///
/// # Errors
/// When the folder is missing, not writable or full.
pub fn probe(path: impl AsRef<Path>) -> Result<(), WriteError> {
    let target = Target::of(path.as_ref())?;
    target
        .temporary()
        .map_err(|e| target.error("make a temporary file", e))?;
    Ok(())
}

/// Writes `bytes` as the whole of a file, atomically; see [`write_atomic`].
///
/// # Errors
/// As [`write_atomic`].
pub fn write_bytes(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), WriteError> {
    write_atomic(path, |w| w.write_all(bytes))
}

/// Makes the folder `path`, which is not there, or is there and empty, of what `fill` writes into
/// a folder beside it: it appears whole or not at all.
///
/// # Errors
/// When it cannot be made, and those of `fill`; nothing is left then.
pub fn write_folder<E: From<WriteError>>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    let target = Target::beside(path)?;
    target.remove_leftovers();
    let part = target.builder(0o777).tempdir_in(target.folder);
    let part = part.map_err(|e| target.error("make a temporary folder", e))?;
    let _held = hold(part.path());
    fill(part.path())?;
    if path.is_dir() {
        std::fs::remove_dir(path).map_err(|e| target.error("take the place of the folder", e))?;
    }
    std::fs::rename(part.path(), path)
        .map_err(|e| target.error("rename the temporary folder", e))?;
    // It has another name now, and there is nothing to remove.
    let _ = part.keep();
    sync_folder(target.folder).map_err(|e| target.error("flush the folder to the disk", e))?;
    Ok(())
}

/// As [`write_folder`], in place of the folder that may be there.
///
/// # Errors
/// When that cannot be removed, and as [`write_folder`].
pub fn replace_folder<E: From<WriteError>>(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<(), E> {
    if path.exists() {
        remove_folder(path)?;
    }
    write_folder(path, fill)
}

/// Removes a folder, which is whole or not there, whenever the process is killed.
///
/// # Errors
/// When it cannot be removed.
pub fn remove_folder(path: &Path) -> Result<(), WriteError> {
    let target = Target::beside(path)?;
    let part = target.builder(0o777).tempdir_in(target.folder);
    let part = part.map_err(|e| target.error("make a temporary folder", e))?;
    let _held = hold(part.path());
    std::fs::rename(path, part.path().join("removed"))
        .and_then(|()| part.close())
        .map_err(|e| target.error("remove the folder", e))
}

struct Target<'a> {
    path: &'a Path,
    folder: &'a Path,
    prefix: OsString,
}

impl<'a> Target<'a> {
    fn of(path: &'a Path) -> Result<Self, WriteError> {
        match path.is_dir() {
            true => Err(not_a_file(path)),
            false => Self::beside(path),
        }
    }

    /// The same, of a path that may be a folder's.
    fn beside(path: &'a Path) -> Result<Self, WriteError> {
        let name = path.file_name().ok_or_else(|| not_a_file(path))?;
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        if !folder.is_dir() {
            return Err(WriteError::NoFolder {
                path: path.to_owned(),
                folder: folder.to_owned(),
            });
        }
        // Hidden, so that a listing of predictions never picks up a part of one.
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        Ok(Self {
            path,
            folder,
            prefix,
        })
    }

    fn temporary(&self) -> io::Result<tempfile::NamedTempFile> {
        self.remove_leftovers();
        let file = self.builder(0o666).tempfile_in(self.folder)?;
        // Some network file systems know no locks; leftovers stay there.
        let _ = file.as_file().try_lock();
        Ok(file)
    }

    /// Removes what killed processes left of this target.
    fn remove_leftovers(&self) {
        remove_left(self.folder, &|name| {
            let (name, prefix) = (name.as_encoded_bytes(), self.prefix.as_encoded_bytes());
            let middle = name.strip_prefix(prefix);
            let middle = middle.and_then(|rest| rest.strip_suffix(PART.as_bytes()));
            // No dot, or it would be the part of a file whose name begins with this one's.
            middle.is_some_and(|random| !random.contains(&b'.'))
        });
    }

    /// Temporary files and folders are private by default; the result should obey the umask,
    /// with what `mode` allows at most.
    fn builder(&self, mode: u32) -> tempfile::Builder<'_, 'static> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(&self.prefix).suffix(PART);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            builder.permissions(std::fs::Permissions::from_mode(mode));
        }
        #[cfg(not(unix))]
        let _ = mode;
        builder
    }

    fn error(&self, step: &'static str, source: io::Error) -> WriteError {
        let (path, folder) = (self.path.to_owned(), self.folder.to_owned());
        match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                WriteError::NotPermitted {
                    path,
                    folder,
                    source,
                }
            }
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => WriteError::Full {
                path,
                folder,
                source,
            },
            _ => WriteError::Failed { path, step, source },
        }
    }
}

/// Removes the temporary files and folders of `folder` with such names that nobody writes any
/// more. What cannot be removed stays: it is no hindrance.
fn remove_left(folder: &Path, ours: &dyn Fn(&OsStr) -> bool) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten().filter(|entry| ours(&entry.file_name())) {
        let path = entry.path();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        // Of another kind it is none of ours.
        if !(kind.is_file() || kind.is_dir()) || !is_left(&path) {
            continue;
        }
        let _ = match kind.is_dir() {
            true => std::fs::remove_dir_all(&path),
            false => std::fs::remove_file(&path),
        };
    }
}

/// Locks a temporary folder for as long as the value lives, where the system can.
fn hold(path: &Path) -> Option<File> {
    let folder = File::open(path).ok()?;
    folder.try_lock().ok().map(|()| folder)
}

/// Whether nobody writes the temporary file or folder any more.
fn is_left(path: &Path) -> bool {
    let age = std::fs::symlink_metadata(path)
        .and_then(|found| found.modified())
        .map(|time| time.elapsed());
    // A time to come is that of a clock that was set back.
    !matches!(age, Ok(Ok(age)) if age < UNLOCKED) && hold(path).is_some()
}

fn not_a_file(path: &Path) -> WriteError {
    WriteError::NotAFile {
        path: path.to_owned(),
    }
}

/// Makes the rename itself survive a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    // Only Unix can open a folder; some network file systems know no such flush.
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder)?.sync_all() {
        Err(e) if matches!(e.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_finished_write_replaces_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write_bytes(&path, b"old").unwrap();
        write_atomic(&path, |w| {
            w.write_all(b"ne")?;
            w.write_all(b"w")
        })
        .unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(dir.path()), ["a.json"]);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write_bytes(&path, b"old").unwrap();
        let error = write_atomic(&path, |w| {
            w.write_all(&vec![1; 2 * BUFFER_BYTES])?;
            Err(io::Error::from(ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(matches!(error, WriteError::Full { .. }), "{error}");
        assert!(error.to_string().contains("a.json"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a.json"]);
    }

    fn left(path: &Path) {
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(60);
        File::open(path).unwrap().set_modified(long_ago).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        let kept = [
            ".a.json.held00.part",
            ".a.json.more.young0.part",
            ".a.json.young0.part",
            ".b.json.left00.part",
            "a.json.left00.part",
        ];
        let file = |name: &str| {
            let path = dir.path().join(name);
            fs::write(&path, b"half").unwrap();
            path
        };
        for name in kept {
            let path = file(name);
            if !name.contains(".a.json.young0") {
                left(&path);
            }
        }
        left(&file(".a.json.left00.part"));
        let held = File::open(dir.path().join(kept[0])).unwrap();
        held.try_lock().unwrap();
        write_bytes(&path, b"new").unwrap();
        let mut expected: Vec<&str> = kept.into();
        expected.push("a.json");
        expected.sort_unstable();
        assert_eq!(names(dir.path()), expected);

        // A folder that was half filled.
        let part = dir.path().join(".model.left00.part");
        fs::create_dir(&part).unwrap();
        fs::write(part.join("weights"), b"half").unwrap();
        left(&part);
        write_folder(&dir.path().join("model"), |folder| {
            write_bytes(folder.join("weights"), b"whole")
        })
        .unwrap();
        assert!(!part.exists());
        assert_eq!(
            fs::read(dir.path().join("model/weights")).unwrap(),
            b"whole"
        );
    }

    #[test]
    fn a_missing_folder_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let error = write_bytes(dir.path().join("no/such/a.txt"), b"").unwrap_err();
        assert!(matches!(error, WriteError::NoFolder { .. }), "{error}");
        assert!(error.to_string().contains("no/such"));
        assert!(names(dir.path()).is_empty());
    }

    #[test]
    fn a_folder_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let error = write_bytes(dir.path(), b"").unwrap_err();
        assert!(matches!(error, WriteError::NotAFile { .. }), "{error}");
        assert!(matches!(
            write_bytes("", b"").unwrap_err(),
            WriteError::NotAFile { .. }
        ));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_refuses_files_is_named() {
        // Nobody, not even root, may create files here.
        let error = write_bytes("/proc/self/fdinfo/a.txt", b"").unwrap_err();
        assert!(error.to_string().contains("/proc/self/fdinfo/a.txt"));
    }

    #[cfg(unix)]
    #[test]
    fn the_result_is_readable_like_any_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let (ours, plain) = (dir.path().join("a"), dir.path().join("b"));
        write_bytes(&ours, b"").unwrap();
        fs::write(&plain, b"").unwrap();
        let mode = |p: &Path| fs::metadata(p).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }
}
