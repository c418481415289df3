//! A folder of predictions as a derivative dataset of BIDS, and such datasets as predictions.
//!
//! Source: BIDS 1.11, "Common derivatives" and "Imaging derivatives". One class becomes
//! `sub-p01_ses-01_space-orig_label-lesion_mask.nii.gz`, several `..._space-orig_dseg.nii.gz`
//! with a table of their names; both hold class indices. The list of `lacuna predict` goes
//! along, so that an evaluation knows what made the files.

mod name;
mod sidecar;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_io::atomic::{write_bytes, write_folder};
use lacuna_io::{Classes, read_reference, write_class_labels};
use lacuna_record::{Predictions, sha256_of, write_json};

use crate::EvaluateError;
use crate::choose::{Coding, check_classes, find_file};
use crate::score::read_prediction;
pub(crate) use name::found;
use name::{Visit, letters_of};
use sidecar::Sources;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenBids {
    /// Predictions.
    pub files: usize,
    /// What did not go along.
    pub notes: Vec<String>,
}

/// Writes the predictions of the subjects of `manifest` in the folder `predictions` as the
/// dataset `out`, which appears whole or not at all. `label_values` as in [`crate::Request`].
/// `on_subject` hears (subjects done, subjects in all).
///
/// # Errors
/// When `out` is there, no subject has a prediction, a file cannot be read, has changed since
/// it was predicted or holds no class, two subjects have one name in BIDS, or the folder cannot
/// be written.
pub fn write_bids(
    manifest: &Manifest,
    predictions: &Path,
    label_values: bool,
    out: &Path,
    on_subject: &mut dyn FnMut(usize, usize),
) -> Result<WrittenBids, EvaluateError> {
    if out.exists() {
        return Err(EvaluateError::Exists {
            path: out.to_owned(),
        });
    }
    if !predictions.is_dir() {
        return Err(EvaluateError::NoFolder {
            predictions: predictions.to_owned(),
        });
    }
    let listed = Predictions::read(predictions)?;
    if let Some(list) = &listed {
        check_classes(manifest, predictions, list)?;
    }
    let coding = Coding::of(predictions, listed.as_ref(), label_values)?;
    let mut found = Vec::new();
    let mut visits: BTreeMap<String, &str> = BTreeMap::new();
    for subject in &manifest.subjects {
        let Some(file) = find_file(predictions, &subject.id, listed.as_ref())? else {
            continue;
        };
        let visit = Visit::of(subject);
        if let Some(other) = visits.insert(visit.stem.clone(), &subject.id) {
            return Err(EvaluateError::SameBidsName {
                name: visit.stem,
                ids: [other.to_owned(), subject.id.clone()],
            });
        }
        found.push((subject, visit, file.file));
    }
    if found.is_empty() {
        return Err(EvaluateError::NoPrediction {
            predictions: predictions.to_owned(),
            missing: manifest.subjects.len(),
            asked: manifest.subjects.len(),
            subjects: "all".to_owned(),
        });
    }
    let sources = Sources::of(manifest, out);
    let total = found.len();
    write_folder(out, |part| {
        let mut list = listed.clone();
        for (done, (subject, visit, file)) in found.iter().enumerate() {
            on_subject(done, total);
            let written = write_one(manifest, subject, visit, file, &coding, &sources, part)?;
            let files = list.as_mut().and_then(|list| list.files.as_mut());
            if let Some(entry) = files.and_then(|files| files.get_mut(&subject.id)) {
                entry.sha256 = sha256_of(&written)?;
            }
        }
        let about = sidecar::description(manifest, listed.as_ref(), &sources);
        write_json(&part.join("dataset_description.json"), &about)?;
        let readme = sidecar::readme(manifest, listed.as_ref());
        write_bytes(part.join("README.md"), readme.as_bytes())?;
        if let Some(mut list) = list {
            // Class indices, whatever the files held before.
            (list.values, list.ending) = (None, None);
            list.write(part)?;
            write_bytes(part.join(".bidsignore"), b"predictions.json\n")?;
        }
        Ok::<_, EvaluateError>(())
    })?;
    on_subject(total, total);
    let left = manifest.subjects.len() - total;
    let mut notes = Vec::new();
    if left > 0 {
        notes.push(format!(
            "{left} subjects of the manifest have no prediction"
        ));
    }
    if found
        .iter()
        .any(|(subject, ..)| !name::is_bids(&subject.id))
    {
        notes.push("ids that are no names of BIDS were changed to such".to_owned());
    }
    Ok(WrittenBids {
        files: total,
        notes,
    })
}

/// Writes the label map of a subject with what tells of it, and gives its path.
fn write_one(
    manifest: &Manifest,
    subject: &Subject,
    visit: &Visit,
    file: &Path,
    coding: &Coding,
    sources: &Sources,
    out: &Path,
) -> Result<PathBuf, EvaluateError> {
    let folder = out.join(&visit.folder);
    std::fs::create_dir_all(&folder).map_err(EvaluateError::folder(&folder))?;
    let labels = read_prediction(manifest, file, coding)?;
    let stem = match &manifest.classes[..] {
        [_, class] => format!("{}_space-orig_label-{}_mask", visit.stem, letters_of(class)),
        _ => format!("{}_space-orig_dseg", visit.stem),
    };
    let path = folder.join(format!("{stem}.nii.gz"));
    let classes = Classes {
        names: &manifest.classes,
        values: None,
    };
    write_class_labels(&path, &labels, classes, &read_reference(file)?)?;
    let about = sidecar::of_map(manifest, subject, sources);
    write_json(&folder.join(format!("{stem}.json")), &about)?;
    if manifest.classes.len() > 2 {
        let rows = manifest.classes.iter().enumerate();
        let rows: String = rows.map(|(n, class)| format!("{n}\t{class}\n")).collect();
        let table = format!("index\tname\n{rows}");
        write_bytes(folder.join(format!("{stem}.tsv")), table.as_bytes())?;
    }
    Ok(path)
}
