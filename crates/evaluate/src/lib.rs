//! Scores a folder of predictions against the labels of a dataset, and writes what
//! `lacuna evaluate` leaves: [`Evaluation`], tables of subjects and lesions, pictures.
//! [`compare()`] sets several folders of predictions side by side, [`error_page`] tells
//! where the errors of an evaluation lie, and [`write_bids`] makes a derivative dataset of BIDS.
//!
//! Voxel axes are (x, y, z) as in the files; pictures are drawn in canonical axes.

mod bids;
mod choose;
mod compare;
mod error;
mod errors;
mod froc;
mod place;
mod score;
mod tables;

use std::path::{Path, PathBuf};

use lacuna_data::manifest::Manifest;
use lacuna_metrics::{Bootstrap, ClassScores, Options, Summary};
use lacuna_record::table::write_table;
use lacuna_record::{Evaluation, Provenance, remove_file};
use rayon::prelude::*;

pub use bids::{WrittenBids, write_bids};
use choose::Chosen;
pub use choose::{file_of, regions, regions_with};
pub use compare::{CompareError, CompareRequest, Metric, compare, labels_of, metric_of};
pub use error::EvaluateError;
pub use errors::error_page;
pub use froc::CANDIDATE_THRESHOLD;
use froc::Probabilities;
use score::Scored;
pub use score::{example, in_axes_of, prediction_of, reference_of, shown};

/// What to score, how, and where to write it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The subjects with their reference labels.
    pub manifest: &'a Manifest,
    /// The folder with one `<subject id>.nii.gz` each, or of another of [`lacuna_io::ENDINGS`]; or
    /// a derivative dataset of BIDS.
    pub predictions: &'a Path,
    /// The folder to write.
    pub out: &'a Path,
    /// The subjects to score; when empty, those that the folder's list names, else
    /// every labelled one.
    pub subjects: &'a [String],
    /// What is measured.
    pub options: Options,
    /// The files hold the dataset's own label values in place of class indices. Where the
    /// folder's list says so, it need not be said here.
    pub label_values: bool,
    /// Replace an evaluation of other predictions in `out`.
    pub force: bool,
    /// Modality behind the pictures; default: FLAIR if there is one, else the first.
    pub overlay: Option<&'a str>,
}

/// Scores the predictions and writes the folder `out`. `on_subject` hears (subjects
/// done, subjects in all).
///
/// # Errors
/// When there is nothing to score, a file cannot be read, does not fit its reference
/// or holds no class indices, or the folder cannot be written. Nothing is written then.
pub fn evaluate(
    request: &Request,
    on_subject: &mut dyn FnMut(usize, usize),
) -> Result<Evaluation, EvaluateError> {
    let modality = score::overlay_modality(request.manifest, request.overlay)?;
    let chosen = choose::choose(request)?;
    let stale = place::check(request, &chosen)?;
    let probabilities = Probabilities::of(request, &chosen)?;
    let scored = score_all(request, &chosen, &probabilities, modality, on_subject)?;
    let candidates: Vec<_> = scored.iter().map(|s| s.candidates.clone()).collect();
    let (subjects, pictures): (Vec<_>, Vec<_>) =
        scored.into_iter().map(|s| (s.scores, s.picture)).unzip();
    let rows: Vec<Vec<ClassScores>> = subjects.iter().map(|s| s.classes.clone()).collect();
    let predictions = request.predictions;
    let evaluation = Evaluation {
        provenance: Some(Provenance::of_process(rayon::current_num_threads())),
        // Absolute, to be known again from elsewhere.
        predictions: (predictions.canonicalize()).unwrap_or_else(|_| predictions.to_owned()),
        dataset: request.manifest.path.canonicalize().ok(),
        label_values: request.label_values,
        notes: (chosen.notes.into_iter().chain(probabilities.note)).collect(),
        summary: Summary::of(&rows, &Bootstrap::default())?,
        froc: froc::of(request.manifest, &candidates)?,
        subjects,
    };
    // Only now, so that a file that cannot be scored leaves no half of an evaluation.
    write(&evaluation, &pictures, request.out, &stale)?;
    Ok(evaluation)
}

/// Each subject scored.
fn score_all(
    request: &Request,
    chosen: &Chosen,
    probabilities: &Probabilities,
    modality: &str,
    on_subject: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Scored>, EvaluateError> {
    let mut scored = Vec::with_capacity(chosen.subjects.len());
    // One subject per core at a time bounds the memory.
    for group in chosen.subjects.chunks(rayon::current_num_threads()) {
        let group: Vec<_> = group
            .par_iter()
            .map(|(subject, file)| {
                let maps = probabilities.of_subject(request, subject, file);
                score::score(
                    request,
                    subject,
                    file,
                    &chosen.coding,
                    maps.as_deref(),
                    modality,
                )
            })
            .collect::<Result<_, _>>()?;
        scored.extend(group);
        on_subject(scored.len(), chosen.subjects.len());
    }
    Ok(scored)
}

fn write(
    evaluation: &Evaluation,
    pictures: &[Vec<u8>],
    out: &Path,
    stale: &[PathBuf],
) -> Result<(), EvaluateError> {
    let overlays = out.join("overlays");
    std::fs::create_dir_all(&overlays).map_err(EvaluateError::folder(out))?;
    // New tables never stand beside an old summary, whenever the process is killed.
    let unfinished = out.join(place::UNFINISHED);
    lacuna_io::atomic::write_bytes(&unfinished, b"")?;
    remove_file(&out.join("summary.json"))?;
    for (subject, png) in evaluation.subjects.iter().zip(pictures) {
        lacuna_io::atomic::write_bytes(out.join(&subject.overlay.file), png)?;
    }
    for file in stale {
        remove_file(file)?;
    }
    let tables = [
        ("scores.csv", tables::score_rows(evaluation)),
        ("lesions.csv", tables::lesion_rows(evaluation)),
        (
            "lesion_conventions.csv",
            tables::convention_rows(evaluation),
        ),
        ("lesion_strata.csv", tables::stratum_rows(evaluation)),
    ];
    for (name, rows) in tables {
        write_table(&out.join(name), rows)?;
    }
    let froc = out.join("froc.csv");
    if !evaluation.froc.is_empty() {
        write_table(&froc, tables::froc_rows(evaluation))?;
    } else {
        // Of a former evaluation, which this one replaces.
        remove_file(&froc)?;
    }
    evaluation.write(out)?;
    remove_file(&unfinished)?;
    Ok(())
}
