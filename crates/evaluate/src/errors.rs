//! Where the errors of an evaluation lie, and what they say of the next step.
//!
//! What an evaluation recorded of its lesions gives their sizes and places; with the
//! dataset, the depth below the edge of the mask and pictures follow from the files.

mod advice;
mod measure;
mod page;
mod pictures;

use std::path::Path;

pub(crate) use pictures::component_at;

use lacuna_data::manifest::Manifest;
use lacuna_record::Evaluation;
use lacuna_report::study::StudyReport;

use crate::EvaluateError;

/// The page of an evaluation: what to try next and why, scores with the worst subjects
/// first, sizes and depths of missed and false lesions, pictures of the largest of each.
/// Depths and pictures need the `manifest`; without it the page says so. `on_subject`
/// hears (subjects done, subjects in all).
///
/// # Errors
/// When the manifest lacks a subject, or a file of it cannot be read.
pub fn error_page(
    evaluation: &Evaluation,
    folder: &Path,
    manifest: Option<&Manifest>,
    on_subject: &mut dyn FnMut(usize, usize),
) -> Result<StudyReport, EvaluateError> {
    let measured = measure::of(evaluation, manifest, on_subject)?;
    let advice = advice::of(&advice::Figures::of(evaluation, &measured.lesions));
    let drawn = match manifest {
        Some(manifest) => pictures::draw(evaluation, manifest, &measured.lesions)?,
        None => pictures::Drawn::default(),
    };
    let title = folder.display().to_string();
    Ok(page::of(&title, evaluation, &measured, &advice, drawn))
}
