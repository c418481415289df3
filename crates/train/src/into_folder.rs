//! Predicts subjects of a dataset into a folder that says what made each file.

use std::path::Path;

use lacuna_data::manifest::Manifest;
use lacuna_record::{
    AveragedRun, Ensemble, Existing, Inputs, PREDICTION_ENDING, Predictions, PredictionsFolder,
    Provenance, probabilities_path, sha256_of, spread_path,
};

use crate::apply::{Files, TrainedRun};
use crate::origin;
use crate::postprocess::Postprocess;
use crate::predict::Session;
use crate::predictor::Predictor;
use crate::run::RunError;

/// A folder that predictions go into.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The folder; made when it is not there.
    pub folder: &'a Path,
    /// Write probabilities too.
    pub probabilities: bool,
    /// Ending of the label maps' names, one of [`lacuna_io::ENDINGS`]; mostly
    /// [`lacuna_record::PREDICTION_ENDING`].
    pub ending: &'static str,
    /// Write how far the networks are apart, too.
    pub spread: bool,
    /// Write the label values of the manifest, not class indices.
    pub label_values: bool,
    /// What becomes of files that are there.
    pub existing: Existing,
}

/// Where the work is.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The subject at hand.
    pub subject: &'a str,
    /// Its position among those that are predicted, counted from 0.
    pub number: usize,
    /// How many are predicted.
    pub subjects: usize,
    /// Its windows that are done, and all of them.
    pub windows: [usize; 2],
}

impl Predictor {
    /// Predicts the subjects `ids` of a manifest. Each file is on the folder's list, with
    /// its hash, as soon as it is whole. `on_window` hears after each window
    /// where the work is.
    ///
    /// # Errors
    /// When the dataset does not fit the run, the folder holds what may not be replaced,
    /// a file to write is one of the dataset, or a subject cannot be predicted; what was
    /// written before stays on the list.
    pub fn predict_into(
        &self,
        manifest: &Manifest,
        ids: &[String],
        target: &Target,
        session: Session,
        on_window: &mut dyn FnMut(At<'_>),
    ) -> Result<(), RunError> {
        self.check_session(&Session {
            spread: target.spread,
            ..session
        })?;
        let (mut folder, left) = self.open_folder(manifest, ids, target)?;
        let values = self.values_for(manifest, target)?;
        for (number, id) in left.iter().enumerate() {
            let files = Files {
                labels: folder.start(id)?,
                values: values.clone(),
                probabilities: (target.probabilities)
                    .then(|| probabilities_path(target.folder, id, target.ending)),
                spread: (target.spread).then(|| spread_path(target.folder, id, target.ending)),
            };
            let subject = manifest.subject(id)?;
            let mut on_windows = |done, total: usize| {
                on_window(At {
                    subject: id,
                    number,
                    subjects: left.len(),
                    windows: [done, total],
                });
            };
            let cleaned =
                self.predict_to_files(manifest, subject, &files, session, &mut on_windows)?;
            folder.done(id, cleaned)?;
        }
        Ok(())
    }

    fn values_for(
        &self,
        manifest: &Manifest,
        target: &Target,
    ) -> Result<Option<Vec<u16>>, RunError> {
        (target.label_values)
            .then(|| self.label_values(Some(manifest)))
            .transpose()
    }

    /// Opens a folder for predictions of the subjects `ids`, with the runs and this process on
    /// its list. The second value holds the subjects that are left to predict.
    ///
    /// # Errors
    /// When the dataset does not fit the run, the folder holds what may not be replaced,
    /// or a file to write is one of the dataset.
    pub fn open_folder(
        &self,
        manifest: &Manifest,
        ids: &[String],
        target: &Target,
    ) -> Result<(PredictionsFolder, Vec<String>), RunError> {
        self.check_modalities(manifest)?;
        for id in ids {
            manifest.subject(id)?;
        }
        let runs = self.runs.iter().map(averaged_run);
        let mut runs = runs.collect::<Result<Vec<_>, _>>()?;
        let first = self.first();
        let mut predictions = Predictions {
            run: first.path.clone(),
            iteration: first.iteration,
            classes: first.facts.classes.clone(),
            values: self.values_for(manifest, target)?,
            ending: (target.ending != PREDICTION_ENDING).then(|| target.ending.to_owned()),
            postprocess: self.postprocess.as_ref().map(Postprocess::to_json),
            regions: first.config.regions.clone(),
            subjects: ids.to_vec(),
            ..Predictions::default()
        };
        match runs.len() {
            1 => predictions.weights = runs.pop().map(|run| run.weights),
            _ => {
                predictions.ensemble = Some(Ensemble {
                    average: self.predict.average.name().to_owned(),
                    runs,
                });
            }
        }
        let provenance = Provenance {
            weights: predictions.weights.clone(),
            ..origin::of_process(first.device)
        };
        let rules = self.postprocess.iter().map(|rules| rules.path.clone());
        let inputs = Inputs::of(manifest.files().into_iter().chain(rules));
        Ok(PredictionsFolder::open(
            target.folder,
            predictions,
            provenance,
            target.existing,
            &inputs,
        )?)
    }
}

/// A run as the list of predictions names it.
fn averaged_run(run: &TrainedRun) -> Result<AveragedRun, RunError> {
    Ok(AveragedRun {
        run: run.path.clone(),
        iteration: run.iteration,
        weights: sha256_of(run.weights())?,
    })
}
