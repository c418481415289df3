//! What can be asked of every loss, and what several losses have in common.

use crate::LossError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ops::Range;

/// How the samples of a batch make one value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reduction {
    /// One loss over the pooled elements of the batch, as NiftyNet did at the
    /// time of the paper: a patch without lesion shares the sums of the others.
    #[default]
    Batch,
    /// The mean of one loss per sample, as NiftyNet did later.
    Sample,
    /// One loss per sample. The gradient of a sample is that of its own loss.
    None,
}

/// What makes probabilities of logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activation {
    /// Exclusive classes, of which class 0 is the background.
    #[default]
    Softmax,
    /// Overlapping regions: every channel is a two-class problem of its own.
    Sigmoid,
}

/// Another tool, whose values a loss reproduces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Compatibility {
    /// MONAI.
    Monai,
    /// NiftyNet, its last state.
    Niftynet,
}

/// What can be asked of every loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// How the samples of a batch make one value.
    pub reduction: Reduction,
    /// What makes probabilities of logits.
    pub activation: Activation,
    /// Elements with this label count nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_label: Option<u8>,
    /// Reproduce another tool's values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility: Option<Compatibility>,
}

// How the samples of a batch are grouped.
impl Options {
    /// The samples behind each value of a batch.
    pub(crate) fn groups(&self, batch: usize) -> Vec<Range<usize>> {
        match self.reduction {
            Reduction::Batch => std::iter::once(0..batch).collect(),
            Reduction::Sample | Reduction::None => (0..batch).map(|i| i..i + 1).collect(),
        }
    }

    /// The group that a sample's sums belong to.
    pub(crate) fn group(&self, sample: usize) -> usize {
        match self.reduction {
            Reduction::Batch => 0,
            Reduction::Sample | Reduction::None => sample,
        }
    }

    /// Factor of the gradient of one group's value.
    pub(crate) fn share(&self, batch: usize) -> f64 {
        match self.reduction {
            Reduction::Sample => 1.0 / batch as f64,
            Reduction::Batch | Reduction::None => 1.0,
        }
    }
}

/// Over which classes a loss runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClassSubset {
    /// Every class, the background too.
    #[default]
    All,
    /// Every class but the background (class 0). Overlapping regions have no
    /// background: all of them.
    Foreground,
    /// These.
    Listed(Vec<usize>),
}

impl ClassSubset {
    /// The classes, in ascending order.
    pub fn members(&self, classes: usize, overlapping: bool) -> Vec<usize> {
        match self {
            Self::Foreground if !overlapping => (1..classes).collect(),
            Self::All | Self::Foreground => (0..classes).collect(),
            Self::Listed(listed) => listed.clone(),
        }
    }

    /// Refuses a list that names a class twice, none, or one that the batch does not have.
    pub(crate) fn check(&self, loss: &'static str, classes: usize) -> Result<(), LossError> {
        let Self::Listed(listed) = self else {
            return Ok(());
        };
        let ascending = listed.windows(2).all(|pair| pair[0] < pair[1]);
        if ascending && listed.last().is_some_and(|&last| last < classes) {
            return Ok(());
        }
        Err(LossError::OptionValue {
            loss,
            option: "classes",
            found: format!("{listed:?}"),
            expected: format!(
                "\"all\", \"foreground\" or an ascending list of classes from 0 to {}",
                classes - 1
            ),
        })
    }
}

impl Serialize for ClassSubset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::All => serializer.serialize_str("all"),
            Self::Foreground => serializer.serialize_str("foreground"),
            Self::Listed(listed) => listed.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ClassSubset {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Word(String),
            List(Vec<usize>),
        }
        let expected = "`classes`: expected \"all\", \"foreground\" or a list of class numbers";
        match Form::deserialize(deserializer) {
            Ok(Form::List(listed)) => Ok(Self::Listed(listed)),
            Ok(Form::Word(word)) if word == "all" => Ok(Self::All),
            Ok(Form::Word(word)) if word == "foreground" => Ok(Self::Foreground),
            Ok(Form::Word(word)) => Err(serde::de::Error::custom(format!(
                "{expected}, found {word:?}"
            ))),
            Err(_) => Err(serde::de::Error::custom(expected)),
        }
    }
}

/// What a class costs that the reference does not have. An overlap score says
/// nothing there: it is 1 while the class is not predicted at all and falls to 0
/// within a fraction of one element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AbsentClass {
    /// The share of the elements that it is predicted in, `P / N`: every false
    /// element costs the same, however many there are.
    #[default]
    Share,
    /// Nothing: the class is left out of the mean. What is falsely predicted for
    /// it is free.
    Skip,
    /// What the equation with its smoothing term gives.
    Smooth,
}

/// Smoothing of overlap losses, as a share of the elements. A share, and not a
/// number of elements, leaves a loss what it is when a batch is duplicated or a
/// patch is larger; at the default, 96^3 voxels are smoothed by .009 voxel.
pub(crate) const SMOOTHING: f64 = 1e-8;

/// MONAI's `smooth_nr` and `smooth_dr` and NiftyNet's epsilon, in elements.
pub(crate) const PEER_EPSILON: f64 = 1e-5;

/// Refuses a number that is not finite or not within the bounds, both included.
pub(crate) fn check_number(
    loss: &'static str,
    option: &'static str,
    found: f64,
    [least, most]: [f64; 2],
) -> Result<(), LossError> {
    if (least..=most).contains(&found) && found.is_finite() {
        return Ok(());
    }
    Err(LossError::OptionValue {
        loss,
        option,
        found: format!("{found:?}"),
        expected: match most.is_finite() {
            true => format!("a number from {least:?} to {most:?}"),
            false => format!("a finite number, at least {least:?}"),
        },
    })
}

/// Refuses a smoothing share that would not keep quotients finite, or that
/// would smooth by as much as there is.
pub(crate) fn check_smoothing(loss: &'static str, smoothing: f64) -> Result<(), LossError> {
    check_number(loss, "smoothing", smoothing, [1e-30, 1.0])
}

/// Refuses class weights that are negative, all 0, or not one per class.
pub(crate) fn check_class_weight(
    loss: &'static str,
    weights: Option<&[f64]>,
    classes: usize,
) -> Result<(), LossError> {
    let Some(weights) = weights else {
        return Ok(());
    };
    let sound = weights.iter().all(|w| w.is_finite() && *w >= 0.0);
    if sound && weights.len() == classes && weights.iter().any(|&w| w > 0.0) {
        return Ok(());
    }
    Err(LossError::OptionValue {
        loss,
        option: "class_weight",
        found: format!("{weights:?}"),
        expected: format!("{classes} numbers, one per class, none negative and not all 0"),
    })
}

/// Below it, a power under one is replaced by its chord from 0.
pub(crate) const GUARD: f64 = 1e-4;

/// `x^exponent` and its derivative, for `x >= 0`. Below one, the exponent would
/// give an infinite slope at 0: under `1e-4` the power is replaced by its chord
/// from 0, which leaves 0 and the slope finite.
pub(crate) fn guarded_power(x: f64, exponent: f64) -> (f64, f64) {
    if exponent < 1.0 && x < GUARD {
        let slope = GUARD.powf(exponent - 1.0);
        return (x * slope, slope);
    }
    (x.powf(exponent), exponent * x.powf(exponent - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_words_or_a_list() {
        #[derive(Deserialize, Serialize, Debug)]
        struct Table {
            classes: ClassSubset,
        }
        for (text, members) in [
            ("classes = \"all\"\n", vec![0, 1, 2, 3]),
            ("classes = \"foreground\"\n", vec![1, 2, 3]),
            ("classes = [1, 3]\n", vec![1, 3]),
        ] {
            let table: Table = toml::from_str(text).unwrap();
            assert_eq!(table.classes.members(4, false), members);
            assert_eq!(toml::to_string(&table).unwrap(), text);
        }
        let foreground = ClassSubset::Foreground;
        assert_eq!(foreground.members(3, true), [0, 1, 2]);
        for text in ["classes = \"most\"", "classes = [-1]", "classes = 3"] {
            assert!(toml::from_str::<Table>(text).is_err(), "{text}");
        }
        for listed in [vec![], vec![1, 1], vec![2, 1], vec![4]] {
            assert!(ClassSubset::Listed(listed).check("dice", 4).is_err());
        }
    }

    #[test]
    fn a_guarded_power_is_continuous_and_has_a_finite_slope() {
        let (at_zero, slope) = guarded_power(0.0, 0.3);
        assert_eq!(at_zero, 0.0);
        // (1e-4)^-0.7 = 10^2.8
        assert!((slope - 630.957_344).abs() < 1e-5, "{slope}");
        let (below, _) = guarded_power(1e-4 - 1e-12, 0.3);
        let (above, _) = guarded_power(1e-4, 0.3);
        assert!((above - below).abs() < 1e-8);
        assert_eq!(guarded_power(0.25, 0.5), (0.5, 1.0));
        assert_eq!(guarded_power(0.0, 2.0), (0.0, 0.0));
    }
}
