//! Lesion-wise scores by the conventions of challenges and tools, side by side.
//!
//! The same two masks have other lesions, and others of them are found, by each
//! convention; a number without its convention says little. [`LesionConvention`] names
//! them, [`LesionDetection`] is what one says of a [`MaskPair`].

mod brats;
mod msseg;

use std::borrow::Cow;
use std::cell::LazyCell;
use std::collections::BTreeMap;

pub use brats::BratsTask;
use lacuna_volume::{Components, Connectivity, label_components};
use serde::{Deserialize, Serialize};

use crate::MaskPair;
use crate::lesion::{LesionShares, overlaps};
use crate::matching::most_pairs;

/// A volume in mm³ is above a limit when it is so by more than this share: header
/// geometry is single precision.
pub(crate) const VOLUME_SLACK: f64 = 1e-5;

/// What counts as a lesion, and when it is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LesionConvention {
    /// WMH challenge (Kuijf et al., IEEE TMI 38, 2019), as [`crate::Lesions::wmh`]:
    /// 26-connected; any shared voxel finds.
    Wmh,
    /// 26-connected; reference and predicted lesions are paired, each at most once, where
    /// their intersection over union is above 0 and at least `iou`, in as many pairs as
    /// there can be. At 0.5 and more no lesion has a choice, and the pairs are those of
    /// panoptica (Kofler et al., arXiv 2312.02608), whose default that is.
    OneToOne {
        /// Least intersection over union, 0 to 1.
        iou: f64,
    },
    /// MSSEG (Commowick et al., Sci Rep 8:13650, 2018; Anima's SegPerfAnalyzer with the
    /// thresholds of the paper): 6-connected, components of 3 mm³ or less dropped from
    /// both masks. A lesion is found when more than 10 % of it is overlapped, and those
    /// components that make up 65 % of the overlap, largest first, lie at most 70 %
    /// outside of all lesions. Anima tests no more components of one lesion than the
    /// image has lesions and one; here there is no such limit.
    Msseg,
    /// ATLAS v2 challenge: 6-connected; any shared voxel finds, and precision is found
    /// lesions / (found lesions + predicted ones that touch none).
    Atlas,
    /// BraTS 2023 lesion-wise (Saluja's BraTS-2023-Metrics): see [`BratsTask`].
    Brats(BratsTask),
}

impl LesionConvention {
    /// Those of an evaluation, in the order of its tables.
    pub const ALL: [Self; 8] = [
        Self::Wmh,
        Self::OneToOne { iou: 0.0 },
        Self::OneToOne { iou: 0.1 },
        Self::OneToOne { iou: 0.5 },
        Self::Msseg,
        Self::Atlas,
        Self::Brats(BratsTask::Gli),
        Self::Brats(BratsTask::Met),
    ];

    /// The name written into results; stable.
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Wmh => "wmh".into(),
            Self::OneToOne { iou } if iou <= 0.0 => "one-to-one-any".into(),
            Self::OneToOne { iou } => format!("one-to-one-iou-{iou}").into(),
            Self::Msseg => "msseg".into(),
            Self::Atlas => "atlas".into(),
            Self::Brats(task) => task.name().into(),
        }
    }

    /// Which voxels are of one lesion.
    pub fn connectivity(self) -> Connectivity {
        match self {
            Self::Msseg | Self::Atlas => Connectivity::Six,
            Self::Wmh | Self::OneToOne { .. } | Self::Brats(_) => Connectivity::TwentySix,
        }
    }

    /// When a lesion is found, and a predicted one false, in short.
    pub fn overlap_rule(self) -> Cow<'static, str> {
        match self {
            Self::Wmh => "any voxel".into(),
            Self::OneToOne { iou } if iou <= 0.0 => "IoU > 0; most pairs".into(),
            Self::OneToOne { iou } => format!("IoU >= {iou}; most pairs").into(),
            Self::Msseg => "> 10 % overlapped; 65 % of it by components <= 70 % outside".into(),
            Self::Atlas => "any voxel; precision by found lesions".into(),
            Self::Brats(task) => format!(
                "any voxel of the lesion dilated {} x (18 neighbours), which joins lesions; precision by found lesions; HD95 voxel-surface-3d",
                task.dilations()
            )
            .into(),
        }
    }

    /// Which components are dropped for their size.
    pub fn size_floor(self) -> Cow<'static, str> {
        match self {
            Self::Wmh | Self::OneToOne { .. } | Self::Atlas => "none".into(),
            Self::Msseg => "> 3 mm3, both masks".into(),
            Self::Brats(task) => format!("> {} mm3, reference", task.floor_mm3()).into(),
        }
    }

    /// What this convention says of a pair of masks.
    pub fn detect(self, pair: &MaskPair) -> LesionDetection {
        let mut found = LesionDetection::of_all(pair, &[self]);
        found.swap_remove(0)
    }
}

/// Lesions by one convention, in one pair of masks or in several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LesionDetection {
    /// [`LesionConvention::name`].
    pub convention: Cow<'static, str>,
    /// 6 or 26 neighbours.
    pub connectivity: u8,
    /// [`LesionConvention::overlap_rule`].
    pub overlap_rule: Cow<'static, str>,
    /// [`LesionConvention::size_floor`].
    pub size_floor: Cow<'static, str>,
    /// Lesions of the reference that count.
    pub reference: usize,
    /// Those that are found: true positives. The others are false negatives.
    pub found: usize,
    /// Components of the prediction that count.
    pub predicted: usize,
    /// Those that are false positives.
    pub false_positives: usize,
    /// The true positives of precision: predicted components that are not false, pairs,
    /// or found lesions, as the convention has it.
    pub true_predictions: usize,
    /// Found / reference; 1 if there are none.
    pub recall: f64,
    /// True / (true + false) predictions; 1 if there are none.
    pub precision: f64,
    /// Harmonic mean of the two; 0 if both are 0.
    pub f1: f64,
    /// What else the convention says. One-to-one at 0.5 or more: `rq`, which is F1, `sq`,
    /// the mean IoU of the pairs (without any: 1 if both masks are empty, else 0), and
    /// `pq`, their product. BraTS: `lesion_wise_dsc` and `lesion_wise_hd95_mm`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<Cow<'static, str>, f64>,
}

impl LesionDetection {
    /// Names that [`Self::values`] can have.
    pub const VALUES: [&str; 5] = ["rq", "sq", "pq", "lesion_wise_dsc", "lesion_wise_hd95_mm"];

    /// What each of `conventions` says of a pair of masks, in their order.
    pub fn of_all(pair: &MaskPair, conventions: &[LesionConvention]) -> Vec<Self> {
        let six = LazyCell::new(|| Matched::find(pair, Connectivity::Six));
        let twenty_six = LazyCell::new(|| Matched::find(pair, Connectivity::TwentySix));
        let of = |&convention: &LesionConvention| {
            let (counts, values) = match convention {
                LesionConvention::Wmh => (twenty_six.any_overlap(), BTreeMap::new()),
                LesionConvention::OneToOne { iou } => twenty_six.one_to_one(iou),
                LesionConvention::Msseg => (msseg::count(&six, pair.voxel_mm3()), BTreeMap::new()),
                LesionConvention::Atlas => {
                    let mut counts = six.any_overlap();
                    counts.true_predictions = counts.found;
                    (counts, BTreeMap::new())
                }
                LesionConvention::Brats(task) => brats::score(pair, &twenty_six.prediction, task),
            };
            Self::new(convention, counts, values)
        };
        conventions.iter().map(of).collect()
    }

    fn new(
        convention: LesionConvention,
        counts: LesionCounts,
        values: BTreeMap<Cow<'static, str>, f64>,
    ) -> Self {
        let none = Self {
            convention: convention.name(),
            connectivity: match convention.connectivity() {
                Connectivity::Six => 6,
                Connectivity::Eighteen => 18,
                Connectivity::TwentySix => 26,
            },
            overlap_rule: convention.overlap_rule(),
            size_floor: convention.size_floor(),
            reference: 0,
            found: 0,
            predicted: 0,
            false_positives: 0,
            true_predictions: 0,
            recall: 1.0,
            precision: 1.0,
            f1: 1.0,
            values: BTreeMap::new(),
        };
        none.with(counts, values)
    }

    /// The same convention with these counts and their shares.
    fn with(self, counts: LesionCounts, values: BTreeMap<Cow<'static, str>, f64>) -> Self {
        let shares = counts.shares();
        Self {
            reference: counts.reference,
            found: counts.found,
            predicted: counts.predicted,
            false_positives: counts.false_positives,
            true_predictions: counts.true_predictions,
            recall: shares.recall,
            precision: shares.precision,
            f1: shares.f1,
            values,
            ..self
        }
    }

    /// Reference lesions that are not found: false negatives.
    pub fn missed(&self) -> usize {
        self.reference - self.found
    }

    /// One convention over several subjects: the counts are added up, and recall,
    /// precision and F1 are those of the sums. `sq` is the mean IoU of all pairs; the
    /// values of BraTS are means over subjects, as the challenge has them. `None` of none.
    ///
    /// The convention is that of the first; the caller gives rows of one.
    pub fn pooled(rows: &[&Self]) -> Option<Self> {
        let first = *rows.first()?;
        let sum = |count: fn(&Self) -> usize| rows.iter().map(|row| count(row)).sum::<usize>();
        let counts = LesionCounts {
            reference: sum(|row| row.reference),
            found: sum(|row| row.found),
            predicted: sum(|row| row.predicted),
            false_positives: sum(|row| row.false_positives),
            true_predictions: sum(|row| row.true_predictions),
        };
        let value = |row: &Self, name: &str| row.values.get(name).copied().unwrap_or(f64::NAN);
        let mut values: BTreeMap<Cow<'static, str>, f64> = (first.values.keys())
            .map(|name| {
                let sum: f64 = rows.iter().map(|row| value(row, name)).sum();
                (name.clone(), sum / rows.len() as f64)
            })
            .collect();
        if values.contains_key("sq") {
            let iou = rows.iter().map(|row| value(row, "sq") * row.found as f64);
            values = quality(&counts, iou.sum());
        }
        Some(first.clone().with(counts, values))
    }
}

/// See the fields of the same name of [`LesionDetection`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct LesionCounts {
    reference: usize,
    found: usize,
    predicted: usize,
    false_positives: usize,
    true_predictions: usize,
}

impl LesionCounts {
    fn shares(&self) -> LesionShares {
        let judged = self.true_predictions + self.false_positives;
        LesionShares::of(
            [self.found, self.reference],
            [self.true_predictions, judged],
        )
    }
}

/// Recognition, segmentation and panoptic quality (Kirillov et al., CVPR 2019) of pairs
/// whose intersections over union sum to `iou`.
fn quality(counts: &LesionCounts, iou: f64) -> BTreeMap<Cow<'static, str>, f64> {
    let rq = counts.shares().f1;
    let sq = match (counts.found, counts.reference + counts.predicted) {
        (0, 0) => 1.0,
        (0, _) => 0.0,
        (found, _) => iou / found as f64,
    };
    [("rq", rq), ("sq", sq), ("pq", rq * sq)]
        .map(|(name, value)| (name.into(), value))
        .into()
}

/// The components of both masks and the voxels that each two share.
struct Matched {
    reference: Components,
    prediction: Components,
    /// Of [reference, prediction], counted from 0.
    shared: BTreeMap<[usize; 2], usize>,
}

impl Matched {
    fn find(pair: &MaskPair, connectivity: Connectivity) -> Self {
        let [reference, prediction] =
            [pair.reference(), pair.prediction()].map(|mask| label_components(mask, connectivity));
        Self {
            shared: overlaps(&reference, &prediction),
            reference,
            prediction,
        }
    }

    fn any_overlap(&self) -> LesionCounts {
        let mut touched = vec![false; self.reference.count];
        let mut touching = vec![false; self.prediction.count];
        for &[r, p] in self.shared.keys() {
            (touched[r], touching[p]) = (true, true);
        }
        let count = |flags: &[bool]| flags.iter().filter(|flag| **flag).count();
        let true_predictions = count(&touching);
        LesionCounts {
            reference: self.reference.count,
            found: count(&touched),
            predicted: self.prediction.count,
            false_positives: self.prediction.count - true_predictions,
            true_predictions,
        }
    }

    fn one_to_one(&self, least: f64) -> (LesionCounts, BTreeMap<Cow<'static, str>, f64>) {
        let iou = |[r, p]: [usize; 2], shared: usize| {
            let union = self.reference.sizes[r] + self.prediction.sizes[p] - shared;
            shared as f64 / union as f64
        };
        let edges = || {
            let edges = self.shared.iter().map(|(&edge, &n)| (edge, iou(edge, n)));
            edges.filter(|(_, iou)| *iou >= least)
        };
        let pairs = most_pairs(
            self.reference.count,
            self.prediction.count,
            edges().map(|(edge, _)| edge),
        );
        let counts = LesionCounts {
            reference: self.reference.count,
            found: pairs,
            predicted: self.prediction.count,
            false_positives: self.prediction.count - pairs,
            true_predictions: pairs,
        };
        // From 0.5 on an edge is a pair, but for the two halves of one lesion: their IoU is
        // 0.5, and one of them is left over.
        let values = match least >= 0.5 {
            true => {
                let all: f64 = edges().map(|(_, iou)| iou).sum();
                let left_over = edges().count() - pairs;
                quality(&counts, all - 0.5 * left_over as f64)
            }
            false => BTreeMap::new(),
        };
        (counts, values)
    }
}

#[cfg(test)]
mod tests;
