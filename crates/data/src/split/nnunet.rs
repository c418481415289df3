//! Folds as nnU-Net writes them: `splits_final.json`, a list of `{"train": [ids], "val": [ids]}`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lacuna_io::text::{MOST_TEXT_BYTES, read_text};
use serde::Deserialize;

use super::{Member, Split};
use crate::manifest::closest;

/// Why a file of folds cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SplitsFileError {
    /// The file cannot be read.
    #[error("{path}: {source}; check that the file exists and can be read", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is something else.
    #[error(
        "{path}: no list of folds ({source}); expected what nnU-Net writes to splits_final.json: \
         [{{\"train\": [ids], \"val\": [ids]}}, ...]", path = path.display()
    )]
    Form {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// There is no fold, or a fold has an empty part.
    #[error("{path}: {what} is empty; each fold needs subjects to train and to validate on",
        path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The list, or a part of a fold.
        what: String,
    },
    /// A fold names a subject that cannot be used.
    #[error(
        "{path}: {part} of fold {fold} names `{id}`, which is none of the {labelled} labelled \
         subjects of the dataset{}", suggestion.as_ref()
            .map_or("; remove it, or add it to the dataset".to_owned(), |s| format!("; did you mean `{s}`?")),
        path = path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// The fold, counted from 0.
        fold: usize,
        /// `train` or `val`.
        part: &'static str,
        /// The id.
        id: String,
        /// Number of subjects with a label.
        labelled: usize,
        /// The most similar id of a labelled subject.
        suggestion: Option<String>,
    },
    /// A fold names a subject twice.
    #[error(
        "{path}: fold {fold} names `{id}` in {first} and again in {second}; remove one of the two",
        path = path.display()
    )]
    Repeated {
        /// The file.
        path: PathBuf,
        /// The fold, counted from 0.
        fold: usize,
        /// The id.
        id: String,
        /// The part that names it first.
        first: &'static str,
        /// The part that names it again.
        second: &'static str,
    },
    /// A fold trains on a subject of a group and validates on another.
    #[error(
        "{path}: fold {fold} trains on `{train}` and validates on `{val}`, both of the group \
         `{group}`; put them into one part, or correct `group` in the dataset",
        path = path.display()
    )]
    GroupApart {
        /// The file.
        path: PathBuf,
        /// The fold, counted from 0.
        fold: usize,
        /// The group.
        group: String,
        /// Its subject that trains.
        train: String,
        /// Its subject that validates.
        val: String,
    },
}

/// One fold of the file.
#[derive(Deserialize)]
struct Fold {
    train: Vec<String>,
    val: Vec<String>,
}

/// Reads folds; `val` is the [`Split::validation`] of each, and its test part is empty. Ids
/// stand in the order of the dataset, whose labelled subjects are `labelled`
/// ([`Manifest::labelled`](crate::manifest::Manifest::labelled)); a fold may leave some out.
///
/// # Errors
/// A file that cannot be read or is no such list, an empty part, an id that is unknown or
/// stands twice in a fold, and a group that is torn apart.
pub fn read_splits(path: &Path, labelled: &[Member]) -> Result<Vec<Split>, SplitsFileError> {
    let text = read_text(path, MOST_TEXT_BYTES).map_err(|source| SplitsFileError::Read {
        path: path.to_owned(),
        source,
    })?;
    let folds: Vec<Fold> = serde_json::from_str(&text).map_err(|source| SplitsFileError::Form {
        path: path.to_owned(),
        source,
    })?;
    if folds.is_empty() {
        return Err(SplitsFileError::Empty {
            path: path.to_owned(),
            what: "the list of folds".to_owned(),
        });
    }
    let numbered = folds.iter().enumerate();
    numbered
        .map(|(number, fold)| split_of(path, number, fold, labelled))
        .collect()
}

fn split_of(
    path: &Path,
    number: usize,
    fold: &Fold,
    labelled: &[Member],
) -> Result<Split, SplitsFileError> {
    let parts = parts(path, number, fold, labelled)?;
    refuse_groups_apart(path, number, &parts, labelled)?;
    let part = |name: &str| -> Vec<String> {
        let ids = labelled.iter().map(|member| &member.id);
        ids.filter(|id| parts.get(id.as_str()) == Some(&name))
            .cloned()
            .collect()
    };
    Ok(Split {
        train: part("train"),
        validation: part("val"),
        test: Vec::new(),
    })
}

/// The part of each subject that the fold names.
fn parts<'a>(
    path: &Path,
    number: usize,
    fold: &'a Fold,
    labelled: &[Member],
) -> Result<BTreeMap<&'a str, &'static str>, SplitsFileError> {
    let mut parts = BTreeMap::new();
    for (part, ids) in [("train", &fold.train), ("val", &fold.val)] {
        if ids.is_empty() {
            return Err(SplitsFileError::Empty {
                path: path.to_owned(),
                what: format!("{part} of fold {number}"),
            });
        }
        for id in ids {
            if !labelled.iter().any(|member| member.id == *id) {
                return Err(SplitsFileError::Unknown {
                    path: path.to_owned(),
                    fold: number,
                    part,
                    id: id.clone(),
                    labelled: labelled.len(),
                    suggestion: closest(id, labelled.iter().map(|m| m.id.as_str())),
                });
            }
            if let Some(first) = parts.insert(id.as_str(), part) {
                return Err(SplitsFileError::Repeated {
                    path: path.to_owned(),
                    fold: number,
                    id: id.clone(),
                    first,
                    second: part,
                });
            }
        }
    }
    Ok(parts)
}

fn refuse_groups_apart(
    path: &Path,
    number: usize,
    parts: &BTreeMap<&str, &'static str>,
    labelled: &[Member],
) -> Result<(), SplitsFileError> {
    let of_part = |part: &'static str| {
        let named = labelled
            .iter()
            .filter(move |m| parts.get(m.id.as_str()) == Some(&part));
        named.filter_map(|m| Some((m.group.as_ref()?, &m.id)))
    };
    let trained: BTreeMap<&String, &String> = of_part("train").collect();
    for (group, val) in of_part("val") {
        if let Some(train) = trained.get(group) {
            return Err(SplitsFileError::GroupApart {
                path: path.to_owned(),
                fold: number,
                group: group.clone(),
                train: (*train).clone(),
                val: val.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members() -> Vec<Member> {
        let member = |(id, group): (&str, Option<&str>)| Member {
            id: id.to_owned(),
            group: group.map(str::to_owned),
        };
        [
            ("la_003", None),
            ("la_004", Some("p")),
            ("la_005", Some("p")),
            ("la_007", None),
        ]
        .map(member)
        .to_vec()
    }

    fn read(text: &str) -> Result<Vec<Split>, SplitsFileError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("splits_final.json");
        std::fs::write(&path, text).unwrap();
        read_splits(&path, &members())
    }

    fn refusal(text: &str) -> String {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains("splits_final.json: "), "{error}");
        error
    }

    #[test]
    fn folds_are_read_in_the_order_of_the_dataset() {
        // As nnU-Net writes it: json.dump(splits, f, sort_keys=False, indent=4).
        let text = r#"[
    {
        "train": [
            "la_007",
            "la_003"
        ],
        "val": [
            "la_005",
            "la_004"
        ]
    },
    {"train": ["la_004", "la_005"], "val": ["la_003"]}
]"#;
        let folds = read(text).unwrap();
        let [first, second] = &folds[..] else {
            panic!("{folds:?}");
        };
        assert_eq!(first.train, ["la_003", "la_007"]);
        assert_eq!(first.validation, ["la_004", "la_005"]);
        assert!(first.test.is_empty());
        assert_eq!(second.validation, ["la_003"]);
    }

    #[test]
    fn each_mistake_is_told() {
        for (text, words) in [
            (
                "{\"train\": []}",
                ["no list of folds", "expected a sequence"],
            ),
            ("[{\"train\": [\"la_003\"]}]", ["no list of folds", "`val`"]),
            ("[", ["no list of folds", "EOF"]),
            ("[]", ["list of folds is empty", "each fold needs"]),
            (
                r#"[{"train": ["la_003"], "val": []}]"#,
                ["val of fold 0 is empty", "validate"],
            ),
            (
                r#"[{"train": ["la_003"], "val": ["la_04"]}]"#,
                ["val of fold 0 names `la_04`", "did you mean `la_004`?"],
            ),
            (
                r#"[{"train": ["la_003"], "val": ["zzz"]}]"#,
                ["none of the 4 labelled", "remove it"],
            ),
            (
                r#"[{"train": ["la_003"], "val": ["la_007", "la_003"]}]"#,
                [
                    "fold 0 names `la_003` in train and again in val",
                    "remove one",
                ],
            ),
            (
                r#"[{"train": ["la_003"], "val": ["la_007"]},
                    {"train": ["la_003", "la_003"], "val": ["la_007"]}]"#,
                [
                    "fold 1 names `la_003` in train and again in train",
                    "remove",
                ],
            ),
            (
                r#"[{"train": ["la_005", "la_003"], "val": ["la_004"]}]"#,
                ["trains on `la_005` and validates on `la_004`", "group `p`"],
            ),
        ] {
            let error = refusal(text);
            assert!(words.iter().all(|w| error.contains(w)), "{error}");
        }
        let gone = read_splits(Path::new("no/splits.json"), &members()).unwrap_err();
        assert!(gone.to_string().starts_with("no/splits.json: "), "{gone}");
    }
}
