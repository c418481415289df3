//! A study's grid, checked: every run is one that can be trained.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;
use lacuna_data::manifest::Manifest;
use lacuna_data::phantom::{PhantomConfig, write_cohort};
use lacuna_losses::{Loss, LossConfig, NamedLoss};
use lacuna_nets::Architecture;
use lacuna_record::{PlannedRun, Study, StudyFolder};
use lacuna_sweep::{GridRun, Planned, StudyFile};
use lacuna_train::config::{RunConfig, apply_override};
use lacuna_train::outputs::Outputs;
use toml::Table;

use crate::DeviceArgument;

/// The dataset of a run, as far as its cost depends on it.
#[derive(Clone, Debug)]
pub struct DatasetShape {
    /// Modalities.
    pub modalities: usize,
    /// Classes, background first.
    pub classes: Vec<String>,
    /// Voxels of each labelled subject.
    pub voxels: BTreeMap<String, u64>,
}

/// A study whose runs are checked.
pub struct Plan {
    name: String,
    description: String,
    /// Where the runs compute.
    pub device: DeviceArgument,
    /// Where it is or will be.
    pub folder: StudyFolder,
    /// The runs with their effective configurations.
    pub runs: Vec<Planned>,
    /// The same, parsed.
    pub configs: Vec<RunConfig>,
    /// For each run its dataset's shape.
    pub shapes: Vec<DatasetShape>,
    phantoms: BTreeMap<String, PhantomConfig>,
}

impl Plan {
    /// Checks every run of `study`: its keys and values, its patch, its loss, and
    /// that its dataset and split exist. Writes nothing.
    pub fn of(study: &StudyFile, folder: &StudyFolder) -> anyhow::Result<Self> {
        let device = DeviceArgument::from_str(&study.device, false).map_err(|_| {
            anyhow!(
                "{}: `device` is {:?}, expected \"cpu\", \"vulkan\" or \"cuda\"",
                study.path.display(),
                study.device
            )
        })?;
        let mut plan = Self {
            name: study.name.clone(),
            description: study.description.trim().to_owned(),
            device,
            folder: folder.clone(),
            runs: Vec::new(),
            configs: Vec::new(),
            shapes: Vec::new(),
            phantoms: BTreeMap::new(),
        };
        let mut manifests = BTreeMap::new();
        for grid in study.runs()? {
            plan.add(study, grid, &mut manifests)?;
        }
        Ok(plan)
    }

    /// What is written down of it.
    pub fn study(&self) -> Study {
        Study {
            name: self.name.clone(),
            description: self.description.clone(),
            device: self.device.to_string(),
            runs: self.runs.iter().map(|p| p.run.clone()).collect(),
        }
    }

    fn add(
        &mut self,
        study: &StudyFile,
        grid: GridRun,
        manifests: &mut BTreeMap<std::path::PathBuf, DatasetShape>,
    ) -> anyhow::Result<()> {
        let origin = format!("{}, run {}", study.path.display(), grid.name);
        let mut table = grid.run;
        let phantom = match grid.phantom {
            None => None,
            Some((cohort, phantom)) => {
                if table.contains_key("dataset") {
                    bail!(
                        "{origin}: [phantom] makes the dataset, and `dataset` names another; remove one of the two"
                    );
                }
                let config: PhantomConfig =
                    (phantom.try_into()).map_err(|e: toml::de::Error| {
                        anyhow!("{origin}: [phantom]: {}", e.message())
                    })?;
                config.check().with_context(|| origin.clone())?;
                let dataset = self
                    .folder
                    .path()
                    .join("phantoms")
                    .join(&cohort)
                    .join("dataset.toml");
                table.insert("dataset".to_owned(), dataset.display().to_string().into());
                Some((cohort, config))
            }
        };
        let base = study.path.parent().unwrap_or(Path::new(""));
        let text = toml::to_string(&table)?;
        let mut config = RunConfig::parse(&text, &[], &origin, base)?;
        config.dataset = std::path::absolute(&config.dataset)?;
        let architecture = Architecture::of(&config.model).with_context(|| origin.clone())?;
        let effective = architecture
            .effective_size(config.patch.size)
            .with_context(|| format!("{origin}: `patch.size`"))?;
        let shape = match &phantom {
            Some((_, phantom)) => phantom_shape(phantom),
            None => match manifests.get(&config.dataset) {
                Some(shape) => shape.clone(),
                None => {
                    let shape = dataset_shape(&config.dataset).with_context(|| origin.clone())?;
                    manifests.insert(config.dataset.clone(), shape.clone());
                    shape
                }
            },
        };
        let labelled: Vec<String> = shape.voxels.keys().cloned().collect();
        let outputs = Outputs::new(&config, &shape.classes).with_context(|| origin.clone())?;
        (config.loss.check(outputs.count())).with_context(|| origin.clone())?;
        (config.split.resolve(&labelled, config.seed)).with_context(|| origin.clone())?;
        let run = PlannedRun {
            name: grid.name,
            axes: grid.axes,
            network: config.model.name.to_string(),
            loss: loss_label(&config.loss)?,
            patch: config.patch.size,
            effective_patch: effective,
            rank: architecture.rank(),
            batch: config.train.batch,
            learning_rate: config.train.learning_rate,
            iterations: config.train.iterations,
            seed: config.seed,
            fold: (config.split.folds > 0).then_some(config.split.fold),
            phantom_share: phantom.as_ref().map(|(_, p)| p.foreground_share),
        };
        self.runs.push(Planned {
            run,
            config: config.to_toml()?,
        });
        self.configs.push(config);
        self.shapes.push(shape);
        self.phantoms.extend(phantom);
        Ok(())
    }

    /// Makes the cohorts that are not there yet, each whole or not at all.
    pub fn make_phantoms(&self) -> anyhow::Result<()> {
        let folder = self.folder.path().join("phantoms");
        for (name, config) in &self.phantoms {
            let (text, made) = (toml::to_string(config)?, folder.join(name));
            let record = made.join("phantom.toml");
            if made.exists() {
                let before = std::fs::read_to_string(&record).unwrap_or_default();
                if before != text {
                    bail!(
                        "{}: the cohort was made from another [phantom]; give another --out",
                        record.display()
                    );
                }
                continue;
            }
            eprintln!(
                "making {} phantoms `{name}`, lesions in {:e} of the voxels",
                config.subjects, config.foreground_share
            );
            let partial = folder.join(format!("{name}.partial"));
            if partial.exists() {
                std::fs::remove_dir_all(&partial)?;
            }
            super::super::create_folder(&partial)?;
            write_cohort(config, &partial)?;
            lacuna_io::atomic::write_bytes(partial.join("phantom.toml"), text.as_bytes())?;
            std::fs::rename(&partial, &made).with_context(|| made.display().to_string())?;
        }
        Ok(())
    }
}

/// Applies `--set`; a dataset is named as seen from the current folder.
pub fn lay_overrides(run: &mut Table, overrides: &[String]) -> anyhow::Result<()> {
    for set in overrides {
        apply_override(run, set)?;
    }
    if overrides
        .iter()
        .any(|set| set.trim_start().starts_with("dataset"))
        && let Some(toml::Value::String(dataset)) = run.get_mut("dataset")
    {
        *dataset = std::path::absolute(&dataset)?.display().to_string();
    }
    Ok(())
}

/// The subjects that `write_cohort` will write.
fn phantom_shape(config: &PhantomConfig) -> DatasetShape {
    let voxels: u64 = config.shape.iter().map(|&n| n as u64).product();
    DatasetShape {
        modalities: lacuna_data::phantom::MODALITIES.len(),
        classes: lacuna_data::phantom::CLASSES.map(str::to_owned).to_vec(),
        voxels: lacuna_data::phantom::subject_ids(config)
            .map(|id| (id, voxels))
            .collect(),
    }
}

fn dataset_shape(path: &Path) -> anyhow::Result<DatasetShape> {
    let manifest = Manifest::read(path)?;
    let mut voxels = BTreeMap::new();
    for subject in &manifest.subjects {
        if let Some(label) = &subject.label {
            let header = lacuna_io::read_header(label)?;
            let count = header.shape().iter().map(|&n| n as u64).product();
            voxels.insert(subject.id.clone(), count);
        }
    }
    Ok(DatasetShape {
        modalities: manifest.modalities.len(),
        classes: manifest.classes,
        voxels,
    })
}

/// The loss with those options that are not its defaults; the form of
/// sensitivity-specificity always, since its two forms behave unlike.
fn loss_label(loss: &LossConfig) -> anyhow::Result<String> {
    // Of a sum the terms tell, of a loss around a loss the inner one.
    let inner = |named: &NamedLoss| {
        loss_label(&LossConfig {
            named: named.clone(),
            ..LossConfig::default()
        })
    };
    match &loss.named {
        NamedLoss::Sum(sum) => {
            let terms = sum.terms.iter().map(|term| inner(&term.loss));
            return Ok(terms.collect::<anyhow::Result<Vec<_>>>()?.join(" + "));
        }
        NamedLoss::Blob(blob) => return Ok(format!("blob of {}", inner(&blob.loss)?)),
        NamedLoss::SizeReweighted(wrapper) => {
            return Ok(format!("size-reweighted {}", inner(&wrapper.loss)?));
        }
        _ => {}
    }
    let name = loss.named.name();
    let named = Table::from_iter([("name".to_owned(), name.into())]);
    let default = Table::try_from(named.try_into::<LossConfig>()?)?;
    let own = Table::try_from(loss)?;
    let mut label = name.to_owned();
    for (key, value) in &own {
        let telling =
            default.get(key) != Some(value) || key == "form" && name == "sensitivity-specificity";
        if telling {
            label += &match value.as_str() {
                Some(text) => format!(" {text}"),
                None => format!(" {key} {value}"),
            };
        }
    }
    Ok(label)
}

/// What differs between two configurations, in words.
pub fn differences(before: &str, now: &str) -> String {
    let parse = |text: &str| RunConfig::parse(text, &[], "", Path::new(""));
    match (parse(before), parse(now)) {
        (Ok(before), Ok(now)) => (before.differences(&now).into_iter())
            .map(|(key, old, new)| format!("{key} was {old}, now {new}"))
            .collect::<Vec<_>>()
            .join("; "),
        _ => "the file is not what this program wrote".to_owned(),
    }
}
