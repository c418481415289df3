//! A predictor as an ONNX model, with what surrounds its networks as JSON beside it.
//!
//! The graph reads prepared images, `images`, and gives `logits` and `probabilities`: of one
//! network its own, of several their means. All else that `lacuna predict` does is told in
//! the JSON: how images are prepared, how windows are laid, what the channels are, what
//! becomes of probabilities. The model carries the same JSON in its metadata.

use std::path::{Path, PathBuf};

use lacuna_data::normalise::NormaliseConfig;
use lacuna_data::sampler::Plane;
use lacuna_data::transform::AnatomicalAxis;
use lacuna_interop::onnx::{self, Attribute, Graph, Model, Node};
use lacuna_losses::Activation;
use lacuna_nets::onnx::{append, shape};
use lacuna_volume::Zyx;
use serde::Serialize;

use crate::apply::TrainedRun;
use crate::config::PredictConfig;
use crate::postprocess::Postprocess;
use crate::predict::{Blend, WindowModel, WindowOptions, longest_output};
use crate::predictor::Predictor;
use crate::run::RunError;

/// Names of what the graph gives.
const LOGITS: &str = "logits";
const PROBABILITIES: &str = "probabilities";
/// Under which the model's metadata holds the JSON.
const METADATA: &str = "lacuna";

/// What surrounds the networks. Lists along axes are along x, y and z; of a 2-D network
/// along the two axes of its plane in that order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Surroundings {
    /// Program and version.
    pub made_by: String,
    /// Name of the dataset it was trained on.
    pub dataset: String,
    /// The runs, with their networks and iterations.
    pub networks: Vec<String>,
    /// What the graph reads.
    pub input: &'static str,
    /// Channels of the input.
    pub modalities: Vec<String>,
    /// Voxel edges in mm that images are resampled to; none keeps their own.
    pub spacing_mm: Option<Vec<f64>>,
    /// Least and largest voxel edges of the training in mm.
    pub training_spacing_mm: Option<[[f64; 3]; 2]>,
    /// The slices of a 2-D network.
    pub plane: Option<Plane>,
    /// How intensities are prepared, each image by itself.
    pub normalise: NormaliseConfig,
    /// How windows are laid.
    pub windows: Windows,
    /// Axes along which the training mirrored images; a prediction may do the same.
    pub mirrored_in_training: Vec<AnatomicalAxis>,
    /// What makes `probabilities` of `logits`, for each network.
    pub activation: Vec<Activation>,
    /// Classes, background first.
    pub classes: Vec<String>,
    /// What a label map holds for each of them; not known of runs of version 0.1.0.
    pub label_values: Option<Vec<u16>>,
    /// What the channels are where they are not the classes: sets of classes, larger ones
    /// first. A voxel gets the class that is in no region behind the last that it is in.
    pub regions: Option<Vec<Vec<String>>>,
    /// What becomes of probabilities and labels, as `postprocess.toml` has it.
    pub postprocess: Option<Postprocess>,
}

/// How windows are laid, as `lacuna predict` does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Windows {
    /// Voxels that an output is smaller than its input, half of them at either side.
    pub border: Vec<usize>,
    /// The shortest input.
    pub shortest: Vec<usize>,
    /// Inputs are the shortest or a multiple of this longer.
    pub step: Vec<usize>,
    /// Outputs are as long as the longest axis of the image, or a little longer where no
    /// input gives that, and not longer than this asks for. Beyond the image, inputs are
    /// filled by reflection.
    pub longest_output: usize,
    /// Least share of an output that overlaps with its neighbour's.
    pub overlap: f64,
    /// Weight of an output's voxels: rising linearly over the overlap, or Gaussian.
    pub blend: Blend,
}

/// A model and what surrounds it.
pub struct Exported {
    /// Bytes of the ONNX file.
    pub model: Vec<u8>,
    /// The JSON.
    pub surroundings: String,
}

impl Exported {
    /// Writes the model and the JSON [`beside`] it.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), RunError> {
        lacuna_io::atomic::write_bytes(path, &self.model)?;
        lacuna_io::atomic::write_bytes(beside(path), self.surroundings.as_bytes())?;
        Ok(())
    }
}

/// Where the JSON of a model lies: `.json` behind its name.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".json");
    name.into()
}

impl Predictor {
    /// The mean of the runs as an ONNX model.
    ///
    /// # Errors
    /// [`RunError::OnnxOther`] for runs of nnU-Net and such as have a `[predict]` section,
    /// [`RunError::OnnxSize`] for one that no ONNX file can hold,
    /// [`RunError::ClassWithoutValue`] and [`RunError::RunsUnlike`] as
    /// [`label_values`](Self::label_values).
    pub fn to_onnx(&self) -> Result<Exported, RunError> {
        for run in self.runs() {
            let found = match &run.config {
                config if config.nnunet.is_some() => "prepares images as nnU-Net does",
                config if config.predict != PredictConfig::default() => "has a [predict] section",
                _ => continue,
            };
            let run = run.path.clone();
            return Err(RunError::OnnxOther { run, found });
        }
        let surroundings = serde_json::to_string_pretty(&self.surroundings()?)
            .expect("texts, numbers and lists of them are JSON");
        let model = Model {
            producer: made_by(),
            graph: self.graph(),
            metadata: vec![(METADATA.to_owned(), surroundings.clone())],
        };
        let model = model.to_bytes();
        match model.len() > onnx::MOST_BYTES {
            true => Err(RunError::OnnxSize { bytes: model.len() }),
            false => Ok(Exported {
                model,
                surroundings: surroundings + "\n",
            }),
        }
    }

    fn graph(&self) -> Graph {
        let mut graph = Graph {
            name: self.first().config.model.name.to_string(),
            ..Graph::default()
        };
        let channels = self.first().facts.modalities.len();
        let (mut logits, mut probabilities) = (Vec::new(), Vec::new());
        for (number, run) in self.runs.iter().enumerate() {
            // One network's tensors have its own names.
            let place = match self.runs.len() {
                1 => String::new(),
                _ => format!("{number}/"),
            };
            let of_run = append(&mut graph, run.model.network(), channels, &place);
            let own = format!("{place}{PROBABILITIES}.own");
            let (operator, attributes) = match run.config.loss.options.activation {
                Activation::Softmax => ("Softmax", vec![("axis", Attribute::Integer(1))]),
                Activation::Sigmoid => ("Sigmoid", Vec::new()),
            };
            graph.nodes.push(Node {
                operator,
                inputs: vec![of_run.clone()],
                outputs: vec![own.clone()],
                attributes,
            });
            logits.push(of_run);
            probabilities.push(own);
        }
        let rank = self.model(self.outputs()).architecture().rank();
        for (name, of_runs) in [(LOGITS, logits), (PROBABILITIES, probabilities)] {
            graph.nodes.push(Node {
                operator: "Mean",
                inputs: of_runs,
                outputs: vec![name.to_owned()],
                attributes: Vec::new(),
            });
            graph.outputs.push(onnx::Tensor {
                name: name.to_owned(),
                shape: shape(rank, self.outputs().count(), "output_"),
            });
        }
        graph
    }

    fn surroundings(&self) -> Result<Surroundings, RunError> {
        let first = self.first();
        let architecture = self.model(self.outputs()).architecture();
        let rank = architecture.rank();
        let along = |lengths: Zyx<usize>| lengths.to_xyz()[..rank].to_vec();
        let options = WindowOptions::default();
        let config = &first.config;
        let label_values = match self.label_values(None) {
            Err(RunError::NoLabelValues { .. }) => None,
            values => Some(values?),
        };
        let network = |run: &TrainedRun| {
            let folder = run.path.file_name().unwrap_or_default().to_string_lossy();
            let (name, iteration) = (run.config.model.name, run.iteration);
            format!("{folder}: {name} after {iteration} iterations")
        };
        let every_axis = [
            AnatomicalAxis::LeftRight,
            AnatomicalAxis::PosteriorAnterior,
            AnatomicalAxis::InferiorSuperior,
        ];
        let unseen: Vec<_> = (self.runs.iter())
            .flat_map(|run| run.unseen(&every_axis))
            .collect();
        Ok(Surroundings {
            made_by: made_by(),
            dataset: first.facts.name.clone(),
            networks: self.runs.iter().map(network).collect(),
            input: match rank {
                2 => "images [batch, modality, y, x] of slices in canonical axes (RAS+)",
                _ => {
                    "images [batch, modality, z, y, x] in canonical axes (RAS+: x towards the \
                      patient's right, y the front, z the top)"
                }
            },
            modalities: first.facts.modalities.clone(),
            spacing_mm: (!config.geometry.spacing.is_empty())
                .then(|| config.geometry.spacing.clone()),
            training_spacing_mm: first.facts.spacing_mm,
            plane: (rank == 2).then_some(config.patch.plane),
            normalise: config.normalise,
            windows: Windows {
                border: along(architecture.border()),
                shortest: along(architecture.smallest_legal()),
                step: along(architecture.alignment()),
                longest_output: longest_output(rank),
                overlap: options.overlap,
                blend: options.blend,
            },
            mirrored_in_training: (every_axis.into_iter())
                .filter(|axis| !unseen.contains(axis))
                .collect(),
            activation: (self.runs.iter())
                .map(|run| run.config.loss.options.activation)
                .collect(),
            classes: first.facts.classes.clone(),
            label_values,
            regions: (!config.regions.is_empty()).then(|| config.regions.clone()),
            postprocess: self.postprocess.clone(),
        })
    }
}

fn made_by() -> String {
    format!("lacuna {}", env!("CARGO_PKG_VERSION"))
}
