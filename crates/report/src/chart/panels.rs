//! Many small pictures as one.

use std::fmt::Write;

use crate::markup::escape;

use super::drawing::{Anchor, Drawing, Ink};

/// Units between pictures.
const GAP: f64 = 10.0;
/// Units that the title of a picture or row takes.
const LINE: f64 = 18.0;

/// Pictures that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct PanelRow {
    /// Above them; nothing when empty.
    pub title: String,
    /// Title and picture of each.
    pub panels: Vec<(String, Drawing)>,
}

/// Rows of small pictures, with an optional key above all.
#[derive(Clone, Debug, PartialEq)]
pub struct Panels {
    /// What they show.
    pub title: String,
    /// Explains what all share, such as colours.
    pub key: Option<Drawing>,
    /// Pictures side by side in one file; longer rows wrap.
    pub columns: usize,
    /// From top to bottom.
    pub rows: Vec<PanelRow>,
}

impl Panels {
    /// The pictures in a grid that fits as many side by side as the page is
    /// wide, as elements for the inside of a `<figure>`.
    pub fn html(&self) -> String {
        let mut html = String::new();
        if let Some(key) = &self.key {
            html.push_str(&key.svg());
        }
        for row in &self.rows {
            if !row.title.is_empty() {
                let _ = write!(html, "<h4 class=\"row\">{}</h4>", escape(&row.title));
            }
            html.push_str("<div class=\"panels\">");
            for (title, drawing) in &row.panels {
                let (title, svg) = (escape(title), drawing.svg());
                let _ = write!(html, "<div><b>{title}</b>{svg}</div>");
            }
            html.push_str("</div>");
        }
        html
    }

    /// All pictures in one `<svg>` element.
    pub fn svg(&self) -> String {
        self.drawing().svg()
    }

    /// All pictures as one.
    pub fn drawing(&self) -> Drawing {
        let all = || self.rows.iter().flat_map(|row| &row.panels);
        let cell = all().map(|(_, d)| d.size[0]).fold(0.0, f64::max) + GAP;
        let longest = self.rows.iter().map(|row| row.panels.len()).max();
        let columns = longest.unwrap_or(0).min(self.columns).max(1);
        let mut ink = Ink::default();
        let mut width = columns as f64 * cell;
        let mut y = 0.0;
        if let Some(key) = &self.key {
            ink.0.push_str(&key.nested([0.0, y]));
            width = width.max(key.size[0]);
            y += key.size[1] + GAP;
        }
        for row in &self.rows {
            if !row.title.is_empty() {
                let at = [0.0, y + 0.75 * LINE];
                ink.text(
                    at,
                    Anchor::Start,
                    "font-weight=\"bold\" font-size=\"14\"",
                    &row.title,
                );
                y += LINE;
            }
            for line in row.panels.chunks(columns) {
                for (column, (title, drawing)) in line.iter().enumerate() {
                    let x = column as f64 * cell;
                    let middle = [x + 0.5 * drawing.size[0], y + 0.75 * LINE];
                    ink.text(middle, Anchor::Middle, "font-weight=\"bold\"", title);
                    ink.0.push_str(&drawing.nested([x, y + LINE]));
                }
                let tallest = line.iter().map(|(_, d)| d.size[1]).fold(0.0, f64::max);
                y += LINE + tallest + GAP;
            }
        }
        Drawing {
            title: self.title.clone(),
            size: [width, y],
            body: ink.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::checks::sound;
    use super::*;

    fn panels(counts: &[usize], key: Option<Drawing>) -> Panels {
        let drawing = Drawing {
            title: "a < b".to_owned(),
            size: [100.0, 50.0],
            body: String::new(),
        };
        let row = |&count: &usize| PanelRow {
            title: "R&D".to_owned(),
            panels: vec![("p".to_owned(), drawing.clone()); count],
        };
        Panels {
            title: "t".to_owned(),
            key,
            columns: 3,
            rows: counts.iter().map(row).collect(),
        }
    }

    #[test]
    fn long_rows_wrap() {
        // Cells of 110. Row 1: title 18, two lines of 18 + 50 + 10; row 2:
        // title 18, one line. 36 + 3 x 78 = 270.
        let drawing = panels(&[4, 2], None).drawing();
        assert_eq!(drawing.size, [330.0, 270.0]);
        let svg = drawing.svg();
        let seen = sound(&svg);
        assert_eq!(seen.iter().filter(|e| *e == "svg").count(), 7);
        // The fourth begins the second line: 18 + 78 + 18 down.
        assert!(
            svg.contains("<svg x=\"0\" y=\"114\" width=\"100\" height=\"50\""),
            "{svg}"
        );
        assert!(svg.contains("<svg x=\"220\" y=\"36\""), "{svg}");
        assert!(svg.contains("R&amp;D") && svg.contains("<title>a &lt; b</title>"));
    }

    #[test]
    fn the_key_stands_above() {
        let key = Drawing {
            title: "key".to_owned(),
            size: [480.0, 40.0],
            body: String::new(),
        };
        let panels = panels(&[1], Some(key));
        assert_eq!(panels.drawing().size, [480.0, 50.0 + 18.0 + 78.0]);
        let html = panels.html();
        sound(&html);
        assert!(html.find("key").unwrap() < html.find("panels").unwrap());
    }

    #[test]
    fn no_panels_are_an_empty_picture() {
        sound(&panels(&[], None).svg());
        assert_eq!(panels(&[], None).html(), "");
    }
}
