//! What is to be done with a dataset in a given time, and why.
//!
//! ```text
//! PLAN/fingerprint/       what the plan was made from
//! PLAN/plan.json          decisions, trainings and what they are expected to take
//! PLAN/plan.md            the decisions, one line each with its reason and figure
//! PLAN/run.toml           the configuration of every training
//! PLAN/splits_final.json  the folds, as nnU-Net writes them
//! ```

mod configuration;
mod folds;
mod shape;
mod time;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use lacuna_data::manifest::Manifest;
use lacuna_data::split::read_splits;
use lacuna_record::{Fingerprint, write_json};
use lacuna_train::config::{Budget, MemoryLimit, RunConfig};
use lacuna_train::pace::Pace;
use serde::{Deserialize, Serialize};

use crate::error::AutoError;
use crate::structure::Structure;
use configuration::Chosen;
pub use folds::Training;
pub use time::Speed;

/// Features of the first stage that are tried, widest first.
const FEATURES: [usize; 4] = [24, 16, 12, 8];
/// Iterations for which the widest network is worth its time.
const MANY: u64 = 700;
/// Iterations below which a narrower network learns more.
const FEW: u64 = 150;
/// Iterations below which nothing is learnt.
const LEAST: u64 = 40;
/// Steps that are timed.
const TIMED: u32 = 3;
/// Share of the machine's memory that a step may take, in per cent.
const MEMORY: u8 = 60;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The manifest, absolute.
    pub dataset: PathBuf,
    /// Time for everything.
    pub budget: Budget,
    /// What is looked for.
    pub structure: Option<Structure>,
    /// Overrides `key=value` of the configuration.
    pub sets: Vec<String>,
    /// nnU-Net's `splits_final.json`.
    pub splits: Option<PathBuf>,
    /// Leave subjects out that cannot be used.
    pub skip_bad: bool,
    /// Key of all random numbers.
    pub seed: u64,
}

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What was decided.
    pub what: String,
    /// What was chosen.
    pub value: String,
    /// Why.
    pub reason: String,
    /// The figure that it came from.
    pub figure: String,
}

impl Decision {
    pub(crate) fn new(what: &str, value: String, reason: &str, figure: String) -> Self {
        Self {
            what: what.to_owned(),
            value,
            reason: reason.to_owned(),
            figure,
        }
    }
}

/// `plan.json`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What was asked for.
    pub asked: Asked,
    /// Name of the dataset.
    pub dataset: String,
    /// In the order in which they were made.
    pub decisions: Vec<Decision>,
    /// In the order in which they are carried out.
    pub trainings: Vec<Training>,
    /// How fast this machine does its parts.
    pub speed: Speed,
}

impl Plan {
    /// Plans for the subjects of a fingerprint. `reading` is how many seconds it took for
    /// each subject, `spent` how many of the budget are gone.
    ///
    /// # Errors
    /// [`AutoError::NoForeground`], [`AutoError::Budget`], [`AutoError::Memory`],
    /// [`AutoError::Disk`], overrides that are refused, folds of a file that do not fit.
    pub fn make(
        asked: &Asked,
        manifest: &Manifest,
        fingerprint: &Fingerprint,
        out: &Path,
        device: &Device,
        [reading, spent]: [f64; 2],
    ) -> Result<(Self, RunConfig), AutoError> {
        if fingerprint.subjects.iter().all(|s| s.is_empty()) {
            return Err(AutoError::NoForeground {
                path: manifest.path.clone(),
                subjects: fingerprint.subjects.len(),
            });
        }
        refuse_planned(&asked.sets)?;
        let mut decisions = Vec::new();
        let chosen = Chosen::of(fingerprint, asked.structure, &mut decisions);
        let folds = |most| match &asked.splits {
            None => folds::draw(fingerprint, most, asked.seed),
            Some(path) => {
                let usable = |id: &String| fingerprint.subjects.iter().any(|s| s.id == *id);
                let only = |mut ids: Vec<String>| {
                    ids.retain(usable);
                    ids
                };
                let lists: Vec<_> = (read_splits(path, &manifest.labelled())?.into_iter())
                    .map(|split| (only(split.train), only(split.validation)))
                    .collect();
                let told = Decision::new(
                    "folds",
                    lists.len().to_string(),
                    "as the file says",
                    path.display().to_string(),
                );
                Ok((folds::of_lists(&lists), told))
            }
        };
        let (mut trainings, mut told) = folds(usize::MAX)?;
        let left = asked.budget.duration().as_secs_f64() - spent;

        let mut measured = None;
        let mut tried = String::new();
        for features in FEATURES {
            let text = chosen.toml(&asked.dataset, asked.seed, features);
            let config = RunConfig::parse(
                &text,
                &asked.sets,
                "the planned configuration",
                Path::new(""),
            )?;
            if !fits_memory(&chosen, features, &config, features == 8)? {
                continue;
            }
            let pace = Pace::measure(
                &config,
                manifest.modalities.len(),
                &manifest.classes,
                device,
                TIMED,
            )?;
            let speed = Speed::of(&config, &pace, reading);
            let iterations = speed.iterations(&config, fingerprint, &trainings, left, 0);
            let _ = write!(
                tried,
                "{}{features} features: {:.2} s an iteration, {iterations} fit",
                if tried.is_empty() { "" } else { "; " },
                speed.step
            );
            let wanted = if features == FEATURES[0] { MANY } else { FEW };
            measured = Some((config, speed, iterations, features));
            let fixed = asked.sets.iter().any(|s| s.starts_with("model."));
            if iterations >= wanted || fixed {
                break;
            }
        }
        let Some((config, speed, mut iterations, features)) = measured else {
            unreachable!("the narrowest network either fits or is an error");
        };
        decisions.push(Decision::new(
            "features of the first stage",
            features.to_string(),
            "the widest of 24, 16, 12 and 8 of which enough iterations fit (700 of the first, 150 of the next)",
            tried,
        ));
        // Fewer folds rather than trainings that learn nothing.
        for most in [3, 2] {
            if iterations >= FEW || asked.splits.is_some() || trainings.len() <= most {
                continue;
            }
            (trainings, told) = folds(most)?;
            iterations = speed.iterations(&config, fingerprint, &trainings, left, 0);
            told.reason += "; fewer than 5 since the time is short";
        }
        decisions.push(told);
        if iterations < LEAST && !asked.sets.iter().any(|s| s.starts_with("train.iterations")) {
            let needed = spent + speed.seconds(&config, fingerprint, &trainings, LEAST);
            return Err(AutoError::Budget {
                budget: asked.budget,
                trainings: trainings.len(),
                iterations,
                least: LEAST,
                needed: format!("{}m", (needed / 60.0 * 1.1).ceil()),
            });
        }
        decisions.push(Decision::new(
            "length of a training",
            format!("about {iterations} iterations"),
            "what is left when whole volumes are predicted and tuned on is shared among the trainings; chosen again before each, by the speed of those before",
            format!(
                "budget {}, {:.0} s for prediction and tuning, {:.2} s an iteration",
                asked.budget,
                speed.afterwards(fingerprint, &trainings, 0),
                speed.step
            ),
        ));
        fits_disk(fingerprint, out)?;
        let plan = Self {
            asked: asked.clone(),
            dataset: manifest.name.clone(),
            decisions,
            trainings,
            speed,
        };
        Ok((plan, config))
    }

    /// The decisions, one line each.
    pub fn to_markdown(&self) -> String {
        let mut text = format!(
            "# Plan for {} in {}\n\n| what | chosen | why | from |\n|---|---|---|---|\n",
            self.dataset, self.asked.budget
        );
        let cell = |text: &str| text.replace('|', "\\|");
        for d in &self.decisions {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {} |",
                cell(&d.what),
                cell(&d.value),
                cell(&d.reason),
                cell(&d.figure)
            );
        }
        for set in &self.asked.sets {
            let _ = writeln!(text, "| override | {} | asked for | --set |", cell(set));
        }
        text += "\n| training | trained on | judged on | share of the time |\n|---|---|---|---|\n";
        for t in &self.trainings {
            let _ = writeln!(
                text,
                "| {} | {} | {} | {:.0} % |",
                t.name,
                t.train.len(),
                t.held_out.len(),
                100.0 * t.share
            );
        }
        text
    }

    /// Writes the files of a plan into `out`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(
        &self,
        config: &RunConfig,
        fingerprint: &Fingerprint,
        out: &Path,
    ) -> Result<(), AutoError> {
        let folder = out.join("fingerprint");
        std::fs::create_dir_all(&folder).map_err(AutoError::io(&folder))?;
        fingerprint.write(&folder)?;
        let file = |name: &str| out.join(name);
        lacuna_io::atomic::write_bytes(file("run.toml"), config.to_toml()?.as_bytes())?;
        lacuna_io::atomic::write_bytes(file("plan.md"), self.to_markdown().as_bytes())?;
        let folds: Vec<_> = (self.trainings.iter())
            .filter(|t| !t.held_out.is_empty())
            .map(|t| serde_json::json!({ "train": t.train, "val": t.held_out }))
            .collect();
        write_json(&file("splits_final.json"), &folds)?;
        // Last: where it is, the others are.
        write_json(&file("plan.json"), self)?;
        Ok(())
    }

    /// The plan in `folder` and its configuration; `None` when there is none.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn read(folder: &Path) -> Result<Option<(Self, RunConfig, Fingerprint)>, AutoError> {
        if !folder.join("plan.json").exists() {
            return Ok(None);
        }
        let plan: Self = lacuna_record::read_json(folder, "plan.json")?;
        let config = RunConfig::read(&folder.join("run.toml"), &[])?;
        let fingerprint = Fingerprint::read(&folder.join("fingerprint/fingerprint.json"))?;
        let fingerprint = fingerprint.ok_or_else(|| AutoError::NoModel {
            path: folder.to_owned(),
            missing: "fingerprint/fingerprint.json".to_owned(),
        })?;
        Ok(Some((plan, config, fingerprint)))
    }
}

/// Folds, lengths and the dataset are what is planned.
fn refuse_planned(sets: &[String]) -> Result<(), AutoError> {
    for set in sets {
        let key = set.split('=').next().unwrap_or_default().trim();
        let planned = key == "dataset"
            || key == "seed"
            || key.starts_with("split")
            || key == "train.budget"
            || key == "train.from";
        if planned {
            return Err(AutoError::Planned {
                key: key.to_owned(),
                instead: match key {
                    "train.budget" => "--budget is for everything",
                    "seed" => "--seed",
                    "split" | "split.folds" => "--splits takes nnU-Net's splits_final.json",
                    _ => "",
                },
            });
        }
    }
    Ok(())
}

/// Whether a step fits into the memory; an error where it has to.
fn fits_memory(
    chosen: &Chosen,
    features: usize,
    config: &RunConfig,
    has_to: bool,
) -> Result<bool, AutoError> {
    let needed = chosen.shape.step_bytes(features) * config.train.batch as u64;
    let free = MemoryLimit::Share(MEMORY).bytes();
    match needed <= free {
        true => Ok(true),
        false if has_to => Err(AutoError::Memory {
            needed: needed >> 20,
            free: free >> 20,
        }),
        false => Ok(false),
    }
}

/// Refuses a disk that cannot hold the out-of-fold probabilities.
fn fits_disk(fingerprint: &Fingerprint, out: &Path) -> Result<(), AutoError> {
    let grid = |s: &lacuna_record::fingerprint::SubjectFingerprint| {
        s.shape.iter().product::<usize>() as u64
    };
    let voxels: u64 = fingerprint.subjects.iter().map(grid).sum();
    let needed = voxels * fingerprint.classes.len() as u64 * 4 + (200 << 20);
    // The nearest folder above that is there.
    let there = out
        .ancestors()
        .find(|p| p.is_dir())
        .unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() {
        Path::new(".")
    } else {
        there
    };
    let Ok(disk) = rustix::fs::statvfs(there) else {
        return Ok(());
    };
    let free = disk.f_bavail * disk.f_frsize;
    match free >= needed {
        true => Ok(()),
        false => Err(AutoError::Disk {
            path: out.to_owned(),
            needed: needed >> 20,
            free: free >> 20,
        }),
    }
}
