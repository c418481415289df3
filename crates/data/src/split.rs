//! Which subjects train, validate and test.
//!
//! A split is always by subject: no two parts ever share one, nor subjects of the
//! same group, as the visits of one patient. It is either written out as lists, or
//! drawn with the run's seed as fractions or folds; a draw takes whole groups, and
//! a subject of no group is one by itself. A drawn split depends on the seed and
//! the set of ids, not on their order.

mod folds;
mod nnunet;
mod visits;

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use crate::manifest::closest;
use crate::rng::{Domain, keyed_rng};

pub use folds::stratified_folds;
pub use nnunet::{SplitsFileError, read_splits};
pub use visits::alike;

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
    /// Instead of lists: share of the labelled subjects (or groups) drawn for test,
    /// rounded to the nearest count and at least one; 0 draws none.
    pub test_fraction: f64,
    /// Instead of lists: share of the labelled subjects drawn for validation,
    /// rounded likewise; it may be combined with `folds`. 0 draws none.
    pub validation_fraction: f64,
    /// Instead of `test_fraction`: cut the labelled subjects (or groups) into this many
    /// equal folds and test on one of them; 0 makes none.
    pub folds: usize,
    /// The fold to test on, counted from 0.
    pub fold: usize,
}

/// A subject that a split may choose.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// Its id.
    pub id: String,
    /// What stays together, such as the patient of whom it is one visit.
    pub group: Option<String>,
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
    /// The lists put subjects of one group into different parts.
    #[error(
        "[split] puts `{first}` into {first_part} and `{second}` into {second_part}, both of the \
         group `{group}`; put them into one part (an empty `train` takes all that no list \
         names), or correct `group` in the dataset"
    )]
    GroupApart {
        /// The group.
        group: String,
        /// One subject.
        first: String,
        /// Its part.
        first_part: &'static str,
        /// Another subject.
        second: String,
        /// Its part.
        second_part: &'static str,
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
         which is {labelled} (counting the visits of a group once)"
    )]
    Folds {
        /// Number of folds.
        folds: usize,
        /// Number of subjects with a label, or of groups of them.
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
    /// The parts of a dataset whose labelled subjects, all different, are
    /// `labelled` ([`Manifest::labelled`](crate::manifest::Manifest::labelled)).
    ///
    /// # Errors
    /// When a list names a subject that is unknown or already used, when lists
    /// tear a group apart or are mixed with a draw, when a fraction or a fold is
    /// out of range, and when nobody is left to train on.
    pub fn resolve(&self, labelled: &[Member], seed: u64) -> Result<Split, SplitError> {
        let has_lists =
            !(self.train.is_empty() && self.validation.is_empty() && self.test.is_empty());
        let drawn = self.drawn_by()?;
        let split = match (has_lists, drawn) {
            (true, Some(drawn)) => return Err(SplitError::ListsAndDraw { drawn }),
            (false, Some(_)) => self.draw(labelled, seed)?,
            (_, None) => self.listed(labelled)?,
        };
        if split.train.is_empty() {
            return Err(SplitError::NothingToTrain {
                labelled: labelled.len(),
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

    fn listed(&self, labelled: &[Member]) -> Result<Split, SplitError> {
        let known: BTreeSet<&String> = labelled.iter().map(|m| &m.id).collect();
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
                        labelled: labelled.len(),
                        suggestion: closest(id, labelled.iter().map(|m| m.id.as_str())),
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
        let mut part_of_group = BTreeMap::new();
        for Member { id, group } in labelled {
            let part = *part_of.get(&id).unwrap_or(&rest);
            let Some(group) = group.as_ref().filter(|_| !part.is_empty()) else {
                continue;
            };
            let (first, first_part) = *part_of_group.entry(group).or_insert((id, part));
            if first_part != part {
                return Err(SplitError::GroupApart {
                    group: group.clone(),
                    first: first.clone(),
                    first_part,
                    second: id.clone(),
                    second_part: part,
                });
            }
        }
        let part = |name: &str| {
            labelled
                .iter()
                .map(|member| &member.id)
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

    fn draw(&self, labelled: &[Member], seed: u64) -> Result<Split, SplitError> {
        // What is drawn: a group, or a subject of none. A group may have the name
        // of a subject that is not in it.
        let unit = |member: &Member| match &member.group {
            Some(group) => (group.clone(), true),
            None => (member.id.clone(), false),
        };
        let units: Vec<(String, bool)> = labelled.iter().map(unit).collect();
        let mut shuffled: Vec<&(String, bool)> = units.iter().collect();
        shuffled.sort();
        shuffled.dedup();
        let drawable = shuffled.len();
        if self.folds == 1 || self.folds > drawable {
            return Err(SplitError::Folds {
                folds: self.folds,
                labelled: drawable,
            });
        }
        shuffled.shuffle(&mut keyed_rng(seed, Domain::Split, 0, 0));

        let tested = if self.folds > 0 {
            let edge = |fold: usize| fold * drawable / self.folds;
            edge(self.fold)..edge(self.fold + 1)
        } else {
            0..drawn_count(self.test_fraction, drawable)
        };
        let test: BTreeSet<_> = shuffled.drain(tested).collect();
        let validated = drawn_count(self.validation_fraction, drawable).min(shuffled.len());
        let validation: BTreeSet<_> = shuffled.drain(..validated).collect();

        let part = |keep: &dyn Fn(&(String, bool)) -> bool| {
            let kept = labelled.iter().zip(&units).filter(|(_, unit)| keep(unit));
            kept.map(|(member, _)| member.id.clone()).collect()
        };
        Ok(Split {
            train: part(&|unit| !test.contains(unit) && !validation.contains(unit)),
            validation: part(&|unit| validation.contains(unit)),
            test: part(&|unit| test.contains(unit)),
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
mod tests;
