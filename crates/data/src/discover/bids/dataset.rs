//! A BIDS folder as a dataset. Each session is a subject, and the participant its group.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lacuna_io::text::{MOST_TEXT_BYTES, read_text};
use serde::Deserialize;

use super::choice::{Role, Visits, by_visit, choose};
use super::images::{Images, wanted_of};
use super::name::Wanted;
use super::tables::{label_names, scanners};
use super::tree::{File, Tree};
use crate::discover::{
    Classes, DiscoverError, Search, folder_name, foreground_values, name_classes, shortened,
};
use crate::manifest::{Manifest, Subject};

const DESCRIPTION: &str = "dataset_description.json";
/// What labels and masks are called unless the user says so; the first that is there.
const LABELS: [&str; 4] = [
    "label-lesion_mask",
    "label-L_mask",
    "desc-lesion_mask",
    "dseg",
];
const MASKS: [&str; 2] = ["desc-brain_mask", "label-brain_mask"];
/// Says that a role is not taken.
const NONE: &str = "none";

#[derive(Deserialize)]
struct Description {
    #[serde(rename = "Name")]
    name: Option<String>,
}

/// True for a folder with a `dataset_description.json`.
pub fn is_bids(folder: &Path) -> bool {
    folder.join(DESCRIPTION).is_file()
}

/// The manifest, to be written to `out`, of a BIDS folder and its `derivatives`; and what a
/// user should know of what was taken. In `search` files are told by entities and suffix,
/// `acq-ax_FLAIR`, labels and masks also with their pipeline, `manual/label-lesion_mask`; "none"
/// takes none. Without images the suffixes of `anat` are taken that half of the sessions have.
///
/// # Errors
/// Names that are none of BIDS, several files for one session and role, a table or a label
/// file that cannot be read, nothing found, or what [`Manifest::new`] refuses.
pub fn by_bids(
    folder: &Path,
    search: &Search,
    out: &Path,
) -> Result<(Manifest, Vec<String>), DiscoverError> {
    let tree = Tree::of(folder)?;
    let mut notes = Vec::new();
    if tree.ignored > 0 {
        notes.push(format!(
            "{} images are left out by .bidsignore",
            tree.ignored
        ));
    }
    let images = Images::of(folder, search, &tree, &mut notes)?;
    let mut subjects = images.subjects(&mut notes);
    if subjects.is_empty() {
        return Err(DiscoverError::BidsNothing {
            folder: folder.to_owned(),
            modalities: images.modalities(),
        });
    }
    let derived = Derived {
        folder,
        visits: by_visit(images.beside(&tree)),
        images: &images,
    };
    let labels = derived.files(&search.label, "label", &LABELS)?;
    let masks = derived.files(&search.mask, "mask", &MASKS)?;
    let weights = derived.files(&search.weight, "weight", &[])?;
    let white = derived.files(&search.white_matter, "white_matter", &[])?;
    type Field = fn(&mut Subject) -> &mut Option<PathBuf>;
    let roles: [(&str, &BTreeMap<String, &File>, Field); 4] = [
        ("label", &labels, |s| &mut s.label),
        ("mask", &masks, |s| &mut s.mask),
        ("weight", &weights, |s| &mut s.weight),
        ("white_matter", &white, |s| &mut s.white_matter),
    ];
    for (role, files, field) in roles {
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        let mut lost = Vec::new();
        for (visit, file) in files {
            match subjects.get_mut(visit) {
                Some(subject) => {
                    *field(subject) = Some(file.path.clone());
                    let kind = file
                        .pipeline
                        .clone()
                        .unwrap_or_else(|| "the dataset".to_owned());
                    *taken
                        .entry(format!("{} of {kind}", file.name.kind()))
                        .or_default() += 1;
                }
                None => lost.push(visit.clone()),
            }
        }
        for (kind, count) in taken {
            notes.push(format!(
                "{role}: {kind}, {count} of {} subjects",
                subjects.len()
            ));
        }
        if !lost.is_empty() {
            let lost = shortened(&lost);
            notes.push(format!(
                "{role}: left out, as no image belongs to it: {lost}"
            ));
        }
    }
    add_scanners(folder, &mut subjects, &mut notes)?;
    let labelled = subjects.keys().filter_map(|id| labels.get(id).copied());
    let (classes, label_values) =
        classes(folder, search, &labelled.collect::<Vec<_>>(), &mut notes)?;
    let modalities = images.modalities();
    let subjects = subjects.into_values().collect();
    let name = name_of(folder)?;
    let manifest = Manifest::new(out, name, modalities, classes, label_values, subjects)?;
    Ok((manifest, notes))
}

fn name_of(folder: &Path) -> Result<String, DiscoverError> {
    let path = folder.join(DESCRIPTION);
    let text = read_text(&path, MOST_TEXT_BYTES);
    let about: Result<Description, _> = text.and_then(|text| Ok(serde_json::from_str(&text)?));
    let about = about.map_err(|source| DiscoverError::Description { path, source })?;
    let name = about.name.filter(|name| !name.trim().is_empty());
    Ok(name.unwrap_or_else(|| folder_name(folder)))
}

/// Labels, masks and maps.
struct Derived<'a> {
    folder: &'a Path,
    visits: Visits<'a>,
    images: &'a Images<'a>,
}

impl<'a> Derived<'a> {
    /// The file of each session: what is asked for, else the first of `usual` that is there.
    fn files(
        &self,
        asked: &Option<String>,
        role: &str,
        usual: &[&str],
    ) -> Result<BTreeMap<String, &'a File>, DiscoverError> {
        let wanted = match asked.as_deref() {
            Some(NONE) => return Ok(BTreeMap::new()),
            Some(text) => vec![wanted_of(text, role)?],
            None => usual
                .iter()
                .filter_map(|text| Wanted::parse(text))
                .collect(),
        };
        for wanted in &wanted {
            let visits = self.visits.iter().map(|(visit, files)| {
                let here = |file: &&&File| self.images.share_space(&file.name, wanted);
                (visit.clone(), files.iter().filter(here).copied().collect())
            });
            let role = Role {
                name: role,
                option: format!("--{} ", role.replace('_', "-")),
            };
            let found = choose(self.folder, &visits.collect(), wanted, &role)?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        match asked {
            None => Ok(BTreeMap::new()),
            Some(text) => Err(DiscoverError::NoMatch {
                folder: self.folder.to_owned(),
                role: role.to_owned(),
                pattern: text.clone(),
            }),
        }
    }
}

fn add_scanners(
    folder: &Path,
    subjects: &mut BTreeMap<String, Subject>,
    notes: &mut Vec<String>,
) -> Result<(), DiscoverError> {
    let all = scanners(&folder.join("participants.tsv"), "participant_id")?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut of_sessions = BTreeMap::new();
    for (id, subject) in subjects {
        let (participant, session) = match id.split_once("_ses-") {
            Some((participant, session)) => (participant, Some(format!("ses-{session}"))),
            None => (id.as_str(), None),
        };
        if session.is_some() && !of_sessions.contains_key(participant) {
            let path = folder
                .join(participant)
                .join(format!("{participant}_sessions.tsv"));
            of_sessions.insert(participant.to_owned(), scanners(&path, "session_id")?);
        }
        let own = session.and_then(|session| {
            let table = of_sessions.get(participant)?.as_ref()?;
            Some((table.of.get(&session)?, "sessions.tsv", table.column))
        });
        let of_all = || {
            let table = all.as_ref()?;
            Some((table.of.get(participant)?, "participants.tsv", table.column))
        };
        if let Some((scanner, file, column)) = own.or_else(of_all) {
            subject.scanner = Some(scanner.clone());
            let told = format!("scanner: the column `{column}` of {file}");
            *counts.entry(told).or_default() += 1;
        }
    }
    let total = counts.into_iter();
    notes.extend(total.map(|(told, count)| format!("{told}, {count} subjects")));
    Ok(())
}

/// By the tables of segmentations; a mask is one class, called as its label.
fn classes(
    folder: &Path,
    search: &Search,
    labels: &[&File],
    notes: &mut Vec<String>,
) -> Result<Classes, DiscoverError> {
    let paths: Vec<&Path> = labels.iter().map(|file| file.path.as_path()).collect();
    let values = foreground_values(&paths)?;
    let by_name = |foreground: Vec<String>| {
        let search = Search {
            foreground,
            ..Search::default()
        };
        name_classes(folder, &search, labels.len(), &values)
    };
    let Some(first) = labels.first().filter(|_| search.foreground.is_empty()) else {
        return by_name(search.foreground.clone());
    };
    if first.name.suffix == "mask" {
        let told = first
            .name
            .entity("label")
            .or_else(|| first.name.entity("desc"));
        let name = told.filter(|told| *told != "L").unwrap_or("lesion");
        return by_name(vec![name.to_owned()]);
    }
    let mut names: BTreeMap<i32, String> = BTreeMap::new();
    for file in labels {
        let root = match &file.pipeline {
            Some(pipeline) if pipeline != "derivatives" => {
                folder.join("derivatives").join(pipeline)
            }
            Some(_) => folder.join("derivatives"),
            None => folder.to_owned(),
        };
        for (value, name) in label_names(file, &root)? {
            let known = names.entry(value).or_insert_with(|| name.clone());
            if *known != name {
                return Err(DiscoverError::BidsTwoNames {
                    file: file.path.clone(),
                    value,
                    names: [known.clone(), name],
                });
            }
        }
    }
    if names.is_empty() {
        return by_name(Vec::new());
    }
    let foreground = values.iter().map(|value| {
        let name = names.get(value).cloned();
        name.unwrap_or_else(|| {
            notes.push(format!(
                "label: no table names the value {value}; it is label-{value}"
            ));
            format!("label-{value}")
        })
    });
    by_name(foreground.collect())
}
