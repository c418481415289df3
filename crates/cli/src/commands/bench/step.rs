//! `lacuna bench step`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use lacuna_data::manifest::Manifest;
use lacuna_losses::Loss;
use lacuna_nets::{ModelName, Stages};
use lacuna_train::config::RunConfig;
use lacuna_train::device::{DeviceName, PrecisionName};
use lacuna_train::pace::Pace;
use lacuna_train::run::RunError;
use lacuna_volume::PatchSize;
use serde::Serialize;

use super::{Measure, median, name_of_network, show};
use crate::{DeviceArgument, PrecisionArgument};

/// What is measured where neither a run nor a flag says otherwise.
const DEFAULTS: [&str; 3] = ["model.name=unet", "patch.size=64", "train.batch=1"];

#[derive(clap::Args)]
pub struct Arguments {
    /// Measure this run: its network, patch, batch, precision, loss and optimiser, and
    /// the modalities and classes of its dataset
    #[arg(value_name = "RUN.toml")]
    config: Option<PathBuf>,
    /// The network, one of those that `lacuna networks` lists; default: that of the run,
    /// or unet
    #[arg(long, value_name = "NAME", value_parser = name_of_network)]
    net: Option<ModelName>,
    /// Stages of plain-conv-unet or residual-encoder-unet; default: those of the run, or
    /// 5. With a patch of two numbers they are 2-D
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u8).range(2..=12))]
    stages: Option<u8>,
    /// Features of their first stage, doubled by each to at most 320 (512 in 2-D);
    /// default: those of the run, or 32
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=4096))]
    features: Option<u16>,
    /// Voxels of the input patch: one number, or one for each axis, x first; default: that
    /// of the run, or 64
    #[arg(long, value_name = "N[,N,N]")]
    patch: Option<PatchSize>,
    /// Patches in a batch; default: that of the run, or 1
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    batch: Option<u16>,
    /// What convolutions multiply; default: that of the run, or f32
    #[arg(long, value_enum)]
    precision: Option<PrecisionArgument>,
    /// Modalities; default: those of the run's dataset, or 3
    #[arg(long, value_name = "N")]
    channels: Option<usize>,
    /// Classes, background included; default: those of the run's dataset, or 2
    #[arg(long, value_name = "N")]
    classes: Option<usize>,
    /// Override another key of the run, for example --set loss.name=dice
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceArgument,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Serialize)]
struct Figures {
    net: String,
    precision: String,
    loss: String,
    patch: PatchSize,
    batch: usize,
    parameters: usize,
    /// Forward, loss, backward and optimiser.
    step_s_median: f64,
    step_s_least: f64,
    step_s_most: f64,
    /// A forward pass in evaluation mode.
    infer_s_median: f64,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = arguments.config()?;
    let (channels, classes) = arguments.shape(&config)?;
    let device = DeviceName::from(arguments.device).open()?;
    let pace = Pace::measure(
        &config,
        channels,
        &classes,
        &device,
        arguments.measure.repeat,
    );
    let (patch, batch) = (config.patch.size, config.train.batch);
    let pace = match pace {
        Err(huge @ RunError::HugeBatch { .. }) => {
            bail!("--patch {patch} --batch {batch}: {huge}")
        }
        measured => measured?,
    };

    let figures = Figures {
        net: config.model.name.to_string(),
        precision: config.train.precision.to_string(),
        loss: config.loss.named.name().to_owned(),
        patch,
        batch,
        parameters: pace.parameters,
        step_s_median: median(&pace.steps),
        step_s_least: pace.steps.iter().copied().fold(f64::INFINITY, f64::min),
        step_s_most: pace.steps.iter().copied().fold(0.0, f64::max),
        infer_s_median: median(&pace.forward),
    };
    let rows = vec![
        [
            "network".into(),
            format!("{}, {} parameters", figures.net, figures.parameters),
        ],
        [
            "input".into(),
            format!(
                "{batch} x {channels} x {}, {}",
                match patch {
                    PatchSize::Edge(edge) => format!("{edge}^{}", pace.rank),
                    _ => patch.to_string(),
                },
                figures.precision
            ),
        ],
        ["loss".into(), figures.loss.clone()],
        [
            "training step".into(),
            format!(
                "{:.4} s ({:.4} to {:.4})",
                figures.step_s_median, figures.step_s_least, figures.step_s_most
            ),
        ],
        [
            "1000 iterations".into(),
            format!("{:.1} min", figures.step_s_median * 1000.0 / 60.0),
        ],
        [
            "forward pass".into(),
            format!("{:.4} s", figures.infer_s_median),
        ],
    ];
    show(&arguments.measure, &figures, rows)
}

impl Arguments {
    /// The run with what the flags change.
    fn config(&self) -> anyhow::Result<RunConfig> {
        let mut flags = self.overrides.clone();
        let mut set = |key: &str, value: Option<String>| {
            flags.extend(value.map(|value| format!("{key}={value}")));
        };
        set("model.name", self.net.map(|net| net.to_string()));
        let patch = self.patch.map(|size| serde_json::to_string(&size));
        set("patch.size", patch.transpose()?);
        set("train.batch", self.batch.map(|batch| batch.to_string()));
        let precision = self.precision.map(PrecisionName::from);
        set("train.precision", precision.map(|p| p.to_string()));
        let mut config = match &self.config {
            Some(path) => RunConfig::read(path, &flags)?,
            None => {
                let all = [DEFAULTS.map(str::to_owned).to_vec(), flags].concat();
                RunConfig::parse("", &all, "bench step", Path::new(""))?
            }
        };
        if self.stages.is_some() || self.features.is_some() {
            config.model.stages = Some(self.stages(&config));
            config.check("bench step")?;
        }
        Ok(config)
    }

    /// The stages that the flags ask for, in what they do not say those of the run.
    fn stages(&self, config: &RunConfig) -> Stages {
        let own = config.model.stages();
        let axes = match config.patch.size {
            PatchSize::Plane(_) => 2,
            PatchSize::Cuboid(_) => 3,
            PatchSize::Edge(_) => own.axes,
        };
        let stages = self.stages.map_or(own.features.len(), usize::from);
        let features = self.features.map_or(own.features[0], usize::from);
        Stages::of(config.model.name, axes, stages, features)
    }

    /// Modalities and classes: as given, else those of the run's dataset.
    fn shape(&self, config: &RunConfig) -> anyhow::Result<(usize, Vec<String>)> {
        let named = |count: usize| (0..count).map(|class| format!("class {class}")).collect();
        Ok(match (&self.config, self.channels, self.classes) {
            (None, channels, classes) => (channels.unwrap_or(3), named(classes.unwrap_or(2))),
            (Some(_), Some(channels), Some(classes)) => (channels, named(classes)),
            (Some(_), channels, classes) => {
                let manifest = Manifest::read(&config.dataset)?;
                (
                    channels.unwrap_or(manifest.modalities.len()),
                    classes.map_or(manifest.classes, named),
                )
            }
        })
    }
}
