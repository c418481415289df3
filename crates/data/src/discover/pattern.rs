//! File patterns that remember what their wildcards matched.
//!
//! `*` stands for any characters of one name, `?` for one character and a
//! part `**` for any number of folders. As in a shell, a wildcard does not
//! match the dot that a hidden file's name starts with. A pattern that ends in `/`
//! matches folders, as of the slices of a series. Of several ways to match a name,
//! the one with the shortest first matches is taken.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::DiscoverError;

/// The part of a pattern that stands for the folder itself.
const THIS: &str = "";

/// A file and what the wildcards of the pattern stand for in its path.
pub(crate) struct Match {
    pub path: PathBuf,
    pub captures: Vec<String>,
}

/// All files below `folder` that the pattern matches, in the order of their names; folders
/// where it ends in `/`.
pub(crate) fn find_files(folder: &Path, pattern: &str) -> Result<Vec<Match>, DiscoverError> {
    let mut parts: Vec<&str> = pattern
        .split('/')
        .filter(|p| !p.is_empty() && *p != ".")
        .collect();
    if pattern.ends_with('/') {
        parts.push(THIS);
    }
    let start = match pattern.starts_with('/') {
        true => Path::new("/"),
        false => folder,
    };
    let mut found = Vec::new();
    walk(start, &parts, &[], &mut found)?;
    Ok(found)
}

/// True when the pattern can match more than one path.
pub(crate) fn has_wildcard(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

fn walk(
    folder: &Path,
    parts: &[&str],
    captures: &[String],
    found: &mut Vec<Match>,
) -> Result<(), DiscoverError> {
    let Some((part, rest)) = parts.split_first() else {
        return Ok(());
    };
    if *part == THIS {
        found.push(Match {
            path: folder.to_owned(),
            captures: captures.to_vec(),
        });
        return Ok(());
    }
    if *part == "**" {
        walk(folder, rest, captures, found)?;
        for name in listed(folder)? {
            let below = folder.join(&name);
            let hidden = name.to_string_lossy().starts_with('.');
            // A linked folder may lead back up, so `**` does not enter it.
            if below.is_dir() && !below.is_symlink() && !hidden {
                let name = in_utf8(folder, &name)?.to_owned();
                walk(&below, parts, &with(captures, [name]), found)?;
            }
        }
        return Ok(());
    }
    if !has_wildcard(part) {
        return step(folder.join(part), rest, captures.to_vec(), found);
    }
    for name in listed(folder)? {
        if let Some(parts) = match_name(part, &name.to_string_lossy()) {
            // A manifest could not name it; left out, a subject would be lost.
            in_utf8(folder, &name)?;
            step(folder.join(&name), rest, with(captures, parts), found)?;
        }
    }
    Ok(())
}

/// Goes on into a folder, or notes a file where the pattern ends.
fn step(
    path: PathBuf,
    rest: &[&str],
    captures: Vec<String>,
    found: &mut Vec<Match>,
) -> Result<(), DiscoverError> {
    if path.is_dir() {
        walk(&path, rest, &captures, found)
    } else {
        // A dangling link counts as a file, so that reading it tells the user.
        if rest.is_empty() && path.symlink_metadata().is_ok() {
            found.push(Match { path, captures });
        }
        Ok(())
    }
}

fn with(captures: &[String], more: impl IntoIterator<Item = String>) -> Vec<String> {
    captures.iter().cloned().chain(more).collect()
}

/// Sorted names in a folder, all of them in UTF-8.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, DiscoverError> {
    let names = listed(folder)?;
    let texts = names
        .iter()
        .map(|name| Ok(in_utf8(folder, name)?.to_owned()));
    texts.collect()
}

fn in_utf8<'a>(folder: &Path, name: &'a OsStr) -> Result<&'a str, DiscoverError> {
    name.to_str().ok_or_else(|| DiscoverError::NotUtf8 {
        folder: folder.to_owned(),
        name: name.to_owned(),
    })
}

/// Sorted names in a folder.
fn listed(folder: &Path) -> Result<Vec<OsString>, DiscoverError> {
    let unreadable = |source| DiscoverError::Folder {
        path: folder.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in folder.read_dir().map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.file_name());
    }
    names.sort();
    Ok(names)
}

/// What each run of wildcards stands for, or `None` when the name does not match.
pub(super) fn match_name(pattern: &str, name: &str) -> Option<Vec<String>> {
    if name.starts_with('.') && pattern.starts_with(['*', '?']) {
        return None;
    }
    let name: Vec<char> = name.chars().collect();
    let mut captures = match_from(pattern, &name)?;
    captures.reverse();
    Some(captures)
}

/// The captures of the rest of a name, last one first.
fn match_from(pattern: &str, name: &[char]) -> Option<Vec<String>> {
    let wildcard = |c: char| c == '*' || c == '?';
    if pattern.is_empty() {
        return name.is_empty().then(Vec::new);
    }
    let run = pattern.find(|c| !wildcard(c)).unwrap_or(pattern.len());
    let (wild, rest) = pattern.split_at(run);
    if wild.is_empty() {
        let literal = rest.chars().next()?;
        return match name.split_first() {
            Some((c, name)) if *c == literal => match_from(&rest[literal.len_utf8()..], name),
            _ => None,
        };
    }
    let least = wild.matches('?').count();
    let most = match wild.contains('*') {
        true => name.len(),
        false => least.min(name.len()),
    };
    (least..=most).find_map(|length| {
        let mut captures = match_from(rest, &name[length..])?;
        captures.push(name[..length].iter().collect());
        Some(captures)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_remember_what_they_matched() {
        let cases: [(&str, &str, Option<&[&str]>); 10] = [
            ("*", "pat0003", Some(&["pat0003"])),
            ("*_FLAIR.nii.gz", "a_FLAIR.nii.gz", Some(&["a"])),
            ("*_FLAIR.nii.gz", "a_T1.nii.gz", None),
            (
                "sub-*_*_T1w.nii",
                "sub-01_run_2_T1w.nii",
                Some(&["01", "run_2"]),
            ),
            ("pat??", "pat07", Some(&["07"])),
            ("pat?", "pat07", None),
            ("pat?*", "pat07", Some(&["07"])),
            ("*.nii", ".hidden.nii", None),
            ("é*", "éa", Some(&["a"])),
            ("a*", "a", Some(&[""])),
        ];
        for (pattern, name, expected) in cases {
            let expected = expected.map(|e| e.iter().map(|s| (*s).to_owned()).collect());
            assert_eq!(match_name(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_found_through_folders() {
        let root = tempfile::tempdir().unwrap();
        for path in ["a/x.nii", "b/y/x.nii", "b/x.txt", ".c/x.nii", "d.nii"] {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let find = |pattern: &str| -> Vec<(String, Vec<String>)> {
            find_files(root.path(), pattern)
                .unwrap()
                .into_iter()
                .map(|m| {
                    let path = m.path.strip_prefix(root.path()).unwrap();
                    (path.to_str().unwrap().to_owned(), m.captures)
                })
                .collect()
        };
        let at = |path: &str, captures: &[&str]| {
            let captures = captures.iter().map(|c| (*c).to_owned()).collect();
            (path.to_owned(), captures)
        };
        assert_eq!(find("*/x.nii"), [at("a/x.nii", &["a"])]);
        assert_eq!(find("./a/x.nii"), [at("a/x.nii", &[])]);
        assert_eq!(
            find("**/*.nii"),
            [
                at("d.nii", &["d"]),
                at("a/x.nii", &["a", "x"]),
                at("b/y/x.nii", &["b", "y", "x"]),
            ]
        );
        assert_eq!(find("*"), [at("d.nii", &["d.nii"])]);
        assert_eq!(find("*/"), [at("a", &["a"]), at("b", &["b"])]);
        assert_eq!(find("none/*"), []);
    }
}
