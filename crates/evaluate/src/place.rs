//! Where an evaluation may be written.

use std::path::{Path, PathBuf};

use lacuna_record::{Evaluation, Inputs, check_folder, check_no_run};

use crate::choose::Chosen;
use crate::{EvaluateError, Request};

/// What a folder has while an evaluation is written into it. It has no `summary.json` then.
pub(crate) const UNFINISHED: &str = ".unfinished";

/// Refuses, before any work, a folder that cannot be written, files that are read, and
/// files that are not of a former evaluation of the same predictions; with `force`,
/// any former evaluation is replaced. Gives the pictures of the former evaluation that
/// this one does not have.
pub(crate) fn check(request: &Request, chosen: &Chosen) -> Result<Vec<PathBuf>, EvaluateError> {
    let out = request.out;
    check_folder(out)?;
    let tables = [
        "summary.json",
        "scores.csv",
        "lesions.csv",
        "lesion_conventions.csv",
        "lesion_strata.csv",
        "froc.csv",
        "average_precision.csv",
        "precision_recall.csv",
    ]
    .map(|name| out.join(name));
    let pictures = (chosen.subjects.iter()).map(|(subject, _)| picture(out, &subject.id));
    let outputs: Vec<_> = tables.iter().cloned().chain(pictures).collect();
    let inputs = Inputs::of(
        (request.manifest.files().into_iter())
            .chain(chosen.subjects.iter().map(|(_, file)| file.file.clone()))
            .chain([request.predictions.join("predictions.json")]),
    );
    for output in &outputs {
        inputs.spare(output)?;
    }
    let refused = |found: &Path| EvaluateError::OutTaken {
        found: found.to_owned(),
    };
    if tables[0].exists() {
        // Anything else of that name, such as the summary of a training, stays.
        let Ok(Some(before)) = Evaluation::read(out) else {
            return Err(EvaluateError::NotAnEvaluation {
                found: tables[0].clone(),
            });
        };
        let same = same_folder(&before.predictions, request.predictions);
        if !same && !request.force {
            return Err(refused(&tables[0]));
        }
        let stale = stale_pictures(&before, out, &outputs);
        for picture in &stale {
            inputs.spare(picture)?;
        }
        return Ok(stale);
    }
    check_no_run(out)?;
    let cut_off = out.join(UNFINISHED).exists();
    match outputs.iter().find(|output| output.exists()) {
        Some(found) if !request.force && !cut_off => Err(refused(found)),
        _ => Ok(Vec::new()),
    }
}

/// The pictures of `before` that are none of `outputs`: files in the folder of pictures,
/// whatever its list says.
fn stale_pictures(before: &Evaluation, out: &Path, outputs: &[PathBuf]) -> Vec<PathBuf> {
    let pictures = before.subjects.iter().map(|s| out.join(&s.overlay.file));
    let overlays = out.join("overlays");
    pictures
        .filter(|file| file.parent() == Some(&overlays) && file.file_name().is_some())
        .filter(|file| !outputs.contains(file) && file.is_file())
        .collect()
}

/// The picture of a subject.
pub(crate) fn picture(out: &Path, id: &str) -> PathBuf {
    out.join("overlays").join(format!("{id}.png"))
}

pub(crate) fn same_folder(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
}
