//! Scores a folder of predictions against the labels of a dataset, and writes what
//! `lacuna evaluate` leaves: [`Evaluation`], tables of subjects and lesions, pictures.
//! [`compare()`] sets several folders of predictions side by side.
//!
//! Voxel axes are (x, y, z) as in the files; pictures are drawn in canonical axes.

mod choose;
mod compare;
mod error;
mod place;
mod score;
mod tables;

use std::path::{Path, PathBuf};

use lacuna_data::manifest::Manifest;
use lacuna_metrics::{Bootstrap, ClassScores, Options, Summary};
use lacuna_record::{Evaluation, Provenance, RecordError, SubjectScores};
use rayon::prelude::*;

use choose::Chosen;
pub use choose::regions;
pub use compare::{CompareError, CompareRequest, Metric, compare, metric_of};
pub use error::EvaluateError;
pub use score::{example, reference_of};

/// What to score, how, and where to write it.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The subjects with their reference labels.
    pub manifest: &'a Manifest,
    /// The folder with one `<subject id>.nii.gz` or `.nii` each.
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
    let (scored, pictures) = score_all(request, &chosen, modality, on_subject)?;
    let rows: Vec<Vec<ClassScores>> = scored.iter().map(|s| s.classes.clone()).collect();
    let predictions = request.predictions;
    let evaluation = Evaluation {
        provenance: Some(Provenance::of_process(rayon::current_num_threads())),
        // Absolute, to be known again from elsewhere.
        predictions: (predictions.canonicalize()).unwrap_or_else(|_| predictions.to_owned()),
        notes: chosen.notes,
        summary: Summary::of(&rows, &Bootstrap::default())?,
        subjects: scored,
    };
    // Only now, so that a file that cannot be scored leaves no half of an evaluation.
    write(&evaluation, &pictures, request.out, &stale)?;
    Ok(evaluation)
}

/// The scores and the picture of each subject.
fn score_all(
    request: &Request,
    chosen: &Chosen,
    modality: &str,
    on_subject: &mut dyn FnMut(usize, usize),
) -> Result<(Vec<SubjectScores>, Vec<Vec<u8>>), EvaluateError> {
    let mut scored = Vec::with_capacity(chosen.subjects.len());
    let mut pictures = Vec::with_capacity(chosen.subjects.len());
    // One subject per core at a time bounds the memory.
    for group in chosen.subjects.chunks(rayon::current_num_threads()) {
        let group: Vec<_> = group
            .par_iter()
            .map(|(subject, file)| score::score(request, subject, file, &chosen.coding, modality))
            .collect::<Result<_, _>>()?;
        for (scores, picture) in group {
            scored.push(scores);
            pictures.push(picture);
        }
        on_subject(scored.len(), chosen.subjects.len());
    }
    Ok((scored, pictures))
}

fn write(
    evaluation: &Evaluation,
    pictures: &[Vec<u8>],
    out: &Path,
    stale: &[PathBuf],
) -> Result<(), EvaluateError> {
    let overlays = out.join("overlays");
    std::fs::create_dir_all(&overlays).map_err(EvaluateError::folder(out))?;
    for (subject, png) in evaluation.subjects.iter().zip(pictures) {
        lacuna_io::atomic::write_bytes(out.join(&subject.overlay.file), png)?;
    }
    for picture in stale {
        std::fs::remove_file(picture).map_err(RecordError::io(picture))?;
    }
    tables::write_csv(&out.join("scores.csv"), &tables::score_rows(evaluation))?;
    tables::write_csv(&out.join("lesions.csv"), &tables::lesion_rows(evaluation))?;
    evaluation.write(out)?;
    Ok(())
}
