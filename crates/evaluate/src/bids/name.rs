//! Where the prediction of a subject lies in a derivative dataset.

use std::path::{Path, PathBuf};

use lacuna_data::manifest::Subject;

/// Entities that a mask of an image may take from its name, in the order of BIDS.
const ENTITIES: [&str; 9] = [
    "sub", "ses", "acq", "ce", "rec", "run", "echo", "part", "chunk",
];
/// Entities that a derivative adds.
const ADDED: [&str; 6] = ["space", "seg", "res", "den", "label", "desc"];
const DATATYPES: [&str; 4] = ["anat", "dwi", "perf", "pet"];

/// A session of a participant.
pub(super) struct Visit {
    /// `sub-p01/ses-01/anat`
    pub folder: PathBuf,
    /// `sub-p01_ses-01`
    pub stem: String,
}

impl Visit {
    pub(super) fn of(subject: &Subject) -> Self {
        let stem = stem_of(&subject.id);
        let mut folder = visit_folder(&stem);
        let images = subject.images.values();
        let mut above = images.filter_map(|image| image.path.parent()?.file_name()?.to_str());
        folder.push(
            above
                .find(|name| DATATYPES.contains(name))
                .unwrap_or("anat"),
        );
        Self { folder, stem }
    }
}

/// Whether an id is a name of BIDS: entities that are known, in their order.
pub(super) fn is_bids(id: &str) -> bool {
    let mut order = ENTITIES.iter();
    let known = |part: &str| {
        let Some((key, value)) = part.split_once('-') else {
            return false;
        };
        // Advances, so that each entity comes after the one before it.
        order.any(|entity| *entity == key) && !value.is_empty() && letters_of(value) == value
    };
    id.starts_with("sub-") && id.split('_').all(known)
}

/// The letters and digits of a text, which is all that a value of an entity may have.
pub(super) fn letters_of(text: &str) -> String {
    let kept = text.chars().filter(char::is_ascii_alphanumeric);
    Some(kept.collect())
        .filter(|kept: &String| !kept.is_empty())
        .unwrap_or_else(|| "x".to_owned())
}

fn stem_of(id: &str) -> String {
    match is_bids(id) {
        true => id.to_owned(),
        false => format!("sub-{}", letters_of(id)),
    }
}

/// `sub-p01/ses-01`
fn visit_folder(stem: &str) -> PathBuf {
    let parts = stem.split('_');
    parts
        .filter(|part| part.starts_with("sub-") || part.starts_with("ses-"))
        .collect()
}

/// The segmentations of a subject in a derivative dataset; none where `folder` is no such.
/// Brain masks are left aside.
pub(crate) fn found(folder: &Path, id: &str) -> Vec<PathBuf> {
    if !folder.join("dataset_description.json").is_file() {
        return Vec::new();
    }
    let stem = stem_of(id);
    let visit = folder.join(visit_folder(&stem));
    let listed = |folder: &Path| -> Vec<PathBuf> {
        let entries = folder.read_dir().into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let below = listed(&visit).into_iter();
    let folders = below.filter(|path| path.is_dir()).chain([visit.clone()]);
    let files = folders.flat_map(|folder| listed(&folder));
    files.filter(|file| is_segmentation(file, &stem)).collect()
}

fn is_segmentation(file: &Path, stem: &str) -> bool {
    let name = file.file_name().and_then(|name| name.to_str());
    let rest = name.and_then(|name| name.strip_prefix(stem)?.strip_prefix('_'));
    let rest = rest.and_then(|rest| {
        let endings = ["_mask.nii.gz", "_dseg.nii.gz", "_mask.nii", "_dseg.nii"];
        let whole = endings.iter().find_map(|end| rest.strip_suffix(end));
        whole.or_else(|| endings.iter().any(|end| rest == &end[1..]).then_some(""))
    });
    let Some(rest) = rest else {
        return false;
    };
    let added = |part: &str| {
        let entity = part.split_once('-');
        entity.is_some_and(|(key, value)| ADDED.contains(&key) && value != "brain")
    };
    rest.split('_').filter(|part| !part.is_empty()).all(added)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_names_of_bids() {
        for (id, stem, folder) in [
            ("sub-p01_ses-01", "sub-p01_ses-01", "sub-p01/ses-01/anat"),
            (
                "sub-p01_acq-ax_run-1",
                "sub-p01_acq-ax_run-1",
                "sub-p01/anat",
            ),
            ("sub-01", "sub-01", "sub-01/anat"),
            ("pat_0003.a", "sub-pat0003a", "sub-pat0003a/anat"),
            (
                "sub-p01_run-1_acq-ax",
                "sub-subp01run1acqax",
                "sub-subp01run1acqax/anat",
            ),
            ("sub-p 1", "sub-subp1", "sub-subp1/anat"),
            ("é", "sub-x", "sub-x/anat"),
        ] {
            let subject = Subject {
                id: id.to_owned(),
                ..Subject::default()
            };
            let visit = Visit::of(&subject);
            assert_eq!(
                (visit.stem.as_str(), &*visit.folder),
                (stem, Path::new(folder))
            );
        }
    }

    #[test]
    fn segmentations_are_known_by_their_names() {
        let is = |name: &str| is_segmentation(Path::new(name), "sub-p01_ses-01");
        assert!(is("sub-p01_ses-01_space-orig_label-lesion_mask.nii.gz"));
        assert!(is("sub-p01_ses-01_dseg.nii.gz") && is("sub-p01_ses-01_desc-x_dseg.nii"));
        for other in [
            "sub-p01_ses-01_desc-brain_mask.nii.gz",
            "sub-p01_ses-01_acq-ax_label-lesion_mask.nii.gz",
            "sub-p01_ses-011_dseg.nii.gz",
            "sub-p01_ses-01_FLAIR.nii.gz",
            "sub-p01_ses-01_dseg.tsv",
        ] {
            assert!(!is(other), "{other}");
        }
    }
}
