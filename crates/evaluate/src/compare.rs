//! Several predictions of the same subjects, each compared with each.
//!
//! Every prediction is scored against the same reference; the differences of two are
//! taken within subjects, and their lesions side by side.

mod error;
mod lesions;
mod measure;
mod page;
mod pictures;
mod place;
mod sources;
mod statistics;
mod tables;

use std::path::{Path, PathBuf};

use lacuna_data::manifest::Manifest;
use lacuna_metrics::{Bootstrap, Options};
use lacuna_record::{ComparedFolder, ComparedPair, ComparedPredictions, Provenance, RecordError};

pub use error::CompareError;
pub use measure::labels_of;
pub use statistics::{Metric, metric_of};

use crate::{EvaluateError, score};
use sources::{Held, Source};

/// What to compare, how, and where to write it.
#[derive(Clone, Debug)]
pub struct CompareRequest<'a> {
    /// The subjects with their reference labels.
    pub manifest: &'a Manifest,
    /// Two or more folders: label maps `<subject id>.nii.gz` or of another ending, or evaluations.
    pub folders: &'a [PathBuf],
    /// What to call them; when empty, as their folders.
    pub names: &'a [String],
    /// The names of those whose files hold the dataset's own label values in place of class
    /// indices. A list of `lacuna predict` says so by itself.
    pub label_values: &'a [String],
    /// The folder to write.
    pub out: &'a Path,
    /// The subjects to compare; when empty, those that all folders hold.
    pub subjects: &'a [String],
    /// What is measured of label maps.
    pub options: Options,
    /// Replace a comparison of other folders in `out`.
    pub force: bool,
    /// Modality behind the pictures; default: FLAIR if there is one, else the first.
    pub overlay: Option<&'a str>,
    /// Most subjects to draw.
    pub pictures: usize,
}

/// Compares the predictions and writes the folder `out`. `on_subject` hears (subjects
/// done, subjects in all).
///
/// # Errors
/// When there is nothing to compare, a file cannot be read, does not fit its reference or
/// holds no class, evaluations are of other references or conventions, or the folder
/// cannot be written. Nothing is written then.
pub fn compare(
    request: &CompareRequest,
    on_subject: &mut dyn FnMut(usize, usize),
) -> Result<ComparedPredictions, EvaluateError> {
    let modality = score::overlay_modality(request.manifest, request.overlay)?;
    let sources = sources::read(request)?;
    let chosen = sources::common_subjects(request, &sources)?;
    let stale = place::check(request, &sources, &chosen.subjects)?;
    let mut measured = measure::all(request, &sources, &chosen.subjects, on_subject)?;
    let mut notes = chosen.notes;
    let conventions = measure::align(&mut measured, &sources, &mut notes)?;
    measure::note_missing(&measured, &sources, &mut notes);
    let bootstrap = Bootstrap::default();
    let metrics = statistics::metrics_of(&measured, &mut notes);
    let differences = statistics::differences(&measured, &metrics, &bootstrap, &mut notes)?;
    let pairs: Vec<ComparedPair> = (each_two(sources.len()).zip(differences))
        .map(|(pair @ [a, b], metrics)| ComparedPair {
            first: sources[a].name.clone(),
            second: sources[b].name.clone(),
            metrics,
            strata: lesions::strata(&measured, pair),
            lesions: lesions::disputed(&measured, &sources, pair),
        })
        .collect();
    let drawn = pictures::draw(request, &sources, &measured, &pairs, modality)?;
    let compared = ComparedPredictions {
        provenance: Provenance::of_process(rayon::current_num_threads()),
        predictions: sources.iter().map(folder_of).collect(),
        subjects: measured.iter().map(|m| m.subject.clone()).collect(),
        left_out: chosen.left_out,
        notes,
        conventions,
        bootstrap,
        values: statistics::values(&measured, &metrics),
        pairs,
        pictures: drawn.iter().map(|(overlay, _)| overlay.clone()).collect(),
    };
    let drawn: Vec<Vec<u8>> = drawn.into_iter().map(|(_, png)| png).collect();
    write(&compared, &drawn, request.out, &stale)?;
    Ok(compared)
}

/// Each two of `n`, the earlier one first.
fn each_two(n: usize) -> impl Iterator<Item = [usize; 2]> {
    (0..n).flat_map(move |a| (a + 1..n).map(move |b| [a, b]))
}

fn folder_of(source: &Source) -> ComparedFolder {
    ComparedFolder {
        name: source.name.clone(),
        // Absolute, to be known again from elsewhere.
        folder: (source.folder.canonicalize()).unwrap_or_else(|_| source.folder.clone()),
        evaluation: matches!(source.held, Held::Scores(_)),
    }
}

fn write(
    compared: &ComparedPredictions,
    pictures: &[Vec<u8>],
    out: &Path,
    stale: &[PathBuf],
) -> Result<(), EvaluateError> {
    let folder = out.join(place::PICTURES);
    std::fs::create_dir_all(&folder).map_err(EvaluateError::folder(out))?;
    for (overlay, png) in compared.pictures.iter().zip(pictures) {
        lacuna_io::atomic::write_bytes(out.join(&overlay.file), png)?;
    }
    let drawn = |file: &PathBuf| (compared.pictures.iter()).any(|p| out.join(&p.file) == *file);
    for picture in stale.iter().filter(|file| !drawn(file)) {
        std::fs::remove_file(picture).map_err(RecordError::io(picture))?;
    }
    tables::write(compared, out)?;
    let page = page::of(compared, pictures);
    let [markdown, html] = [
        lacuna_report::study::markdown(&page),
        lacuna_report::study::html(&page),
    ];
    lacuna_io::atomic::write_bytes(out.join("compare.md"), markdown.as_bytes())?;
    lacuna_io::atomic::write_bytes(out.join("compare.html"), html.as_bytes())?;
    compared.write(out)?;
    Ok(())
}
