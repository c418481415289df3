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
mod place;
mod probabilities;
mod score;
mod tables;

use std::path::{Path, PathBuf};

use lacuna_data::manifest::Manifest;
use lacuna_metrics::{Bootstrap, ClassScores, Options, Summary};
use lacuna_record::table::write_table;
use lacuna_record::{Evaluation, Provenance, SubjectScores, remove_file};
use rayon::prelude::*;

pub use bids::{WrittenBids, write_bids};
use choose::Chosen;
pub use choose::{file_of, regions, regions_with};
pub use compare::{CompareError, CompareRequest, Metric, compare, labels_of, metric_of};
pub use error::EvaluateError;
pub use errors::error_page;
pub use probabilities::CANDIDATE_THRESHOLD;
use probabilities::{Curves, Probabilities};
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
    let All {
        subjects,
        pictures,
        curves,
    } = score_all(request, &chosen, &probabilities, modality, on_subject)?;
    let (froc, precision_recall) = curves.finish(request.manifest)?;
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
        froc,
        precision_recall,
        subjects,
    };
    // Only now, so that a file that cannot be scored leaves no half of an evaluation.
    write(&evaluation, &pictures, request.out, &stale)?;
    Ok(evaluation)
}

/// What all subjects come to.
#[derive(Default)]
struct All {
    subjects: Vec<SubjectScores>,
    /// PNG, one of each.
    pictures: Vec<Vec<u8>>,
    curves: Curves,
}

/// Scores each subject.
fn score_all(
    request: &Request,
    chosen: &Chosen,
    probabilities: &Probabilities,
    modality: &str,
    on_subject: &mut dyn FnMut(usize, usize),
) -> Result<All, EvaluateError> {
    let mut all = All::default();
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
        for scored in group {
            all.subjects.push(scored.scores);
            all.pictures.push(scored.picture);
            all.curves.add(scored.probabilities.unwrap_or_default());
        }
        on_subject(all.subjects.len(), chosen.subjects.len());
    }
    Ok(all)
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
    let of_probabilities = [
        ("froc.csv", tables::froc_rows(evaluation)),
        ("average_precision.csv", tables::area_rows(evaluation)),
        (
            "precision_recall.csv",
            tables::precision_recall_rows(evaluation),
        ),
    ];
    for (name, rows) in of_probabilities {
        match evaluation.froc.is_empty() {
            // Of a former evaluation, which this one replaces.
            true => remove_file(&out.join(name))?,
            false => write_table(&out.join(name), rows)?,
        }
    }
    evaluation.write(out)?;
    remove_file(&unfinished)?;
    Ok(())
}
