//! The study file, `study.toml`: a base configuration, axes and an executor.

use std::path::{Path, PathBuf};

use lacuna_train::config::{apply_override, parse_override};
use serde::Deserialize;
use toml::Table;

use crate::grid::{Axis, GridRun, expand};
use crate::plan::absolute;
use crate::{LocalSettings, SlurmSettings, StudyError};

/// A study as its file states it, keys of runs not yet checked.
#[derive(Clone, Debug, PartialEq)]
pub struct StudyFile {
    /// The file.
    pub path: PathBuf,
    /// Its text, kept beside the runs.
    pub text: String,
    /// Name of the study.
    pub name: String,
    /// What it is for and what was scaled down.
    pub description: String,
    /// Where the runs compute: `cpu`, `vulkan` or `cuda`.
    pub device: String,
    /// Where the runs are worked through.
    pub executor: Executor,
    /// Makes the datasets, when the study has a phantom of its own.
    pub phantom: Option<Table>,
    /// What all runs share.
    pub run: Table,
    /// In the order of the file; the last one varies fastest.
    pub axes: Vec<Axis>,
}

/// `[executor]`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Executor {
    /// Processes of this machine.
    Local(LocalSettings),
    /// One `sbatch` array.
    Slurm(SlurmSettings),
}

impl Default for Executor {
    fn default() -> Self {
        Self::Local(LocalSettings::default())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    #[serde(default)]
    description: String,
    #[serde(default = "cpu")]
    device: String,
    #[serde(default)]
    executor: Executor,
    phantom: Option<Table>,
    #[serde(default)]
    base: Option<PathBuf>,
    #[serde(default)]
    run: Table,
    #[serde(default)]
    axis: Vec<Table>,
}

fn cpu() -> String {
    "cpu".to_owned()
}

impl StudyFile {
    /// Reads the study file at `path`. Its `base`, a `run.toml`, is read too,
    /// and `[run]` is laid over it.
    ///
    /// # Errors
    /// When a file cannot be read, a key is unknown or an axis is malformed.
    pub fn read(path: &Path) -> Result<Self, StudyError> {
        let text = read(path)?;
        let invalid = |message: String| StudyError::Study {
            path: path.to_owned(),
            message,
        };
        let raw: Raw = toml::from_str(&text).map_err(|e| invalid(e.to_string()))?;
        if !is_plain(&raw.name) {
            return Err(invalid(format!(
                "`name` is {:?}, expected letters, digits, `-`, `_` or `.`",
                raw.name
            )));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut run = match &raw.base {
            None => Table::new(),
            Some(base) => {
                let base = folder.join(base);
                let mut table: Table =
                    read(&base)?
                        .parse()
                        .map_err(|e: toml::de::Error| StudyError::Study {
                            path: base.clone(),
                            message: e.to_string(),
                        })?;
                // The dataset is named as seen from the file that names it.
                if let Some(toml::Value::String(dataset)) = table.get_mut("dataset") {
                    let whole = base.parent().unwrap_or(Path::new("")).join(&dataset);
                    let whole = std::path::absolute(&whole).unwrap_or(whole);
                    *dataset = whole.display().to_string();
                }
                table
            }
        };
        lay_over(&mut run, raw.run);
        let axes = (raw.axis.into_iter().enumerate())
            .map(|(i, table)| Axis::of(table).map_err(|e| invalid(format!("axis {}: {e}", i + 1))))
            .collect::<Result<_, _>>()?;
        match &raw.executor {
            Executor::Local(local) => local.check().map_err(invalid)?,
            Executor::Slurm(slurm) => slurm.check()?,
        }
        Ok(Self {
            path: path.to_owned(),
            text,
            name: raw.name,
            description: raw.description,
            device: raw.device,
            executor: raw.executor,
            phantom: raw.phantom,
            run,
            axes,
        })
    }

    /// Lays `key=value` over the base configuration, or over the phantom where the key begins
    /// with `phantom.`. Datasets and lesion masks are named as seen from the current folder.
    ///
    /// # Errors
    /// When a text is not of that form, the key is unknown, the study has no phantom, or the
    /// current folder is gone.
    pub fn set(&mut self, overrides: &[String]) -> Result<(), StudyError> {
        for set in overrides {
            let (key, value) = parse_override(set).map_err(StudyError::config)?;
            let (table, key) = match key.strip_prefix("phantom.") {
                None => {
                    apply_override(&mut self.run, set).map_err(StudyError::config)?;
                    (&mut self.run, key)
                }
                Some(key) => {
                    let phantom = self.phantom.as_mut().ok_or_else(|| StudyError::Study {
                        path: self.path.clone(),
                        message: format!("--set {set}: the study has no [phantom] section"),
                    })?;
                    phantom.insert(key.to_owned(), value);
                    (phantom, key)
                }
            };
            if matches!(key, "dataset" | "lesion_masks")
                && let Some(toml::Value::String(path)) = table.get_mut(key)
            {
                *path = absolute(Path::new(path.as_str()))?.display().to_string();
            }
        }
        Ok(())
    }

    /// Every run of the grid, in the order of the axes.
    ///
    /// # Errors
    /// When two runs would have one name, a name is too long, or there are too many.
    pub fn runs(&self) -> Result<Vec<GridRun>, StudyError> {
        expand(self).map_err(|message| StudyError::Study {
            path: self.path.clone(),
            message,
        })
    }
}

/// Letters, digits and `-_.+`, not beginning with a dot.
pub(crate) fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c))
}

/// Puts the values of `over` into `table`, section by section.
pub(crate) fn lay_over(table: &mut Table, over: Table) {
    for (key, value) in over {
        match (table.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                table.insert(key, value);
            }
        }
    }
}

fn read(path: &Path) -> Result<String, StudyError> {
    lacuna_io::text::read_toml(path).map_err(|source| StudyError::Read {
        path: path.to_owned(),
        source,
    })
}
