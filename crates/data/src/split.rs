//! Which subjects train, validate and test.
//!
//! A split is always by subject: no two parts ever share one. It is either
//! written out as lists, or drawn with the run's seed as fractions or folds.
//! A drawn split depends on the seed and the set of ids, not on their order.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::manifest::closest;
use crate::rng::{Domain, keyed_rng};

/// The `[split]` section of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SplitConfig {
    /// Ids that train. Empty: every labelled subject that is not named below.
    pub train: Vec<String>,
    /// Ids for validation.
    pub validation: Vec<String>,
    /// Ids for test.
    pub test: Vec<String>,
    /// Instead of lists: share of the labelled subjects drawn for test, rounded
    /// to the nearest count and at least one subject; 0 draws none.
    pub test_fraction: f64,
    /// Instead of lists: share of the labelled subjects drawn for validation,
    /// rounded likewise; it may be combined with `folds`. 0 draws none.
    pub validation_fraction: f64,
    /// Instead of `test_fraction`: cut the labelled subjects into this many
    /// equal folds and test on one of them; 0 makes none.
    pub folds: usize,
    /// The fold to test on, counted from 0.
    pub fold: usize,
}

/// Subjects of each part, in the order of the dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    /// Ids that train; never empty.
    pub train: Vec<String>,
    /// Ids for validation.
    pub validation: Vec<String>,
    /// Ids for test.
    pub test: Vec<String>,
}

/// Why no split can be made.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// A list names a subject that cannot be used.
    #[error(
        "[split] {list} names `{id}`, which is none of the {labelled} labelled subjects of the \
         dataset{}", suggestion.as_ref().map(|s| format!("; did you mean `{s}`?")).unwrap_or_default()
    )]
    Unknown {
        /// The key that names it.
        list: &'static str,
        /// The id.
        id: String,
        /// Number of subjects with a label.
        labelled: usize,
        /// The most similar id of a labelled subject.
        suggestion: Option<String>,
    },
    /// One subject is in two lists, or twice in one.
    #[error(
        "[split] names `{id}` in {first} and again in {second}; a subject belongs to one part, \
         once: remove one of the two"
    )]
    Repeated {
        /// The id.
        id: String,
        /// The key that names it first.
        first: &'static str,
        /// The key that names it again.
        second: &'static str,
    },
    /// Lists and a draw were both asked for.
    #[error(
        "[split] gives lists of subjects together with {drawn}; keep the lists, or remove them \
         and let the seed draw the parts"
    )]
    ListsAndDraw {
        /// The key that asks for a draw.
        drawn: &'static str,
    },
    /// Both ways of drawing the test subjects were asked for.
    #[error(
        "[split] gives both test_fraction and folds; folds already choose the test subjects: \
         remove one of the two"
    )]
    FractionAndFolds,
    /// A share outside [0, 1).
    #[error("[split] {key} = {value} must be at least 0 and below 1")]
    Fraction {
        /// The key.
        key: &'static str,
        /// What it holds.
        value: f64,
    },
    /// The fold does not exist.
    #[error("[split] fold = {fold} does not exist with folds = {folds}: {}",
        if *folds == 0 { "set folds as well, or remove fold".to_owned() }
        else { format!("choose 0 to {}", folds - 1) })]
    Fold {
        /// Fold asked for.
        fold: usize,
        /// Number of folds.
        folds: usize,
    },
    /// A fold would be empty, or nothing would be left to train on.
    #[error(
        "[split] folds = {folds} must be at least 2 and at most the number of labelled subjects, \
         which is {labelled}"
    )]
    Folds {
        /// Number of folds.
        folds: usize,
        /// Number of subjects with a label.
        labelled: usize,
    },
    /// Nobody is left to train on.
    #[error(
        "[split] leaves no subject to train on: of {labelled} labelled subjects {validation} \
         validate and {test} test; give fewer to these, or add labelled subjects to the dataset"
    )]
    NothingToTrain {
        /// Number of subjects with a label.
        labelled: usize,
        /// Number that validate.
        validation: usize,
        /// Number that test.
        test: usize,
    },
}

impl SplitConfig {
    /// The parts, for a dataset whose labelled subjects are `labelled_ids`
    /// (all different).
    ///
    /// # Errors
    /// When a list names a subject that is unknown or already used, when lists
    /// and a draw are mixed, when a fraction or a fold is out of range, and when
    /// nobody is left to train on.
    pub fn resolve(&self, labelled_ids: &[String], seed: u64) -> Result<Split, SplitError> {
        let has_lists =
            !(self.train.is_empty() && self.validation.is_empty() && self.test.is_empty());
        let drawn = self.drawn_by()?;
        let split = match (has_lists, drawn) {
            (true, Some(drawn)) => return Err(SplitError::ListsAndDraw { drawn }),
            (false, Some(_)) => self.draw(labelled_ids, seed)?,
            (_, None) => self.listed(labelled_ids)?,
        };
        if split.train.is_empty() {
            return Err(SplitError::NothingToTrain {
                labelled: labelled_ids.len(),
                validation: split.validation.len(),
                test: split.test.len(),
            });
        }
        Ok(split)
    }

    /// The key that asks for a draw, once all such keys are known to be in range.
    fn drawn_by(&self) -> Result<Option<&'static str>, SplitError> {
        let fractions = [
            ("test_fraction", self.test_fraction),
            ("validation_fraction", self.validation_fraction),
        ];
        for (key, value) in fractions {
            if !(0.0..1.0).contains(&value) {
                return Err(SplitError::Fraction { key, value });
            }
        }
        if self.fold > 0 && self.fold >= self.folds {
            return Err(SplitError::Fold {
                fold: self.fold,
                folds: self.folds,
            });
        }
        if self.folds > 0 && self.test_fraction > 0.0 {
            return Err(SplitError::FractionAndFolds);
        }
        if self.folds > 0 {
            return Ok(Some("folds"));
        }
        Ok(fractions
            .iter()
            .find(|(_, value)| *value > 0.0)
            .map(|(key, _)| *key))
    }

    fn listed(&self, labelled_ids: &[String]) -> Result<Split, SplitError> {
        let known: BTreeSet<&String> = labelled_ids.iter().collect();
        let mut part_of = BTreeMap::new();
        for (list, ids) in [
            ("train", &self.train),
            ("validation", &self.validation),
            ("test", &self.test),
        ] {
            for id in ids {
                if !known.contains(id) {
                    return Err(SplitError::Unknown {
                        list,
                        id: id.clone(),
                        labelled: labelled_ids.len(),
                        suggestion: closest(id, labelled_ids.iter().map(String::as_str)),
                    });
                }
                if let Some(first) = part_of.insert(id, list) {
                    return Err(SplitError::Repeated {
                        id: id.clone(),
                        first,
                        second: list,
                    });
                }
            }
        }
        let rest = if self.train.is_empty() { "train" } else { "" };
        let part = |name: &str| {
            labelled_ids
                .iter()
                .filter(|id| *part_of.get(id).unwrap_or(&rest) == name)
                .cloned()
                .collect()
        };
        Ok(Split {
            train: part("train"),
            validation: part("validation"),
            test: part("test"),
        })
    }

    fn draw(&self, labelled_ids: &[String], seed: u64) -> Result<Split, SplitError> {
        let labelled = labelled_ids.len();
        if self.folds == 1 || self.folds > labelled {
            return Err(SplitError::Folds {
                folds: self.folds,
                labelled,
            });
        }
        let mut shuffled: Vec<&String> = labelled_ids.iter().collect();
        shuffled.sort();
        shuffled.shuffle(&mut keyed_rng(seed, Domain::Split, 0, 0));

        let tested = if self.folds > 0 {
            let edge = |fold: usize| fold * labelled / self.folds;
            edge(self.fold)..edge(self.fold + 1)
        } else {
            0..drawn_count(self.test_fraction, labelled)
        };
        let test: BTreeSet<&String> = shuffled.drain(tested).collect();
        let validated = drawn_count(self.validation_fraction, labelled).min(shuffled.len());
        let validation: BTreeSet<&String> = shuffled.drain(..validated).collect();

        let part = |keep: &dyn Fn(&String) -> bool| {
            labelled_ids.iter().filter(|id| keep(id)).cloned().collect()
        };
        Ok(Split {
            train: part(&|id| !test.contains(id) && !validation.contains(id)),
            validation: part(&|id| validation.contains(id)),
            test: part(&|id| test.contains(id)),
        })
    }
}

fn drawn_count(fraction: f64, labelled: usize) -> usize {
    if fraction == 0.0 {
        return 0;
    }
    ((fraction * labelled as f64).round() as usize).clamp(1, labelled.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("s{i:02}")).collect()
    }

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|s| (*s).to_owned()).collect()
    }

    #[test]
    fn without_any_key_everyone_trains() {
        let split = SplitConfig::default().resolve(&ids(3), 0).unwrap();
        assert_eq!(split.train, ids(3));
        assert!(split.validation.is_empty() && split.test.is_empty());
    }

    #[test]
    fn lists_are_kept_and_an_empty_train_list_means_the_rest() {
        let config = SplitConfig {
            validation: list(&["s03"]),
            test: list(&["s02", "s00"]),
            ..Default::default()
        };
        let split = config.resolve(&ids(5), 0).unwrap();
        assert_eq!(split.train, list(&["s01", "s04"]));
        assert_eq!(split.validation, list(&["s03"]));
        assert_eq!(split.test, list(&["s00", "s02"]));
        let named = SplitConfig {
            train: list(&["s04"]),
            ..config
        };
        assert_eq!(named.resolve(&ids(5), 0).unwrap().train, list(&["s04"]));
    }

    #[test]
    fn a_tenth_of_twenty_is_two_and_the_draw_ignores_the_order_of_the_ids() {
        let config = SplitConfig {
            test_fraction: 0.1,
            validation_fraction: 0.25,
            ..Default::default()
        };
        let split = config.resolve(&ids(20), 3).unwrap();
        assert_eq!(
            (split.train.len(), split.validation.len(), split.test.len()),
            (13, 5, 2)
        );
        let mut reversed = ids(20);
        reversed.reverse();
        let mut other = config.resolve(&reversed, 3).unwrap();
        other.test.reverse();
        assert_eq!(other.test, split.test);
        assert_ne!(config.resolve(&ids(20), 4).unwrap().test, split.test);
    }

    #[test]
    fn every_subject_is_tested_by_exactly_one_fold() {
        let mut tested = Vec::new();
        for fold in 0..5 {
            let config = SplitConfig {
                folds: 5,
                fold,
                validation_fraction: 0.1,
                ..Default::default()
            };
            let split = config.resolve(&ids(13), 1).unwrap();
            assert!([2, 3].contains(&split.test.len()), "{}", split.test.len());
            assert_eq!(split.validation.len(), 1);
            assert_eq!(split.train.len() + split.test.len() + 1, 13);
            tested.extend(split.test);
        }
        tested.sort();
        assert_eq!(tested, ids(13));
    }

    fn error(config: SplitConfig) -> String {
        config.resolve(&ids(3), 0).unwrap_err().to_string()
    }

    #[test]
    fn each_mistake_is_named() {
        let base = SplitConfig::default;
        let unknown = error(SplitConfig {
            test: list(&["S1"]),
            ..base()
        });
        assert_eq!(
            unknown,
            "[split] test names `S1`, which is none of the 3 labelled subjects of the dataset; \
             did you mean `s01`?"
        );
        let twice = error(SplitConfig {
            train: list(&["s01"]),
            test: list(&["s01"]),
            ..base()
        });
        assert!(
            twice.contains("`s01` in train and again in test"),
            "{twice}"
        );
        let both = error(SplitConfig {
            train: list(&["s01"]),
            test_fraction: 0.5,
            ..base()
        });
        assert!(both.contains("together with test_fraction"), "{both}");
        let two_draws = error(SplitConfig {
            folds: 2,
            test_fraction: 0.5,
            ..base()
        });
        assert!(
            two_draws.contains("both test_fraction and folds"),
            "{two_draws}"
        );
        let fold = error(SplitConfig {
            folds: 2,
            fold: 2,
            ..base()
        });
        assert!(fold.contains("choose 0 to 1"), "{fold}");
        let lone = error(SplitConfig { fold: 1, ..base() });
        assert!(lone.contains("set folds as well"), "{lone}");
        for folds in [1, 4] {
            let many = error(SplitConfig { folds, ..base() });
            assert!(
                many.contains("at most the number of labelled subjects, which is 3"),
                "{many}"
            );
        }
        let share = error(SplitConfig {
            test_fraction: f64::NAN,
            ..base()
        });
        assert!(share.contains("test_fraction = NaN"), "{share}");
        let none = error(SplitConfig {
            test: ids(3),
            ..base()
        });
        assert!(none.contains("no subject to train on"), "{none}");
        let eaten = error(SplitConfig {
            test_fraction: 0.6,
            validation_fraction: 0.6,
            ..base()
        });
        assert!(eaten.contains("no subject to train on"), "{eaten}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = toml::from_str::<SplitConfig>("trian = []").unwrap_err();
        assert!(error.to_string().contains("trian"), "{error}");
    }
}
