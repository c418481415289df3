//! Where a comparison may be written.

use std::path::{Path, PathBuf};

use lacuna_data::manifest::Subject;
use lacuna_record::{ComparedPredictions, Inputs, check_folder, check_no_run};

use super::sources::Source;
use super::{CompareError, CompareRequest};
use crate::EvaluateError;
use crate::place::same_folder;

/// The folder of pictures, below that of the comparison.
pub(super) const PICTURES: &str = "pictures";

/// Below the folder of the comparison: the picture of a subject.
pub(super) fn picture(id: &str) -> PathBuf {
    Path::new(PICTURES).join(format!("{id}.png"))
}

/// Refuses, before any work, a folder that cannot be written, files that are read, and
/// files that are not of a former comparison of the same folders; with `force`, any former
/// comparison is replaced. Gives the pictures of the former comparison.
pub(super) fn check(
    request: &CompareRequest,
    sources: &[Source],
    subjects: &[&Subject],
) -> Result<Vec<PathBuf>, EvaluateError> {
    let out = request.out;
    check_folder(out)?;
    let list = ComparedPredictions::path(out);
    let tables = [
        "differences.csv",
        "summary.csv",
        "strata.csv",
        "lesions.csv",
        "compare.md",
        "compare.html",
    ];
    let pictures = subjects
        .iter()
        .map(|subject| out.join(picture(&subject.id)));
    let outputs: Vec<PathBuf> = [list.clone()]
        .into_iter()
        .chain(tables.map(|name| out.join(name)))
        .chain(pictures)
        .collect();
    let read = request.manifest.files().into_iter();
    let inputs = Inputs::of(read.chain(sources.iter().flat_map(Source::files)));
    for output in &outputs {
        inputs.spare(output)?;
    }
    if list.exists() {
        let Ok(Some(before)) = ComparedPredictions::read(out) else {
            return Err(CompareError::NotAComparison { found: list }.into());
        };
        let same = before.predictions.len() == sources.len()
            && (before.predictions.iter().zip(sources))
                .all(|(before, now)| same_folder(&before.folder, &now.folder));
        if !same && !request.force {
            return Err(CompareError::OutTaken { found: list }.into());
        }
        let stale = former_pictures(&before, out);
        for file in &stale {
            inputs.spare(file)?;
        }
        return Ok(stale);
    }
    check_no_run(out)?;
    match outputs.into_iter().find(|output| output.exists()) {
        Some(found) if !request.force => Err(CompareError::OutTaken { found }.into()),
        _ => Ok(Vec::new()),
    }
}

/// Files in the folder of pictures, whatever the list says.
fn former_pictures(before: &ComparedPredictions, out: &Path) -> Vec<PathBuf> {
    let folder = out.join(PICTURES);
    let pictures = before.pictures.iter().map(|p| out.join(&p.file));
    pictures
        .filter(|file| file.parent() == Some(&folder) && file.file_name().is_some())
        .filter(|file| file.is_file())
        .collect()
}
