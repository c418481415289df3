//! A table of subjects: CSV, or TSV with tabs.
//!
//! The first line names the columns: `id`, and as needed `group`, `scanner`, `label`, `mask`,
//! `weight` and `white_matter`; any other column is a modality, in channel order. Files are
//! named from the table's folder, `file#1` for one volume or colour of a file.

use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, Trim};
use lacuna_io::text::{MOST_TEXT_BYTES, read_text};
use lacuna_record::table::of_cell;

use super::{DiscoverError, Search, foreground_values, name_classes};
use crate::manifest::{ImageRef, Manifest, Subject, folder_of};

const ID: &str = "id";
/// Columns that are no modalities.
const KNOWN: [&str; 7] = [
    ID,
    "group",
    "scanner",
    "label",
    "mask",
    "weight",
    "white_matter",
];

/// True for a file that is read as a table.
pub fn is_list(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    path.is_file()
        && ["csv", "tsv"]
            .iter()
            .any(|e| ending.eq_ignore_ascii_case(e))
}

/// The manifest, to be written to `out`, of the subjects in the table at `path`. Reads all
/// label files for their values, which `foreground` names as in [`Search::foreground`].
///
/// # Errors
/// A table that cannot be read, without `id` or without a modality, with a column twice, label
/// files as for [`super::by_patterns`], or what [`Manifest::new`] refuses.
pub fn from_list(
    path: &Path,
    foreground: &[String],
    out: &Path,
) -> Result<Manifest, DiscoverError> {
    let wrong = |line: u64, found: String, expected: &'static str| DiscoverError::List {
        path: path.to_owned(),
        line,
        found,
        expected,
    };
    let tabs = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("tsv"));
    let text = read_text(path, MOST_TEXT_BYTES);
    let text = text.map_err(|e| wrong(1, e.to_string(), "a readable table"))?;
    let mut reader = ReaderBuilder::new()
        .delimiter(if tabs { b'\t' } else { b',' })
        .trim(Trim::All)
        .from_reader(text.as_bytes());
    let header = reader.headers();
    let header = header.map_err(|e| wrong(1, e.to_string(), "the names of the columns"))?;
    // Spreadsheets put a mark before the first name.
    let names: Vec<String> = (header.iter())
        .map(|name| of_cell(name.trim_start_matches('\u{feff}')).to_owned())
        .collect();
    for (at, name) in names.iter().enumerate() {
        if name.is_empty() || names[..at].contains(name) {
            let found = format!("the column {name:?}");
            return Err(wrong(
                1,
                found,
                "a name for each column, and each name once",
            ));
        }
    }
    let modalities: Vec<String> = (names.iter())
        .filter(|name| !KNOWN.contains(&name.as_str()))
        .cloned()
        .collect();
    if !names.iter().any(|name| name == ID) || modalities.is_empty() {
        let found = format!("the columns {}", names.join(", "));
        return Err(wrong(1, found, "`id` and a column for each modality"));
    }

    let folder = folder_of(path);
    let mut subjects = Vec::new();
    for row in reader.records() {
        let row = row.map_err(|e| {
            let line = e.position().map_or(0, csv::Position::line);
            wrong(line, e.to_string(), "a cell for each column")
        })?;
        subjects.push(subject(&folder, &names, &row));
    }
    let labels: Vec<&Path> = (subjects.iter())
        .filter_map(|s| s.label.as_deref())
        .collect();
    let search = Search {
        foreground: foreground.to_vec(),
        ..Search::default()
    };
    let values = foreground_values(&labels)?;
    let (classes, label_values) = name_classes(path, &search, labels.len(), &values)?;
    let name = path.file_stem().unwrap_or_default();
    Ok(Manifest::new(
        out,
        name.to_string_lossy().into_owned(),
        modalities,
        classes,
        label_values,
        subjects,
    )?)
}

fn subject(folder: &Path, names: &[String], row: &StringRecord) -> Subject {
    let mut subject = Subject::default();
    for (name, cell) in names.iter().zip(row) {
        let cell = of_cell(cell);
        if cell.is_empty() {
            continue;
        }
        let text = || Some(cell.to_owned());
        let file = || Some::<PathBuf>(folder.join(cell));
        match name.as_str() {
            ID => subject.id = cell.to_owned(),
            "group" => subject.group = text(),
            "scanner" => subject.scanner = text(),
            "label" => subject.label = file(),
            "mask" => subject.mask = file(),
            "weight" => subject.weight = file(),
            "white_matter" => subject.white_matter = file(),
            modality => {
                let ImageRef { path, volume } = ImageRef::parse(cell);
                let path = folder.join(path);
                (subject.images).insert(modality.to_owned(), ImageRef { path, volume });
            }
        }
    }
    subject
}
