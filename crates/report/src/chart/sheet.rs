//! A small table of text as a picture.

use super::WIDTH;
use super::drawing::{Anchor, Drawing, Ink, units};

/// Units down of a row.
const ROW: f64 = 19.0;
const LEFT: f64 = 8.0;
/// Units across of the first column; the others share the rest.
const NAMES: f64 = 150.0;

/// A table: names to the left, numbers to the right of their columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Sheet {
    /// What it shows, for readers who cannot see it.
    pub title: String,
    /// Above the columns after the first.
    pub header: Vec<String>,
    /// The name of each row and its cells.
    pub rows: Vec<(String, Vec<String>)>,
}

impl Sheet {
    /// The table as a picture.
    pub fn drawing(&self) -> Drawing {
        let mut ink = Ink::default();
        let column = (WIDTH - LEFT - NAMES) / self.header.len().max(1) as f64;
        let place = |cell: usize| NAMES + (cell + 1) as f64 * column;
        for (cell, text) in self.header.iter().enumerate() {
            let at = [place(cell), 0.75 * ROW];
            ink.text(at, Anchor::End, "font-weight=\"bold\"", text);
        }
        let rule = format!("M{LEFT} {}H{}", units(ROW), units(WIDTH - LEFT));
        ink.path(&rule, "stroke=\"currentColor\"", None);
        for (row, (name, cells)) in self.rows.iter().enumerate() {
            let y = (row as f64 + 1.75) * ROW;
            ink.text([LEFT, y], Anchor::Start, "", name);
            for (cell, text) in cells.iter().enumerate() {
                ink.text([place(cell), y], Anchor::End, "", text);
            }
        }
        Drawing {
            title: self.title.clone(),
            size: [WIDTH, (self.rows.len() as f64 + 1.4) * ROW],
            body: ink.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::checks::sound;
    use super::*;

    #[test]
    fn cells_end_below_their_header() {
        // Two columns share 480 - 8 - 150 = 322 units.
        let sheet = Sheet {
            title: "Axes".to_owned(),
            header: vec!["x".to_owned(), "y".to_owned()],
            rows: vec![("a < b".to_owned(), vec!["1".to_owned(), "2".to_owned()])],
        };
        let svg = sheet.drawing().svg();
        sound(&svg);
        assert!(
            svg.contains("x=\"311\" y=\"33.25\" text-anchor=\"end\""),
            "{svg}"
        );
        assert!(
            svg.contains("x=\"472\" y=\"14.25\" text-anchor=\"end\""),
            "{svg}"
        );
        assert!(svg.contains(">a &lt; b</text>"));
    }
}
