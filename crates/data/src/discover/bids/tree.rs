//! The images of a BIDS folder and of its derivatives.

use std::path::{Path, PathBuf};

use super::ignored::Ignored;
use super::name::Name;
use crate::discover::{DiscoverError, pattern};

/// An image.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub path: PathBuf,
    pub name: Name,
    /// The folder below `derivatives`; `None` for the dataset's own files.
    pub pipeline: Option<String>,
    /// `anat`, `dwi`, ...; empty where there is no such folder.
    pub datatype: String,
}

impl File {
    /// Participant and session, as ids of subjects name them.
    pub(super) fn visit(&self) -> String {
        let of = |key: &str| Some(format!("{key}-{}", self.name.entity(key)?));
        let parts: Vec<String> = ["sub", "ses"].into_iter().filter_map(of).collect();
        parts.join("_")
    }

    /// How the user tells it from others, `manual/label-lesion_mask`; `.` is the dataset itself.
    pub(super) fn kind(&self) -> String {
        let pipeline = self.pipeline.as_deref().unwrap_or(".");
        format!("{pipeline}/{}", self.name.kind())
    }
}

/// What is there.
pub(super) struct Tree {
    pub files: Vec<File>,
    /// Left out by `.bidsignore`.
    pub ignored: usize,
}

impl Tree {
    pub(super) fn of(folder: &Path) -> Result<Self, DiscoverError> {
        let mut tree = Self {
            files: Vec::new(),
            ignored: 0,
        };
        let rules = Ignored::read(folder)?;
        let found = |tree: &mut Self, root: &Path, pipeline: Option<&str>| {
            tree.add(folder, root, pipeline, &rules)
        };
        found(&mut tree, folder, None)?;
        let derivatives = folder.join("derivatives");
        if !derivatives.is_dir() {
            return Ok(tree);
        }
        // Some lay the results of one pipeline there without a folder of its own.
        found(&mut tree, &derivatives, Some("derivatives"))?;
        for pipeline in folders(&derivatives, "")? {
            if !pipeline.starts_with("sub-") && !pipeline.starts_with('.') {
                found(&mut tree, &derivatives.join(&pipeline), Some(&pipeline))?;
            }
        }
        Ok(tree)
    }

    /// The files of one dataset: `sub-*/[ses-*/][datatype/]` below `root`.
    fn add(
        &mut self,
        folder: &Path,
        root: &Path,
        pipeline: Option<&str>,
        rules: &Ignored,
    ) -> Result<(), DiscoverError> {
        for subject in folders(root, "sub-")? {
            let subject = root.join(subject);
            let sessions = folders(&subject, "ses-")?;
            let sessions = sessions.into_iter().map(|session| subject.join(session));
            for visit in sessions.chain([subject.clone()]) {
                let datatypes = folders(&visit, "")?.into_iter();
                let datatypes = datatypes.filter(|name| !name.starts_with("ses-"));
                for datatype in datatypes.chain([String::new()]) {
                    let within = visit.join(&datatype);
                    for file in pattern::names(&within)? {
                        let path = within.join(&file);
                        let Some(name) = Name::of_image(&file).filter(|_| !path.is_dir()) else {
                            continue;
                        };
                        if rules.has(path.strip_prefix(folder).unwrap_or(&path)) {
                            self.ignored += 1;
                            continue;
                        }
                        self.files.push(File {
                            path,
                            name,
                            pipeline: pipeline.map(str::to_owned),
                            datatype: datatype.clone(),
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Names of the folders below one that begin so, in order.
fn folders(folder: &Path, start: &str) -> Result<Vec<String>, DiscoverError> {
    let names = pattern::names(folder)?.into_iter();
    let names = names.filter(|name| name.starts_with(start) && folder.join(name).is_dir());
    Ok(names.collect())
}
