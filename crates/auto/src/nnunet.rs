//! Trained models of nnU-Net 2 as models that `lacuna predict` takes, without Python.
//!
//! A model folder of nnU-Net has `plans.json`, `dataset.json` and, of each fold,
//! `fold_X/checkpoint_final.pth`. Each fold becomes a run folder beside a `model.json`, and
//! their mean is predicted as nnU-Net does. What is not understood is refused by name.

mod json;
mod labels;
mod network;
mod preparation;
mod resolve;

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use lacuna_data::split::Split;
use lacuna_data::transform::{AnatomicalAxis, Flip, TransformConfig};
use lacuna_interop::TorchFile;
use lacuna_nets::{Network, take};
use lacuna_record::{Summary, sha256_of, write_json};
use lacuna_train::checkpoint::{self, State};
use lacuna_train::config::{PredictConfig, RunConfig};
use lacuna_train::outputs::Outputs;
use lacuna_train::predict::{Average, Blend};
use lacuna_train::run::DatasetFacts;
use lacuna_volume::PatchSize;
use serde_json::Value;

use crate::error::AutoError;
use crate::model::{CARD, Model};
use json::Json;
use labels::Labels;

/// nnU-Net's own default: neighbouring windows share half of their edges.
const OVERLAP: f64 = 0.5;

/// What is taken of a model folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The configuration of the plans; `None` for the one that the checkpoints name.
    pub configuration: Option<String>,
    /// `checkpoint_best.pth` in place of `checkpoint_final.pth`.
    pub best: bool,
    /// Names of folds, such as "0" or "all"; empty for all numbered ones, or else "all".
    pub folds: Vec<String>,
}

/// What became of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    /// The model that was written.
    pub model: Model,
    /// The configuration of the plans.
    pub configuration: String,
    /// The class that trained it.
    pub trainer: String,
}

/// A fold's checkpoint.
struct Fold {
    name: String,
    path: PathBuf,
    file: TorchFile,
}

impl Fold {
    fn value(&self, pointer: &str) -> Option<&Value> {
        self.file.values().pointer(pointer)
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.value(pointer).and_then(Value::as_str)
    }
}

/// Writes the model in the folder `from` of nnU-Net as a model into the new folder `to`.
///
/// # Errors
/// [`AutoError::Nnunet`] for what is not understood, with its name; when a file cannot be
/// read or written, or `to` is there. Nothing is written then.
pub fn import(from: &Path, to: &Path, asked: &Asked) -> Result<Imported, AutoError> {
    let empty = |path: &Path| std::fs::read_dir(path).is_ok_and(|mut all| all.next().is_none());
    if to.exists() && !empty(to) {
        return Err(AutoError::nnunet(
            to,
            "it is there already; choose another --out, or remove it",
        ));
    }
    let plans = Json::read(&from.join("plans.json"))?;
    let dataset = Json::read(&from.join("dataset.json"))?;
    let folds = folds(from, asked)?;
    let first = &folds[0];
    let named = |fold: &Fold| fold.text("/init_args/configuration").map(str::to_owned);
    let configuration = match asked.configuration.clone().or_else(|| named(first)) {
        Some(name) => name,
        None => {
            return Err(AutoError::nnunet(
                &first.path,
                "it names no configuration; give one of the plans with --configuration",
            ));
        }
    };
    if let Some(other) = folds.iter().find(|fold| named(fold) != named(first)) {
        return Err(AutoError::nnunet(
            &other.path,
            format!(
                "its configuration is {:?}, and that of fold {} {:?}; import folds of one \
                 configuration",
                named(other),
                first.name,
                named(first)
            ),
        ));
    }
    let resolved = resolve::configuration(&plans, &configuration)?;
    let labels = Labels::of(&plans, &dataset)?;
    let config = run_config(&plans, &dataset, &resolved, &labels, first)?;
    let outputs = Outputs::new(&config, &labels.classes)?;
    let facts = DatasetFacts {
        name: plans.text("dataset_name")?.to_owned(),
        modalities: preparation::modalities(&dataset)?,
        classes: labels.classes.clone(),
        split: Split::default(),
        spacing_mm: None,
        label_values: Some((0..).zip(labels.classes.iter().cloned()).collect()),
    };
    let trainer = first
        .text("/trainer_name")
        .unwrap_or("not named")
        .to_owned();

    let model = Model {
        dataset: facts.name.clone(),
        classes: facts.classes.clone(),
        modalities: facts.modalities.clone(),
        runs: folds.iter().map(|fold| fold.name.clone()).collect(),
        tuned: false,
    };
    lacuna_io::atomic::write_folder(to, |filled| {
        let mut sources = String::new();
        for fold in &folds {
            let run = filled.join(&fold.name);
            std::fs::create_dir(&run).map_err(AutoError::io(&run))?;
            write_run(&run, &config, &facts, &outputs, fold)?;
            let sha256 = sha256_of(&fold.path)?;
            sources += &format!("| {} | {sha256} |\n", fold.name);
        }
        model.write(filled)?;
        let card = format!(
            "# {}\n\nA model of nnU-Net ({}, trainer {trainer}, configuration {configuration}), \
             imported. It is predicted as nnU-Net does: {}.\n\n| run | SHA-256 of its checkpoint \
             |\n|---|---|\n{sources}",
            model.dataset,
            plans.text("plans_name")?,
            config.predict.described(),
        );
        lacuna_io::atomic::write_bytes(filled.join(CARD), card.as_bytes())?;
        Ok::<_, AutoError>(())
    })?;
    Ok(Imported {
        model,
        configuration,
        trainer,
    })
}

/// The checkpoints that are asked for, at least one.
fn folds(from: &Path, asked: &Asked) -> Result<Vec<Fold>, AutoError> {
    let file = match asked.best {
        true => "checkpoint_best.pth",
        false => "checkpoint_final.pth",
    };
    let mut there = Vec::new();
    for entry in std::fs::read_dir(from).map_err(AutoError::io(from))? {
        let entry = entry.map_err(AutoError::io(from))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(fold) = name.strip_prefix("fold_")
            && entry.path().join(file).is_file()
        {
            there.push(fold.to_owned());
        }
    }
    there.sort_by_key(|fold| (fold.parse::<usize>().unwrap_or(usize::MAX), fold.clone()));
    let mut wanted = asked.folds.clone();
    if wanted.is_empty() {
        let numbered = there.iter().filter(|fold| fold.parse::<usize>().is_ok());
        wanted = numbered.cloned().collect();
        if wanted.is_empty() {
            wanted = there
                .iter()
                .filter(|fold| *fold == "all")
                .cloned()
                .collect();
        }
    }
    let missing = wanted.iter().find(|fold| !there.contains(fold));
    if wanted.is_empty() || missing.is_some() {
        let found = match missing {
            Some(fold) => format!("no fold_{fold}/{file}"),
            None => format!("no fold_0/{file} or the like"),
        };
        let there = there.join(", ");
        return Err(AutoError::nnunet(
            from,
            format!(
                "{found}; folds with that file: {}; give the folder that holds plans.json and \
                 fold_0, and see --folds and --checkpoint",
                if there.is_empty() { "none" } else { &there }
            ),
        ));
    }
    let open = |fold: String| {
        let path = from.join(format!("fold_{fold}")).join(file);
        Ok(Fold {
            file: TorchFile::open(&path)?,
            name: format!("fold_{fold}"),
            path,
        })
    };
    wanted.into_iter().map(open).collect()
}

/// The run that each fold becomes.
fn run_config(
    plans: &Json,
    dataset: &Json,
    resolved: &Json,
    labels: &Labels,
    first: &Fold,
) -> Result<RunConfig, AutoError> {
    let model = network::of(resolved)?;
    let rank = model.stages().axes;
    let patch: Vec<usize> = resolved.numbers("patch_size")?;
    let patch = match patch[..] {
        [y, x] if rank == 2 => PatchSize::Plane([x, y]),
        [z, y, x] if rank == 3 => PatchSize::Cuboid([x, y, z]),
        _ => return Err(resolved.refuse("patch_size", &format!("{rank} numbers"))),
    };
    let mirror = mirrored(first, rank)?;
    let mut config = RunConfig {
        nnunet: Some(preparation::of(plans, dataset, resolved)?),
        model,
        regions: labels.regions.clone(),
        predict: PredictConfig {
            window: Some(patch),
            overlap: OVERLAP,
            blend: Blend::Nnunet,
            mirror: mirror.clone(),
            average: Average::Logits,
        },
        ..RunConfig::default()
    };
    config.patch.size = patch;
    config.loss.options.activation = labels.activation;
    // Its training mirrored images along the axes that predictions may be mirrored along.
    if !mirror.is_empty() {
        config.transform = vec![TransformConfig::Flip(Flip {
            axes: mirror,
            probability: 0.5,
        })];
    }
    config.check(&resolved.path().display().to_string())?;
    (config.predict.windows())
        .check(&lacuna_nets::Architecture::of(&config.model)?)
        .map_err(|e| AutoError::nnunet(resolved.path(), e.to_string()))?;
    Ok(config)
}

/// The axes along which predictions may be mirrored, of the last of `rank` axes x.
fn mirrored(fold: &Fold, rank: usize) -> Result<Vec<AnatomicalAxis>, AutoError> {
    const AXES: [AnatomicalAxis; 3] = [
        AnatomicalAxis::LeftRight,
        AnatomicalAxis::PosteriorAnterior,
        AnatomicalAxis::InferiorSuperior,
    ];
    let Some(Value::Array(axes)) = fold.value("/inference_allowed_mirroring_axes") else {
        return Ok(Vec::new());
    };
    let axis = |value: &Value| {
        let number = value.as_u64().and_then(|axis| usize::try_from(axis).ok());
        let number = number.filter(|axis| *axis < rank).ok_or_else(|| {
            AutoError::nnunet(
                &fold.path,
                format!(
                    "inference_allowed_mirroring_axes has {value}, expected axes below {rank}; \
                     the checkpoint is of another configuration"
                ),
            )
        })?;
        Ok(AXES[rank - 1 - number])
    };
    axes.iter().map(axis).collect()
}

/// Writes the run folder of a fold.
fn write_run(
    run: &Path,
    config: &RunConfig,
    facts: &DatasetFacts,
    outputs: &Outputs,
    fold: &Fold,
) -> Result<(), AutoError> {
    let device = Device::flex();
    let (inputs, channels) = (facts.modalities.len(), outputs.count());
    let network = Network::new(&config.model, inputs, channels, 0, &device)?;
    let (network, taken) = take(network, fold.file.weights()?);
    taken.whole().map_err(|e| {
        AutoError::nnunet(
            &fold.path,
            format!(
                "its weights are not those of the network in plans.json, as where a trainer \
                 ({}) builds its own: {e}",
                fold.text("/trainer_name").unwrap_or("not named")
            ),
        )
    })?;
    if !checkpoint::weights_are_finite(&network) {
        return Err(AutoError::nnunet(
            &fold.path,
            "a weight is NaN or infinite; its training diverged, so take another checkpoint",
        ));
    }
    lacuna_io::atomic::write_bytes(run.join("run.toml"), config.to_toml()?.as_bytes())?;
    write_json(&run.join("dataset.json"), facts)?;
    checkpoint::save_imported(run, &State::new(config.seed), &network)?;
    write_json(
        &run.join("summary.json"),
        &Summary::imported(network.parameter_count()),
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
