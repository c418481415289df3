//! A folder of predictions, one `<subject id>.nii.gz` each, and `predictions.json`: what
//! made them. A file is on the list with its hash once it is whole, and not before, so
//! that what a killed command leaves is never taken for what it should have written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{read_optional, write_json};
use crate::{Inputs, Provenance, RecordError, sha256_of};

/// `predictions.json`: what a folder of predictions holds. All files are of one run, or
/// of the mean of the same runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Predictions {
    /// The run folder; of several, the first.
    pub run: PathBuf,
    /// Iterations behind its weights.
    pub iteration: u64,
    /// SHA-256 of the weights; absent where there are several, and in version 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// The runs, where the mean of several was predicted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<Ensemble>,
    /// Class names, in the order of their indices.
    pub classes: Vec<String>,
    /// What the files hold for each class, when not the class index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<u16>>,
    /// Regions that the network was trained on, as sets of classes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Vec<String>>,
    /// Subjects that were asked for, in all parts.
    pub subjects: Vec<String>,
    /// What was written, by subject; version 0.1.0 did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<String, PredictedFile>>,
    /// The commands that wrote them, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Provenance>,
}

/// The mean of several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ensemble {
    /// What the mean was taken of: `probabilities` or `logits`.
    pub average: String,
    /// The runs, in the order of the command.
    pub runs: Vec<AveragedRun>,
}

/// One of several runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AveragedRun {
    /// The run folder.
    pub run: PathBuf,
    /// Iterations behind the weights.
    pub iteration: u64,
    /// SHA-256 of the weights.
    pub weights: String,
}

impl Ensemble {
    /// Whether both are the same mean of the same weights, in whatever order.
    fn is_of_the_same_runs(&self, other: &Self) -> bool {
        let weights = |ensemble: &Self| -> BTreeSet<String> {
            let runs = ensemble.runs.iter();
            runs.map(|run| run.weights.clone()).collect()
        };
        self.average == other.average && weights(self) == weights(other)
    }
}

/// A file of the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictedFile {
    /// SHA-256 of the label map.
    pub sha256: String,
    /// The command that wrote it, counted from 0 in `parts`.
    pub part: usize,
}

impl Predictions {
    /// The list in `folder`; `None` when another program made its files.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read(folder: &Path) -> Result<Option<Self>, RecordError> {
        read_optional(&folder.join("predictions.json"))
    }

    /// Writes the list of `folder`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), RecordError> {
        write_json(&folder.join("predictions.json"), self)
    }

    /// Whether both lists are of the same weights and classes, in the same values.
    fn of_the_same_run(&self, other: &Self) -> bool {
        let same_weights = match (&self.ensemble, &other.ensemble) {
            (Some(ensemble), Some(other)) => ensemble.is_of_the_same_runs(other),
            (None, None) => self.weights.is_some() && self.weights == other.weights,
            _ => false,
        };
        same_weights && self.classes == other.classes && self.values == other.values
    }

    /// What made the files, in words.
    fn maker(&self) -> String {
        let after = |run: &Path, iteration| {
            let run = run.display();
            format!("{run} after {iteration} iterations")
        };
        let Some(Ensemble { average, runs }) = &self.ensemble else {
            return after(&self.run, self.iteration);
        };
        let runs = runs.iter().map(|run| after(&run.run, run.iteration));
        let runs = runs.collect::<Vec<_>>().join(", ");
        format!("the mean {average} of {runs}")
    }

    /// The subjects whose files the list answers for.
    fn owned(&self) -> Vec<&String> {
        match &self.files {
            Some(files) => files.keys().collect(),
            None => self.subjects.iter().collect(),
        }
    }
}

/// What to do with files that are there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Refuse files of another run and of other programs; write one's own anew.
    #[default]
    Refuse,
    /// Remove files of another run, replace those of other programs.
    Replace,
    /// As `Refuse`, but leave one's own as they are.
    Skip,
}

/// A folder of predictions that is being written.
#[derive(Debug)]
pub struct PredictionsFolder {
    path: PathBuf,
    list: Predictions,
}

impl PredictionsFolder {
    /// Opens or makes `path` for the predictions of `now`, whose `subjects` are to be
    /// written by a process of this provenance. Nothing that the command reads is
    /// written over. The second value holds the subjects that are left to predict.
    ///
    /// # Errors
    /// When the folder holds files of another run or of other programs, a file is an
    /// input, or the folder cannot be written.
    pub fn open(
        path: &Path,
        mut now: Predictions,
        provenance: Provenance,
        existing: Existing,
        inputs: &Inputs,
    ) -> Result<(Self, Vec<String>), RecordError> {
        crate::check_folder(path)?;
        crate::check_no_run(path)?;
        for id in &now.subjects {
            for file in files_of(path, id) {
                inputs.spare(&file)?;
            }
        }
        inputs.spare(&path.join("predictions.json"))?;
        let before = Predictions::read(path)?;
        let same = before.as_ref().filter(|b| b.of_the_same_run(&now)).cloned();
        if let Some(other) = before.filter(|_| same.is_none()) {
            if existing != Existing::Replace {
                return Err(RecordError::OtherPredictions {
                    folder: path.to_owned(),
                    maker: other.maker(),
                });
            }
            remove(path, &other, inputs)?;
        }
        now.files = Some(BTreeMap::new());
        let asked = now.subjects.clone();
        if let Some(same) = same {
            now = Predictions {
                run: now.run,
                ensemble: now.ensemble,
                ..same
            };
            for id in &asked {
                if !now.subjects.contains(id) {
                    now.subjects.push(id.clone());
                }
            }
        }
        Self {
            path: path.to_owned(),
            list: now,
        }
        .begin(asked, provenance, existing)
    }

    fn begin(
        mut self,
        asked: Vec<String>,
        provenance: Provenance,
        existing: Existing,
    ) -> Result<(Self, Vec<String>), RecordError> {
        let listed = self.list.files.get_or_insert_default();
        for id in asked.iter().filter(|id| !listed.contains_key(*id)) {
            let found = files_of(&self.path, id)
                .into_iter()
                .find(|file| file.exists());
            if let Some(file) = found.filter(|_| existing != Existing::Replace) {
                return Err(RecordError::ForeignFile { file });
            }
        }
        let left = asked.into_iter().filter(|id| match existing {
            Existing::Skip => !listed.get(id).is_some_and(|file| {
                let found = sha256_of(&prediction_path(&self.path, id));
                found.is_ok_and(|found| found == file.sha256)
            }),
            _ => true,
        });
        let left = left.collect();
        self.list.parts.push(provenance);
        std::fs::create_dir_all(&self.path).map_err(RecordError::io(&self.path))?;
        self.list.write(&self.path)?;
        Ok((self, left))
    }

    /// Where the label map of a subject is to be written; until [`Self::done`], it is
    /// on no list.
    ///
    /// # Errors
    /// When the list cannot be written.
    pub fn start(&mut self, id: &str) -> Result<PathBuf, RecordError> {
        let files = self.list.files.get_or_insert_default();
        if files.remove(id).is_some() {
            self.list.write(&self.path)?;
        }
        Ok(prediction_path(&self.path, id))
    }

    /// Puts the label map of a subject, now whole, on the list.
    ///
    /// # Errors
    /// When the file cannot be read or the list cannot be written.
    pub fn done(&mut self, id: &str) -> Result<(), RecordError> {
        let file = PredictedFile {
            sha256: sha256_of(&prediction_path(&self.path, id))?,
            part: self.list.parts.len() - 1,
        };
        let files = self.list.files.get_or_insert_default();
        files.insert(id.to_owned(), file);
        self.list.write(&self.path)
    }
}

/// Removes the files of a list, then the list.
fn remove(folder: &Path, list: &Predictions, inputs: &Inputs) -> Result<(), RecordError> {
    let files = list.owned().into_iter().flat_map(|id| files_of(folder, id));
    let files: Vec<PathBuf> = files.filter(|file| file.exists()).collect();
    for file in &files {
        inputs.spare(file)?;
    }
    for file in files.into_iter().chain([folder.join("predictions.json")]) {
        std::fs::remove_file(&file).map_err(RecordError::io(&file))?;
    }
    Ok(())
}

fn files_of(folder: &Path, id: &str) -> [PathBuf; 2] {
    [prediction_path(folder, id), probabilities_path(folder, id)]
}

/// Where the prediction of a subject lies.
pub fn prediction_path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.nii.gz"))
}

/// Where the probabilities of a subject lie.
pub fn probabilities_path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.probabilities.nii.gz"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(weights: &str, subjects: &[&str]) -> Predictions {
        Predictions {
            run: weights.into(),
            weights: Some(weights.to_owned()),
            subjects: subjects.iter().map(|&s| s.to_owned()).collect(),
            ..Predictions::default()
        }
    }

    fn open(
        folder: &Path,
        list: Predictions,
        existing: Existing,
    ) -> Result<(PredictionsFolder, Vec<String>), RecordError> {
        let provenance = Provenance::of_process(1);
        PredictionsFolder::open(folder, list, provenance, existing, &Inputs::default())
    }

    fn predict(folder: &mut PredictionsFolder, id: &str) {
        let path = folder.start(id).unwrap();
        std::fs::write(path, id).unwrap();
        folder.done(id).unwrap();
    }

    #[test]
    fn parts_of_one_run_come_together() {
        let folder = tempfile::tempdir().unwrap();
        for (part, id) in ["a", "b"].into_iter().enumerate() {
            let (mut open, left) = open(folder.path(), list("w", &[id]), Existing::Refuse).unwrap();
            assert_eq!(left, [id]);
            predict(&mut open, id);
            let found = Predictions::read(folder.path()).unwrap().unwrap();
            assert_eq!(found.files.unwrap()[id].part, part);
        }
        let found = Predictions::read(folder.path()).unwrap().unwrap();
        assert_eq!((found.subjects.len(), found.parts.len()), (2, 2));
        let (_, left) = open(folder.path(), list("w", &["a", "b", "c"]), Existing::Skip).unwrap();
        assert_eq!(left, ["c"]);
    }

    #[test]
    fn files_of_another_run_are_refused_or_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (mut first, _) = open(folder.path(), list("w", &["a", "b"]), Existing::Refuse).unwrap();
        predict(&mut first, "a");
        predict(&mut first, "b");
        for existing in [Existing::Refuse, Existing::Skip] {
            let error = open(folder.path(), list("v", &["a"]), existing).unwrap_err();
            assert!(error.to_string().contains("--force"), "{error}");
        }
        // The second run is cut off before its first file.
        open(folder.path(), list("v", &["a"]), Existing::Replace).unwrap();
        let found = Predictions::read(folder.path()).unwrap().unwrap();
        assert_eq!(found.files, Some(BTreeMap::new()));
        assert!(!prediction_path(folder.path(), "b").exists());
    }

    #[test]
    fn another_set_of_runs_is_another_maker() {
        let mean = |average: &str, weights: &[&str]| {
            let run = |weights: &&str| AveragedRun {
                run: format!("run-{weights}").into(),
                iteration: 6,
                weights: (*weights).to_owned(),
            };
            Predictions {
                weights: None,
                ensemble: Some(Ensemble {
                    average: average.to_owned(),
                    runs: weights.iter().map(run).collect(),
                }),
                ..list("v", &["a"])
            }
        };
        let folder = tempfile::tempdir().unwrap();
        let open = |list| open(folder.path(), list, Existing::Skip);
        let (mut opened, _) = open(mean("probabilities", &["v", "w"])).unwrap();
        predict(&mut opened, "a");
        // The order is the same mean.
        let (_, left) = open(mean("probabilities", &["w", "v"])).unwrap();
        assert_eq!(left, [""; 0]);
        for other in [
            list("v", &["a"]),
            mean("logits", &["v", "w"]),
            mean("probabilities", &["v"]),
            mean("probabilities", &["v", "w", "x"]),
        ] {
            let error = open(other).unwrap_err().to_string();
            let parts = [
                "mean probabilities of",
                "run-v after 6",
                "run-w after 6",
                "--force",
            ];
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }

    #[test]
    fn a_file_is_off_the_list_while_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let (mut opened, _) = open(folder.path(), list("w", &["a"]), Existing::Refuse).unwrap();
        predict(&mut opened, "a");
        opened.start("a").unwrap();
        let found = Predictions::read(folder.path()).unwrap().unwrap();
        assert_eq!(found.files, Some(BTreeMap::new()));
    }

    #[test]
    fn files_of_other_programs_stay() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(prediction_path(folder.path(), "a"), "theirs").unwrap();
        let error = open(folder.path(), list("w", &["a"]), Existing::Refuse).unwrap_err();
        assert!(matches!(error, RecordError::ForeignFile { .. }), "{error}");
        assert!(!folder.path().join("predictions.json").exists());
        open(folder.path(), list("w", &["a"]), Existing::Replace).unwrap();
    }
}
