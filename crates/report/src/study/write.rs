//! A study's report as files.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path};

use lacuna_io::atomic::write_bytes;
use lacuna_io::text::{MOST_RECORD_BYTES, read_text};
use lacuna_record::table::write_rows;
use lacuna_record::{Inputs, check_folder, check_no_run, write_json};
use serde::{Deserialize, Serialize};

use super::report::{Item, StudyReport};
use super::table::StudyTable;
use super::{StudyError, html, latex, markdown};

/// The list of what a report wrote, in its folder.
const LIST: &str = "files.json";

/// `files.json`: what the last report wrote, so that the next one knows what is its own.
#[derive(Default, Serialize, Deserialize)]
struct Written {
    /// Paths below the folder, divided by `/`.
    files: BTreeSet<String>,
}

/// Writes the report into `folder`, which is made when it is missing:
///
/// ```text
/// report.html        everything, in one file
/// report.md          the same, with pictures from figures/
/// report.tex         the same tables
/// tables/ID.csv      each table
/// figures/ID.svg     each chart, each picture as PNG
/// files.json         the names of all these
/// ```
///
/// Each file is written whole or not at all. What the list of an earlier report
/// names and this report does not have is removed; no other file is touched.
///
/// # Errors
/// When the folder cannot be written or holds a run, a file to write is one of `inputs`, or
/// a file that no report wrote is where one would be, unless `force` says to replace it.
pub fn write(
    report: &StudyReport,
    folder: &Path,
    force: bool,
    inputs: &Inputs,
) -> Result<(), StudyError> {
    check_folder(folder)?;
    check_no_run(folder)?;
    let files = files(report)?;
    let own = files.iter().map(|(name, _)| name.as_str()).chain([LIST]);
    for name in own {
        inputs.spare(&folder.join(name))?;
    }
    let before = read_list(folder)?;
    for name in &before.files {
        inputs.spare(&folder.join(name))?;
    }
    let foreign = |(name, _): &&(String, Vec<u8>)| {
        !before.files.contains(name) && folder.join(name).symlink_metadata().is_ok()
    };
    if let Some((name, _)) = files.iter().find(foreign).filter(|_| !force) {
        let path = folder.join(name);
        return Err(StudyError::Foreign { path });
    }
    for path in ["tables", "figures"].map(|below| folder.join(below)) {
        fs::create_dir_all(&path).map_err(folder_error(&path))?;
    }
    let names: BTreeSet<String> = files.iter().map(|(name, _)| name.clone()).collect();
    // Both at first: a report that is cut off still knows all that may be there.
    let list = |files| write_json(&folder.join(LIST), &Written { files });
    list(before.files.union(&names).cloned().collect())?;
    for (name, bytes) in &files {
        write_bytes(folder.join(name), bytes)?;
    }
    for old in before.files.difference(&names) {
        let path = folder.join(old);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => return Err(folder_error(&path)(e)),
            _ => {}
        }
    }
    list(names)?;
    Ok(())
}

/// Every file of a report, by its path below the folder.
fn files(report: &StudyReport) -> Result<Vec<(String, Vec<u8>)>, StudyError> {
    let mut files = Vec::new();
    for item in report.sections.iter().flat_map(|s| &s.items) {
        match item {
            Item::Table(t) => files.push((format!("tables/{}.csv", t.id), csv(t)?)),
            Item::Chart(c) => {
                files.push((format!("figures/{}.svg", c.id), c.svg.clone().into_bytes()));
            }
            Item::Gallery(gallery) => {
                for (picture, file) in gallery.pictures.iter().zip(&gallery.files) {
                    files.push((file.clone(), picture.png.clone()));
                }
            }
        }
    }
    files.push(("report.md".to_owned(), markdown(report).into_bytes()));
    files.push(("report.tex".to_owned(), latex(report).into_bytes()));
    files.push(("report.html".to_owned(), html(report).into_bytes()));
    Ok(files)
}

/// What an earlier report wrote into `folder`; nothing where there was none.
fn read_list(folder: &Path) -> Result<Written, StudyError> {
    let path = folder.join(LIST);
    let text = match read_text(&path, MOST_RECORD_BYTES) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Written::default()),
        Err(e) => return Err(folder_error(&path)(e)),
    };
    let below = |name: &String| {
        let mut parts = Path::new(name).components();
        parts.all(|part| matches!(part, Component::Normal(_)))
    };
    match serde_json::from_str::<Written>(&text) {
        Ok(list) if list.files.iter().all(below) => Ok(list),
        _ => Err(StudyError::List { path }),
    }
}

/// The table as CSV (RFC 4180), headings in one line, without its convention.
fn csv(table: &StudyTable) -> Result<Vec<u8>, StudyError> {
    let rows = table
        .rows
        .iter()
        .map(|row| row.iter().map(|c| c.text.clone()).collect());
    let names: Vec<String> = table.columns.iter().map(|c| c.full_name()).collect();
    let mut bytes = Vec::new();
    write_rows(&mut bytes, std::iter::once(names).chain(rows)).map_err(StudyError::Csv)?;
    Ok(bytes)
}

fn folder_error(path: &Path) -> impl FnOnce(std::io::Error) -> StudyError {
    let path = path.to_owned();
    move |source| StudyError::Folder { path, source }
}
