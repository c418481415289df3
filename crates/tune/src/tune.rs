//! Threshold, minimum volume and peak of a class, with an honest estimate of the gain.

use std::collections::{BTreeMap, BTreeSet};

use lacuna_metrics::{Bootstrap, Distribution, quantile};
use serde::{Deserialize, Serialize};

use crate::agreement::{Agreement, Pair};
use crate::curves::{Curves, curves};
use crate::grid::{Place, Table, UNTUNED};
use crate::{Observed, Rule, Score, TuneError};

/// One subject, predicted by a network that was not trained on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// The fold in which it was held out of the training.
    pub fold: usize,
    /// What its probability map says.
    pub observed: Observed,
}

/// How rules are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Whether sizes and peaks of components are tuned beside the threshold. Not for a
    /// region that holds others: `predict --postprocess` looks at the components of its
    /// own class, which are not those of the region.
    pub components: bool,
    /// A rule is as good as the best when it is worse by so many standard errors of the
    /// paired difference at most. On 240 cohorts of 4 to 32 subjects, simulated as in
    /// `tests/simulated.rs`, 0, 0.5 and 1 gained 0.044, 0.042 and 0.036 on new subjects,
    /// and lost more than 0.005 on 13, 12 and 7 cohorts: 0.5 asks for less than 0, at
    /// hardly any cost.
    pub standard_errors: f64,
    /// Least gain in the objective for which anything is changed; differences below it
    /// count as none.
    pub least_gain: f64,
    /// DSC that a rule may cost in the mean, whatever it gains in lesion F1: who measures
    /// volumes would not forgive more.
    pub lost_dsc: f64,
    /// Share of the reference lesions that may be below the minimum volume.
    pub lost_lesions: f64,
    /// Level of the intervals of predicted volumes and counts.
    pub level: f64,
    /// Intervals of the gains.
    pub bootstrap: Bootstrap,
}

impl Default for Options {
    /// Half a standard error, a least gain of 0.005, a tenth of the lesions, level 0.9.
    fn default() -> Self {
        Self {
            components: true,
            standard_errors: 0.5,
            least_gain: 0.005,
            lost_dsc: 0.01,
            lost_lesions: 0.1,
            level: 0.9,
            bootstrap: Bootstrap::default(),
        }
    }
}

/// The objective of a subject by a rule that its fold had no part in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOutSubject {
    /// Its name.
    pub subject: String,
    /// Its fold.
    pub fold: usize,
    /// Without any rule.
    pub untuned: f64,
    /// By the rule tuned on all other folds.
    pub tuned: f64,
}

/// The rule tuned on all folds but one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoldRule {
    /// The fold left out.
    pub fold: usize,
    /// What was chosen without it.
    pub rule: Rule,
}

/// What tuning gains on subjects that it has not seen: tuned on all folds but one,
/// scored on that one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// What was chosen without each fold; rules that differ tell of few subjects.
    pub folds: Vec<FoldRule>,
    /// In the order given.
    pub subjects: Vec<HeldOutSubject>,
    /// Tuned minus untuned objective over the subjects.
    pub gain: Distribution,
}

/// What was chosen for a class, and what it gains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TunedClass {
    /// Its name.
    pub class: String,
    /// What is asked of it from now on, chosen on all subjects.
    pub rule: Rule,
    /// Subjects tuned on.
    pub subjects: usize,
    /// Reference lesions of all of them. Of a class without any, nothing is tuned.
    pub reference_lesions: usize,
    /// No minimum volume above this was tried, mm³.
    pub largest_min_volume_mm3: f64,
    /// Mean scores without any rule.
    pub untuned: Score,
    /// Mean scores by the rule, on the subjects that it was chosen on: optimistic.
    pub tuned: Score,
    /// Tuned minus untuned objective on the subjects that the rule was chosen on:
    /// optimistic.
    pub in_sample_gain: Distribution,
    /// The same on subjects that the rule was not chosen on; `None` with a single fold.
    pub held_out: Option<HeldOut>,
    /// Predicted against reference volume in mm³, by the held-out rules where there are
    /// folds. The offset is the volume of the median reference lesion.
    pub volume_mm3: Agreement,
    /// Predicted against reference number of lesions, offset 1.
    pub lesions: Agreement,
    /// Mean scores along thresholds, sizes and peaks.
    pub curves: Curves,
}

/// What was tuned, as `tuning.json` holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuned {
    /// How the rules were chosen.
    pub options: Options,
    /// Each class but the background.
    pub classes: Vec<TunedClass>,
}

/// Tunes one class. Classes are tuned each by itself: where two of them reach their
/// thresholds in a voxel the likelier one gets it, which no class sees of the other.
///
/// # Errors
/// [`TuneError::NoSubjects`], [`TuneError::SameSubject`], [`TuneError::Setting`], and
/// [`TuneError::Metrics`] when the bootstrap cannot be drawn.
pub fn tune_class(
    class: &str,
    subjects: &[Subject],
    options: &Options,
) -> Result<TunedClass, TuneError> {
    check(subjects, options)?;
    let all: Vec<usize> = (0..subjects.len()).collect();
    let table = Table::of(subjects);
    let chosen = choose(&table, subjects, &all, options);
    let gain = |at: usize, place| table.objective(at, place) - table.objective(at, UNTUNED);
    let in_sample: Vec<f64> = all.iter().map(|at| gain(*at, chosen)).collect();
    // What each subject was predicted with, for what is said of new subjects.
    let by_fold = without_each_fold(&table, subjects, options);
    let places: Vec<Place> = match &by_fold {
        Some(of) => subjects.iter().map(|s| of[&s.fold]).collect(),
        None => vec![chosen; subjects.len()],
    };
    let held_out = match &by_fold {
        Some(by_fold) => Some(held_out(&table, subjects, by_fold, options)?),
        None => None,
    };
    let scores = |rule: &Rule| -> Vec<Score> {
        let score = |s: &Subject| s.observed.score(rule);
        subjects.iter().filter_map(score).collect()
    };
    let volumes = lesion_mm3(subjects, &all);
    let limit = largest_size(subjects, &all, options);
    Ok(TunedClass {
        class: class.to_owned(),
        rule: chosen.rule(),
        subjects: subjects.len(),
        reference_lesions: volumes.len(),
        largest_min_volume_mm3: limit,
        untuned: Score::mean(&scores(&Rule::default())),
        tuned: Score::mean(&scores(&chosen.rule())),
        in_sample_gain: Distribution::of(&in_sample, &options.bootstrap)?,
        held_out,
        volume_mm3: volume_agreement(subjects, &places, &volumes, options)?,
        lesions: count_agreement(subjects, &places, options)?,
        curves: curves(chosen, limit, |rule| Score::mean(&scores(rule))),
    })
}

fn check(subjects: &[Subject], options: &Options) -> Result<(), TuneError> {
    if subjects.is_empty() {
        return Err(TuneError::NoSubjects);
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = subjects.iter().find(|s| !names.insert(&s.name)) {
        return Err(TuneError::SameSubject {
            subject: twice.name.clone(),
        });
    }
    let settings = [
        (
            "number of standard errors",
            options.standard_errors,
            f64::MAX,
        ),
        ("least gain", options.least_gain, 1.0),
        ("share of lost lesions", options.lost_lesions, 1.0),
    ];
    match settings
        .into_iter()
        .find(|(_, v, most)| !(0.0..=*most).contains(v))
    {
        None => Ok(()),
        Some((name, found, most)) => Err(TuneError::Setting {
            name,
            found,
            expected: if most > 1.0 { "0 or more" } else { "0 to 1" },
        }),
    }
}

/// The rule for some of the subjects; none without a reference lesion, as all that could
/// be learned is to predict nothing.
fn choose(table: &Table, subjects: &[Subject], some: &[usize], options: &Options) -> Place {
    match lesion_mm3(subjects, some).is_empty() {
        true => UNTUNED,
        false => table.choose(some, largest_size(subjects, some, options), options),
    }
}

/// Volumes of the reference lesions of some of the subjects, ascending.
fn lesion_mm3(subjects: &[Subject], some: &[usize]) -> Vec<f64> {
    let lesions = some
        .iter()
        .flat_map(|s| subjects[*s].observed.reference_mm3());
    ascending(lesions.collect())
}

/// The largest minimum volume to try: below it lies a share of the reference's lesions.
/// Where the reference is one structure (the largest component holds nine tenths of the
/// volume in nine tenths of the subjects) only those count: the rest are crumbs of it,
/// which would forbid every size.
fn largest_size(subjects: &[Subject], some: &[usize], options: &Options) -> f64 {
    let (mut largest, mut single) = (Vec::new(), 0);
    for subject in some {
        let volumes = || subjects[*subject].observed.reference_mm3();
        let (sum, most) = (volumes().sum::<f64>(), volumes().fold(0.0, f64::max));
        if sum > 0.0 {
            largest.push(most);
            single += usize::from(most >= 0.9 * sum);
        }
    }
    let lesions = match single * 10 >= largest.len() * 9 {
        true => ascending(largest),
        false => lesion_mm3(subjects, some),
    };
    match lesions.is_empty() {
        true => 0.0,
        false => quantile(&lesions, options.lost_lesions),
    }
}

fn ascending(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// What is chosen without each fold; `None` when there is but one.
fn without_each_fold(
    table: &Table,
    subjects: &[Subject],
    options: &Options,
) -> Option<BTreeMap<usize, Place>> {
    let folds: BTreeSet<usize> = subjects.iter().map(|s| s.fold).collect();
    if folds.len() < 2 {
        return None;
    }
    let without = |fold: usize| {
        let others: Vec<usize> = (0..subjects.len())
            .filter(|at| subjects[*at].fold != fold)
            .collect();
        (fold, choose(table, subjects, &others, options))
    };
    Some(folds.into_iter().map(without).collect())
}

fn held_out(
    table: &Table,
    subjects: &[Subject],
    by_fold: &BTreeMap<usize, Place>,
    options: &Options,
) -> Result<HeldOut, TuneError> {
    let scored: Vec<HeldOutSubject> = (subjects.iter().enumerate())
        .map(|(at, subject)| HeldOutSubject {
            subject: subject.name.clone(),
            fold: subject.fold,
            untuned: table.objective(at, UNTUNED),
            tuned: table.objective(at, by_fold[&subject.fold]),
        })
        .collect();
    let gains: Vec<f64> = scored.iter().map(|s| s.tuned - s.untuned).collect();
    let rule = |(fold, place): (&usize, &Place)| FoldRule {
        fold: *fold,
        rule: place.rule(),
    };
    Ok(HeldOut {
        folds: by_fold.iter().map(rule).collect(),
        subjects: scored,
        gain: Distribution::of(&gains, &options.bootstrap)?,
    })
}

fn volume_agreement(
    subjects: &[Subject],
    places: &[Place],
    lesions: &[f64],
    options: &Options,
) -> Result<Agreement, TuneError> {
    let pairs = pairs(subjects, places, |observed, score| Pair {
        predicted: score.predicted_mm3,
        reference: observed.reference_mm3().sum(),
    });
    let offset = match lesions.is_empty() {
        true => 1.0,
        false => quantile(lesions, 0.5),
    };
    Agreement::of(&pairs, offset, options.level)
}

fn count_agreement(
    subjects: &[Subject],
    places: &[Place],
    options: &Options,
) -> Result<Agreement, TuneError> {
    let pairs = pairs(subjects, places, |observed, score| Pair {
        predicted: score.predicted_lesions,
        reference: observed.reference_mm3().len() as f64,
    });
    Agreement::of(&pairs, 1.0, options.level)
}

fn pairs(
    subjects: &[Subject],
    places: &[Place],
    pair: impl Fn(&Observed, &Score) -> Pair,
) -> Vec<Pair> {
    let of = |(subject, place): (&Subject, &Place)| {
        let score = subject.observed.score(&place.rule())?;
        Some(pair(&subject.observed, &score))
    };
    subjects.iter().zip(places).filter_map(of).collect()
}
