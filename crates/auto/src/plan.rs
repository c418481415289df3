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
mod few;
mod folds;
mod grid;
mod shape;
mod time;
mod width;

use std::fmt::Write;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use lacuna_data::manifest::Manifest;
use lacuna_data::split::read_splits;
use lacuna_record::{Fingerprint, sha256_of, write_json};
use lacuna_train::config::{Budget, RunConfig};
use serde::{Deserialize, Serialize};

use crate::error::AutoError;
use crate::structure::Structure;
use configuration::Chosen;
pub use folds::Training;
pub use time::Speed;
use width::Measuring;

/// Iterations below which a narrower network learns more.
const FEW: u64 = 150;
/// Iterations below which nothing is learnt.
const LEAST: u64 = 40;

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
    /// SHA-256 of its manifest.
    pub manifest_sha256: String,
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
        fits_disk(fingerprint, out)?;
        let mut decisions = Vec::new();
        let chosen = Chosen::of(manifest, fingerprint, asked.structure, &mut decisions);
        let left = asked.budget.duration().as_secs_f64() - spent;

        let few = chosen.is_few();
        let folds = |most, networks: usize| {
            let networks = few.then_some(networks);
            trainings(asked, manifest, fingerprint, most, networks)
        };
        let (mut trainings, mut told) = folds(usize::MAX, few::NETWORKS)?;
        let scene = Measuring {
            asked,
            manifest,
            fingerprint,
            device,
            reading,
            left,
        };
        let (config, speed) = scene.widest(&chosen, &trainings, &mut decisions)?;

        let fit =
            |trainings: &[Training]| speed.iterations(&config, fingerprint, trainings, left, 0);
        let mut iterations = fit(&trainings);
        let set = sets(asked, "train.iterations");
        // Fewer networks rather than shorter trainings.
        let mut networks = few::NETWORKS;
        let short = |trainings: &[Training], iterations| {
            let most = trainings[0].most_iterations;
            !set && asked.splits.is_none() && most.is_some_and(|most| iterations < most)
        };
        while networks > 1 && short(&trainings, iterations) {
            networks -= 1;
            (trainings, told) = folds(usize::MAX, networks)?;
            iterations = fit(&trainings);
        }
        // Fewer folds rather than trainings that learn nothing.
        for most in [3, 2] {
            let folds_now = trainings.iter().filter(|t| !t.held_out.is_empty()).count();
            if set || iterations >= FEW || asked.splits.is_some() || folds_now <= most {
                continue;
            }
            (trainings, told) = folds(most, 1)?;
            iterations = fit(&trainings);
            told.reason += "; fewer than 5 since the time is short";
        }
        decisions.push(told);
        decisions.extend(folds::parted(manifest, &trainings));
        if iterations < LEAST && !set {
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
            match (set, trainings[0].most_iterations) {
                (true, _) => format!("{} iterations, as set", config.train.iterations),
                (false, Some(most)) => format!(
                    "about {} iterations for each patient that it sees",
                    few::ITERATIONS * iterations / most
                ),
                (false, None) => format!("about {iterations} iterations"),
            },
            match few {
                true => "more teach a network what is these few patients' alone, so that time may be left",
                false => {
                    "what is left when whole volumes are predicted and tuned on is shared among \
                     the trainings; chosen again before each, by the speed of those before"
                }
            },
            format!(
                "budget {}, {:.0} s for prediction and tuning, {:.2} s an iteration",
                asked.budget,
                speed.afterwards(fingerprint, &trainings, 0),
                speed.step
            ),
        ));
        let plan = Self {
            asked: asked.clone(),
            dataset: manifest.name.clone(),
            manifest_sha256: sha256_of(&manifest.path)?,
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

/// The trainings: of the folds of a file, or of at most `most` that are drawn, with so many
/// `networks` of all patients where these are few.
fn trainings(
    asked: &Asked,
    manifest: &Manifest,
    fingerprint: &Fingerprint,
    most: usize,
    networks: Option<usize>,
) -> Result<(Vec<Training>, Decision), AutoError> {
    let Some(path) = &asked.splits else {
        return folds::draw(fingerprint, most, networks, asked.seed);
    };
    // Subjects that were left out are in no fold.
    let usable = |mut ids: Vec<String>| {
        ids.retain(|id| fingerprint.subjects.iter().any(|s| s.id == *id));
        ids
    };
    let lists: Vec<_> = (read_splits(path, &manifest.labelled())?.into_iter())
        .map(|split| (usable(split.train), usable(split.validation)))
        .collect();
    let told = Decision::new(
        "folds",
        lists.len().to_string(),
        "as the file says",
        // The card travels: where the file lay stays here.
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    );
    let mut trainings = folds::of_lists(&lists);
    for training in &mut trainings {
        let most = few::ITERATIONS * training.train.len() as u64;
        training.most_iterations = networks.map(|_| most);
    }
    Ok((trainings, told))
}

/// Whether an override sets a key, or one below it.
pub(crate) fn sets(asked: &Asked, key: &str) -> bool {
    asked
        .sets
        .iter()
        .any(|set| set.trim_start().starts_with(key))
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
    match free_bytes(there).filter(|free| *free < needed) {
        None => Ok(()),
        Some(free) => Err(AutoError::Disk {
            path: out.to_owned(),
            needed: needed >> 20,
            free: free >> 20,
        }),
    }
}

/// Free bytes of the file system of a folder, where the system tells.
#[cfg(unix)]
fn free_bytes(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    Some(disk.f_bavail * disk.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
pub(crate) mod tests {
    use lacuna_data::fingerprint;
    use lacuna_data::phantom::{PhantomConfig, write_cohort};
    use tempfile::TempDir;

    use super::*;

    /// The fingerprint of so many phantoms, and the folder that they are in.
    pub fn phantoms(subjects: usize) -> (TempDir, Fingerprint) {
        let folder = tempfile::tempdir().unwrap();
        let config = PhantomConfig {
            subjects,
            shape: [24, 28, 12],
            spacing: [3.0, 3.0, 6.0],
            foreground_share: 5e-3,
            ..PhantomConfig::default()
        };
        let dataset = write_cohort(&config, folder.path()).unwrap();
        let manifest = Manifest::read(&dataset).unwrap();
        let found = fingerprint::of(&manifest, &[], &mut |_, _| {}).unwrap();
        (folder, found)
    }
}
