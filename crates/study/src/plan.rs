//! A study's grid, checked: every run is one that can be trained.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lacuna_data::manifest::Manifest;
use lacuna_data::phantom::{PhantomConfig, check_masks, write_cohort};
use lacuna_data::split::Member;
use lacuna_io::text::{MOST_TEXT_BYTES, read_text};
use lacuna_losses::{Loss, LossConfig, NamedLoss};
use lacuna_nets::Architecture;
use lacuna_record::{PlannedRun, RecordError, Study, StudyFolder};
use lacuna_train::config::RunConfig;
use lacuna_train::device::DeviceName;
use lacuna_train::outputs::Outputs;
use lacuna_train::run::RunError;
use lacuna_volume::PatchSize;
use toml::Table;

use crate::{GridRun, Planned, StudyError, StudyFile};

/// The dataset of a run, as far as its cost depends on it.
#[derive(Clone, Debug)]
pub struct DatasetShape {
    /// Modalities.
    pub modalities: usize,
    /// Classes, background first.
    pub classes: Vec<String>,
    /// Voxels of each labelled subject.
    pub voxels: BTreeMap<String, u64>,
    /// The labelled subjects.
    pub labelled: Vec<Member>,
}

/// A study whose runs are checked.
pub struct Plan {
    name: String,
    description: String,
    /// Where the runs compute.
    pub device: DeviceName,
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
    /// Checks every run of `study`: its keys and values, its patch, its loss, that its
    /// dataset and split exist, and lesion masks that are still to be used. Writes nothing.
    ///
    /// # Errors
    /// When the grid cannot be made, or a run of it could not be trained.
    pub fn of(study: &StudyFile, folder: &StudyFolder) -> Result<Self, StudyError> {
        let device = device(&study.device).ok_or_else(|| StudyError::Study {
            path: study.path.clone(),
            message: format!(
                "`device` is {:?}, expected \"cpu\", \"vulkan\" or \"cuda\"",
                study.device
            ),
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
        let mut masks = BTreeSet::new();
        for (name, config) in &plan.phantoms {
            let made = plan.folder.phantoms().join(name).exists();
            if !made && masks.insert(&config.lesion_masks) {
                check_masks(config)?;
            }
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
        manifests: &mut BTreeMap<PathBuf, DatasetShape>,
    ) -> Result<(), StudyError> {
        let origin = format!("{}, run {}", study.path.display(), grid.name);
        let refused = |source: RunError| StudyError::Run {
            run: origin.clone(),
            source: Box::new(source),
        };
        let base = study.path.parent().unwrap_or(Path::new(""));
        let mut table = grid.run;
        let phantom = match grid.phantom {
            None => None,
            Some((cohort, phantom)) => {
                let invalid = |message: String| StudyError::Study {
                    path: PathBuf::from(&origin),
                    message,
                };
                if table.contains_key("dataset") {
                    let both = "[phantom] makes the dataset, and `dataset` names another; remove \
                                one of the two";
                    return Err(invalid(both.to_owned()));
                }
                let mut config: PhantomConfig = (phantom.try_into())
                    .map_err(|e: toml::de::Error| invalid(format!("[phantom]: {}", e.message())))?;
                if let Some(masks) = config.lesion_masks.take() {
                    config.lesion_masks = Some(absolute(&base.join(masks))?);
                }
                (config.check()).map_err(|e| invalid(e.to_string()))?;
                let dataset = self.folder.phantoms().join(&cohort).join("dataset.toml");
                table.insert("dataset".to_owned(), dataset.display().to_string().into());
                Some((cohort, config))
            }
        };
        let text = table.to_string();
        let mut config = RunConfig::parse(&text, &[], &origin, base).map_err(StudyError::config)?;
        config.dataset = absolute(&config.dataset)?;
        let architecture = Architecture::of(&config.model).map_err(|e| refused(e.into()))?;
        let [_, effective] =
            (architecture.patch(config.patch.size)).map_err(|e| StudyError::Run {
                run: format!("{origin}: `patch.size`"),
                source: Box::new(e.into()),
            })?;
        let shape = match &phantom {
            Some((_, phantom)) => phantom_shape(phantom),
            None => match manifests.get(&config.dataset) {
                Some(shape) => shape.clone(),
                None => {
                    let shape = dataset_shape(&config.dataset).map_err(|e| refused(*e))?;
                    manifests.insert(config.dataset.clone(), shape.clone());
                    shape
                }
            },
        };
        let outputs = Outputs::new(&config, &shape.classes).map_err(|e| refused(e.into()))?;
        (config.loss.check(outputs.count())).map_err(|e| refused(e.into()))?;
        (config.split.resolve(&shape.labelled, config.seed)).map_err(|e| refused(e.into()))?;
        let run = PlannedRun {
            name: grid.name,
            axes: grid.axes,
            network: config.model.name.to_string(),
            loss: loss_label(&config.loss),
            patch: config.patch.size,
            effective_patch: PatchSize::of(effective, architecture.rank()),
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
            config: config.to_toml().map_err(StudyError::config)?,
        });
        self.configs.push(config);
        self.shapes.push(shape);
        self.phantoms.extend(phantom);
        Ok(())
    }

    /// The cohorts of phantoms that the runs learn from, by name.
    pub(crate) fn phantoms(&self) -> &BTreeMap<String, PhantomConfig> {
        &self.phantoms
    }

    /// Makes the cohorts that are not there yet, each whole or not at all, and tells
    /// of each.
    ///
    /// # Errors
    /// When the folder cannot be written, or holds a cohort made from other values.
    pub fn make_phantoms(&self, tell: &mut dyn FnMut(&str)) -> Result<(), StudyError> {
        let folder = self.folder.phantoms();
        for (name, config) in &self.phantoms {
            let made = folder.join(name);
            let record = made.join("phantom.toml");
            let text = phantom_text(config, &record)?;
            if made.exists() {
                if read_text(&record, MOST_TEXT_BYTES).unwrap_or_default() != text {
                    return Err(StudyError::OtherPhantoms { record });
                }
                continue;
            }
            tell(&format!(
                "making {} phantoms `{name}`, lesions in {:e} of the voxels",
                config.subjects, config.foreground_share
            ));
            let partial = folder.join(format!("{name}.partial"));
            if partial.exists() {
                std::fs::remove_dir_all(&partial).map_err(RecordError::io(&partial))?;
            }
            std::fs::create_dir_all(&partial).map_err(RecordError::io(&partial))?;
            write_cohort(config, &partial)?;
            lacuna_io::atomic::write_bytes(partial.join("phantom.toml"), text.as_bytes())?;
            std::fs::rename(&partial, &made).map_err(RecordError::io(&made))?;
        }
        Ok(())
    }
}

/// `phantom.toml`, what a cohort is made from.
pub(crate) fn phantom_text(config: &PhantomConfig, record: &Path) -> Result<String, StudyError> {
    toml::to_string(config).map_err(|e| StudyError::Study {
        path: record.to_owned(),
        message: e.to_string(),
    })
}

/// The device that a study file names.
pub(crate) fn device(name: &str) -> Option<DeviceName> {
    (DeviceName::ALL.into_iter()).find(|device| device.to_string() == name)
}

pub(crate) fn absolute(path: &Path) -> Result<PathBuf, RecordError> {
    std::path::absolute(path).map_err(RecordError::io(path))
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
        labelled: lacuna_data::phantom::subject_ids(config)
            .map(|id| Member { id, group: None })
            .collect(),
    }
}

fn dataset_shape(path: &Path) -> Result<DatasetShape, Box<RunError>> {
    let manifest = Manifest::read(path).map_err(RunError::from)?;
    let mut voxels = BTreeMap::new();
    for subject in &manifest.subjects {
        if let Some(label) = &subject.label {
            let header = lacuna_io::read_reference(label).map_err(RunError::from)?;
            let count = header.shape().iter().map(|&n| n as u64).product();
            voxels.insert(subject.id.clone(), count);
        }
    }
    Ok(DatasetShape {
        modalities: manifest.modalities.len(),
        labelled: manifest.labelled(),
        classes: manifest.classes,
        voxels,
    })
}

/// The loss with those options that are not its defaults; the form of
/// sensitivity-specificity always, since its two forms behave unlike.
fn loss_label(loss: &LossConfig) -> String {
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
            return terms.collect::<Vec<_>>().join(" + ");
        }
        NamedLoss::Blob(blob) => return format!("blob of {}", inner(&blob.loss)),
        NamedLoss::SizeReweighted(wrapper) => {
            return format!("size-reweighted {}", inner(&wrapper.loss));
        }
        _ => {}
    }
    let name = loss.named.name();
    let named = Table::from_iter([("name".to_owned(), name.into())]);
    let options = |loss: &LossConfig| Table::try_from(loss).unwrap_or_default();
    let default = (named.try_into::<LossConfig>()).map_or_else(|_| Table::new(), |l| options(&l));
    let mut label = name.to_owned();
    for (key, value) in &options(loss) {
        let telling =
            default.get(key) != Some(value) || key == "form" && name == "sensitivity-specificity";
        if telling {
            label += &match value.as_str() {
                Some(text) => format!(" {text}"),
                None => format!(" {key} {value}"),
            };
        }
    }
    label
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
