//! A trained run opened to be applied to subjects, and what it makes of one.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use lacuna_data::transform::{AnatomicalAxis, TransformConfig};
use lacuna_io::{Classes, Reference};
use lacuna_nets::Network;
use lacuna_record::{CleanedClass, read_json};
use lacuna_volume::{LabelMap, Volume};

use crate::checkpoint::{self, Choice};
use crate::compute::Compute;
use crate::config::RunConfig;
use crate::device::{DeviceName, PrecisionName};
use crate::outputs::Outputs;
use crate::predict::SingleNetwork;
use crate::run::{DatasetFacts, RunError, config_of};

/// A run folder opened for prediction, network in evaluation mode. A
/// [`Predictor`](crate::predictor::Predictor) applies it, alone or with others.
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
    pub(crate) model: SingleNetwork,
    /// The precision it was trained in, where the device computes in f32 for want of it.
    pub(crate) lacking: Option<PrecisionName>,
}

/// The prediction of a subject on the grid and axes of its first image.
pub struct PredictedSubject {
    /// Class index per voxel, background outside the mask.
    pub labels: LabelMap,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Probability of each class or region, when asked for.
    pub probabilities: Option<Vec<Volume<f32>>>,
    /// Standard deviation over the networks of the probability that a voxel is no
    /// background, when asked for.
    pub spread: Option<Volume<f32>>,
    /// The subject's mask.
    pub mask: Option<Volume<bool>>,
    /// What the postprocess file removed of each class.
    pub cleaned: Vec<CleanedClass>,
    pub(crate) reference: Reference,
}

impl PredictedSubject {
    /// Writes the label map with the geometry of the first image: class indices, or
    /// the value of each class where `values` are given.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_labels(&self, path: &Path, values: Option<&[u16]>) -> Result<(), RunError> {
        let classes = Classes {
            names: &self.classes,
            values,
        };
        lacuna_io::write_class_labels(path, &self.labels, classes, &self.reference)?;
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
        let (config, facts, outputs) = Self::described(run)?;
        let trained = config.train.precision;
        // A run may come from a processor that had what this one lacks.
        let (compute, lacking) = match Compute::new(device, precision.unwrap_or(trained)) {
            Err(_) if precision.is_none() && trained != PrecisionName::F32 => {
                (Compute::new(device, PrecisionName::F32)?, Some(trained))
            }
            computes => (computes?, None),
        };
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
            lacking,
            weights,
        })
    }

    /// What a run folder says of itself without its weights: its configuration, what it
    /// was trained on, what its channels are.
    ///
    /// # Errors
    /// When `run` is no run folder.
    pub fn described(run: &Path) -> Result<(RunConfig, DatasetFacts, Outputs), RunError> {
        let config = config_of(run)?;
        let facts: DatasetFacts = read_json(run, "dataset.json")?;
        let outputs = Outputs::new(&config, &facts.classes)?;
        Ok((config, facts, outputs))
    }

    /// The file of the weights.
    pub fn weights(&self) -> &Path {
        &self.weights
    }

    /// The axes along which the training mirrored no image.
    pub(crate) fn unseen(&self, mirrored: &[AnatomicalAxis]) -> Vec<AnatomicalAxis> {
        unseen(&self.config.transform, mirrored)
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
    /// How far the networks are apart, when wanted.
    pub spread: Option<PathBuf>,
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
