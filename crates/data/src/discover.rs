//! Makes a manifest from a folder of files: by patterns, or from the
//! `dataset.json` of an nnU-Net or Medical Segmentation Decathlon folder, by the names of BIDS, or
//! from a table.
//!
//! A subject's id is what the wildcards of a pattern matched, joined by `-`;
//! a part equal to the one before it is left out, so that `*/*_T1.nii.gz`
//! gives `a` for `a/a_T1.nii.gz`. Files of BIDS sessions are named as BIDS names
//! them, `sub-p01_ses-01`, and grouped by patient. Files with the same id belong
//! together.

mod bids;
mod described;
mod error;
mod list;
pub(crate) mod pattern;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lacuna_io::Format;
use rayon::prelude::*;

use crate::manifest::{ImageRef, MAX_LABEL_VALUE, Manifest, Subject};

pub use bids::{by_bids, is_bids};
pub use described::{described, is_described};
pub use error::DiscoverError;
use error::shortened;
pub use list::{from_list, is_list};

/// What to look for below a folder.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Modality and its pattern, in channel order; `pattern#1` takes the second volume or colour
    /// of each file, and pictures in colours without a number become three modalities.
    pub images: Vec<(String, String)>,
    /// Pattern of the label files; subjects without one are to predict.
    pub label: Option<String>,
    /// Pattern of the masks.
    pub mask: Option<String>,
    /// Pattern of the sampling-weight maps.
    pub weight: Option<String>,
    /// Pattern of the white-matter masks.
    pub white_matter: Option<String>,
    /// Names of the foreground classes: none for `label-1`, `label-2`, ...
    /// after the values found; one for all values other than 0; or one for
    /// each value found, in ascending order (values may share a name).
    pub foreground: Vec<String>,
}

/// The manifest, to be written to `out`, of the files below `folder` that the
/// patterns match. Reads all label files for their values.
///
/// # Errors
/// A pattern without wildcard or without match, two files for one subject, a
/// subject lacking a modality, labels or masks of a subject without images, a
/// label file that cannot be read or holds a value outside `0..=65535`, class
/// names that do not fit the values, or what [`Manifest::new`] refuses.
pub fn by_patterns(folder: &Path, search: &Search, out: &Path) -> Result<Manifest, DiscoverError> {
    let mut subjects: BTreeMap<String, Subject> = BTreeMap::new();
    let mut modalities = Vec::new();
    for (modality, pattern) in &search.images {
        let ImageRef { path, volume } = ImageRef::parse(pattern);
        let files = files_by_subject(folder, modality, &path.to_string_lossy())?;
        let colours = match volume {
            Some(_) => None,
            None => colours(&files)?,
        };
        let names: Vec<(String, Option<usize>)> = match colours {
            None => vec![(modality.clone(), volume)],
            Some(colours) => (colours.iter().enumerate())
                .map(|(at, colour)| (format!("{modality}-{colour}"), Some(at)))
                .collect(),
        };
        for (id, file) in files {
            let subject = subjects.entry(id.clone()).or_default();
            subject.id = id;
            subject.group = file.patient;
            for (name, volume) in &names {
                let image = ImageRef {
                    path: file.path.clone(),
                    volume: *volume,
                };
                subject.images.insert(name.clone(), image);
            }
        }
        modalities.extend(names.into_iter().map(|(name, _)| name));
    }
    refuse_incomplete(folder, &modalities, &subjects)?;
    type Field = fn(&mut Subject) -> &mut Option<PathBuf>;
    let maps: [(&'static str, &Option<String>, Field); 4] = [
        ("label", &search.label, |s| &mut s.label),
        ("mask", &search.mask, |s| &mut s.mask),
        ("weight", &search.weight, |s| &mut s.weight),
        ("white_matter", &search.white_matter, |s| {
            &mut s.white_matter
        }),
    ];
    for (role, pattern, field) in maps {
        if let Some(pattern) = pattern {
            let files = files_by_subject(folder, role, pattern)?;
            refuse_without_images(folder, role, pattern, &files, &subjects)?;
            for (id, file) in files {
                subjects
                    .entry(id)
                    .and_modify(|s| *field(s) = Some(file.path));
            }
        }
    }
    let labels: Vec<&Path> = subjects
        .values()
        .filter_map(|s| s.label.as_deref())
        .collect();
    let values = foreground_values(&labels)?;
    let (classes, label_values) = name_classes(folder, search, labels.len(), &values)?;
    let subjects = subjects.into_values().collect();
    let name = folder_name(folder);
    Ok(Manifest::new(
        out,
        name,
        modalities,
        classes,
        label_values,
        subjects,
    )?)
}

/// A file of one subject.
struct Found {
    path: PathBuf,
    /// The patient, where the name tells that the subject is one of the visits.
    patient: Option<String>,
}

fn files_by_subject(
    folder: &Path,
    role: &str,
    pattern: &str,
) -> Result<BTreeMap<String, Found>, DiscoverError> {
    if !pattern::has_wildcard(pattern) {
        return Err(DiscoverError::NoWildcard {
            role: role.to_owned(),
            pattern: pattern.to_owned(),
        });
    }
    let mut files: BTreeMap<String, Found> = BTreeMap::new();
    for pattern::Match { path, captures } in pattern::find_files(folder, pattern)? {
        let captures = distinct(captures);
        let below = path.strip_prefix(folder).unwrap_or(&path);
        let (id, patient) = match bids::session(below, pattern, captures.len()) {
            Some((id, patient)) => (id, Some(patient)),
            None => (captures.join("-"), None),
        };
        if let Some(first) = files.get(&id) {
            return Err(DiscoverError::Ambiguous {
                role: role.to_owned(),
                id,
                first: first.path.clone(),
                second: path,
            });
        }
        files.insert(id, Found { path, patient });
    }
    if files.is_empty() {
        return Err(DiscoverError::NoMatch {
            folder: folder.to_owned(),
            role: role.to_owned(),
            pattern: pattern.to_owned(),
        });
    }
    Ok(files)
}

/// What the wildcards matched, without nothing and without repetitions.
fn distinct(mut captures: Vec<String>) -> Vec<String> {
    captures.retain(|part| !part.is_empty());
    captures.dedup();
    captures
}

/// The colours of pictures, where the first is in colours; each becomes a modality.
fn colours(files: &BTreeMap<String, Found>) -> Result<Option<[&'static str; 3]>, DiscoverError> {
    let Some(first) = files.values().next() else {
        return Ok(None);
    };
    // What cannot be read is told when all are checked.
    let picture = matches!(Format::of(&first.path), Ok(Format::Picture(_)));
    let coloured = picture && lacuna_io::read_reference(&first.path)?.volumes() == 3;
    Ok(coloured.then_some(["red", "green", "blue"]))
}

fn refuse_incomplete(
    folder: &Path,
    modalities: &[String],
    subjects: &BTreeMap<String, Subject>,
) -> Result<(), DiscoverError> {
    let mut missing = Vec::new();
    for (id, subject) in subjects {
        let absent = modalities
            .iter()
            .filter(|m| !subject.images.contains_key(*m));
        let names: Vec<&str> = absent.map(String::as_str).collect();
        if !names.is_empty() {
            missing.push(format!("{id} ({})", names.join(", ")));
        }
    }
    match missing.is_empty() {
        true => Ok(()),
        false => Err(DiscoverError::MissingModalities {
            folder: folder.to_owned(),
            missing,
            subjects: subjects.len(),
        }),
    }
}

fn refuse_without_images(
    folder: &Path,
    role: &'static str,
    pattern: &str,
    files: &BTreeMap<String, Found>,
    subjects: &BTreeMap<String, Subject>,
) -> Result<(), DiscoverError> {
    let ids: Vec<String> = files
        .keys()
        .filter(|id| !subjects.contains_key(*id))
        .cloned()
        .collect();
    match ids.is_empty() {
        true => Ok(()),
        false => Err(DiscoverError::WithoutImages {
            folder: folder.to_owned(),
            role,
            pattern: pattern.to_owned(),
            ids,
            known: subjects.keys().cloned().collect(),
        }),
    }
}

/// All values other than 0 in the label files, ascending.
fn foreground_values(labels: &[&Path]) -> Result<Vec<i32>, DiscoverError> {
    let per_file = labels.par_iter().map(|path| {
        let values = distinct_values(path)?;
        match values.iter().find(|v| !(0..=MAX_LABEL_VALUE).contains(*v)) {
            None => Ok(values),
            Some(&value) => Err(DiscoverError::LabelRange {
                file: path.to_path_buf(),
                value,
            }),
        }
    });
    // Collected in order, so that the error told does not depend on the threads.
    let per_file: Vec<Result<BTreeSet<i32>, DiscoverError>> = per_file.collect();
    let mut all = BTreeSet::new();
    for values in per_file {
        all.extend(values?);
    }
    all.remove(&0);
    Ok(all.into_iter().collect())
}

fn distinct_values(path: &Path) -> Result<BTreeSet<i32>, DiscoverError> {
    let labels = lacuna_io::read_labels(path)?;
    // Runs of equal values are long in a label map.
    let runs = labels.data().chunk_by(|a, b| a == b);
    Ok(runs.map(|run| run[0]).collect())
}

type Classes = (Vec<String>, BTreeMap<i32, String>);

fn name_classes(
    folder: &Path,
    search: &Search,
    files: usize,
    values: &[i32],
) -> Result<Classes, DiscoverError> {
    let names = &search.foreground;
    let folder = || folder.to_owned();
    let named: Vec<(i32, String)> = match (names.as_slice(), values) {
        ([], []) if files == 0 => return Err(DiscoverError::NoClasses { folder: folder() }),
        (_, []) if files > 0 => {
            return Err(DiscoverError::NoForeground {
                folder: folder(),
                files,
            });
        }
        (names, []) => (1..).zip(names.iter().cloned()).collect(),
        ([], values) => values.iter().map(|&v| (v, format!("label-{v}"))).collect(),
        ([name], values) => values.iter().map(|&v| (v, name.clone())).collect(),
        (names, values) if names.len() == values.len() => {
            values.iter().copied().zip(names.iter().cloned()).collect()
        }
        (names, values) => {
            return Err(DiscoverError::ClassNames {
                folder: folder(),
                names: names.to_vec(),
                values: values.to_vec(),
            });
        }
    };
    let mut classes = vec!["background".to_owned()];
    for (_, name) in &named {
        if !classes.contains(name) {
            classes.push(name.clone());
        }
    }
    let mut label_values = BTreeMap::from([(0, classes[0].clone())]);
    label_values.extend(named);
    Ok((classes, label_values))
}

fn folder_name(folder: &Path) -> String {
    let resolved = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    resolved.file_name().map_or_else(
        || "dataset".to_owned(),
        |n| n.to_string_lossy().into_owned(),
    )
}
