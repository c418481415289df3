//! The fingerprint of a dataset: what its subjects look like, measured before any
//! training, and which of them cannot be used at all.
//!
//! What is measured, and how, is told where it is stored: [`lacuna_record::fingerprint`].

mod bounds;
mod intensity;
mod subject;
mod summary;

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use lacuna_record::Fingerprint;
use lacuna_record::fingerprint::SubjectFault;

use crate::manifest::{Manifest, ManifestError, Subject};
use subject::Measured;

/// Why a dataset has no fingerprint.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FingerprintError {
    /// A subject that the manifest lacks.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A subject without a label.
    #[error(
        "{path}: subject {id} has no label, and a fingerprint is of labelled subjects; name \
         others, or give it a label", path = path.display()
    )]
    Unlabelled {
        /// The manifest.
        path: PathBuf,
        /// The subject.
        id: String,
    },
    /// No subject has a label.
    #[error(
        "{path}: no subject has a label, and a fingerprint is of labelled subjects; add `label` \
         to those that have one", path = path.display()
    )]
    NoneLabelled {
        /// The manifest.
        path: PathBuf,
    },
    /// Subjects that cannot be used.
    #[error(
        "{path}: {} of {asked} subjects cannot be used; correct them, or take them out of the \
         dataset:{}", faults.len(), listed(faults), path = path.display()
    )]
    Faults {
        /// The manifest.
        path: PathBuf,
        /// Subjects that were asked for.
        asked: usize,
        /// What is wrong with some.
        faults: Vec<SubjectFault>,
    },
}

fn listed(faults: &[SubjectFault]) -> String {
    let lines = faults.iter().map(|fault| format!("\n  {}", fault.message));
    lines.collect()
}

/// The fingerprint of the subjects `ids`, or of all that have a label when there are none.
/// Every file of theirs that a training would read is read. A subject that cannot be read or
/// does not fit is among the [`Fingerprint::faults`] and counts nowhere else: the
/// caller decides whether that is an error ([`refuse_faults`]).
///
/// As many threads as the current rayon pool has hold one subject each. The result
/// depends neither on them nor on the order of `ids`. `on_subject` hears how many
/// subjects are done, and of how many.
///
/// # Errors
/// An unknown subject or one without a label, or [`FingerprintError::Faults`] when no subject
/// can be used.
pub fn of(
    manifest: &Manifest,
    ids: &[String],
    on_subject: &mut dyn FnMut(usize, usize),
) -> Result<Fingerprint, FingerprintError> {
    let subjects = chosen(manifest, ids)?;
    let mut measured = Vec::with_capacity(subjects.len());
    let mut faults = Vec::new();
    for (subject, result) in subjects
        .iter()
        .zip(measure_all(manifest, &subjects, on_subject))
    {
        match result {
            Ok(found) => measured.push(found),
            Err(message) => faults.push(SubjectFault {
                id: subject.id.clone(),
                message,
            }),
        }
    }
    if measured.is_empty() {
        return Err(FingerprintError::Faults {
            path: manifest.path.clone(),
            asked: subjects.len(),
            faults,
        });
    }
    Ok(summary::summarise(manifest, measured, faults))
}

/// A fingerprint all of whose subjects can be used.
///
/// # Errors
/// [`FingerprintError::Faults`], which tells all that cannot.
pub fn refuse_faults(
    manifest: &Manifest,
    fingerprint: &Fingerprint,
) -> Result<(), FingerprintError> {
    match fingerprint.faults.is_empty() {
        true => Ok(()),
        false => Err(FingerprintError::Faults {
            path: manifest.path.clone(),
            asked: fingerprint.subjects.len() + fingerprint.faults.len(),
            faults: fingerprint.faults.clone(),
        }),
    }
}

/// The subjects to measure, in the order of the dataset.
fn chosen<'a>(
    manifest: &'a Manifest,
    ids: &[String],
) -> Result<Vec<&'a Subject>, FingerprintError> {
    for id in ids {
        if manifest.subject(id)?.label.is_none() {
            return Err(FingerprintError::Unlabelled {
                path: manifest.path.clone(),
                id: id.clone(),
            });
        }
    }
    let asked = |s: &&Subject| ids.is_empty() || ids.contains(&s.id);
    let labelled = manifest.subjects.iter().filter(|s| s.label.is_some());
    let subjects: Vec<&Subject> = labelled.filter(asked).collect();
    match subjects.is_empty() {
        false => Ok(subjects),
        true => Err(FingerprintError::NoneLabelled {
            path: manifest.path.clone(),
        }),
    }
}

/// Each subject's measures, or what is wrong with it.
///
/// Threads of their own: a task of the pool that waits for a part of its subject would
/// begin the next one meanwhile, and hold both in memory.
fn measure_all(
    manifest: &Manifest,
    subjects: &[&Subject],
    on_subject: &mut dyn FnMut(usize, usize),
) -> Vec<Result<Measured, String>> {
    let total = subjects.len();
    let next = AtomicUsize::new(0);
    let (done, results) = mpsc::channel();
    let mut found: Vec<_> = subjects.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..rayon::current_num_threads().min(total) {
            let (done, next) = (done.clone(), &next);
            scope.spawn(move || {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(subject) = subjects.get(index) else {
                        return;
                    };
                    let result = subject::measure(manifest, subject).map_err(|e| e.to_string());
                    if done.send((index, result)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        for (count, (index, result)) in results.iter().enumerate() {
            found[index] = Some(result);
            on_subject(count + 1, total);
        }
    });
    // A thread that panics ends the scope by its panic: all are there.
    found.into_iter().flatten().collect()
}
