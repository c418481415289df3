//! Which subjects of a folder of predictions are scored.

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_record::{Predictions, prediction_path};

use crate::{EvaluateError, Request};

/// The regions to score: those asked for, each as class names joined by `+`, else
/// those that the network behind the folder `predictions` was trained on.
///
/// # Errors
/// A class that the manifest does not have, or a list that cannot be read.
pub fn regions(
    manifest: &Manifest,
    predictions: &std::path::Path,
    asked: &[String],
) -> Result<Vec<Vec<String>>, EvaluateError> {
    if asked.is_empty() {
        let listed = Predictions::read(predictions)?;
        return Ok(listed.map_or_else(Vec::new, |listed| listed.regions));
    }
    let classes = &manifest.classes[1..];
    let names = |region: &String| -> Result<Vec<String>, EvaluateError> {
        let names: Vec<String> = region.split('+').map(str::to_owned).collect();
        match names.iter().find(|name| !classes.contains(name)) {
            None => Ok(names),
            Some(class) => Err(EvaluateError::RegionClass {
                region: region.clone(),
                class: class.clone(),
                manifest: manifest.path.clone(),
                expected: classes.join(", "),
            }),
        }
    };
    asked.iter().map(names).collect()
}

/// The subjects to score: each has a label and a prediction.
pub(crate) fn choose<'a>(request: &Request<'a>) -> Result<Vec<&'a Subject>, EvaluateError> {
    let manifest = request.manifest;
    let listed = Predictions::read(request.predictions)?;
    if let Some(Predictions { classes, .. }) = &listed
        && *classes != manifest.classes
    {
        return Err(EvaluateError::Classes {
            predictions: request.predictions.to_owned(),
            found: classes.join(", "),
            manifest: manifest.path.clone(),
            expected: manifest.classes.join(", "),
        });
    }
    let listed = listed.map(|p| p.subjects);
    let chosen: Vec<&Subject> = match (request.subjects.is_empty(), listed) {
        (false, _) => find(manifest, request.subjects)?,
        (true, Some(listed)) => find(manifest, &listed)?
            .into_iter()
            .filter(|s| s.label.is_some())
            .collect(),
        (true, None) => (manifest.subjects.iter())
            .filter(|s| s.label.is_some())
            .collect(),
    };
    if chosen.is_empty() {
        return Err(EvaluateError::NothingLabelled {
            manifest: manifest.path.clone(),
        });
    }
    if let Some(subject) = chosen.iter().find(|s| s.label.is_none()) {
        return Err(EvaluateError::NoLabel {
            manifest: manifest.path.clone(),
            subject: subject.id.clone(),
        });
    }
    let missing: Vec<&str> = (chosen.iter())
        .filter(|s| !prediction_path(request.predictions, &s.id).exists())
        .map(|s| s.id.as_str())
        .collect();
    if !missing.is_empty() {
        return Err(EvaluateError::NoPrediction {
            predictions: request.predictions.to_owned(),
            missing: missing.len(),
            asked: chosen.len(),
            subjects: missing.join(", "),
        });
    }
    Ok(chosen)
}

fn find<'a>(manifest: &'a Manifest, ids: &[String]) -> Result<Vec<&'a Subject>, EvaluateError> {
    ids.iter().map(|id| Ok(manifest.subject(id)?)).collect()
}
