//! What every manifest must satisfy, whether read or made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lacuna_record::BESIDE;

use super::{MAX_LABEL_VALUE, ManifestError, Subject};

/// File systems take names of 255 bytes; a prediction's has an ending, and before it is whole a
/// few letters more.
const MOST_ID_BYTES: usize = 200;

pub(super) fn check_counts(
    path: &Path,
    modalities: usize,
    classes: usize,
    subjects: usize,
) -> Result<(), ManifestError> {
    let wrong = |key, found, expected, remedy| {
        Err(ManifestError::Count {
            path: path.to_owned(),
            key,
            found,
            expected,
            remedy,
        })
    };
    if modalities == 0 {
        return wrong("modalities", 0, "at least 1", "name the image types");
    }
    if !(2..=255).contains(&classes) {
        let remedy = "name the background first, then each foreground class";
        return wrong("classes", classes, "2 to 255", remedy);
    }
    if subjects == 0 {
        let remedy = "add a [[subject]] with its id and images";
        return wrong("subject", 0, "at least 1", remedy);
    }
    Ok(())
}

pub(super) fn check_names(
    path: &Path,
    key: &'static str,
    names: &[String],
) -> Result<(), ManifestError> {
    let mut seen = BTreeSet::new();
    for name in names {
        let reason = match name {
            name if name.trim().is_empty() => Some("is empty"),
            name if name.contains(char::is_control) => Some("contains a control character"),
            _ => None,
        };
        if let Some(reason) = reason {
            return Err(ManifestError::Name {
                path: path.to_owned(),
                key,
                name: name.clone(),
                reason,
            });
        }
        if !seen.insert(name) {
            return Err(ManifestError::Duplicate {
                path: path.to_owned(),
                key,
                name: name.clone(),
            });
        }
    }
    Ok(())
}

/// Checks the label values and gives the class index by label value.
pub(super) fn class_table(
    path: &Path,
    classes: &[String],
    label_values: &BTreeMap<i32, String>,
) -> Result<Vec<Option<u8>>, ManifestError> {
    let mut table = Vec::new();
    let mut used = vec![false; classes.len()];
    for (&value, class) in label_values {
        if !(0..=MAX_LABEL_VALUE).contains(&value) {
            return Err(ManifestError::LabelKey {
                path: path.to_owned(),
                key: value.to_string(),
            });
        }
        let index =
            classes
                .iter()
                .position(|c| c == class)
                .ok_or_else(|| ManifestError::LabelClass {
                    path: path.to_owned(),
                    value,
                    class: class.clone(),
                    classes: classes.to_vec(),
                })?;
        used[index] = true;
        // Ascending values within 0..=65535 and at most 255 classes: both casts are exact.
        table.resize(value as usize + 1, None);
        table[value as usize] = Some(index as u8);
    }
    match used.iter().position(|&u| !u) {
        None => Ok(table),
        Some(index) => Err(ManifestError::ClassWithoutValue {
            path: path.to_owned(),
            class: classes[index].clone(),
        }),
    }
}

pub(super) fn check_subjects(
    path: &Path,
    modalities: &[String],
    subjects: &[Subject],
) -> Result<(), ManifestError> {
    let ids: Vec<String> = subjects.iter().map(|s| s.id.clone()).collect();
    check_names(path, "subject", &ids)?;
    let known: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    for subject in subjects {
        for (key, name) in [("group", &subject.group), ("scanner", &subject.scanner)] {
            check_names(path, key, name.as_slice())?;
        }
        let place = format!("in subject `{}`", subject.id);
        check_spacing(path, &place, subject.spacing)?;
        let unusable = unusable_id(&subject.id).or_else(|| taken_id(&subject.id, &known));
        if let Some(reason) = unusable {
            return Err(ManifestError::Name {
                path: path.to_owned(),
                key: "subject",
                name: subject.id.clone(),
                reason,
            });
        }
        check_images(path, modalities, subject)?;
        check_files(path, subject)?;
    }
    Ok(())
}

/// Refuses edges of pixels that no picture can have.
pub(super) fn check_spacing(
    path: &Path,
    place: &str,
    spacing: Option<[f64; 2]>,
) -> Result<(), ManifestError> {
    // Squares and products of what a picture can have are numbers.
    let usable = |edge: &f64| (1e-9..=1e9).contains(edge);
    match spacing.filter(|edges| !edges.iter().all(usable)) {
        None => Ok(()),
        Some(found) => Err(ManifestError::Spacing {
            path: path.to_owned(),
            place: place.to_owned(),
            found,
        }),
    }
}

/// Why `id` cannot be the name of a prediction's file.
fn unusable_id(id: &str) -> Option<&'static str> {
    if id.contains(['/', '\\']) {
        Some("contains a path separator, and predictions are written to <id>.nii.gz")
    } else if id.starts_with('.') {
        Some("starts with a dot, and predictions are written to <id>.nii.gz")
    } else if id.trim() != id {
        Some("has spaces around it")
    } else if id.len() > MOST_ID_BYTES {
        Some("has more than 200 bytes, and predictions are written to <id>.nii.gz")
    } else {
        None
    }
}

/// Why `id` cannot be the name of a prediction's file beside those of the subjects `known`.
fn taken_id(id: &str, known: &BTreeSet<&str>) -> Option<&'static str> {
    let taken = |ending| id.strip_suffix(ending).is_some_and(|of| known.contains(of));
    BESIDE.into_iter().any(taken).then_some(
        "names a file that is written beside the prediction of the subject called the same \
         without that ending",
    )
}

fn check_images(
    path: &Path,
    modalities: &[String],
    subject: &Subject,
) -> Result<(), ManifestError> {
    if let Some(found) = subject.images.keys().find(|m| !modalities.contains(m)) {
        return Err(ManifestError::UnknownModality {
            path: path.to_owned(),
            subject: subject.id.clone(),
            found: found.clone(),
            expected: modalities.to_vec(),
        });
    }
    let missing: Vec<String> = modalities
        .iter()
        .filter(|m| !subject.images.contains_key(*m))
        .cloned()
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(ManifestError::MissingModality {
        path: path.to_owned(),
        subject: subject.id.clone(),
        missing,
        expected: modalities.to_vec(),
    })
}

fn check_files(path: &Path, subject: &Subject) -> Result<(), ManifestError> {
    let images = subject.images.iter().map(|(m, i)| (m.as_str(), &i.path));
    let maps = [
        ("label", &subject.label),
        ("mask", &subject.mask),
        ("weight", &subject.weight),
        ("white_matter", &subject.white_matter),
    ];
    let maps = maps
        .into_iter()
        .filter_map(|(key, file)| Some((key, file.as_ref()?)));
    let mut empty = images
        .chain(maps)
        .filter(|(_, file)| file.as_os_str().is_empty());
    match empty.next() {
        None => Ok(()),
        Some((key, file)) => Err(ManifestError::FileName {
            path: path.to_owned(),
            subject: subject.id.clone(),
            key: key.to_owned(),
            file: file.clone(),
        }),
    }
}
