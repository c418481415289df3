//! `postprocess.toml`: what becomes of a prediction before it is written.
//!
//! ```toml
//! classes = ["background", "lesion"]  # those of the run, so that no other dataset's file is taken
//! dataset = "my-study"                # may be left out
//! temperature = 1.4                   # may be left out
//!
//! [foreground]                        # for each class but the background
//! threshold = 0.4
//! min_volume_mm3 = 10
//!
//! [class.lesion]                      # for this class; a key here goes before that above
//! min_peak_probability = 0.7
//! largest_component = true
//! ```
//!
//! Probabilities are first made less sure (above 1) or more by the temperature, to which
//! every threshold below refers; they are written so, too. Then each voxel gets its class, by
//! the thresholds where there are any. Then, for each
//! class by itself, connected components (voxels that share a face, an edge or a corner)
//! that are too small are removed, then those whose peak is too low, then all but the
//! largest of those that are left; their voxels become background. All of this is done on
//! the grid of the subject's first image, on which labels are written: what the file asks
//! for holds for what is read from them. Thresholds and components change no probability.

mod clean;
mod error;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lacuna_data::manifest::closest;
use lacuna_record::CleanedClass;
use lacuna_tune::Temperature;
use lacuna_volume::{LabelMap, Volume};
use serde::{Deserialize, Serialize};
use toml::Table;

pub use error::PostprocessError;

use crate::apply::TrainedRun;
use crate::outputs::Outputs;

/// `postprocess.toml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postprocess {
    /// The file.
    #[serde(skip)]
    pub path: PathBuf,
    /// Name of the dataset that the runs were trained on, when it shall be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<String>,
    /// Class names of the runs, background first.
    pub classes: Vec<String>,
    /// What the log of every probability is divided by, 0.01 to 100 (Guo et al. 2017).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// What is asked of each class but the background.
    #[serde(default)]
    pub foreground: Rules,
    /// What is asked of a class of that name; its keys go before those of `foreground`.
    #[serde(default)]
    pub class: BTreeMap<String, Rules>,
}

/// What is asked of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// Least probability of a voxel of the class, above 0 and at most 1. A voxel gets the
    /// class that is likeliest among those at or above their thresholds; a class without
    /// one is among them where it is likelier than all others. With regions it is that of
    /// the region whose last class this is, instead of more than 1/2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Least volume of a component in mm³, 0 or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_volume_mm3: Option<f64>,
    /// Least probability of the class that some voxel of a component has, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_peak_probability: Option<f64>,
    /// Keep only the largest component; of equal ones the first in memory, x fastest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest_component: Option<bool>,
}

/// The keys of [`Rules`].
const RULES: [&str; 4] = [
    "threshold",
    "min_volume_mm3",
    "min_peak_probability",
    "largest_component",
];

impl Rules {
    /// These, and where they say nothing, the `others`.
    fn or(self, others: Self) -> Self {
        Self {
            threshold: self.threshold.or(others.threshold),
            min_volume_mm3: self.min_volume_mm3.or(others.min_volume_mm3),
            min_peak_probability: self.min_peak_probability.or(others.min_peak_probability),
            largest_component: self.largest_component.or(others.largest_component),
        }
    }

    /// Whether components are asked for.
    fn of_components(self) -> bool {
        let without = Self {
            threshold: None,
            ..self
        };
        without != Self::default()
    }

    /// Refuses values that no probability or volume can have.
    fn check(self, path: &Path, table: &str) -> Result<(), PostprocessError> {
        let require = |ok: bool, key, found: Option<f64>, expected| match ok {
            true => Ok(()),
            false => Err(PostprocessError::Range {
                path: path.to_owned(),
                key: format!("{table}.{key}"),
                found: found.unwrap_or_default(),
                expected,
            }),
        };
        require(
            self.threshold.is_none_or(|p| p > 0.0 && p <= 1.0),
            "threshold",
            self.threshold,
            "a probability above 0, at most 1",
        )?;
        require(
            self.min_volume_mm3
                .is_none_or(|v| v.is_finite() && v >= 0.0),
            "min_volume_mm3",
            self.min_volume_mm3,
            "a volume in mm3, 0 or more",
        )?;
        require(
            self.min_peak_probability
                .is_none_or(|p| (0.0..=1.0).contains(&p)),
            "min_peak_probability",
            self.min_peak_probability,
            "a probability from 0 to 1",
        )
    }
}

impl Postprocess {
    /// Reads `path` and checks its keys and values.
    ///
    /// # Errors
    /// [`PostprocessError`]
    pub fn read(path: &Path) -> Result<Self, PostprocessError> {
        let text = lacuna_io::text::read_toml(path).map_err(|source| PostprocessError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// As [`Self::read`], from the text of the file `path`.
    ///
    /// # Errors
    /// [`PostprocessError`]
    pub fn parse(text: &str, path: &Path) -> Result<Self, PostprocessError> {
        let syntax = |error: toml::de::Error| PostprocessError::Syntax {
            path: path.to_owned(),
            message: error.to_string().trim_end().to_owned(),
        };
        check_keys(&text.parse().map_err(syntax)?, path)?;
        // From the text, so that an error shows the line and the offending value.
        let read: Self = toml::from_str(text).map_err(syntax)?;
        let read = Self {
            path: path.to_owned(),
            ..read
        };
        if let Some(found) = (read.temperature).filter(|t| !(0.01..=100.0).contains(t)) {
            return Err(PostprocessError::Range {
                path: path.to_owned(),
                key: "temperature".to_owned(),
                found,
                expected: "a number from 0.01 to 100",
            });
        }
        read.foreground.check(path, "foreground")?;
        for (class, rules) in &read.class {
            let foreground = read.foreground_classes();
            if !foreground.contains(class) {
                return Err(PostprocessError::UnknownClass {
                    path: path.to_owned(),
                    class: class.clone(),
                    suggestion: suggestion(class, foreground.iter().map(String::as_str)),
                    expected: foreground.join(", "),
                });
            }
            rules.check(path, &format!("class.{class}"))?;
        }
        let asks = |rules: &Rules| *rules != Rules::default();
        let tempers = read.temperature.is_some();
        match tempers || asks(&read.foreground) || read.class.values().any(asks) {
            true => Ok(read),
            false => Err(PostprocessError::Nothing {
                path: path.to_owned(),
            }),
        }
    }

    /// Refuses a run of other classes or of another dataset.
    ///
    /// # Errors
    /// [`PostprocessError::OtherClasses`], [`PostprocessError::OtherDataset`]
    pub fn check_run(&self, run: &TrainedRun) -> Result<(), PostprocessError> {
        if self.classes != run.facts.classes {
            return Err(PostprocessError::OtherClasses {
                path: self.path.clone(),
                found: self.classes.clone(),
                run: run.path.clone(),
                expected: run.facts.classes.clone(),
            });
        }
        match &self.dataset {
            Some(found) if *found != run.facts.name => Err(PostprocessError::OtherDataset {
                path: self.path.clone(),
                found: found.clone(),
                run: run.path.clone(),
                expected: run.facts.name.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Its values, as `predictions.json` records them.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("names and finite numbers")
    }

    fn foreground_classes(&self) -> &[String] {
        self.classes.get(1..).unwrap_or_default()
    }

    /// What is asked of a class.
    fn rules(&self, class: &str) -> Rules {
        let own = self.class.get(class).copied().unwrap_or_default();
        own.or(self.foreground)
    }

    /// The same outputs with its temperature and thresholds.
    pub(crate) fn outputs(&self, of_run: &Outputs) -> Outputs {
        let temperature = self.temperature.map(|value| Temperature { value });
        (of_run.clone())
            .with_temperature(temperature)
            .with_thresholds(self.thresholds())
    }

    /// Labels of probabilities that are tempered already, `[class or region]` volumes on
    /// one grid, and what was removed of each class.
    pub fn labels(
        &self,
        of_run: &Outputs,
        probabilities: &[Volume<f32>],
    ) -> (LabelMap, Vec<CleanedClass>) {
        let outputs = self.outputs(of_run);
        let mut labels = outputs.labels(probabilities);
        let painted = self
            .needs_peaks()
            .then(|| outputs.painted_of(&labels, probabilities));
        let cleaned = self.clean(&mut labels, painted.as_ref());
        (labels, cleaned)
    }

    /// The threshold of each class, that of the background `None`.
    fn thresholds(&self) -> Vec<Option<f32>> {
        let of_class = |class: &String| self.rules(class).threshold.map(|p| p as f32);
        let foreground = self.foreground_classes().iter().map(of_class);
        std::iter::once(None).chain(foreground).collect()
    }

    /// Whether the probability of each voxel's class is asked for.
    pub(crate) fn needs_peaks(&self) -> bool {
        let needs = |class: &String| self.rules(class).min_peak_probability.is_some();
        self.foreground_classes().iter().any(needs)
    }
}

/// Refuses keys that there are not.
fn check_keys(table: &Table, path: &Path) -> Result<(), PostprocessError> {
    const KEYS: [&str; 5] = ["dataset", "classes", "temperature", "foreground", "class"];
    let check = |prefix: &str, table: &Table, known: &[&str]| {
        let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) else {
            return Ok(());
        };
        Err(PostprocessError::UnknownKey {
            path: path.to_owned(),
            key: format!("{prefix}{key}"),
            suggestion: suggestion(key, known.iter().copied()),
            expected: known.join(", "),
        })
    };
    check("", table, &KEYS)?;
    if let Some(rules) = table.get("foreground").and_then(|v| v.as_table()) {
        check("foreground.", rules, &RULES)?;
    }
    let classes = table.get("class").and_then(|v| v.as_table());
    for (class, rules) in classes.into_iter().flatten() {
        if let Some(rules) = rules.as_table() {
            check(&format!("class.{class}."), rules, &RULES)?;
        }
    }
    Ok(())
}

/// ", did you mean `...`?" or empty.
fn suggestion<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let closest = closest(found, known);
    closest.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Postprocess, PostprocessError> {
        let text = format!("classes = [\"background\", \"rim\", \"core\"]\n{text}");
        Postprocess::parse(&text, Path::new("postprocess.toml"))
    }

    #[test]
    fn a_class_goes_before_the_foreground() {
        let text = "[foreground]\nthreshold = 0.4\nmin_volume_mm3 = 10\n\
                    [class.core]\nthreshold = 0.6\nlargest_component = true\n";
        let read = parse(text).unwrap();
        assert_eq!(read.thresholds(), [None, Some(0.4), Some(0.6)]);
        let core = read.rules("core");
        assert_eq!(
            (core.min_volume_mm3, core.largest_component),
            (Some(10.0), Some(true))
        );
        assert_eq!(read.rules("rim").largest_component, None);
        assert!(!read.needs_peaks());
        assert!(
            parse("[class.rim]\nmin_peak_probability = 0.5\n")
                .unwrap()
                .needs_peaks()
        );
        assert!(
            !Rules {
                threshold: Some(0.5),
                ..Rules::default()
            }
            .of_components()
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_what_is_meant() {
        for (text, parts) in [
            (
                "[foregrund]\nthreshold = 0.4\n",
                ["`foregrund`", "`foreground`?"],
            ),
            (
                "[foreground]\ntreshold = 0.4\n",
                ["`foreground.treshold`", "`threshold`?"],
            ),
            (
                "[class.core]\nmin_volume = 4\n",
                ["`class.core.min_volume`", "`min_volume_mm3`?"],
            ),
            ("[class.cores]\nthreshold = 0.4\n", ["`cores`", "`core`?"]),
            (
                "[class.background]\nthreshold = 0.4\n",
                ["`background`", "rim, core"],
            ),
            (
                "[foreground]\nthreshold = 0\n",
                ["`foreground.threshold` is 0", "above 0"],
            ),
            (
                "[foreground]\nthreshold = nan\n",
                ["`foreground.threshold` is NaN", "above 0"],
            ),
            (
                "[class.rim]\nmin_volume_mm3 = -1\n",
                ["`class.rim.min_volume_mm3` is -1", "0 or more"],
            ),
            (
                "[class.rim]\nmin_peak_probability = 1.5\n",
                ["is 1.5", "from 0 to 1"],
            ),
            (
                "[class.rim]\nlargest_component = 1\n",
                ["line 3", "boolean"],
            ),
            ("temperature = 0\n", ["`temperature` is 0", "0.01 to 100"]),
            ("", ["asks for nothing", "[foreground]"]),
            ("foreground = 3\n", ["line 2", "foreground"]),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("postprocess.toml: "), "{error}");
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
        let missing = Postprocess::parse("[foreground]\nthreshold = 0.5", Path::new("p.toml"));
        assert!(
            missing
                .unwrap_err()
                .to_string()
                .contains("missing field `classes`")
        );
    }
}
