//! Which files of a folder of predictions are scored.

use std::path::{Path, PathBuf};

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_io::ENDINGS;
use lacuna_record::{Predictions, ScoredFile, prediction_path, sha256_of};
use lacuna_volume::{Region, foreground_indices};

use crate::{EvaluateError, Request, bids};

/// The regions to score: those asked for, each as the name of one of the manifest or as class
/// names joined by `+`, else those of the manifest and those that the network behind the folder
/// `predictions` was trained on.
///
/// # Errors
/// A class that the manifest does not have, or a list that cannot be read.
pub fn regions(
    manifest: &Manifest,
    predictions: &Path,
    asked: &[String],
) -> Result<Vec<Region>, EvaluateError> {
    if asked.is_empty() {
        let listed = Predictions::read(predictions)?;
        let trained = listed.map_or_else(Vec::new, |listed| listed.regions);
        return Ok(regions_with(manifest, &trained));
    }
    let names = |region: &String| -> Result<Region, EvaluateError> {
        let found = manifest.region(region);
        match foreground_indices(&manifest.classes, &found.classes) {
            Ok(_) => Ok(found),
            Err(source) => Err(EvaluateError::RegionClass {
                region: region.clone(),
                manifest: manifest.path.clone(),
                source,
            }),
        }
    };
    asked.iter().map(names).collect()
}

/// The regions of the manifest, and those that a network was trained on.
pub fn regions_with(manifest: &Manifest, trained: &[Vec<String>]) -> Vec<Region> {
    let trained = trained.iter().cloned().map(Region::from);
    manifest.regions.iter().cloned().chain(trained).collect()
}

/// What is scored, and what a reader should know of what is not.
pub(crate) struct Chosen<'a> {
    /// Each subject has a label and the file of a prediction.
    pub subjects: Vec<(&'a Subject, ScoredFile)>,
    pub coding: Coding,
    pub notes: Vec<String>,
}

/// What the numbers of predictions stand for: said, and never guessed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Coding {
    /// Class indices.
    Indices,
    /// The label values of the manifest.
    Manifest,
    /// The value of each class, as listed by the run that wrote them.
    Listed(Vec<u16>),
}

impl Coding {
    /// That of a folder with this list; `asked` for the label values of the manifest.
    pub(crate) fn of(
        folder: &Path,
        listed: Option<&Predictions>,
        asked: bool,
    ) -> Result<Self, EvaluateError> {
        match (listed.map(|list| &list.values), asked) {
            (Some(Some(values)), _) => Ok(Self::Listed(values.clone())),
            (Some(None), true) => Err(EvaluateError::ListedIndices {
                predictions: folder.to_owned(),
            }),
            (None, true) => Ok(Self::Manifest),
            (_, false) => Ok(Self::Indices),
        }
    }
}

/// The subjects to score, each with its prediction.
pub(crate) fn choose<'a>(request: &Request<'a>) -> Result<Chosen<'a>, EvaluateError> {
    let folder = request.predictions;
    if !folder.is_dir() {
        return Err(EvaluateError::NoFolder {
            predictions: folder.to_owned(),
        });
    }
    let listed = Predictions::read(folder)?;
    if let Some(list) = &listed {
        check_classes(request.manifest, folder, list)?;
    }
    let coding = Coding::of(folder, listed.as_ref(), request.label_values)?;
    let mut notes = Vec::new();
    let asked = asked(request, listed.as_ref(), &mut notes)?;
    let mut subjects = Vec::with_capacity(asked.len());
    let mut missing = Vec::new();
    for subject in &asked {
        match find_file(folder, &subject.id, listed.as_ref())? {
            Some(file) => subjects.push((*subject, file)),
            None => missing.push(subject.id.clone()),
        }
    }
    if missing.is_empty() {
        return Ok(Chosen {
            subjects,
            coding,
            notes,
        });
    }
    Err(EvaluateError::NoPrediction {
        predictions: folder.to_owned(),
        missing: missing.len(),
        asked: asked.len(),
        subjects: missing.join(", "),
    })
}

/// Refuses predictions of other classes than the manifest's.
pub(crate) fn check_classes(
    manifest: &Manifest,
    folder: &Path,
    list: &Predictions,
) -> Result<(), EvaluateError> {
    if list.classes == manifest.classes {
        return Ok(());
    }
    Err(EvaluateError::Classes {
        predictions: folder.to_owned(),
        found: list.classes.join(", "),
        manifest: manifest.path.clone(),
        expected: manifest.classes.join(", "),
    })
}

/// The labelled subjects to score, by name or as the list has them.
fn asked<'a>(
    request: &Request<'a>,
    listed: Option<&Predictions>,
    notes: &mut Vec<String>,
) -> Result<Vec<&'a Subject>, EvaluateError> {
    let manifest = request.manifest;
    let find = |id: &String| Ok(manifest.subject(id)?);
    let labelled = |s: &&Subject| s.label.is_some();
    let folder = request.predictions.display();
    let chosen: Vec<&Subject> = match (request.subjects, listed) {
        ([], Some(list)) => {
            let written = |id: &&String| list.files.as_ref().is_none_or(|f| f.contains_key(*id));
            let unwritten: Vec<&str> = (list.subjects.iter())
                .filter(|id| !written(id))
                .map(String::as_str)
                .collect();
            if list.files.is_none() {
                notes.push(format!(
                    "{folder}: the list is of version 0.1.0, which did not record what was written: no file could be verified"
                ));
            }
            let ids: Vec<&String> = list.subjects.iter().filter(written).collect();
            if ids.is_empty() {
                return Err(EvaluateError::NoPrediction {
                    predictions: request.predictions.to_owned(),
                    missing: unwritten.len(),
                    asked: unwritten.len(),
                    subjects: unwritten.join(", "),
                });
            }
            if !unwritten.is_empty() {
                notes.push(format!(
                    "{folder}: asked for but never written, so not scored: {}",
                    unwritten.join(", ")
                ));
            }
            let found: Result<Vec<&Subject>, EvaluateError> = ids.into_iter().map(find).collect();
            found?.into_iter().filter(labelled).collect()
        }
        ([], None) => {
            notes.push(format!(
                "{folder}: no list of `lacuna predict`; every labelled subject is scored by file name"
            ));
            manifest.subjects.iter().filter(labelled).collect()
        }
        (named, _) => manifest.named(named)?,
    };
    if chosen.is_empty() {
        return Err(EvaluateError::NothingLabelled {
            manifest: manifest.path.clone(),
        });
    }
    match chosen.iter().find(|s| s.label.is_none()) {
        None => Ok(chosen),
        Some(subject) => Err(EvaluateError::NoLabel {
            manifest: manifest.path.clone(),
            subject: subject.id.clone(),
        }),
    }
}

/// The prediction of a subject: a file of the list that is as it was written, or, where
/// there is no list, one of that name.
pub(crate) fn find_file(
    folder: &Path,
    id: &str,
    listed: Option<&Predictions>,
) -> Result<Option<ScoredFile>, EvaluateError> {
    let endings = match listed {
        Some(list) => vec![list.ending()],
        None => ENDINGS.to_vec(),
    };
    let Some(file) = file_of(folder, id, &endings)? else {
        return Ok(None);
    };
    let recorded = listed.and_then(|list| list.files.as_ref());
    let wanted = match recorded.map(|files| files.get(id)) {
        // It is not of this list's run.
        Some(None) => return Ok(None),
        Some(Some(recorded)) => Some(&recorded.sha256),
        None => None,
    };
    let sha256 = sha256_of(&file)?;
    if wanted.is_some_and(|wanted| *wanted != sha256) {
        return Err(EvaluateError::Changed { prediction: file });
    }
    Ok(Some(ScoredFile {
        file,
        sha256,
        run: listed.map(|list| list.run.clone()),
        weights: listed.and_then(|list| list.weights.clone()),
        ensemble: listed.and_then(|list| list.ensemble.clone()),
    }))
}

/// The file of a subject's id that has one of these endings; in a derivative dataset of BIDS its
/// segmentation.
///
/// # Errors
/// When there are several.
pub fn file_of(
    folder: &Path,
    id: &str,
    endings: &[&str],
) -> Result<Option<PathBuf>, EvaluateError> {
    let files = (endings.iter()).map(|ending| prediction_path(folder, id, ending));
    let mut files: Vec<PathBuf> = files.filter(|file| file.exists()).collect();
    if files.is_empty() {
        files = bids::found(folder, id);
    }
    if files.len() > 1 {
        let files: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
        return Err(EvaluateError::TwoFiles {
            files: files.join(" and "),
        });
    }
    Ok(files.pop())
}
