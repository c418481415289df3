//! A folder of predictions while it is written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{BURDEN, CLEANED, LIST, PredictedFile, Predictions, files_of, prediction_path};
use crate::cleaned::{CleanedClass, write_csv};
use crate::{Inputs, Provenance, RecordError, sha256_of};

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
            for file in files_of(path, id, now.ending()) {
                inputs.spare(&file)?;
            }
        }
        for own in [LIST, CLEANED, BURDEN] {
            inputs.spare(&path.join(own))?;
        }
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
        let ours = self.list.postprocess.is_none() || !self.list.parts.is_empty();
        let tables = [CLEANED, BURDEN].map(|name| self.path.join(name));
        let foreign = tables.into_iter().find(|table| !ours && table.exists());
        if let Some(file) = foreign.filter(|_| existing != Existing::Replace) {
            return Err(RecordError::ForeignFile { file });
        }
        let ending = self.list.ending().to_owned();
        let listed = self.list.files.get_or_insert_default();
        for id in asked.iter().filter(|id| !listed.contains_key(*id)) {
            let found = files_of(&self.path, id, &ending)
                .into_iter()
                .find(|file| file.exists());
            if let Some(file) = found.filter(|_| existing != Existing::Replace) {
                return Err(RecordError::ForeignFile { file });
            }
        }
        let left = asked.into_iter().filter(|id| match existing {
            Existing::Skip => !listed.get(id).is_some_and(|file| {
                let found = sha256_of(&prediction_path(&self.path, id, &ending));
                found.is_ok_and(|found| found == file.sha256)
            }),
            _ => true,
        });
        let left = left.collect();
        self.list.parts.push(provenance);
        std::fs::create_dir_all(&self.path).map_err(RecordError::io(&self.path))?;
        self.write()?;
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
            self.write()?;
        }
        Ok(prediction_path(&self.path, id, self.list.ending()))
    }

    /// Puts the label map of a subject, now whole, on the list, with what was `cleaned`
    /// of its classes.
    ///
    /// # Errors
    /// When the file cannot be read or the list cannot be written.
    pub fn done(&mut self, id: &str, cleaned: Vec<CleanedClass>) -> Result<(), RecordError> {
        let file = PredictedFile {
            sha256: sha256_of(&prediction_path(&self.path, id, self.list.ending()))?,
            part: self.list.parts.len() - 1,
            cleaned,
        };
        let files = self.list.files.get_or_insert_default();
        files.insert(id.to_owned(), file);
        self.write()
    }

    /// Writes the list and, where there is a postprocess file, the table of what it removed.
    fn write(&self) -> Result<(), RecordError> {
        if self.list.postprocess.is_some() {
            let files = self.list.files.iter().flatten();
            let rows = files.flat_map(|(id, file)| file.cleaned.iter().map(move |row| (id, row)));
            write_csv(&self.path.join(CLEANED), rows)?;
        }
        self.list.write(&self.path)
    }
}

/// Removes the files of a list, then the list.
fn remove(folder: &Path, list: &Predictions, inputs: &Inputs) -> Result<(), RecordError> {
    let ids = list.owned().into_iter();
    let files = ids.flat_map(|id| files_of(folder, id, list.ending()));
    let tables =
        (list.postprocess.iter()).flat_map(|_| [CLEANED, BURDEN].map(|name| folder.join(name)));
    let files = files.chain(tables).filter(|file| file.exists());
    let files: Vec<PathBuf> = files.collect();
    for file in &files {
        inputs.spare(file)?;
    }
    for file in files.into_iter().chain([folder.join(LIST)]) {
        std::fs::remove_file(&file).map_err(RecordError::io(&file))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::PREDICTION_ENDING;
    use super::*;
    use crate::{AveragedRun, Ensemble};

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
        folder.done(id, Vec::new()).unwrap();
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
        assert!(!prediction_path(folder.path(), "b", PREDICTION_ENDING).exists());
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
    fn other_rules_are_another_maker_and_their_table_goes_with_them() {
        let folder = tempfile::tempdir().unwrap();
        let table = folder.path().join(CLEANED);
        let ruled = |threshold: f64| Predictions {
            postprocess: Some(serde_json::json!({ "threshold": threshold })),
            ..list("w", &["a", "b"])
        };
        std::fs::write(&table, "theirs").unwrap();
        let error = open(folder.path(), ruled(0.4), Existing::Refuse).unwrap_err();
        assert!(matches!(error, RecordError::ForeignFile { .. }), "{error}");
        std::fs::remove_file(&table).unwrap();

        let (mut opened, _) = open(folder.path(), ruled(0.4), Existing::Refuse).unwrap();
        let cleaned = CleanedClass {
            class: "lesion, small".to_owned(),
            components: 5,
            removed_by_volume: 2,
            removed_by_peak: 1,
            removed_beside_largest: 1,
            voxels_before: 90,
            voxels_after: 70,
        };
        let path = opened.start("a").unwrap();
        std::fs::write(path, "a").unwrap();
        opened.done("a", vec![cleaned]).unwrap();
        // The second part adds to the table of the first.
        let (mut opened, left) = open(folder.path(), ruled(0.4), Existing::Skip).unwrap();
        assert_eq!(left, ["b"]);
        predict(&mut opened, "b");
        let header = "subject,class,components,removed_by_volume,removed_by_peak,\
                      removed_beside_largest,voxels_before,voxels_after\n";
        let expected = format!("{header}a,\"lesion, small\",5,2,1,1,90,70\n");
        assert_eq!(std::fs::read_to_string(&table).unwrap(), expected);

        for other in [ruled(0.5), list("w", &["a"])] {
            let error = open(folder.path(), other, Existing::Skip).unwrap_err();
            assert!(
                matches!(error, RecordError::OtherPredictions { .. }),
                "{error}"
            );
        }
        open(folder.path(), list("w", &["a"]), Existing::Replace).unwrap();
        assert!(!table.exists());
    }

    #[test]
    fn a_list_of_files_elsewhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("predictions");
        let foreign = folder.path().join("a.nii.gz");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(&foreign, "").unwrap();
        list("v", &["../a"]).write(&inside).unwrap();
        let error = open(&inside, list("w", &["a"]), Existing::Replace).unwrap_err();
        assert!(matches!(error, RecordError::Corrupt { .. }), "{error}");
        assert!(foreign.exists());
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
        std::fs::write(
            prediction_path(folder.path(), "a", PREDICTION_ENDING),
            "theirs",
        )
        .unwrap();
        let error = open(folder.path(), list("w", &["a"]), Existing::Refuse).unwrap_err();
        assert!(matches!(error, RecordError::ForeignFile { .. }), "{error}");
        assert!(!folder.path().join("predictions.json").exists());
        open(folder.path(), list("w", &["a"]), Existing::Replace).unwrap();
    }
}
