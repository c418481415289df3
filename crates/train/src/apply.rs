//! A trained run applied to subjects: load, predict, return to the input's grid, write.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use lacuna_data::manifest::{ImageRef, Manifest, Subject};
use lacuna_data::subject::load_case;
use lacuna_io::Header;
use lacuna_nets::Network;
use lacuna_record::read_json;
use lacuna_volume::{LabelMap, Volume};

use crate::checkpoint;
use crate::compute::Compute;
use crate::config::RunConfig;
use crate::dataset::preprocess;
use crate::device::PrecisionName;
use crate::outputs::Outputs;
use crate::predict::{WindowOptions, predict_case};
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
    outputs: Outputs,
    network: Network,
    compute: Compute,
}

/// The prediction of a subject on the grid and axes of its first image.
pub struct PredictedSubject {
    /// Class index per voxel, background outside the mask.
    pub labels: LabelMap,
    /// Probability of each class or region, when asked for.
    pub probabilities: Option<Vec<Volume<f32>>>,
    /// The subject's mask.
    pub mask: Option<Volume<bool>>,
    header: Header,
}

impl PredictedSubject {
    /// Writes the label map with the geometry of the first image.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_labels(&self, path: &Path) -> Result<(), RunError> {
        lacuna_io::write_labels(path, &self.labels, &self.header)?;
        Ok(())
    }
}

impl TrainedRun {
    /// Opens `run` with its newest checkpoint on `device`, to compute in
    /// `precision` or else in the one it was trained in.
    ///
    /// # Errors
    /// When `run` is no run folder, its weights are of another network or the
    /// device does not know the precision.
    pub fn open(
        run: &Path,
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
        let (network, iteration) = checkpoint::load_latest(run, network)?;
        Ok(Self {
            path: run.to_owned(),
            config,
            facts,
            iteration,
            outputs,
            network,
            compute,
        })
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

    /// Refuses windows that the network cannot take.
    ///
    /// # Errors
    /// [`RunError::Window`]
    pub fn check_windows(&self, windows: WindowOptions) -> Result<(), RunError> {
        windows.check(&self.network.architecture())
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

    /// Predicts one subject, probabilities only when `keep_probabilities`.
    ///
    /// # Errors
    /// When the subject cannot be loaded, [`RunError::Stopped`] when `stop` is set.
    pub fn predict(
        &self,
        manifest: &Manifest,
        subject: &Subject,
        windows: WindowOptions,
        keep_probabilities: bool,
        stop: &AtomicBool,
        on_window: &mut dyn FnMut(usize, usize),
    ) -> Result<PredictedSubject, RunError> {
        // The reference label is not needed to predict, and may not even be readable.
        let unlabelled = Subject {
            label: None,
            ..subject.clone()
        };
        let case = load_case(manifest, &unlabelled, &preprocess(&self.config))?;
        let resampled = case.channels[0].grid() != case.source.grid;
        let prediction = predict_case(
            &self.network,
            self.config.patch.plane,
            &case,
            &self.outputs,
            windows,
            keep_probabilities || resampled,
            &self.compute,
            stop,
            on_window,
        )?;
        let (labels, probabilities) = match prediction.probabilities {
            Some(volumes) => {
                let restored = case.restore_probabilities(volumes, &self.outputs.outside())?;
                let labels = self.outputs.labels(&restored);
                (labels, keep_probabilities.then_some(restored))
            }
            None => (case.restore_class_indices(&prediction.labels)?, None),
        };
        Ok(PredictedSubject {
            labels,
            probabilities,
            mask: case.restore_mask()?,
            header: case.source.header,
        })
    }

    /// What the network's channels are.
    pub fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    /// Predicts one subject and writes its label map (class indices) to `labels`
    /// and, when a path is given, the probabilities of classes or regions as a 4-D
    /// image.
    /// Both lie on the grid of the subject's first modality.
    ///
    /// # Errors
    /// When the subject cannot be loaded or the files cannot be written.
    #[allow(clippy::too_many_arguments, reason = "each is a different thing")]
    pub fn predict_to_files(
        &self,
        manifest: &Manifest,
        subject: &Subject,
        labels: &Path,
        probabilities: Option<&Path>,
        windows: WindowOptions,
        stop: &AtomicBool,
        on_window: &mut dyn FnMut(usize, usize),
    ) -> Result<(), RunError> {
        let keep = probabilities.is_some();
        let predicted = self.predict(manifest, subject, windows, keep, stop, on_window)?;
        if let (Some(path), Some(volumes)) = (probabilities, &predicted.probabilities) {
            lacuna_io::write_image_4d(path, volumes, &predicted.header)?;
        }
        predicted.write_labels(labels)
    }
}
