//! The run configuration, `run.toml`.
//!
//! `run_template.toml` is the documentation of every key and the source of the
//! set of known keys; a test holds it equal to the defaults of the types.

use std::path::{Path, PathBuf};

use lacuna_data::normalise::NormaliseConfig;
use lacuna_data::sampler::PatchConfig;
use lacuna_data::split::SplitConfig;
use lacuna_losses::LossConfig;
use lacuna_nets::ModelConfig;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

/// The documented default configuration, as `lacuna config` prints it.
pub const TEMPLATE: &str = include_str!("run_template.toml");

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the run configuration {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not TOML, or a value of the wrong type.
    #[error("{origin}: {message}")]
    Invalid {
        /// The file, or the `--set` argument.
        origin: String,
        /// Line, found and expected.
        message: String,
    },
    /// A key that no part of the configuration has.
    #[error("{origin}: unknown key `{key}`{suggestion}; `lacuna config` prints every key")]
    UnknownKey {
        /// The file, or the `--set` argument.
        origin: String,
        /// Dotted key.
        key: String,
        /// ", did you mean `...`?" or empty.
        suggestion: String,
    },
    /// A value outside its range.
    #[error("{origin}: `{key}` is {found}, expected {expected}")]
    Range {
        /// The file.
        origin: String,
        /// Dotted key.
        key: &'static str,
        /// The value.
        found: String,
        /// The legal values.
        expected: &'static str,
    },
}

/// The optimiser of the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimiserName {
    /// Adam (Kingma and Ba 2015): betas 0.9 and 0.999, epsilon 1e-8.
    #[default]
    Adam,
    /// Stochastic gradient descent with momentum 0.9, no dampening.
    Sgd,
}

/// `[train]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Number of optimiser steps.
    pub iterations: u64,
    /// Patches per iteration.
    pub batch: usize,
    /// Constant learning rate.
    pub learning_rate: f64,
    /// The optimiser.
    pub optimiser: OptimiserName,
    /// Iterations between checkpoints.
    pub checkpoint_every: u64,
    /// Iterations between validations; 0 means only at the end.
    pub validate_every: u64,
    /// Threads that cut patches ahead.
    pub loader_threads: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            iterations: 1000,
            batch: 3,
            learning_rate: 1e-4,
            optimiser: OptimiserName::Adam,
            checkpoint_every: 100,
            validate_every: 0,
            loader_threads: 1,
        }
    }
}

/// `[geometry]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeometryConfig {
    /// Voxel spacing in mm along right, anterior, superior; empty keeps each subject's own.
    pub spacing: Vec<f64>,
}

/// The whole of `run.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunConfig {
    /// The dataset manifest.
    pub dataset: PathBuf,
    /// Key of every random number of the run.
    pub seed: u64,
    /// Which subjects train, validate and test.
    pub split: SplitConfig,
    /// The grid on which the network works.
    pub geometry: GeometryConfig,
    /// Intensity normalisation.
    pub normalise: NormaliseConfig,
    /// The network.
    pub model: ModelConfig,
    /// The loss.
    pub loss: LossConfig,
    /// Patch size and sampler.
    pub patch: PatchConfig,
    /// The training loop.
    pub train: TrainConfig,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            dataset: PathBuf::from("dataset.toml"),
            seed: 0,
            split: SplitConfig::default(),
            geometry: GeometryConfig::default(),
            normalise: NormaliseConfig::default(),
            model: ModelConfig::default(),
            loss: LossConfig::default(),
            patch: PatchConfig::default(),
            train: TrainConfig::default(),
        }
    }
}

impl RunConfig {
    /// Reads `path`, applies `overrides` of the form `a.b=value`, checks keys and
    /// ranges, and makes the dataset path absolute, starting from the file's folder.
    ///
    /// # Errors
    /// [`ConfigError`], naming the file or the override.
    pub fn read(path: &Path, overrides: &[String]) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut config = Self::parse(&text, overrides, &path.display().to_string(), folder)?;
        // Whole, so that the copy in the run folder means the same file.
        config.dataset = std::fs::canonicalize(&config.dataset)
            .or_else(|_| std::path::absolute(&config.dataset))
            .map_err(|e| ConfigError::Invalid {
                origin: path.display().to_string(),
                message: format!("`dataset` is {:?}: {e}; name a dataset.toml", config.dataset),
            })?;
        Ok(config)
    }

    /// As [`Self::read`], from text; `origin` is named in errors and `folder` is
    /// where a relative dataset path starts.
    ///
    /// # Errors
    /// [`ConfigError`], naming `origin` or the override.
    pub fn parse(
        text: &str,
        overrides: &[String],
        origin: &str,
        folder: &Path,
    ) -> Result<Self, ConfigError> {
        let invalid = |origin: &str, message: String| ConfigError::Invalid {
            origin: origin.to_owned(),
            message,
        };
        let mut table: Table = text
            .parse()
            .map_err(|e: toml::de::Error| invalid(origin, e.to_string()))?;
        check_keys(&table, origin)?;
        // From the text, so that an error shows the line and the offending value.
        let mut config: Self = toml::from_str(text).map_err(|e| invalid(origin, e.to_string()))?;
        for set in overrides {
            apply_override(&mut table, set)?;
            config = (table.clone().try_into()).map_err(|e: toml::de::Error| {
                invalid(&format!("--set {set}"), e.message().to_owned())
            })?;
        }
        config.check_ranges(origin)?;
        config.dataset = folder.join(&config.dataset);
        Ok(config)
    }

    /// The effective configuration as TOML.
    ///
    /// # Errors
    /// When a path is not valid Unicode.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self).map_err(|e| ConfigError::Invalid {
            origin: "the run configuration".to_owned(),
            message: format!("cannot be written as TOML: {e}; rename {:?}", self.dataset),
        })
    }

    /// Dotted keys whose values differ between two configurations, with both values.
    pub fn differences(&self, other: &Self) -> Vec<(String, String, String)> {
        let flat = |config: &Self| {
            let mut out = Vec::new();
            if let Ok(table) = Table::try_from(config) {
                flatten(&table, "", &mut out);
            }
            out
        };
        let (left, right) = (flat(self), flat(other));
        let value = |list: &[(String, String)], key: &str| {
            list.iter()
                .find(|(k, _)| k == key)
                .map_or_else(|| "unset".to_owned(), |(_, v)| v.clone())
        };
        let mut keys: Vec<&String> = left.iter().chain(&right).map(|(k, _)| k).collect();
        keys.sort();
        keys.dedup();
        keys.into_iter()
            .map(|k| (k.clone(), value(&left, k), value(&right, k)))
            .filter(|(_, a, b)| a != b)
            .collect()
    }

    fn check_ranges(&self, origin: &str) -> Result<(), ConfigError> {
        let require = |ok: bool, key: &'static str, found: String, expected: &'static str| {
            if ok {
                return Ok(());
            }
            Err(ConfigError::Range {
                origin: origin.to_owned(),
                key,
                found,
                expected,
            })
        };
        let t = &self.train;
        let count = "an integer of 1 or more";
        require(t.iterations > 0, "train.iterations", t.iterations.to_string(), count)?;
        require(
            (1..=4096).contains(&t.batch),
            "train.batch",
            t.batch.to_string(),
            "an integer from 1 to 4096",
        )?;
        require(
            t.checkpoint_every > 0,
            "train.checkpoint_every",
            t.checkpoint_every.to_string(),
            count,
        )?;
        require(
            (1..=256).contains(&t.loader_threads),
            "train.loader_threads",
            t.loader_threads.to_string(),
            "an integer from 1 to 256",
        )?;
        require(
            t.learning_rate.is_finite() && t.learning_rate > 0.0,
            "train.learning_rate",
            t.learning_rate.to_string(),
            "a positive number",
        )?;
        let spacing = &self.geometry.spacing;
        require(
            spacing.is_empty()
                || spacing.len() == 3 && spacing.iter().all(|s| s.is_finite() && *s > 0.0),
            "geometry.spacing",
            format!("{spacing:?}"),
            "[] or three positive numbers in mm",
        )
    }
}

/// Applies `a.b=value`; the value is TOML, or else a bare string.
fn apply_override(table: &mut Table, set: &str) -> Result<(), ConfigError> {
    let origin = format!("--set {set}");
    let invalid = |message: &str| ConfigError::Invalid {
        origin: origin.clone(),
        message: message.to_owned(),
    };
    let (key, value) = set
        .split_once('=')
        .ok_or_else(|| invalid("expected the form key=value, for example train.batch=5"))?;
    let (key, value) = (key.trim(), value.trim());
    let value = format!("v = {value}")
        .parse::<Table>()
        .ok()
        .and_then(|mut t| t.remove("v"))
        .unwrap_or_else(|| Value::String(value.to_owned()));
    let mut parts: Vec<&str> = key.split('.').collect();
    let last = parts.pop().unwrap_or_default();
    let nested = parts.iter().rev().fold(
        Table::from_iter([(last.to_owned(), value.clone())]),
        |inner, part| Table::from_iter([((*part).to_owned(), Value::Table(inner))]),
    );
    check_keys(&nested, &origin)?;
    let mut target = table;
    for part in parts {
        target = target
            .entry(part)
            .or_insert_with(|| Value::Table(Table::new()))
            .as_table_mut()
            .ok_or_else(|| invalid("the key is not a table in the file"))?;
    }
    target.insert(last.to_owned(), value);
    Ok(())
}

/// Refuses keys that the template does not have.
fn check_keys(table: &Table, origin: &str) -> Result<(), ConfigError> {
    let known = known_keys();
    let mut found = Vec::new();
    flatten(table, "", &mut found);
    for (key, _) in found {
        if !known.contains(&key) {
            return Err(ConfigError::UnknownKey {
                origin: origin.to_owned(),
                suggestion: suggestion(&key, &known),
                key,
            });
        }
    }
    Ok(())
}

/// Dotted keys of the template, those without a default included.
fn known_keys() -> Vec<String> {
    let table: Table = full_template()
        .parse()
        .expect("the template is TOML; a test parses it");
    let mut out = Vec::new();
    flatten(&table, "", &mut out);
    out.into_iter().map(|(k, _)| k).collect()
}

/// The template with the keys that start with `#` made active.
fn full_template() -> String {
    TEMPLATE
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn flatten(table: &Table, prefix: &str, out: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let path = if prefix.is_empty() {
            key.clone()
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            Value::Table(inner) => flatten(inner, &path, out),
            other => out.push((path, other.to_string())),
        }
    }
}

/// The nearest known key, by its last part first, when one is near enough.
fn suggestion(key: &str, known: &[String]) -> String {
    let last = |k: &str| k.rsplit('.').next().unwrap_or(k).to_owned();
    let score = |k: &String| {
        strsim::jaro_winkler(key, k).max(strsim::jaro_winkler(&last(key), &last(k)) - 0.01)
    };
    known
        .iter()
        .max_by(|a, b| score(a).total_cmp(&score(b)))
        .filter(|k| score(k) > 0.75)
        .map_or_else(String::new, |k| format!(", did you mean `{k}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, sets: &[&str]) -> Result<RunConfig, ConfigError> {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        RunConfig::parse(text, &sets, "run.toml", Path::new(""))
    }

    #[test]
    fn the_template_states_the_defaults() {
        assert_eq!(parse(TEMPLATE, &[]).unwrap(), RunConfig::default());
        assert_eq!(parse("", &[]).unwrap(), RunConfig::default());
    }

    #[test]
    fn the_template_has_every_key_of_the_types() {
        let mut keys = Vec::new();
        let table = Table::try_from(RunConfig::default()).unwrap();
        flatten(&table, "", &mut keys);
        let known = known_keys();
        for (key, _) in keys {
            assert!(known.contains(&key), "{key} is not in the template");
        }
    }

    #[test]
    fn every_key_of_the_template_is_a_key_of_the_types() {
        // Deserialising one key at a time shows an unknown one.
        let table: Table = full_template().parse().unwrap();
        toml::from_str::<RunConfig>(&toml::to_string(&table).unwrap()).unwrap();
    }

    #[test]
    fn an_unknown_key_is_refused_with_a_suggestion() {
        let error = parse("[train]\nlearning_rat = 1e-3\n", &[]).unwrap_err();
        assert!(
            error.to_string().contains("did you mean `train.learning_rate`?"),
            "{error}"
        );
        let error = parse("", &["loss.nam=dice"]).unwrap_err();
        assert!(error.to_string().contains("did you mean `loss.name`?"), "{error}");
    }

    #[test]
    fn overrides_win_over_the_file() {
        let config = parse(
            "[train]\nbatch = 3\n",
            &["train.batch=5", "loss.name=dice", "split.train=[\"a\"]"],
        )
        .unwrap();
        assert_eq!(config.train.batch, 5);
        assert_eq!(config.split.train, ["a"]);
    }

    #[test]
    fn out_of_range_values_are_refused() {
        let error = parse("[train]\nlearning_rate = -1.0\n", &[]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "run.toml: `train.learning_rate` is -1, expected a positive number"
        );
        assert!(parse("[geometry]\nspacing = [1.0, 1.0]\n", &[]).is_err());
    }

    #[test]
    fn differences_name_the_keys() {
        let a = RunConfig::default();
        let mut b = a.clone();
        b.train.batch = 7;
        assert_eq!(
            a.differences(&b),
            [("train.batch".to_owned(), "3".to_owned(), "7".to_owned())]
        );
    }
}
