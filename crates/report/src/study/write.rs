//! A study's report as files.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lacuna_io::atomic::write_bytes;

use super::report::{Gallery, Item, StudyReport};
use super::table::StudyTable;
use super::{StudyError, html, latex, markdown};

impl Gallery {
    /// File name of a picture.
    pub(crate) fn file(&self, picture: usize) -> String {
        format!("{}-{}.png", self.id, picture + 1)
    }
}

/// Writes the report into `folder`, which is made when it is missing:
///
/// ```text
/// report.html        everything, in one file
/// report.md          the same, with pictures from figures/
/// report.tex         the same tables
/// tables/ID.csv      each table
/// figures/ID.svg     each chart, each picture as PNG
/// ```
///
/// Each file is written whole or not at all; tables and figures that an earlier
/// report left and this one does not have are removed.
///
/// # Errors
/// When the folder cannot be written.
pub fn write(report: &StudyReport, folder: &Path) -> Result<(), StudyError> {
    let (tables, figures) = (folder.join("tables"), folder.join("figures"));
    for path in [&tables, &figures] {
        fs::create_dir_all(path).map_err(folder_error(path))?;
    }
    let mut written = BTreeSet::new();
    let mut write = |path: PathBuf, bytes: &[u8]| -> Result<(), StudyError> {
        write_bytes(&path, bytes)?;
        written.insert(path);
        Ok(())
    };
    for item in report.sections.iter().flat_map(|s| &s.items) {
        match item {
            Item::Table(t) => write(tables.join(format!("{}.csv", t.id)), &csv(t)?)?,
            Item::Chart(c) => write(figures.join(format!("{}.svg", c.id)), c.svg.as_bytes())?,
            Item::Gallery(gallery) => {
                for (i, picture) in gallery.pictures.iter().enumerate() {
                    write(figures.join(gallery.file(i)), &picture.png)?;
                }
            }
        }
    }
    remove_others(&tables, &["csv"], &written)?;
    remove_others(&figures, &["svg", "png"], &written)?;
    write_bytes(folder.join("report.md"), markdown(report).as_bytes())?;
    write_bytes(folder.join("report.tex"), latex(report).as_bytes())?;
    write_bytes(folder.join("report.html"), html(report).as_bytes())?;
    Ok(())
}

/// Removes files of earlier reports.
fn remove_others(
    folder: &Path,
    extensions: &[&str],
    written: &BTreeSet<PathBuf>,
) -> Result<(), StudyError> {
    for entry in fs::read_dir(folder).map_err(folder_error(folder))? {
        let path = entry.map_err(folder_error(folder))?.path();
        let ours = path
            .extension()
            .is_some_and(|e| extensions.iter().any(|x| e == *x));
        if ours && !written.contains(&path) {
            fs::remove_file(&path).map_err(folder_error(&path))?;
        }
    }
    Ok(())
}

/// The table as CSV (RFC 4180), headings in one line, without its convention.
fn csv(table: &StudyTable) -> Result<Vec<u8>, StudyError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let rows = table
        .rows
        .iter()
        .map(|row| row.iter().map(|c| c.text.clone()).collect());
    let names: Vec<String> = table.columns.iter().map(|c| c.full_name()).collect();
    for row in std::iter::once(names).chain(rows) {
        writer.write_record(&row).map_err(memory_error)?;
    }
    writer
        .into_inner()
        .map_err(|e| memory_error(e.into_error()))
}

fn memory_error(source: impl Into<csv::Error>) -> StudyError {
    StudyError::Csv(source.into())
}

fn folder_error(path: &Path) -> impl FnOnce(std::io::Error) -> StudyError {
    let path = path.to_owned();
    move |source| StudyError::Folder { path, source }
}
