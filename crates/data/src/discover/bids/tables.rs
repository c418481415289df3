//! The tables of a BIDS folder: participants, sessions, and names of label values.

use std::collections::BTreeMap;
use std::path::Path;

use csv::{ReaderBuilder, Trim};
use lacuna_io::text::{MOST_TEXT_BYTES, read_bytes};

use super::name::Name;
use super::tree::File;
use crate::discover::DiscoverError;

/// Columns that tell what a participant was imaged with, the best first.
const SCANNERS: [&str; 8] = [
    "scanner",
    "scanner_id",
    "scanner_model",
    "manufacturers_model_name",
    "site",
    "site_id",
    "centre",
    "center",
];

/// A table: its columns in small letters, and its rows.
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// `None` where there is none.
    fn read(path: &Path) -> Result<Option<Self>, DiscoverError> {
        if !path.is_file() {
            return Ok(None);
        }
        let wrong = |error: csv::Error| DiscoverError::List {
            path: path.to_owned(),
            line: error.position().map_or(1, csv::Position::line),
            found: error.to_string(),
            expected: "a cell for each column, parted by tabs",
        };
        let bytes = read_bytes(path, MOST_TEXT_BYTES).map_err(|error| wrong(error.into()))?;
        let mut reader = ReaderBuilder::new()
            .delimiter(b'\t')
            .trim(Trim::All)
            .from_reader(bytes.as_slice());
        let columns = reader.headers().map_err(wrong)?.iter();
        let columns = columns.map(|name| name.trim_start_matches('\u{feff}').to_lowercase());
        let columns = columns.collect();
        let rows = reader.records().map(|row| {
            let row = row.map_err(wrong)?;
            Ok(row.iter().map(str::to_owned).collect())
        });
        let rows = rows.collect::<Result<_, DiscoverError>>()?;
        Ok(Some(Self { columns, rows }))
    }

    fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

/// What each participant or session was imaged with, and which column tells it.
pub(super) struct Scanners {
    pub of: BTreeMap<String, String>,
    pub column: &'static str,
}

/// From the table at `path`, whose rows are called by the column `key`.
pub(super) fn scanners(path: &Path, key: &str) -> Result<Option<Scanners>, DiscoverError> {
    let Some(table) = Table::read(path)? else {
        return Ok(None);
    };
    let mut columns = SCANNERS.into_iter();
    let found = columns.find_map(|name| Some((name, table.column(name)?)));
    let (Some(key), Some((column, at))) = (table.column(key), found) else {
        return Ok(None);
    };
    // BIDS writes `n/a` for what is not known.
    let of = table
        .rows
        .iter()
        .map(|row| (row[key].clone(), row[at].clone()));
    let of = of.filter(|(_, scanner)| !scanner.is_empty() && scanner != "n/a");
    Ok(Some(Scanners {
        of: of.collect(),
        column,
    }))
}

/// The names of the values of a segmentation, from the nearest table that is for it: beside it,
/// or in a folder above up to `root`.
pub(super) fn label_names(
    file: &File,
    root: &Path,
) -> Result<BTreeMap<i32, String>, DiscoverError> {
    let folders = file.path.ancestors().skip(1);
    for folder in folders.take_while(|folder| folder.starts_with(root)) {
        let mut best: Option<(usize, String)> = None;
        for name in crate::discover::pattern::names(folder)? {
            let Some(table) = name.strip_suffix(".tsv").and_then(Name::of_stem) else {
                continue;
            };
            let fits = table.suffix == file.name.suffix
                && table.entities.iter().all(|entity| file.name.has(entity));
            let closer = best.as_ref().is_none_or(|(n, _)| table.entities.len() > *n);
            if fits && closer {
                best = Some((table.entities.len(), name));
            }
        }
        if let Some((_, name)) = best {
            return names_in(&folder.join(name));
        }
    }
    Ok(BTreeMap::new())
}

fn names_in(path: &Path) -> Result<BTreeMap<i32, String>, DiscoverError> {
    let wrong = |line: usize, found: String| DiscoverError::List {
        path: path.to_owned(),
        line: line as u64 + 1,
        found,
        expected: "the columns `index`, a whole number, and `name`",
    };
    let table = Table::read(path)?;
    let Some(table) = table else {
        return Ok(BTreeMap::new());
    };
    let (Some(index), Some(name)) = (table.column("index"), table.column("name")) else {
        return Err(wrong(
            0,
            format!("the columns {}", table.columns.join(", ")),
        ));
    };
    let mut names = BTreeMap::new();
    for (number, row) in table.rows.iter().enumerate() {
        let value = row[index]
            .parse()
            .map_err(|_| wrong(number + 1, format!("{:?}", row[index])))?;
        if row[name].is_empty() || names.insert(value, row[name].clone()).is_some() {
            return Err(wrong(
                number + 1,
                format!("{value} twice or without a name"),
            ));
        }
    }
    Ok(names)
}
