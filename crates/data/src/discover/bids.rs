//! BIDS folders (Brain Imaging Data Structure, "Entities"): files are named
//! `sub-<label>_ses-<label>_..._<suffix>`. A whole folder becomes a dataset by [`by_bids`];
//! patterns take the ids of their subjects from such names.

mod choice;
mod dataset;
mod ignored;
mod images;
mod name;
mod tables;
mod tree;

use std::path::Path;

pub use dataset::{by_bids, is_bids};

/// Id and patient of a file of a session, by its name or by its folders
/// `sub-<label>/ses-<label>`; `None` for a file of no session.
///
/// The id has all entities of the name but those that `pattern` itself names, so
/// that a second acquisition is a subject of its own, and one that the pattern
/// chooses is not told.
pub(super) fn session(path: &Path, pattern: &str, captures: usize) -> Option<(String, String)> {
    let name = path.file_name()?.to_str()?;
    // A name without entities tells only through its folders, whose matches are
    // the whole id then.
    by_name(name, pattern).or_else(|| by_folders(path, captures))
}

fn by_name(name: &str, pattern: &str) -> Option<(String, String)> {
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    let mut entities = Vec::new();
    for part in stem.split('_') {
        match part.split_once('-') {
            Some((key, value)) if !key.is_empty() && !value.is_empty() => {
                entities.push((key, part));
            }
            _ => break,
        }
    }
    let [("sub", patient), ("ses", _), ..] = entities[..] else {
        return None;
    };
    let told = |(key, part): &(&str, &str)| {
        matches!(*key, "sub" | "ses") || !pattern.contains(&format!("_{part}"))
    };
    let id: Vec<&str> = entities.iter().filter(|e| told(e)).map(|e| e.1).collect();
    Some((id.join("_"), patient.to_owned()))
}

fn by_folders(path: &Path, captures: usize) -> Option<(String, String)> {
    let mut folders = path.parent()?.iter().filter_map(|part| part.to_str());
    let patient = folders.find(|part| part.starts_with("sub-"))?;
    let session = folders.find(|part| part.starts_with("ses-"))?;
    (captures <= 2).then(|| (format!("{patient}_{session}"), patient.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_bids() {
        let of = |path: &str, pattern: &str, captures| {
            session(Path::new(path), pattern, captures).map(|(id, patient)| {
                assert_eq!(patient, "sub-p01");
                id
            })
        };
        let names = "sub-*/ses-*/anat/*_FLAIR.nii.gz";
        let anat = "sub-p01/ses-01/anat/sub-p01_ses-01";
        let id = |entities: &str, pattern| of(&format!("{anat}{entities}"), pattern, 4).unwrap();
        assert_eq!(id("_FLAIR.nii.gz", names), "sub-p01_ses-01");
        assert_eq!(id("_FLAIR_lesion-manual.nii.gz", "**/*"), "sub-p01_ses-01");
        assert_eq!(id("_acq-ax_FLAIR.nii.gz", names), "sub-p01_ses-01_acq-ax");
        let chosen = "sub-*/ses-*/anat/*_acq-ax_FLAIR.nii.gz";
        assert_eq!(id("_acq-ax_FLAIR.nii.gz", chosen), "sub-p01_ses-01");
        let folders = "sub-p01/ses-01/FLAIR.nii";
        assert_eq!(of(folders, "*/*/FLAIR.nii", 2).unwrap(), "sub-p01_ses-01");
        assert_eq!(of(folders, "*/*/*.nii", 3), None);
        assert_eq!(of("sub-p01/FLAIR.nii", "*/FLAIR.nii", 1), None);
        assert_eq!(of("sub-p01_FLAIR.nii", "*_FLAIR.nii", 1), None);
    }
}
