//! What is recorded of a process and of the files that a training reads.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use lacuna_record::{Provenance, SessionRecord, Sessions, SourceFile, sha256, sha256_of};
use rayon::prelude::*;

use crate::checkpoint;
use crate::config::RunConfig;
use crate::dataset::{Dataset, preprocess};
use crate::device::DeviceName;
use crate::run::RunError;

/// What the running process is, which computes on `device`.
pub fn of_process(device: DeviceName) -> Provenance {
    Provenance {
        device: Some(device.to_string()),
        instructions: Some(format!("{:?}", lacuna_kernels::Instructions::detected())),
        ..Provenance::of_process(rayon::current_num_threads())
    }
}

/// The sessions of a run with the one that begins: those of the folder `run` that goes on,
/// or of a new run none. `note` hears which files are no longer those of the
/// sessions before.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn with_session(
    config: &RunConfig,
    dataset: &Dataset,
    run: Option<&Path>,
    device: DeviceName,
    note: &mut dyn FnMut(String),
) -> Result<Sessions, RunError> {
    let mut sessions = run.map(Sessions::read).transpose()?.unwrap_or_default();
    let before = run.map(checkpoint::latest).transpose()?.flatten();
    // Whoever loads a damaged checkpoint says so better.
    let weights = (before.as_ref())
        .and_then(|(folder, _)| sha256_of(&folder.join("weights.safetensors")).ok());
    let files: Vec<SourceFile> = (files(dataset)?.par_iter())
        .filter(|path| !sessions.file(path).is_some_and(SourceFile::seems_unchanged))
        .map(|path| SourceFile::of(path))
        .collect::<Result<_, _>>()?;
    let mut changed = Vec::new();
    for file in files {
        match sessions.file(&file.path) {
            // A copy, or a touch, is no change.
            Some(known) if known.sha256 == file.sha256 => continue,
            Some(_) => note(format!(
                "{} has changed since the run began with it",
                file.path.display()
            )),
            None => {}
        }
        changed.push(file);
    }
    if run.is_none() {
        let mut began_with = config.to_toml()?;
        began_with.extend(changed.iter().map(|file| file.sha256.as_str()));
        sessions.run = Some(sha256(began_with.as_bytes()));
    }
    let asked = preprocess(config).spacing;
    sessions.sessions.push(SessionRecord {
        provenance: Provenance {
            weights,
            ..of_process(device)
        },
        iteration: Some(before.map_or(0, |(_, state)| state.iteration)),
        spacing_mm: asked.map_or(dataset.facts.spacing_mm, |edges| Some([edges; 2])),
        files: changed,
    });
    Ok(sessions)
}

/// The manifest, and each file of the subjects that are trained on and validated with,
/// by absolute paths, so that a run that goes on elsewhere knows them.
fn files(dataset: &Dataset) -> Result<Vec<PathBuf>, RunError> {
    let split = &dataset.facts.split;
    let mut files = BTreeSet::from([dataset.manifest.path.clone()]);
    for id in split.train.iter().chain(&split.validation) {
        files.extend(dataset.manifest.subject(id)?.files());
    }
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    Ok(files.into_iter().map(absolute).collect())
}
