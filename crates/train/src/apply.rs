//! A trained run applied to subjects: load, predict, return to the input's grid, write.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use lacuna_data::manifest::{ImageRef, Manifest, Subject, value_of_each};
use lacuna_data::subject::load_case;
use lacuna_data::transform::{AnatomicalAxis, TransformConfig};
use lacuna_io::Reference;
use lacuna_nets::Network;
use lacuna_record::read_json;
use lacuna_volume::{LabelMap, Volume};

use crate::checkpoint::{self, Choice};
use crate::compute::Compute;
use crate::config::RunConfig;
use crate::dataset::preprocess;
use crate::device::{DeviceName, PrecisionName};
use crate::outputs::Outputs;
use crate::predict::{Mirrored, Session, SingleNetwork, WindowModel, predict_case};
use crate::run::{DatasetFacts, RunError};

/// A run folder opened for prediction, network in evaluation mode.
pub struct TrainedRun {
    /// The folder.
    pub path: PathBuf,
    /// The configuration it was trained with.
    pub config: RunConfig,
    /// Modalities, classes and split it was trained with.
    pub facts: DatasetFacts,
    /// Iterations behind the weights.
    pub iteration: u64,
    /// Where it computes.
    pub device: DeviceName,
    weights: PathBuf,
    model: SingleNetwork,
}

/// The prediction of a subject on the grid and axes of its first image.
pub struct PredictedSubject {
    /// Class index per voxel, background outside the mask.
    pub labels: LabelMap,
    /// Probability of each class or region, when asked for.
    pub probabilities: Option<Vec<Volume<f32>>>,
    /// The subject's mask.
    pub mask: Option<Volume<bool>>,
    reference: Reference,
}

impl PredictedSubject {
    /// Writes the label map with the geometry of the first image: class indices, or
    /// the value of each class where `values` are given.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_labels(&self, path: &Path, values: Option<&[u16]>) -> Result<(), RunError> {
        lacuna_io::write_class_labels(path, &self.labels, values, &self.reference)?;
        Ok(())
    }
}

impl TrainedRun {
    /// Opens `run` with the checkpoint of that `choice` on `device`, to compute in
    /// `precision` or else in the one it was trained in. Where an average of the weights
    /// was trained (`train.ema`), it predicts.
    ///
    /// # Errors
    /// When `run` is no run folder or has no such checkpoint, its weights are of another
    /// network or the device does not know the precision.
    pub fn open(
        run: &Path,
        choice: Choice,
        device: &Device,
        precision: Option<PrecisionName>,
    ) -> Result<Self, RunError> {
        let config_path = run.join("run.toml");
        if !config_path.exists() {
            return Err(RunError::not_a_run(run, "run.toml"));
        }
        let config = RunConfig::read(&config_path, &[])?;
        let compute = Compute::new(device, precision.unwrap_or(config.train.precision))?;
        let facts: DatasetFacts = read_json(run, "dataset.json")?;
        let outputs = Outputs::new(&config, &facts.classes)?;
        let network = Network::new(
            &config.model,
            facts.modalities.len(),
            outputs.count(),
            config.seed,
            device,
        )?;
        let (weights, state) = checkpoint::chosen(run, choice)?;
        let network = checkpoint::load_weights(&weights, network)?;
        Ok(Self {
            path: run.to_owned(),
            iteration: state.iteration,
            device: DeviceName::of(device),
            model: SingleNetwork::new(network, compute, outputs, config.patch.plane),
            config,
            facts,
            weights,
        })
    }

    /// The file of the weights.
    pub fn weights(&self) -> &Path {
        &self.weights
    }

    /// Refuses a manifest whose modalities are not those of the run, in order.
    ///
    /// # Errors
    /// [`RunError::Modalities`]
    pub fn check_modalities(&self, manifest: &Manifest) -> Result<(), RunError> {
        if manifest.modalities == self.facts.modalities {
            return Ok(());
        }
        Err(RunError::Modalities {
            path: manifest.path.clone(),
            run: self.path.clone(),
            found: manifest.modalities.clone(),
            expected: self.facts.modalities.clone(),
        })
    }

    /// Refuses windows that the network cannot take, and axes that it cannot be mirrored
    /// along; warns of those that it was never shown mirrored.
    ///
    /// # Errors
    /// [`RunError::Window`], [`RunError::Mirror`]
    pub fn check_session(&self, session: &Session) -> Result<(), RunError> {
        session.windows.check(&self.model.architecture())?;
        Mirrored::new(&self.model, session.mirror)?;
        for axis in unseen(&self.config.transform, session.mirror) {
            (session.warn)(&format!(
                "{}: the network was not trained on images mirrored along {axis} (transform \
                 flip), and may be wrong about them; without --mirror they are not asked for",
                self.path.display()
            ));
        }
        Ok(())
    }

    /// A manifest of one subject with an image for each modality of the run.
    /// `origin` stands for the manifest's path in errors.
    ///
    /// # Errors
    /// When a modality is unknown, missing or given twice.
    pub fn one_subject(
        &self,
        origin: &str,
        images: impl IntoIterator<Item = (String, String)>,
        mask: Option<PathBuf>,
    ) -> Result<Manifest, RunError> {
        let mut subject = Subject {
            id: "image".to_owned(),
            mask,
            ..Subject::default()
        };
        for (modality, file) in images {
            let image = ImageRef::parse(&file);
            if subject.images.insert(modality.clone(), image).is_some() {
                return Err(RunError::ModalityTwice { modality });
            }
        }
        let facts = &self.facts;
        let label_values = (0..).zip(facts.classes.iter().cloned()).collect();
        Ok(Manifest::new(
            Path::new(origin),
            facts.name.clone(),
            facts.modalities.clone(),
            facts.classes.clone(),
            label_values,
            vec![subject],
        )?)
    }

    /// Predicts one subject; `on_window` hears (windows done, windows in all).
    ///
    /// # Errors
    /// When the subject cannot be loaded, and those of [`predict_case`].
    pub fn predict(
        &self,
        manifest: &Manifest,
        subject: &Subject,
        session: Session,
        on_window: &mut dyn FnMut(usize, usize),
    ) -> Result<PredictedSubject, RunError> {
        // The reference label is not needed to predict, and may not even be readable.
        let unlabelled = Subject {
            label: None,
            ..subject.clone()
        };
        let case = load_case(manifest, &unlabelled, &preprocess(&self.config))?;
        let resampled = case.channels[0].grid() != case.source.grid;
        let warning = self.facts.unlike_spacing(case.source.grid.spacing().0);
        if let Some(warning) = warning {
            (session.warn)(&format!("subject {}: {warning}", subject.id));
        }
        let on_run_grid = Session {
            probabilities: session.probabilities || resampled,
            ..session
        };
        let mirrored = Mirrored::new(&self.model, session.mirror)?;
        let model: &dyn WindowModel = match session.mirror {
            [] => &self.model,
            _ => &mirrored,
        };
        let prediction = predict_case(model, &case, on_run_grid, on_window)
            .map_err(|e| e.naming(manifest, self.weights.parent().unwrap_or(&self.path)))?;
        let outputs = self.model.outputs();
        let (labels, probabilities) = match prediction.probabilities {
            Some(volumes) => {
                let restored = case.restore_probabilities(volumes, &outputs.outside())?;
                let labels = outputs.labels(&restored);
                (labels, session.probabilities.then_some(restored))
            }
            None => (case.restore_class_indices(&prediction.labels)?, None),
        };
        Ok(PredictedSubject {
            labels,
            probabilities,
            mask: case.restore_mask()?,
            reference: case.source.reference,
        })
    }

    /// The label value of each class: in the dataset of `manifest`, or else in the one
    /// that the run was trained on.
    ///
    /// # Errors
    /// [`RunError::NoLabelValues`], [`RunError::ClassWithoutValue`]
    pub fn label_values(&self, manifest: Option<&Manifest>) -> Result<Vec<u16>, RunError> {
        let (from, known) = match (manifest, &self.facts.label_values) {
            (Some(manifest), _) => (&manifest.path, &manifest.label_values),
            (None, Some(known)) => (&self.path, known),
            (None, None) => {
                return Err(RunError::NoLabelValues {
                    run: self.path.clone(),
                });
            }
        };
        value_of_each(known, &self.facts.classes).map_err(|class| RunError::ClassWithoutValue {
            from: from.clone(),
            class: class.to_owned(),
            run: self.path.clone(),
        })
    }

    /// What the network's channels are.
    pub fn outputs(&self) -> &Outputs {
        self.model.outputs()
    }

    /// Predicts one subject into files.
    ///
    /// # Errors
    /// When the subject cannot be loaded or the files cannot be written, and those of
    /// [`predict_case`].
    pub fn predict_to_files(
        &self,
        manifest: &Manifest,
        subject: &Subject,
        files: &Files,
        session: Session,
        on_window: &mut dyn FnMut(usize, usize),
    ) -> Result<(), RunError> {
        let session = Session {
            probabilities: files.probabilities.is_some(),
            ..session
        };
        let predicted = self.predict(manifest, subject, session, on_window)?;
        if let (Some(path), Some(volumes)) = (&files.probabilities, &predicted.probabilities) {
            lacuna_io::write_image_4d(path, volumes, &predicted.reference)?;
        }
        predicted.write_labels(&files.labels, files.values.as_deref())
    }
}

/// The axes along which no transform of a training mirrors.
fn unseen(transforms: &[TransformConfig], mirrored: &[AnatomicalAxis]) -> Vec<AnatomicalAxis> {
    let seen = |axis: &AnatomicalAxis| {
        let flips = |t: &TransformConfig| matches!(t, TransformConfig::Flip(flip) if flip.axes.contains(axis));
        transforms.iter().any(flips)
    };
    mirrored
        .iter()
        .copied()
        .filter(|axis| !seen(axis))
        .collect()
}

/// Where the prediction of a subject goes, on the grid of its first modality.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The label map.
    pub labels: PathBuf,
    /// What it holds for each class, when not the class index.
    pub values: Option<Vec<u16>>,
    /// Probabilities of classes or regions as a 4-D image, when wanted.
    pub probabilities: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_that_no_training_mirrored_are_known() {
        use AnatomicalAxis::{InferiorSuperior, LeftRight};
        let transforms: RunConfig = RunConfig::parse(
            "transform = [{ name = \"flip\", axes = [\"left-right\"] }]",
            &[],
            "",
            Path::new(""),
        )
        .unwrap();
        let found = unseen(&transforms.transform, &[LeftRight, InferiorSuperior]);
        assert_eq!(found, [InferiorSuperior]);
        assert_eq!(unseen(&[], &[LeftRight]), [LeftRight]);
    }
}
