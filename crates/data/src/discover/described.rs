//! Folders with a `dataset.json`, in three forms:
//!
//! - nnU-Net v2 (its `documentation/dataset_format.md`): `channel_names`,
//!   `labels` name to value, `imagesTr/CASE_0000.nii.gz` with one file per
//!   channel, `labelsTr/CASE.nii.gz`, `imagesTs`; or the files listed under
//!   `dataset`.
//! - Medical Segmentation Decathlon (Simpson et al. 2019): `modality`, `labels`
//!   value to name, `training` with image and label, `test`; the modalities
//!   are the volumes of one 4-D file.
//! - nnU-Net v1: the Decathlon's description with nnU-Net's image files.
//!
//! `labels` may be regions that overlap, and have an `ignore` label; see `labels.rs`.
//!
//! Test cases become subjects to predict: labels beside them are left out, so
//! that no split can draw them for training.

mod cases;
mod labels;

use std::collections::BTreeMap;
use std::path::Path;

use lacuna_io::text::{MOST_TEXT_BYTES, read_text};
use serde::Deserialize;

use super::{DiscoverError, folder_name};
use crate::manifest::Manifest;
use cases::{ListedCase, Source, TestCase, TrainingCase};
use labels::Labels;

const FILE: &str = "dataset.json";

#[derive(Deserialize)]
struct Description {
    name: Option<String>,
    channel_names: Option<BTreeMap<String, String>>,
    modality: Option<BTreeMap<String, String>>,
    labels: Labels,
    regions_class_order: Option<Vec<i64>>,
    file_ending: Option<String>,
    dataset: Option<BTreeMap<String, ListedCase>>,
    training: Option<Vec<TrainingCase>>,
    #[serde(default)]
    test: Vec<TestCase>,
}

/// True for a folder with a `dataset.json`.
pub fn is_described(folder: &Path) -> bool {
    folder.join(FILE).is_file()
}

/// The manifest, to be written to `out`, of an nnU-Net or Medical
/// Segmentation Decathlon folder. Opens no image.
///
/// # Errors
/// A `dataset.json` that cannot be read, whose regions have the background or another order
/// than `regions_class_order`, a file missing, or what [`Manifest::new`] refuses.
pub fn described(folder: &Path, out: &Path) -> Result<Manifest, DiscoverError> {
    let json = folder.join(FILE);
    let description = read(&json)?;
    let (key, names) = match (&description.channel_names, &description.modality) {
        (Some(names), _) => ("channel_names", names),
        (None, Some(names)) => ("modality", names),
        (None, None) => {
            return Err(DiscoverError::Entry {
                path: json,
                key: "channel_names".to_owned(),
                found: "absent".to_owned(),
                expected: "the modalities by number (`modality` in a Decathlon folder)",
                remedy: "add it, or give file patterns instead",
            });
        }
    };
    let source = Source {
        folder,
        modalities: modalities(&json, key, names)?,
        json,
    };
    let order = description.regions_class_order.as_deref();
    let meaning = description.labels.meaning(&source, order)?;
    let (classes, label_values) = meaning.classes;
    let subjects = match (&description.dataset, &description.training) {
        (Some(listed), _) => cases::listed_subjects(&source, &description, listed)?,
        (None, _) if key == "channel_names" => cases::nnunet_subjects(&source, &description)?,
        (None, Some(training)) => cases::decathlon_subjects(&source, training, &description.test)?,
        (None, None) => {
            return Err(source.entry("training", "absent", "the training cases", "add it"));
        }
    };
    let name = description.name.unwrap_or_else(|| folder_name(folder));
    let modalities = source.modalities;
    let manifest = Manifest::new(out, name, modalities, classes, label_values, subjects)?;
    let manifest = manifest.with_regions(meaning.regions)?;
    Ok(match meaning.ignore {
        Some(value) => manifest.with_ignore(value)?,
        None => manifest,
    })
}

fn read(json: &Path) -> Result<Description, DiscoverError> {
    let text = read_text(json, MOST_TEXT_BYTES);
    text.and_then(|text| Ok(serde_json::from_str(&text)?))
        .map_err(|source| DiscoverError::Description {
            path: json.to_owned(),
            source,
        })
}

/// Names in the order of their numbers; nnU-Net allows a name twice, so later
/// ones get their number.
fn modalities(
    json: &Path,
    key: &str,
    names: &BTreeMap<String, String>,
) -> Result<Vec<String>, DiscoverError> {
    let mut ordered: Vec<String> = Vec::with_capacity(names.len());
    for channel in 0..names.len() {
        let name = names
            .get(&channel.to_string())
            .ok_or_else(|| DiscoverError::Entry {
                path: json.to_owned(),
                key: key.to_owned(),
                found: format!("without number {channel}"),
                expected: "the numbers 0, 1, ... without gap",
                remedy: "renumber the channels and their files",
            })?;
        ordered.push(match ordered.contains(name) {
            true => format!("{name}-{channel}"),
            false => name.clone(),
        });
    }
    Ok(ordered)
}
