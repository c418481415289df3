//! Which file of a session is meant, where several could be.

use std::collections::BTreeMap;
use std::path::Path;

use super::name::Wanted;
use super::tree::File;
use crate::discover::DiscoverError;

/// A role of files, and how the user chooses them.
pub(super) struct Role<'a> {
    /// Modality, `label`, `mask`, ...
    pub name: &'a str,
    /// `--images FLAIR=`, to which the choice is added.
    pub option: String,
}

/// The files of a session, by [`File::visit`].
pub(super) type Visits<'a> = BTreeMap<String, Vec<&'a File>>;

/// The files by session.
pub(super) fn by_visit<'a>(files: impl Iterator<Item = &'a File>) -> Visits<'a> {
    let mut visits = Visits::new();
    for file in files {
        visits.entry(file.visit()).or_default().push(file);
    }
    visits
}

/// The one file of each session that is wanted. Of several the one whose name has nothing
/// beyond what is wanted.
///
/// # Errors
/// Where several are left.
pub(super) fn choose<'a>(
    folder: &Path,
    visits: &Visits<'a>,
    wanted: &Wanted,
    role: &Role,
) -> Result<BTreeMap<String, &'a File>, DiscoverError> {
    let mut chosen = BTreeMap::new();
    let mut unclear: Vec<(&String, Vec<&File>)> = Vec::new();
    for (visit, files) in visits {
        let mut found = candidates(files, wanted);
        if found.is_empty()
            && let Some(alone) = wanted.of_one_run()
        {
            found = candidates(files, &alone);
            found.retain(|file| file.name.entity("run").is_none());
        }
        let beyond = |file: &&&File| wanted.beyond(&file.name);
        let least = found.iter().map(|file| beyond(&file)).min();
        if found.len() > 1 && least == Some(0) {
            found.retain(|file| beyond(&file) == 0);
        }
        match found[..] {
            [] => {}
            [file] => drop(chosen.insert(visit.clone(), file)),
            _ => unclear.push((visit, found)),
        }
    }
    let Some((visit, found)) = unclear.first() else {
        return Ok(chosen);
    };
    let own = found.iter().all(|file| file.pipeline.is_none());
    let kind = |file: &&File| match own {
        true => file.name.kind(),
        false => file.kind(),
    };
    let mut kinds: Vec<String> = found.iter().map(kind).collect();
    kinds.sort();
    kinds.dedup();
    Err(DiscoverError::BidsSeveral {
        folder: folder.to_owned(),
        role: role.name.to_owned(),
        sessions: match unclear.len() - 1 {
            0 => format!("{visit} has"),
            others => format!("{visit} and {others} more sessions have"),
        },
        choice: format!("{}{}", role.option, kinds[0]),
        kinds,
    })
}

fn candidates<'a>(files: &[&'a File], wanted: &Wanted) -> Vec<&'a File> {
    let is = |file: &&&File| wanted.is(&file.name, file.pipeline.as_deref());
    files.iter().filter(is).copied().collect()
}
