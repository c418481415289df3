//! The scores of every prediction, subject by subject.

use std::path::PathBuf;

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_metrics::{ClassScores, Conventions, FOREGROUND, Lesions, MaskPair, evaluate_pair};
use lacuna_volume::{LabelMap, foreground_indices};
use rayon::prelude::*;

use super::sources::{Held, Source};
use super::{CompareError, CompareRequest, each_two};
use crate::{EvaluateError, score};

/// One subject.
pub(super) struct Measured {
    pub subject: String,
    /// The rows of [`evaluate_pair`] of each prediction.
    pub scores: Vec<Vec<ClassScores>>,
    /// For each two predictions, the lesions of each that share no voxel with the other;
    /// `None` where a label map is not there.
    pub apart: Vec<Option<Vec<Apart>>>,
}

/// Of one class: which components of each of two predictions share no voxel with the other's.
pub(super) struct Apart {
    pub class: String,
    pub lesions: [Vec<bool>; 2],
}

/// Whether a label belongs to a row of [`evaluate_pair`]; `None` for a row that the dataset
/// does not have.
pub fn labels_of(manifest: &Manifest, row: &str) -> Option<Vec<u8>> {
    let classes = &manifest.classes;
    let index = |class: usize| u8::try_from(class).ok();
    if let Some(class) = classes.iter().skip(1).position(|c| c == row) {
        return Some(vec![index(class + 1)?]);
    }
    if row == FOREGROUND {
        return (1..classes.len()).map(index).collect();
    }
    let found = foreground_indices(classes, &manifest.region(row).classes).ok()?;
    found.into_iter().map(index).collect()
}

/// The label maps of a subject, on one grid.
pub(super) struct Maps {
    pub reference: LabelMap,
    /// Those that are still there.
    pub predictions: Vec<Option<LabelMap>>,
}

/// Reads the label maps of a subject; `None` when there is no prediction.
pub(super) fn maps(
    manifest: &Manifest,
    sources: &[Source],
    subject: &Subject,
) -> Result<Option<Maps>, EvaluateError> {
    let files: Vec<_> = sources.iter().map(|s| s.map_file(&subject.id)).collect();
    if files.iter().all(Option::is_none) {
        return Ok(None);
    }
    let reference = score::reference_of(manifest, subject)?;
    let read = |(source, file): (&Source, Option<PathBuf>)| match file {
        None => Ok(None),
        Some(file) => {
            score::prediction_on(manifest, subject, &reference, &file, &source.coding).map(Some)
        }
    };
    let predictions: Result<Vec<_>, _> = sources.iter().zip(files).map(read).collect();
    Ok(Some(Maps {
        predictions: predictions?,
        reference,
    }))
}

/// Measures all subjects.
pub(super) fn all(
    request: &CompareRequest,
    sources: &[Source],
    subjects: &[&Subject],
    on_subject: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Measured>, EvaluateError> {
    let mut measured = Vec::with_capacity(subjects.len());
    // One subject per core at a time bounds the memory.
    for group in subjects.chunks(rayon::current_num_threads()) {
        let group: Result<Vec<Measured>, EvaluateError> = (group.par_iter())
            .map(|subject| one(request, sources, subject))
            .collect();
        measured.extend(group?);
        on_subject(measured.len(), subjects.len());
    }
    Ok(measured)
}

fn one(
    request: &CompareRequest,
    sources: &[Source],
    subject: &Subject,
) -> Result<Measured, EvaluateError> {
    let manifest = request.manifest;
    let maps = maps(manifest, sources, subject)?;
    let mut scores = Vec::with_capacity(sources.len());
    for (i, source) in sources.iter().enumerate() {
        let map = (maps.as_ref()).and_then(|m| Some((&m.reference, m.predictions[i].as_ref()?)));
        scores.push(match (source.scores(&subject.id), map) {
            (Some(known), _) => known.classes.clone(),
            (None, Some((reference, prediction))) => {
                let options = &request.options;
                evaluate_pair(reference, prediction, &manifest.classes, options).map_err(
                    |source| EvaluateError::Score {
                        prediction: sources[i].map_file(&subject.id).unwrap_or_default(),
                        source,
                    },
                )?
            }
            // A subject that is compared has a file or scores.
            (None, None) => Vec::new(),
        });
    }
    let rows: Vec<&str> = scores[0].iter().map(|row| row.class.as_str()).collect();
    let mut apart = Vec::new();
    for [a, b] in each_two(sources.len()) {
        let pair = maps.as_ref().and_then(|m| {
            let [a, b] = [a, b].map(|source| m.predictions[source].as_ref());
            Some([a?, b?])
        });
        apart.push(match pair {
            None => None,
            Some(pair) => Some(apart_of(manifest, &rows, pair)?),
        });
    }
    Ok(Measured {
        subject: subject.id.clone(),
        scores,
        apart,
    })
}

fn apart_of(
    manifest: &Manifest,
    rows: &[&str],
    [a, b]: [&LabelMap; 2],
) -> Result<Vec<Apart>, EvaluateError> {
    let mut out = Vec::with_capacity(rows.len());
    for row in rows {
        let Some(labels) = labels_of(manifest, row) else {
            continue;
        };
        // Components come in the order of their first voxel, as in scores.
        let found = Lesions::find(&MaskPair::of_labels(a, b, |l| labels.contains(&l))?);
        out.push(Apart {
            class: (*row).to_owned(),
            lesions: [found.reference, found.prediction]
                .map(|lesions| lesions.iter().map(|l| !l.detected).collect()),
        });
    }
    Ok(out)
}

/// Leaves the classes that every prediction has in every subject, and refuses scores of
/// other references or other conventions, which are given back.
pub(super) fn align(
    measured: &mut [Measured],
    sources: &[Source],
    notes: &mut Vec<String>,
) -> Result<Conventions, EvaluateError> {
    let every = || measured.iter().flat_map(|m| &m.scores);
    let has = |rows: &[ClassScores], class: &str| rows.iter().any(|row| row.class == class);
    let mut classes: Vec<String> = Vec::new();
    for row in every().flatten() {
        if !classes.contains(&row.class) {
            classes.push(row.class.clone());
        }
    }
    let (common, other): (Vec<String>, Vec<String>) = classes
        .into_iter()
        .partition(|class| every().all(|rows| has(rows, class)));
    let names = || sources.iter().map(|s| s.name.as_str()).collect::<Vec<_>>();
    if common.is_empty() {
        let names = names().join(", ");
        return Err(CompareError::NoCommonClass { names }.into());
    }
    if !other.is_empty() {
        notes.push(format!(
            "not scored in all predictions, so not compared: {}",
            other.join(", ")
        ));
    }
    for rows in measured.iter_mut().flat_map(|m| &mut m.scores) {
        let place = |class: &String| common.iter().position(|c| c == class);
        rows.retain(|row| common.contains(&row.class));
        rows.sort_by_key(|row| place(&row.class));
    }
    let conventions = measured[0].scores[0][0].conventions.clone();
    for one in measured.iter() {
        for (source, rows) in sources.iter().zip(&one.scores) {
            same_conventions(sources, source, rows, &conventions)?;
            same_reference(sources, source, one, rows)?;
        }
    }
    Ok(conventions)
}

fn same_conventions(
    sources: &[Source],
    source: &Source,
    rows: &[ClassScores],
    expected: &Conventions,
) -> Result<(), CompareError> {
    let said = |c: &Conventions| format!("{}, NSD at {} mm", c.surface, c.nsd_tolerance_mm);
    match rows.iter().find(|row| row.conventions != *expected) {
        None => Ok(()),
        Some(row) => Err(CompareError::Conventions {
            names: format!("{} and {}", source.name, sources[0].name),
            found: said(&row.conventions),
            expected: said(expected),
        }),
    }
}

fn same_reference(
    sources: &[Source],
    source: &Source,
    one: &Measured,
    rows: &[ClassScores],
) -> Result<(), CompareError> {
    for (row, first) in rows.iter().zip(&one.scores[0]) {
        let (found, expected) = (&row.lesions.reference, &first.lesions.reference);
        let alike = row.counts.reference() == first.counts.reference()
            && found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(a, b)| a.voxels == b.voxels);
        if !alike {
            return Err(CompareError::Reference {
                subject: one.subject.clone(),
                class: row.class.clone(),
                names: format!("{} and {}", source.name, sources[0].name),
                found: found.len(),
                expected: expected.len(),
            });
        }
    }
    Ok(())
}

/// Says where the label maps behind an evaluation are no longer there.
pub(super) fn note_missing(measured: &[Measured], sources: &[Source], notes: &mut Vec<String>) {
    let evaluations: Vec<&str> = (sources.iter())
        .filter(|s| matches!(s.held, Held::Scores(_)))
        .map(|s| s.name.as_str())
        .collect();
    let without = |m: &&Measured| m.apart.iter().any(Option::is_none);
    let subjects: Vec<&str> = measured
        .iter()
        .filter(without)
        .map(|m| m.subject.as_str())
        .collect();
    if !subjects.is_empty() {
        notes.push(format!(
            "{}: the label maps that were evaluated are gone or have changed, so that false \
             components are not compared and no picture is drawn of {}",
            evaluations.join(", "),
            subjects.join(", ")
        ));
    }
}
