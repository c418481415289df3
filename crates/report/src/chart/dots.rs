//! A row of dots for each of many names, on an axis of equal factors.

use crate::markup::number;

use super::axis::{Axis, Decades, Scale};
use super::drawing::{Anchor, Drawing, Frame, Ink, text_width, units};
use super::look::{Look, legend};
use super::{TEXT, WIDTH};

const TOP: f64 = 10.0;
const RIGHT: f64 = 462.0;
/// Units down of a row with a name, and of all rows when they are many.
const NAMED: f64 = TEXT + 1.0;
const MOST: f64 = 560.0;
/// The widest column of names, and that beside which zeros stand.
const NAMES: f64 = 200.0;
const ZERO: f64 = 22.0;

/// Values of names, one dot a series. Names are left out where rows are too many.
#[derive(Clone, Debug, PartialEq)]
pub struct DotRows {
    /// What it shows, for readers who cannot see it.
    pub title: String,
    /// Below the axis.
    pub x_label: String,
    /// Name and look of each series.
    pub series: Vec<(String, Look)>,
    /// Names with a value for each series, from top to bottom. 0 stands left of the axis;
    /// what is negative or not finite is not shown.
    pub rows: Vec<(String, Vec<f64>)>,
}

impl DotRows {
    /// The chart as an `<svg>` element.
    pub fn svg(&self) -> String {
        self.drawing().svg()
    }

    /// The chart as a picture.
    pub fn drawing(&self) -> Drawing {
        let height = NAMED.min(MOST / self.rows.len().max(1) as f64);
        let named = height == NAMED;
        let widest = self.rows.iter().map(|(name, _)| text_width(name));
        let names = match named {
            true => widest.fold(0.0, f64::max).min(NAMES),
            false => 0.0,
        };
        let frame = Frame {
            left: 14.0 + names + ZERO,
            top: TOP,
            right: RIGHT,
            bottom: TOP + height * self.rows.len() as f64,
        };
        let values = self.rows.iter().flat_map(|(_, values)| values).copied();
        let log = Scale::Log(Decades::Power);
        let x = Axis::over(values, log, None, frame.left, frame.right);
        let mut ink = Ink::default();
        for (tick, text) in x.ticks() {
            let at = x.place(*tick);
            let d = format!(
                "M{} {}V{}",
                units(at),
                units(frame.top),
                units(frame.bottom)
            );
            let faint = "stroke=\"currentColor\" stroke-opacity=\"0.18\"";
            ink.path(&d, faint, None);
            let below = [at, frame.bottom + TEXT + 6.0];
            ink.text(below, Anchor::Middle, "", text);
        }
        ink.corner(frame);
        for (row, (name, values)) in self.rows.iter().enumerate() {
            let middle = frame.top + (row as f64 + 0.5) * height;
            if named {
                let beside = [frame.left - ZERO, middle];
                ink.text(beside, Anchor::End, "dy=\"0.35em\"", &fitting(name));
            }
            for ((series, look), &value) in self.series.iter().zip(values) {
                let at = match value {
                    0.0 => frame.left - 0.5 * ZERO,
                    value => x.place(value),
                };
                if at.is_finite() {
                    let title = format!("{name}, {series}: {}", number(value));
                    look.mark(&mut ink, [at, middle], 3.5, Some(&title));
                }
            }
        }
        if self.rows.iter().any(|(_, values)| values.contains(&0.0)) {
            let below = [frame.left - 0.5 * ZERO, frame.bottom + TEXT + 6.0];
            ink.text(below, Anchor::Middle, "", "0");
        }
        let foot = frame.bottom + 2.0 * TEXT + 10.0;
        let middle = [0.5 * (frame.left + frame.right), foot];
        ink.text(middle, Anchor::Middle, "", &self.x_label);
        // Dots have no dashes.
        let whole = |look| Look { dash: "", ..look };
        let entries = self
            .series
            .iter()
            .map(|(name, look)| (whole(*look), &**name));
        let rows = match self.series.len() {
            0 | 1 => 0.0,
            _ => legend(&mut ink, entries, [14.0, foot + 8.0, RIGHT]),
        };
        Drawing {
            title: self.title.clone(),
            size: [WIDTH, foot + 8.0 + rows],
            body: ink.0,
        }
    }
}

/// A name no longer than its column.
fn fitting(name: &str) -> String {
    let most = (NAMES / text_width("m")) as usize;
    match name.chars().count() > most {
        false => name.to_owned(),
        true => name.chars().take(most - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::checks::sound;
    use super::*;

    fn rows(rows: &[(&str, f64)]) -> DotRows {
        DotRows {
            title: "Shares".to_owned(),
            x_label: "Share".to_owned(),
            series: vec![("lesion".to_owned(), Look::nth(0))],
            rows: (rows.iter())
                .map(|&(name, value)| (name.to_owned(), vec![value]))
                .collect(),
        }
    }

    #[test]
    fn dots_lie_where_the_axis_says() {
        // Names of one letter are 10.54 wide: the axis from 46.54 to 462 holds 0.001 to 0.1.
        let svg = rows(&[("a", 0.001), ("b", 0.01), ("c", 0.1), ("<d>", 0.0)]);
        let svg = DotRows {
            rows: svg.rows[..3].to_vec(),
            ..svg
        }
        .svg();
        sound(&svg);
        // Rows of 18 from 10; the disc of b begins 3.5 left of 254.27 on 37.
        assert!(svg.contains("M250.77 37a3.5"), "{svg}");
        assert!(svg.contains("<title>b, lesion: 0.0100</title>"), "{svg}");
        assert!(!svg.contains(">0</text>"));
    }

    #[test]
    fn nothing_stands_left_of_the_axis() {
        let svg = rows(&[("a", 0.01), ("<d>", 0.0), ("e", f64::NAN)]).svg();
        sound(&svg);
        assert!(svg.contains(">0</text>") && svg.contains("&lt;d&gt;, lesion: 0<"));
        assert_eq!(svg.matches("a3.5 3.5 0 1 0 7 0").count(), 2);
    }

    #[test]
    fn many_rows_have_no_names_and_long_names_are_cut() {
        let many: Vec<(&str, f64)> = (1..200).map(|i| ("name", f64::from(i))).collect();
        let svg = rows(&many).svg();
        sound(&svg);
        assert!(!svg.contains(">name</text>"));
        let long = "0123456789".repeat(3);
        let svg = rows(&[(&long, 1.0)]).svg();
        // 200 units hold 18 letters of 10.54.
        assert!(svg.contains(">01234567890123456…</text>"), "{svg}");
        sound(&rows(&[]).svg());
    }
}
