//! The memory that subjects may take, and the folder of those that find no room.
//!
//! A file of the cache is written whole or not at all, is checked whenever a run
//! begins with it, and is made anew when it is damaged or stands for something
//! else. Files that no run has begun with for 60 days are removed when a run
//! writes to the folder; it may be removed whole while no run uses it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rayon::prelude::*;

use super::cached::{self, Cached};
use super::key::{file_name, key_of};
use super::{Cohort, CohortError, Held};
use crate::manifest::{Manifest, Subject};
use crate::subject::{Case, CaseError, Preprocess, load_case, locate};

/// What the names of the cache's files end with.
pub(super) const ENDING: &str = "lacuna-case";
/// How long a file stays that no run begins with.
const KEPT: Duration = Duration::from_secs(60 * 24 * 3600);
/// What preparing a subject takes at most, as a multiple of the subject.
const WORKING_SET: u64 = 4;

/// Memory and disk for the subjects of a run.
#[derive(Debug)]
pub struct Store {
    /// Bytes that subjects may take in memory.
    memory: u64,
    /// Of these, still free; `None` once a subject has found no room, so that all
    /// after it go to disk.
    free: Option<u64>,
    folder: Option<PathBuf>,
}

/// What is done to a subject after it is loaded.
pub struct Finish<'a, E> {
    /// What it does, so that subjects finished in different ways are told apart.
    pub key: String,
    /// Does it.
    pub apply: &'a (dyn Fn(&mut Case) -> Result<(), E> + Sync),
}

enum Failure<E> {
    Subject(E),
    Store(CohortError),
}

impl Store {
    /// Room for `memory` bytes of subjects; `folder` takes those beyond. Without a
    /// folder, subjects that find no room are refused.
    pub fn new(memory: u64, folder: Option<PathBuf>) -> Self {
        Self {
            memory,
            free: Some(memory),
            folder,
        }
    }

    /// Prepares subjects, some at a time. `note` hears how many lie on disk, and of
    /// each file that had to be made anew.
    ///
    /// # Errors
    /// All subjects that cannot be prepared, or the first fault of the cache.
    pub fn cohort<E: From<CaseError> + From<CohortError> + Send>(
        &mut self,
        manifest: &Manifest,
        subjects: &[&Subject],
        preprocess: &Preprocess,
        finish: &Finish<'_, E>,
        note: &mut dyn FnMut(String),
    ) -> Result<Cohort, Vec<E>> {
        let threads = rayon::current_num_threads();
        let (mut cohort, mut failed) = (Cohort::default(), Vec::new());
        let (mut largest, mut next) = (0, 0);
        while next < subjects.len() {
            // The first tells how much the others may take while they are prepared.
            let room = (self.memory / 2).checked_div(WORKING_SET * largest);
            let together = match next {
                0 => 1,
                _ => room.unwrap_or(1).clamp(1, threads as u64) as usize,
            };
            let some = &subjects[next..subjects.len().min(next + together)];
            let on_disk = self.free.is_none();
            let store = &*self;
            let made: Vec<_> = some
                .par_iter()
                .map(|subject| {
                    let prepare = || {
                        let mut case = load_case(manifest, subject, preprocess)?;
                        (finish.apply)(&mut case).map(|()| Box::new(case))
                    };
                    let prepare = || prepare().map_err(Failure::Subject);
                    if !on_disk {
                        return Ok((Held::Memory(prepare()?), None));
                    }
                    store.on_disk(manifest, subject, preprocess, &finish.key, prepare)
                })
                .collect();
            for (made, subject) in made.into_iter().zip(some) {
                let held = match made {
                    Ok((held, told)) => {
                        told.into_iter().for_each(&mut *note);
                        held
                    }
                    Err(Failure::Subject(error)) => {
                        failed.push(error);
                        continue;
                    }
                    Err(Failure::Store(error)) => return Err(vec![error.into()]),
                };
                let Held::Memory(case) = held else {
                    cohort.subjects.push(held);
                    continue;
                };
                let bytes = bytes_of(&case);
                largest = largest.max(bytes);
                self.free = self.free.and_then(|free| free.checked_sub(bytes));
                if self.free.is_some() {
                    cohort.subjects.push(Held::Memory(case));
                    continue;
                }
                let prepare = || Ok(case);
                match self.on_disk(manifest, subject, preprocess, &finish.key, prepare) {
                    Ok((held, told)) => {
                        told.into_iter().for_each(&mut *note);
                        cohort.subjects.push(held);
                    }
                    Err(Failure::Subject(error)) => failed.push(error),
                    Err(Failure::Store(error)) => return Err(vec![error.into()]),
                }
            }
            next += some.len();
        }
        if !failed.is_empty() {
            return Err(failed);
        }
        if let (1.., Some(folder)) = (cohort.on_disk(), &self.folder) {
            note(format!(
                "{} of {} subjects do not fit into train.memory and are read from {}",
                cohort.on_disk(),
                cohort.len(),
                folder.display()
            ));
        }
        Ok(cohort)
    }

    /// A subject in the cache, made by `prepare` unless it is there; with it, what
    /// there is to tell.
    fn on_disk<E: From<CaseError>>(
        &self,
        manifest: &Manifest,
        subject: &Subject,
        preprocess: &Preprocess,
        finish: &str,
        prepare: impl FnOnce() -> Result<Box<Case>, Failure<E>>,
    ) -> Result<(Held, Option<String>), Failure<E>> {
        let folder = self.folder.as_deref();
        let folder = folder.ok_or(Failure::Store(CohortError::NoFolder))?;
        let unreadable = |source: std::io::Error| {
            let source = CaseError::Unreadable {
                subject: subject.id.clone(),
                source,
            };
            Failure::Subject(source.into())
        };
        let key = key_of(manifest, subject, preprocess, finish).map_err(unreadable)?;
        let source = locate(manifest, subject, preprocess);
        let source = source.map_err(|e| Failure::Subject(e.into()))?;
        let path = folder.join(file_name(&subject.id, &key));
        let told = match Cached::open(&path, &key, &subject.id, source.clone()) {
            Ok(Some(cached)) => return Ok((Held::Disk(Box::new(cached)), None)),
            Ok(None) => None,
            Err(found) => Some(format!(
                "{} cannot be used and is made anew: {found}",
                path.display()
            )),
        };
        let case = prepare()?;
        make_folder(folder).map_err(Failure::Store)?;
        let write = |source| CohortError::Write {
            subject: subject.id.clone(),
            folder: folder.to_owned(),
            source,
        };
        cached::write(&path, &key, &case).map_err(|e| Failure::Store(write(e)))?;
        drop(case);
        let found = match Cached::open(&path, &key, &subject.id, source) {
            Ok(Some(cached)) => return Ok((Held::Disk(Box::new(cached)), told)),
            Ok(None) => "the file is gone right after it was written".to_owned(),
            Err(found) => found,
        };
        Err(Failure::Store(CohortError::Read {
            subject: subject.id.clone(),
            path,
            source: std::io::Error::other(found),
        }))
    }
}

/// Bytes of the voxels.
fn bytes_of(case: &Case) -> u64 {
    let maps = &case.maps;
    let words = case.channels.iter().chain(&maps.distance);
    let words = words
        .chain(&case.weight)
        .chain(&maps.weight)
        .map(|v| v.len());
    let words = words.chain(maps.lesion.iter().map(|v| v.len()));
    let masks = case.mask.iter().chain(&case.source.mask).map(|v| v.len());
    let bytes = masks.chain(case.label.iter().map(|v| v.len()));
    (4 * words.sum::<usize>() + bytes.sum::<usize>()) as u64
}

/// Makes the folder of the cache, or removes from it what no run has used for long.
fn make_folder(folder: &Path) -> Result<(), CohortError> {
    fs::create_dir_all(folder).map_err(|source| CohortError::Folder {
        folder: folder.to_owned(),
        source,
    })?;
    // What cannot be listed or removed is no hindrance to writing.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        // Also the temporary files of writers that were killed.
        let ours = name.to_string_lossy().contains(&format!(".{ENDING}"));
        let changed = entry.metadata().and_then(|m| m.modified());
        let age = changed.map(|t| SystemTime::now().duration_since(t).unwrap_or_default());
        if ours && age.is_ok_and(|age| age > KEPT) {
            let _ = fs::remove_file(entry.path());
        }
    }
    Ok(())
}
