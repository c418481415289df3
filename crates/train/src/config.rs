//! The run configuration, `run.toml`.
//!
//! `run_template.toml` is the documentation of every key and the source of the
//! set of known keys; a test holds it equal to the defaults of the types.

mod budget;
mod check;
mod error;
mod keys;
mod memory;
mod predict;
mod train;

use std::path::{Path, PathBuf};

use lacuna_data::normalise::NormaliseConfig;
use lacuna_data::sampler::PatchConfig;
use lacuna_data::split::SplitConfig;
use lacuna_data::subject::{LabelResampling, NnunetConfig};
use lacuna_data::transform::TransformConfig;
use lacuna_losses::LossConfig;
use lacuna_nets::{ModelConfig, ModelName};
use serde::{Deserialize, Serialize};
use toml::Table;

pub use budget::Budget;
pub use error::ConfigError;
pub use keys::{apply_override, parse_override, parse_value};
use keys::{check_keys, flatten, with_suggestion};
pub use memory::MemoryLimit;
pub use predict::{PredictConfig, PredictOverrides};
pub(crate) use train::MOST_ACCUMULATED;
pub use train::{MOMENTUM, OptimiserName, TooLarge, TrainConfig, VoxelWeights};

/// The documented default configuration, as `lacuna config` prints it.
pub const TEMPLATE: &str = include_str!("run_template.toml");

/// A run for lesions in 3-D images, judged on whole volumes; docs/recipe.md has what each
/// part of it brought.
pub const LESIONS_3D: &str = include_str!("recipes/lesions_3d.toml");

/// A run for small lesions in MR images of brains with a T1, from few subjects.
pub const BRAIN_LESIONS_3D: &str = include_str!("recipes/brain_lesions_3d.toml");

/// `[geometry]`
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GeometryConfig {
    /// Voxel spacing in mm along right, anterior, superior; empty keeps each subject's own.
    pub spacing: Vec<f64>,
    /// How labels are brought to that spacing.
    pub labels: LabelResampling,
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
    /// Overlapping regions as sets of class names, larger ones first; empty where
    /// the network's channels are the classes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<Vec<String>>,
    /// What is done to each training patch, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transform: Vec<TransformConfig>,
    /// The loss.
    pub loss: LossConfig,
    /// Patch size and sampler.
    pub patch: PatchConfig,
    /// The training loop.
    pub train: TrainConfig,
    /// How it predicts unless it is told otherwise.
    pub predict: PredictConfig,
    /// How images are prepared in place of `geometry` and `normalise`, for a network that
    /// was trained by nnU-Net.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nnunet: Option<NnunetConfig>,
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
            regions: Vec::new(),
            transform: Vec::new(),
            loss: LossConfig::default(),
            patch: PatchConfig::default(),
            train: TrainConfig::default(),
            predict: PredictConfig::default(),
            nnunet: None,
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
        let text = lacuna_io::text::read_toml(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut config = Self::parse(&text, overrides, &path.display().to_string(), folder)?;
        // Whole, so that the copy in the run folder means the same file and folder.
        if let Some(from) = &mut config.train.from
            && let Ok(whole) = std::path::absolute(folder.join(&*from))
        {
            *from = whole;
        }
        config.dataset = std::fs::canonicalize(&config.dataset)
            .or_else(|_| std::path::absolute(&config.dataset))
            .map_err(|e| ConfigError::Invalid {
                origin: path.display().to_string(),
                message: format!(
                    "`dataset` is {:?}: {e}; name a dataset.toml",
                    config.dataset
                ),
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
        let mut config: Self =
            toml::from_str(text).map_err(|e| invalid(origin, with_suggestion(&e.to_string())))?;
        for set in overrides {
            apply_override(&mut table, set)?;
        }
        if !overrides.is_empty() {
            // All at once: an option may belong to a loss that a later one names.
            let sets: Vec<String> = overrides.iter().map(|s| format!("--set {s}")).collect();
            config = (table.try_into()).map_err(|e: toml::de::Error| {
                invalid(&sets.join(" "), with_suggestion(e.message()))
            })?;
        }
        config.check(origin)?;
        // Options left out are written out, so that the run records what it used.
        if config.model.name == ModelName::TwoPathCnn {
            config.model.preset.get_or_insert_default();
        }
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
}

#[cfg(test)]
mod tests {
    use super::keys::{documented_as, full_template, known_keys};
    use super::*;
    use lacuna_data::normalise::NormaliseMethod;
    use lacuna_losses::NamedLoss;

    fn parse(text: &str, sets: &[&str]) -> Result<RunConfig, ConfigError> {
        let sets: Vec<String> = sets.iter().map(|s| (*s).to_owned()).collect();
        RunConfig::parse(text, &sets, "run.toml", Path::new(""))
    }

    #[test]
    fn the_template_states_the_defaults() {
        let stated: RunConfig = toml::from_str(TEMPLATE).unwrap();
        assert_eq!(stated, RunConfig::default());
        assert_eq!(parse("", &[]).unwrap(), parse(TEMPLATE, &[]).unwrap());
    }

    #[test]
    fn recipes_are_runs() {
        let recipe = parse(LESIONS_3D, &[]).unwrap();
        assert!(recipe.model.plan(2, 2).is_ok());
        assert_eq!(recipe.patch.sampler.parts().len(), 3);
        let brain = parse(BRAIN_LESIONS_3D, &[]).unwrap();
        assert!(brain.model.plan(3, 2).is_ok());
        assert_eq!(brain.normalise.method, NormaliseMethod::GreyMatter);
    }

    #[test]
    fn the_template_has_every_key_of_the_types() {
        let known = known_keys();
        for named in NamedLoss::all() {
            let mut config = RunConfig::default();
            config.loss.named = named;
            let mut keys = Vec::new();
            flatten(&Table::try_from(config).unwrap(), "", &mut keys);
            for (key, _) in keys {
                let key = documented_as(&key);
                assert!(known.contains(&key), "{key} is not in the template");
            }
        }
    }

    /// Each transform stands in the template with all its options and their defaults.
    #[test]
    fn the_template_states_the_defaults_of_the_transforms() {
        let stated = TEMPLATE
            .lines()
            .filter_map(|line| line.strip_prefix("#   "));
        let mut names = Vec::new();
        for entry in stated.filter(|line| line.starts_with("{ name = ")) {
            let table: Table = format!("v = {entry}").parse().unwrap();
            let table = table["v"].as_table().unwrap();
            let name = table["name"].as_str().unwrap();
            let bare = match name {
                "flip" => "name = \"flip\"\naxes = [\"left-right\"]".to_owned(),
                _ => format!("name = {name:?}"),
            };
            let defaults: TransformConfig = toml::from_str(&bare).unwrap();
            let read: TransformConfig = table.clone().try_into().unwrap();
            assert_eq!(read, defaults, "{name}");
            // What is empty is not written, and has to stand there all the same.
            let mut written = Table::try_from(&read).unwrap();
            for axes in ["axes", "rotation_axes"]
                .into_iter()
                .filter(|key| table.contains_key(*key))
            {
                written
                    .entry(axes)
                    .or_insert_with(|| toml::Value::Array(Vec::new()));
            }
            assert_eq!(&written, table, "{name}");
            names.push(name.to_owned());
        }
        assert_eq!(names, TransformConfig::NAMES);
    }

    #[test]
    fn every_key_of_the_template_is_a_key_of_the_types() {
        let mut table: Table = full_template().parse().unwrap();
        let loss = table.remove("loss").unwrap();
        toml::from_str::<RunConfig>(&toml::to_string(&table).unwrap()).unwrap();
        // Each option beside the name of a loss that has it.
        for (key, value) in loss.as_table().unwrap() {
            let takes = |named: &NamedLoss| {
                let mut table = Table::try_from(named).unwrap();
                table.insert(key.clone(), value.clone());
                table.try_into::<LossConfig>().is_ok()
            };
            assert!(NamedLoss::all().iter().any(takes), "{key}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_a_suggestion() {
        let error = parse("[train]\nlearning_rat = 1e-3\n", &[]).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("did you mean `train.learning_rate`?"),
            "{error}"
        );
        let error = parse("", &["loss.nam=dice"]).unwrap_err();
        assert!(
            error.to_string().contains("did you mean `loss.name`?"),
            "{error}"
        );
    }

    #[test]
    fn an_unknown_value_is_refused_with_a_suggestion() {
        for (set, meant) in [
            ("loss.name=gdl", "`generalised-dice`"),
            ("loss.name=Generalized_Dice", "`generalised-dice`"),
            ("loss.name=dsc", "`dice`"),
            ("loss.name=ce", "`cross-entropy`"),
            (
                "model.name=nnunet",
                "`plain-conv-unet` or `residual-encoder-unet`",
            ),
            ("model.name=deepmedic", "`deep-medic`"),
            ("patch.sampler=balance", "`balanced`"),
            ("train.optimiser=momentum", "`sgd`"),
        ] {
            let (key, value) = set.split_once('=').unwrap();
            let (table, key) = key.split_once('.').unwrap();
            let text = format!("[{table}]\n{key} = \"{value}\"\n");
            for error in [parse("", &[set]), parse(&text, &[])] {
                let error = error.unwrap_err().to_string();
                let expected = format!("; did you mean {meant}?");
                assert!(error.ends_with(&expected), "{error}");
            }
        }
        // Nothing is like it, so that nothing is guessed.
        let error = parse("", &["loss.name=qqqq"]).unwrap_err().to_string();
        assert!(!error.contains("did you mean"), "{error}");
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
    fn options_left_out_are_recorded() {
        let config = parse("[loss]\nname = \"dice\"", &["model.name=two-path-cnn"]).unwrap();
        let text = config.to_toml().unwrap();
        assert!(text.contains("form = \"plain\""), "{text}");
        assert!(text.contains("preset = \"havaei\""), "{text}");
        // What was recorded reads back as the same configuration.
        assert_eq!(parse(&text, &[]).unwrap(), config);
    }

    #[test]
    fn an_option_of_another_loss_is_refused() {
        let error = parse("[loss]\nlambda = 0.1", &[]).unwrap_err();
        assert!(error.to_string().starts_with("run.toml: "), "{error}");
        for text in [
            "lambda = 2.0\nname = 'sensitivity-specificity'",
            "reduction = 'none'",
        ] {
            let error = parse(&format!("[loss]\n{text}"), &[]).unwrap_err();
            assert!(error.to_string().contains("expected"), "{error}");
        }
        let nested = "[loss]\nname = 'blob'\nloss = { name = 'tversky', beta = 0.9 }";
        assert!(parse(nested, &[]).is_ok());
        assert!(
            parse(
                "[loss]\nname = 'blob'\nloss = { name = 'tversky', bta = 1 }",
                &[]
            )
            .is_err()
        );
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
