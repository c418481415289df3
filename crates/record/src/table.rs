//! CSV files (RFC 4180): the one place where this program writes and reads their cells.
//!
//! Names of subjects, groups and classes come from other people, and a spreadsheet takes a cell
//! that begins with `=`, `+`, `-` or `@` for a formula and runs it. Such a cell, where it is no
//! number, is written behind an apostrophe, which spreadsheets show as text, and [`of_cell`]
//! takes that off again.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use crate::RecordError;

/// How a formula may begin: also after what spreadsheets pass over, and in full width.
const FORMULAS: [char; 11] = [
    '=', '+', '-', '@', '\t', '\r', '\n', '\u{ff1d}', '\u{ff0b}', '\u{ff0d}', '\u{ff20}',
];

/// A formula, or one behind apostrophes, which would be taken for one that was written so.
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(FORMULAS)
}

/// A number, also with its interval as in "+0.7 [+0.6, +0.8]", which no spreadsheet can run.
fn is_number(text: &str) -> bool {
    let number = |text: &str| text.parse::<f64>().is_ok();
    let interval = |(value, rest): (&str, &str)| {
        let ends = rest
            .strip_suffix(']')
            .and_then(|ends| ends.split_once(", "));
        number(value) && ends.is_some_and(|(low, high)| number(low) && number(high))
    };
    number(text) || text.split_once(" [").is_some_and(interval)
}

/// The cell that a text is written as.
pub fn cell(text: &str) -> Cow<'_, str> {
    match is_formula(text) && !is_number(text) {
        true => format!("'{text}").into(),
        false => text.into(),
    }
}

/// The text that a cell was written for.
pub fn of_cell(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(text) if is_formula(text) => text,
        _ => cell,
    }
}

/// Writes rows of texts as CSV.
///
/// # Errors
/// When they cannot be written, or are not all of one length.
pub fn write_rows<R>(to: impl Write, rows: impl IntoIterator<Item = R>) -> io::Result<()>
where
    R: IntoIterator<Item: AsRef<str>>,
{
    let mut writer = csv::Writer::from_writer(to);
    for row in rows {
        for text in row {
            writer.write_field(cell(text.as_ref()).as_ref())?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.flush()
}

/// Writes rows of texts as a CSV file, atomically.
///
/// # Errors
/// When the folder cannot be written, or the rows are not all of one length.
pub fn write_table<R>(path: &Path, rows: impl IntoIterator<Item = R>) -> Result<(), RecordError>
where
    R: IntoIterator<Item: AsRef<str>>,
{
    lacuna_io::atomic::write_atomic(path, |w| write_rows(w, rows))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_no_formulas_and_read_back_as_they_were() {
        for text in [
            "=HYPERLINK(\"http://a\")",
            "+1+1",
            "-2+3|cmd",
            "-2 [=1, 2]",
            "-2 [1, 2]|cmd",
            "@SUM(A1)",
            "\t=1",
            "\r=1",
            "-",
            "--1",
            "\u{ff1d}1",
            "'=1",
            "''=1",
            "'-1",
        ] {
            let written = cell(text);
            assert!(written.starts_with('\''), "{text}");
            assert_eq!(written.len(), text.len() + 1, "{text}");
            assert_eq!(of_cell(&written), text);
        }
    }

    #[test]
    fn other_cells_are_written_as_they_are() {
        for text in [
            "",
            "a",
            "a=b",
            "-1",
            "+2.5e-3",
            "-inf",
            "NaN",
            "1",
            "'a",
            "'",
            "''",
            "o'=1",
            " =1",
            "+0.7 [-0.6, +0.8]",
        ] {
            assert_eq!(cell(text), text);
            assert_eq!(of_cell(text), text);
        }
    }

    #[test]
    fn rows_are_quoted_where_they_must_be() {
        let mut bytes = Vec::new();
        let rows = [["id", "a,b"], ["=1+1", "-1.5"], ["=\"x\"", "last"]];
        write_rows(&mut bytes, rows).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text, "id,\"a,b\"\n'=1+1,-1.5\n\"'=\"\"x\"\"\",last\n");
        let uneven = [vec!["a"], vec!["b", "c"]];
        assert!(write_rows(Vec::new(), uneven).is_err());
    }
}
