//! What each folder holds, and the subjects that all hold.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lacuna_data::manifest::Subject;
use lacuna_record::{Evaluation, LeftOut, Predictions, ScoredFile, SubjectScores, sha256_of};

use super::{CompareError, CompareRequest};
use crate::EvaluateError;
use crate::choose::{Coding, check_classes, find_file};

/// One folder.
pub(super) struct Source {
    pub name: String,
    pub folder: PathBuf,
    pub held: Held,
    pub coding: Coding,
}

/// By subject.
pub(super) enum Held {
    /// Label maps, to be scored.
    Files(BTreeMap<String, ScoredFile>),
    /// Scores of an evaluation.
    Scores(BTreeMap<String, SubjectScores>),
}

impl Source {
    pub(super) fn holds(&self, id: &str) -> bool {
        match &self.held {
            Held::Files(files) => files.contains_key(id),
            Held::Scores(scores) => scores.contains_key(id),
        }
    }

    /// The scores of an evaluation; `None` where label maps are scored.
    pub(super) fn scores(&self, id: &str) -> Option<&SubjectScores> {
        match &self.held {
            Held::Files(_) => None,
            Held::Scores(scores) => scores.get(id),
        }
    }

    /// The label map of a subject. That of an evaluation only if it is still the file
    /// that was scored.
    pub(super) fn map_file(&self, id: &str) -> Option<PathBuf> {
        match &self.held {
            Held::Files(files) => files.get(id).map(|file| file.file.clone()),
            Held::Scores(scores) => {
                let scored = scores.get(id)?.prediction.as_ref()?;
                let unchanged = sha256_of(&scored.file).is_ok_and(|hash| hash == scored.sha256);
                unchanged.then(|| scored.file.clone())
            }
        }
    }

    /// Every file that is read.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let listed = [
            "predictions.json",
            "summary.json",
            "scores.csv",
            "lesions.csv",
        ]
        .map(|name| self.folder.join(name));
        let maps: Vec<PathBuf> = match &self.held {
            Held::Files(files) => files.values().map(|file| file.file.clone()).collect(),
            Held::Scores(scores) => (scores.values())
                .flat_map(|s| s.prediction.iter().map(|file| file.file.clone()))
                .collect(),
        };
        listed.into_iter().chain(maps).collect()
    }
}

/// Reads what all folders hold, names them and settles the meaning of their numbers.
pub(super) fn read(request: &CompareRequest) -> Result<Vec<Source>, EvaluateError> {
    let found = request.folders.len();
    if found < 2 {
        return Err(CompareError::TooFew { found }.into());
    }
    let names = names(request)?;
    if let Some(name) = request.label_values.iter().find(|n| !names.contains(n)) {
        return Err(CompareError::LabelValuesOf {
            name: name.clone(),
            known: names.join(", "),
        }
        .into());
    }
    let sources = request.folders.iter().zip(names);
    sources
        .map(|(folder, name)| source(request, folder, name))
        .collect()
}

/// Those given, else the last parts of the folders, or more of them where these are alike.
fn names(request: &CompareRequest) -> Result<Vec<String>, CompareError> {
    let (given, folders) = (request.names, request.folders);
    let distinct = |names: &[String]| names.iter().collect::<BTreeSet<_>>().len() == names.len();
    if given.is_empty() {
        let last = |folder: &PathBuf| match folder.file_name() {
            Some(name) => name.to_string_lossy().into_owned(),
            None => folder.display().to_string(),
        };
        let last: Vec<String> = folders.iter().map(last).collect();
        let whole: Vec<String> = folders.iter().map(|f| f.display().to_string()).collect();
        return Ok(match (distinct(&last), distinct(&whole)) {
            (true, _) => last,
            (false, true) => whole,
            (false, false) => (last.iter().enumerate())
                .map(|(i, name)| format!("{name} ({})", i + 1))
                .collect(),
        });
    }
    if given.len() != folders.len() {
        return Err(CompareError::Names {
            found: given.len(),
            folders: folders.len(),
        });
    }
    if distinct(given) {
        return Ok(given.to_vec());
    }
    let twice = |name: &&String| given.iter().filter(|n| n == name).count() > 1;
    Err(CompareError::SameName {
        name: given.iter().find(twice).cloned().unwrap_or_default(),
    })
}

fn source(request: &CompareRequest, folder: &Path, name: String) -> Result<Source, EvaluateError> {
    let manifest = request.manifest;
    if !folder.is_dir() {
        let folder = folder.to_owned();
        return Err(CompareError::NoFolder { folder }.into());
    }
    let asked = request.label_values.contains(&name);
    let listed = Predictions::read(folder)?;
    if let Some(list) = &listed {
        check_classes(manifest, folder, list)?;
    }
    let mut files = BTreeMap::new();
    for subject in &manifest.subjects {
        if let Some(file) = find_file(folder, &subject.id, listed.as_ref())? {
            files.insert(subject.id.clone(), file);
        }
    }
    let folder = folder.to_owned();
    if !files.is_empty() {
        return Ok(Source {
            coding: Coding::of(&folder, listed.as_ref(), asked)?,
            held: Held::Files(files),
            folder,
            name,
        });
    }
    // Other programs write a summary.json too; theirs is none of ours.
    let Ok(Some(evaluation)) = Evaluation::read(&folder) else {
        return Err(CompareError::NothingHeld {
            folder,
            manifest: manifest.path.clone(),
        }
        .into());
    };
    let behind = &evaluation.predictions;
    let listed = Predictions::read(behind)?;
    let coding = Coding::of(behind, listed.as_ref(), asked)?;
    let located = |mut scores: SubjectScores| {
        if let Some(file) = &mut scores.prediction
            && let Some(name) = file.file.file_name()
        {
            // The folder's path is absolute, that of the file as the command had it.
            file.file = behind.join(name);
        }
        (scores.subject.clone(), scores)
    };
    let scores = evaluation.subjects.clone().into_iter().map(located);
    Ok(Source {
        held: Held::Scores(scores.collect()),
        coding,
        folder,
        name,
    })
}

/// The subjects to compare, and what a reader should know of the others.
pub(super) struct Chosen<'a> {
    pub subjects: Vec<&'a Subject>,
    pub left_out: Vec<LeftOut>,
    pub notes: Vec<String>,
}

/// The labelled subjects that every folder holds, in the manifest's order. Those that were
/// named must be among them.
pub(super) fn common_subjects<'a>(
    request: &CompareRequest<'a>,
    sources: &[Source],
) -> Result<Chosen<'a>, EvaluateError> {
    let manifest = request.manifest;
    let asked: Vec<&Subject> = match request.subjects {
        [] => manifest.subjects.iter().collect(),
        named => manifest.named(named)?,
    };
    let (mut subjects, mut left_out) = (Vec::new(), Vec::new());
    for subject in asked {
        let lacking: Vec<&Source> = sources.iter().filter(|s| !s.holds(&subject.id)).collect();
        let named = !request.subjects.is_empty();
        match (&subject.label, &lacking[..]) {
            (Some(_), []) => subjects.push(subject),
            (None, _) if named => {
                return Err(EvaluateError::NoLabel {
                    manifest: manifest.path.clone(),
                    subject: subject.id.clone(),
                });
            }
            (_, [first, ..]) if named => {
                return Err(EvaluateError::NoPrediction {
                    predictions: first.folder.clone(),
                    missing: 1,
                    asked: request.subjects.len(),
                    subjects: subject.id.clone(),
                });
            }
            (_, lacking) if lacking.len() == sources.len() => {}
            (None, _) => left_out.push(LeftOut {
                subject: subject.id.clone(),
                why: "no label".to_owned(),
            }),
            (Some(_), lacking) => {
                let names: Vec<&str> = lacking.iter().map(|s| s.name.as_str()).collect();
                left_out.push(LeftOut {
                    subject: subject.id.clone(),
                    why: format!("not in {}", names.join(", ")),
                });
            }
        }
    }
    if subjects.is_empty() {
        let folders: Vec<String> = sources
            .iter()
            .map(|s| s.folder.display().to_string())
            .collect();
        return Err(CompareError::NoCommonSubject {
            manifest: manifest.path.clone(),
            folders: folders.join(" and "),
        }
        .into());
    }
    let mut notes = Vec::new();
    if !left_out.is_empty() {
        let each: Vec<String> = (left_out.iter())
            .map(|l| format!("{} ({})", l.subject, l.why))
            .collect();
        notes.push(format!("left out: {}", each.join("; ")));
    }
    Ok(Chosen {
        subjects,
        left_out,
        notes,
    })
}
