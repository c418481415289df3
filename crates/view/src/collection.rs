//! Which files belong to each subject that is shown.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_evaluate::{file_of, regions};
use lacuna_io::{ENDINGS, ending_of};
use lacuna_metrics::ClassScores;
use lacuna_record::{Evaluation, PREDICTION_ENDING, Predictions, probabilities_path, spread_path};
use lacuna_volume::Region;

use crate::{Training, ViewError};

/// What to show.
#[derive(Clone, Debug)]
pub struct Source<'a> {
    /// A manifest, a folder of predictions, of an evaluation, of a run or of `lacuna auto`.
    pub path: &'a Path,
    /// The manifest with the images of predictions; an evaluation, a run and a folder of
    /// `lacuna auto` know theirs.
    pub dataset: Option<&'a Path>,
    /// Predictions hold the dataset's own label values in place of class indices. Where the
    /// folder's list says so, it need not be said here.
    pub label_values: bool,
}

/// Subjects with their files, the worst first where there are scores.
#[derive(Clone, Debug)]
pub struct Collection {
    pub(crate) manifest: Manifest,
    /// What the prediction files lie in.
    pub(crate) predictions: Option<PathBuf>,
    pub(crate) label_values: bool,
    /// Sets of classes that are scored as one.
    pub(crate) regions: Vec<Region>,
    pub(crate) entries: Vec<Entry>,
}

/// A subject that is shown.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub subject: Subject,
    /// Label map of the prediction.
    pub prediction: Option<PathBuf>,
    /// Probabilities, a volume for each class.
    pub probabilities: Option<PathBuf>,
    /// How far several networks are apart.
    pub spread: Option<PathBuf>,
    /// The scores of an evaluation; the union of the foreground classes is last.
    pub scores: Vec<ClassScores>,
}

/// Folders that predictions and what belongs to them are looked up in.
struct Folders {
    predictions: PathBuf,
    /// Of probabilities and uncertainty.
    maps: Vec<PathBuf>,
    evaluation: Option<Evaluation>,
}

impl Collection {
    /// Finds the files. No image is opened.
    ///
    /// # Errors
    /// When `path` is nothing that can be shown, or the dataset of predictions is unknown.
    pub fn open(source: &Source) -> Result<Self, ViewError> {
        let path = source.path;
        if path.is_file() {
            return match source.dataset {
                None => Self::of_manifest(Manifest::read(path)?),
                Some(_) => Err(ViewError::TwoDatasets {
                    path: path.to_owned(),
                }),
            };
        }
        if !path.is_dir() {
            return Err(nothing(path, "there is no such file or folder"));
        }
        if Training::is_run(path) {
            let dataset = match source.dataset {
                Some(dataset) => dataset.to_owned(),
                None => dataset_of(&path.join("run.toml"))?,
            };
            return Self::of_manifest(Manifest::read(&dataset)?);
        }
        let (folders, dataset) = match path.join("plan.json").exists() {
            true => of_auto(path)?,
            false => of_results(path)?,
        };
        let dataset = source.dataset.map(Path::to_owned).or(dataset);
        let dataset = dataset.ok_or_else(|| ViewError::NoDataset {
            folder: path.to_owned(),
        })?;
        Self::of_predictions(Manifest::read(&dataset)?, folders, source.label_values)
    }

    /// The dataset alone.
    fn of_manifest(manifest: Manifest) -> Result<Self, ViewError> {
        let entries = manifest.subjects.iter().map(|subject| Entry {
            subject: subject.clone(),
            prediction: None,
            probabilities: None,
            spread: None,
            scores: Vec::new(),
        });
        Ok(Self {
            entries: entries.collect(),
            manifest,
            predictions: None,
            label_values: false,
            regions: Vec::new(),
        })
    }

    /// The subjects that are predicted.
    fn of_predictions(
        manifest: Manifest,
        folders: Folders,
        label_values: bool,
    ) -> Result<Self, ViewError> {
        let Folders {
            predictions,
            maps,
            evaluation,
        } = folders;
        let map = |file: fn(&Path, &str, &str) -> PathBuf, id: &str, ending: &str| {
            let mut files = maps.iter().map(|folder| file(folder, id, ending));
            files.find(|file| file.exists())
        };
        let mut entries = Vec::new();
        for subject in &manifest.subjects {
            let id = &subject.id;
            let Some(prediction) = file_of(&predictions, id, &ENDINGS)? else {
                continue;
            };
            let ending = ending_of(&prediction).unwrap_or(PREDICTION_ENDING);
            let mut scores = evaluation.iter().flat_map(|e| &e.subjects);
            let scores = scores.find(|scores| scores.subject == *id);
            entries.push(Entry {
                subject: subject.clone(),
                probabilities: map(probabilities_path, id, ending),
                spread: map(spread_path, id, ending),
                prediction: Some(prediction),
                scores: scores.map_or_else(Vec::new, |scores| scores.classes.clone()),
            });
        }
        if entries.is_empty() {
            return Err(ViewError::NoPrediction {
                folder: predictions,
                manifest: manifest.path,
            });
        }
        entries.sort_by(worse);
        Ok(Self {
            regions: regions(&manifest, &predictions, &[])?,
            manifest,
            predictions: Some(predictions),
            label_values,
            entries,
        })
    }

    /// Number of subjects.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// A collection has at least one subject, as a manifest has.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Entry {
    /// The scores of all foreground.
    pub fn score(&self) -> Option<&ClassScores> {
        self.scores.last()
    }
}

/// The smaller DSC first, then the smaller lesion F1; subjects without scores last.
fn worse(a: &Entry, b: &Entry) -> Ordering {
    match (a.score(), b.score()) {
        (Some(a), Some(b)) => (a.dsc.total_cmp(&b.dsc)).then(a.lesion_f1.total_cmp(&b.lesion_f1)),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// The held-out predictions of a folder of `lacuna auto`, as tuned where they were, and its
/// dataset.
fn of_auto(folder: &Path) -> Result<(Folders, Option<PathBuf>), ViewError> {
    let held_out = folder.join("out-of-fold");
    let stages = [
        (folder.join("tuned"), "tuned"),
        (held_out.join("labels"), "untuned"),
    ];
    let found = stages.into_iter().find(|(labels, _)| labels.is_dir());
    let Some((predictions, stage)) = found else {
        return Err(ViewError::Unjudged {
            folder: folder.to_owned(),
        });
    };
    let mut maps = subfolders(&held_out)?;
    maps.sort();
    let folders = Folders {
        predictions,
        maps,
        evaluation: Evaluation::read(&folder.join("evaluation").join(stage))?,
    };
    Ok((folders, Some(dataset_of(&folder.join("run.toml"))?)))
}

/// The dataset of a planned run. Paths in it are those of the command that planned.
fn dataset_of(run: &Path) -> Result<PathBuf, ViewError> {
    let wrong = |found: String| ViewError::AutoDataset {
        file: run.to_owned(),
        found,
    };
    let text = lacuna_io::text::read_toml(run).map_err(|source| ViewError::Io {
        path: run.to_owned(),
        source,
    })?;
    let table: toml::Table = text
        .parse()
        .map_err(|e: toml::de::Error| wrong(e.message().into()))?;
    match table.get("dataset").and_then(toml::Value::as_str) {
        Some(dataset) => Ok(dataset.into()),
        None => Err(wrong("it has no such key".to_owned())),
    }
}

fn subfolders(folder: &Path) -> Result<Vec<PathBuf>, ViewError> {
    let io = |source| ViewError::Io {
        path: folder.to_owned(),
        source,
    };
    let entries = std::fs::read_dir(folder).map_err(io)?;
    let paths: Result<Vec<PathBuf>, _> = entries.map(|e| e.map(|e| e.path())).collect();
    let paths = paths.map_err(io)?.into_iter();
    Ok(paths.filter(|path| path.is_dir()).collect())
}

/// The predictions that were evaluated, or those in the folder itself; and the dataset, where
/// it is known.
fn of_results(folder: &Path) -> Result<(Folders, Option<PathBuf>), ViewError> {
    let evaluation = Evaluation::read(folder)?;
    let (predictions, dataset) = match &evaluation {
        Some(evaluation) => (evaluation.predictions.clone(), evaluation.dataset.clone()),
        None => (folder.to_owned(), None),
    };
    if evaluation.is_none() && Predictions::read(folder)?.is_none() && !holds_nifti(folder) {
        return Err(nothing(folder, "it holds no predictions"));
    }
    let folders = Folders {
        maps: vec![predictions.clone()],
        predictions,
        evaluation,
    };
    Ok((folders, dataset))
}

fn holds_nifti(folder: &Path) -> bool {
    let mut names = std::fs::read_dir(folder).into_iter().flatten().flatten();
    names.any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.ends_with(".nii.gz") || name.ends_with(".nii")
    })
}

fn nothing(path: &Path, found: &'static str) -> ViewError {
    ViewError::Nothing {
        path: path.to_owned(),
        found,
    }
}
