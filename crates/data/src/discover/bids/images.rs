//! The images of a BIDS folder: which modalities are taken, and which file of each session.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::choice::{Role, Visits, by_visit, choose};
use super::name::{Name, Wanted};
use super::tree::{File, Tree};
use crate::discover::error::shortened;
use crate::discover::{DiscoverError, Search};
use crate::manifest::Subject;

/// Suffixes of what is made from images.
const DERIVED: [&str; 5] = ["mask", "dseg", "probseg", "defacemask", "roi"];

/// What a modality is called, what it is, and its file in each session.
struct Modality<'a> {
    name: String,
    files: BTreeMap<String, &'a File>,
}

/// The images that are taken.
pub(super) struct Images<'a>(Vec<Modality<'a>>);

impl<'a> Images<'a> {
    pub(super) fn of(
        folder: &Path,
        search: &Search,
        tree: &'a Tree,
        notes: &mut Vec<String>,
    ) -> Result<Self, DiscoverError> {
        let own = tree.files.iter().filter(|file| file.pipeline.is_none());
        let own = own.filter(|file| !DERIVED.contains(&file.name.suffix.as_str()));
        let all: Vec<&File> = own.collect();
        let mut wanted = Vec::new();
        for (name, text) in &search.images {
            wanted.push((name.clone(), wanted_of(text, name)?));
        }
        let anatomical = || all.iter().copied().filter(|file| file.datatype == "anat");
        let files: Vec<&File> = match wanted.is_empty() && anatomical().next().is_some() {
            true => anatomical().collect(),
            false => all,
        };
        let visits = by_visit(files.into_iter());
        if wanted.is_empty() {
            wanted = usual(&visits, notes);
        }
        let modalities = wanted.into_iter().map(|(name, wanted)| {
            let role = Role {
                name: &name,
                option: format!("--images {name}="),
            };
            let files = choose(folder, &visits, &wanted, &role)?;
            note_others(&name, &visits, &files, notes);
            Ok(Modality { name, files })
        });
        Ok(Self(modalities.collect::<Result<_, DiscoverError>>()?))
    }

    pub(super) fn modalities(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|modality| modality.name.clone())
            .collect()
    }

    /// The sessions that have all images, and a word on those that do not.
    pub(super) fn subjects(&self, notes: &mut Vec<String>) -> BTreeMap<String, Subject> {
        let visits: BTreeSet<&String> = self.0.iter().flat_map(|m| m.files.keys()).collect();
        let mut subjects = BTreeMap::new();
        let mut incomplete = Vec::new();
        for visit in visits {
            let lacking = self.0.iter().filter(|m| !m.files.contains_key(visit));
            let lacking: Vec<&str> = lacking.map(|m| m.name.as_str()).collect();
            if !lacking.is_empty() {
                incomplete.push(format!("{visit} ({})", lacking.join(", ")));
                continue;
            }
            let images = self
                .0
                .iter()
                .map(|m| (m.name.clone(), m.files[visit].path.clone().into()));
            let group = visit.split_once("_ses-").map(|(participant, _)| {
                let (_, label) = participant.split_once('-').unwrap_or(("", participant));
                label.to_owned()
            });
            let subject = Subject {
                id: visit.clone(),
                group,
                images: images.collect(),
                ..Subject::default()
            };
            subjects.insert(visit.clone(), subject);
        }
        if !incomplete.is_empty() {
            notes.push(format!(
                "{} sessions lack an image and are left out: {}; fewer modalities are taken \
                 with --images, such as --images {}={1}",
                incomplete.len(),
                shortened(&incomplete),
                self.0[0].name,
            ));
        }
        subjects
    }

    /// The files that labels and masks are sought among: those in folders of the same name, in
    /// the space of the images.
    pub(super) fn beside(&self, tree: &'a Tree) -> impl Iterator<Item = &'a File> {
        let of_images = self.0.iter().flat_map(|m| m.files.values());
        let datatypes: BTreeSet<String> = of_images.map(|f| f.datatype.clone()).collect();
        (tree.files.iter())
            .filter(move |file| datatypes.contains(&file.datatype) || file.datatype.is_empty())
    }

    /// Whether a file of that name is in the space of the images.
    pub(super) fn share_space(&self, name: &Name, wanted: &Wanted) -> bool {
        let Some(space) = name.entity("space") else {
            return true;
        };
        let images = || self.0.iter().flat_map(|m| m.files.values());
        space == "orig"
            || wanted.name.entity("space").is_some()
            || images().any(|file| file.name.suffix == space)
            || images().any(|file| file.name.entity("space") == Some(space))
    }
}

/// The suffixes that at least half of the sessions have.
fn usual(visits: &Visits, notes: &mut Vec<String>) -> Vec<(String, Wanted)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for files in visits.values() {
        let suffixes: BTreeSet<&str> = files.iter().map(|f| f.name.suffix.as_str()).collect();
        suffixes
            .into_iter()
            .for_each(|suffix| *counts.entry(suffix).or_default() += 1);
    }
    let (taken, rare): (Vec<_>, Vec<_>) = counts
        .into_iter()
        .partition(|(_, count)| 2 * count >= visits.len());
    for (suffix, count) in rare {
        notes.push(format!(
            "{suffix} is left out, as {count} of {} sessions have it; --images takes it",
            visits.len()
        ));
    }
    let wanted = taken.into_iter().map(|(suffix, _)| {
        let name = Name {
            entities: Vec::new(),
            suffix: suffix.to_owned(),
        };
        let pipeline = None;
        (suffix.to_owned(), Wanted { pipeline, name })
    });
    wanted.collect()
}

/// Tells of files with the suffix of those taken that are not.
fn note_others(
    name: &str,
    visits: &Visits,
    taken: &BTreeMap<String, &File>,
    notes: &mut Vec<String>,
) {
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for (visit, file) in taken {
        let same = visits[visit]
            .iter()
            .filter(|f| f.name.suffix == file.name.suffix);
        for other in same.filter(|other| other.path != file.path) {
            *others.entry(other.name.kind()).or_default() += 1;
        }
    }
    for (kind, count) in others {
        notes.push(format!(
            "{name}: not taken is {kind} of {count} sessions; --images {name}={kind} takes it"
        ));
    }
}

pub(super) fn wanted_of(text: &str, role: &str) -> Result<Wanted, DiscoverError> {
    Wanted::parse(text).ok_or_else(|| DiscoverError::BidsName {
        role: role.to_owned(),
        found: text.to_owned(),
    })
}
