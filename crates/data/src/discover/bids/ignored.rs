//! `.bidsignore`: files that are no part of the dataset, in the syntax of `.gitignore`.

use std::path::Path;

use lacuna_io::text::{MOST_TEXT_BYTES, read_text};

use crate::discover::{DiscoverError, pattern::match_name};

const FILE: &str = ".bidsignore";

/// The rules, in the order of the file: the last that fits a path decides.
#[derive(Debug, Default)]
pub(super) struct Ignored(Vec<Rule>);

#[derive(Debug)]
struct Rule {
    keeps: bool,
    /// From the root, or anywhere below it.
    rooted: bool,
    parts: Vec<String>,
}

impl Ignored {
    pub(super) fn read(folder: &Path) -> Result<Self, DiscoverError> {
        let path = folder.join(FILE);
        match read_text(&path, MOST_TEXT_BYTES) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(DiscoverError::Description { path, source }),
        }
    }

    fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rules = lines.map(|line| {
            let (keeps, line) = match line.strip_prefix('!') {
                Some(rest) => (true, rest),
                None => (false, line),
            };
            let rooted = line.trim_end_matches('/').contains('/');
            let parts = line.split('/').filter(|part| !part.is_empty());
            Rule {
                keeps,
                rooted,
                parts: parts.map(str::to_owned).collect(),
            }
        });
        Self(rules.filter(|rule| !rule.parts.is_empty()).collect())
    }

    /// Whether a path below the folder, or a folder that it lies in, is ignored.
    pub(super) fn has(&self, below: &Path) -> bool {
        let parts: Vec<&str> = below.iter().filter_map(|part| part.to_str()).collect();
        let fits = |rule: &&Rule| {
            let starts = if rule.rooted { 0..1 } else { 0..parts.len() };
            starts
                .into_iter()
                .any(|at| starts_with(&parts[at..], &rule.parts))
        };
        self.0.iter().rfind(fits).is_some_and(|rule| !rule.keeps)
    }
}

/// Whether the first parts of a path fit; `**` stands for any number of them.
fn starts_with(path: &[&str], rule: &[String]) -> bool {
    match rule.split_first() {
        None => true,
        Some((first, rest)) if first == "**" => {
            (0..=path.len()).any(|skipped| starts_with(&path[skipped..], rest))
        }
        Some((first, rest)) => match path.split_first() {
            Some((part, path)) => match_name(first, part).is_some() && starts_with(path, rest),
            None => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_those_of_gitignore() {
        let rules = Ignored::parse(
            "# none\n*_lesion.nii.gz\nextra/\n/sub-02/**/b.nii\n!sub-03_lesion.nii.gz\n",
        );
        let ignored = |path: &str| rules.has(Path::new(path));
        assert!(ignored("sub-01/anat/sub-01_lesion.nii.gz"));
        assert!(ignored("sub-01/extra/a.nii") && ignored("extra/a.nii"));
        assert!(ignored("sub-02/anat/x/b.nii") && ignored("sub-02/b.nii"));
        assert!(!ignored("sub-01/sub-02/b.nii"));
        assert!(!ignored("sub-03/anat/sub-03_lesion.nii.gz"));
        assert!(!ignored("sub-01/anat/sub-01_FLAIR.nii.gz"));
        assert!(!Ignored::default().has(Path::new("a")));
    }
}
