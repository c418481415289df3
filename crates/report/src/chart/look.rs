//! What tells series apart.

use std::fmt::Write;

use crate::colour::{BLUE, GREEN, ORANGE, PURPLE, Rgb, SKY_BLUE, VERMILLION, css};

use super::drawing::{Anchor, Drawing, Ink, text_width, units};
use super::{TEXT, WIDTH};

/// Shape of the mark at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// A disc.
    Disc,
    /// A square.
    Square,
    /// A triangle that points up.
    Up,
    /// A square on its corner.
    Diamond,
    /// A triangle that points down.
    Down,
    /// A cross.
    Cross,
}

/// What tells a series from others, with and without colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Of lines, marks and fills.
    pub colour: Rgb,
    /// Lengths of dashes and gaps in units, as SVG writes them; a whole line
    /// when empty.
    pub dash: &'static str,
    /// At points; none when absent.
    pub marker: Option<Marker>,
}

impl Look {
    /// A whole line without marks.
    pub fn plain(colour: Rgb) -> Self {
        Self {
            colour,
            dash: "",
            marker: None,
        }
    }

    /// The look of series `index` of a chart: six that differ, then again.
    pub fn nth(index: usize) -> Self {
        let (colour, dash, marker) = match index % 6 {
            0 => (BLUE, "", Marker::Disc),
            1 => (VERMILLION, "7 3", Marker::Square),
            2 => (GREEN, "2 3", Marker::Up),
            3 => (ORANGE, "9 3 2 3", Marker::Diamond),
            4 => (PURPLE, "14 4", Marker::Down),
            _ => (SKY_BLUE, "5 2 1 2 1 2", Marker::Cross),
        };
        Self {
            colour,
            dash,
            marker: Some(marker),
        }
    }

    /// Attributes of a line of this look.
    pub(super) fn stroke(&self, width: f64) -> String {
        let mut text = format!(
            "stroke=\"{}\" stroke-width=\"{}\" stroke-linejoin=\"round\"",
            css(self.colour),
            units(width)
        );
        if !self.dash.is_empty() {
            let _ = write!(text, " stroke-dasharray=\"{}\"", self.dash);
        }
        text
    }

    /// The marker around a point, `radius` units large; a disc when it has none.
    pub(super) fn mark(&self, ink: &mut Ink, at: [f64; 2], radius: f64, title: Option<&str>) {
        let marker = self.marker.unwrap_or(Marker::Disc);
        let colour = css(self.colour);
        let paint = match marker {
            Marker::Cross => format!("stroke=\"{colour}\" stroke-width=\"2\""),
            _ => format!("fill=\"{colour}\""),
        };
        ink.path(&outline(marker, at, radius), paint, title);
    }
}

/// The path of a marker. Shapes of about one area.
fn outline(marker: Marker, [x, y]: [f64; 2], radius: f64) -> String {
    let [px, py, r] = [x, y, radius].map(units);
    let [flat, tall, side] = [0.87 * radius, 1.15 * radius, 1.2 * radius];
    match marker {
        Marker::Disc => {
            let (left, twice) = (units(x - radius), units(2.0 * radius));
            format!("M{left} {py}a{r} {r} 0 1 0 {twice} 0a{r} {r} 0 1 0 -{twice} 0Z")
        }
        Marker::Square => {
            let (left, top, twice) = (units(x - flat), units(y - flat), units(2.0 * flat));
            format!("M{left} {top}h{twice}v{twice}h-{twice}Z")
        }
        Marker::Up | Marker::Down => {
            let down = if marker == Marker::Up { 1.0 } else { -1.0 };
            let (tip, base) = (units(y - down * side), units(y + down * flat));
            let (left, right) = (units(x - tall), units(x + tall));
            format!("M{px} {tip}L{right} {base}H{left}Z")
        }
        Marker::Diamond => {
            let (left, right) = (units(x - side), units(x + side));
            let (top, bottom) = (units(y - side), units(y + side));
            format!("M{px} {top}L{right} {py}L{px} {bottom}L{left} {py}Z")
        }
        Marker::Cross => {
            let (left, top, twice) = (units(x - flat), units(y - flat), units(2.0 * flat));
            format!("M{left} {top}l{twice} {twice}m0 -{twice}l-{twice} {twice}")
        }
    }
}

/// Units down that a row of a legend takes.
const ROW: f64 = TEXT + 5.0;

/// The names of series as a picture of its own, to stand above several charts.
pub fn key<'a>(title: &str, entries: impl Iterator<Item = (Look, &'a str)>) -> Drawing {
    let mut ink = Ink::default();
    let height = legend(&mut ink, entries, [0.0, 0.0, WIDTH]);
    Drawing {
        title: title.to_owned(),
        size: [WIDTH, height],
        body: ink.0,
    }
}

/// Names with their looks in rows from `left` to `right` below `top`. Gives
/// the units that the rows take down.
pub(super) fn legend<'a>(
    ink: &mut Ink,
    entries: impl Iterator<Item = (Look, &'a str)>,
    [left, top, right]: [f64; 3],
) -> f64 {
    let sample = 30.0;
    let (mut x, mut y) = (left, top + 0.5 * ROW);
    for (look, name) in entries {
        let width = sample + 6.0 + text_width(name);
        if x > left && x + width > right {
            (x, y) = (left, y + ROW);
        }
        let d = format!("M{} {}h{}", units(x), units(y), units(sample));
        ink.path(&d, look.stroke(2.2), None);
        if look.marker.is_some() {
            look.mark(ink, [x + 0.5 * sample, y], 4.5, None);
        }
        let beside = [x + sample + 6.0, y];
        ink.text(beside, Anchor::Start, "dy=\"0.35em\"", name);
        x += width + 14.0;
    }
    match x > left {
        true => y + 0.5 * ROW - top,
        false => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_series_differ_without_colour() {
        for i in 0..6 {
            for j in 0..i {
                let (a, b) = (Look::nth(i), Look::nth(j));
                assert!(a.colour != b.colour && a.dash != b.dash && a.marker != b.marker);
            }
        }
    }

    #[test]
    fn markers_lie_around_their_point() {
        assert_eq!(
            outline(Marker::Disc, [10.0, 20.0], 4.0),
            "M6 20a4 4 0 1 0 8 0a4 4 0 1 0 -8 0Z"
        );
        assert_eq!(
            outline(Marker::Square, [10.0, 20.0], 10.0),
            "M1.3 11.3h17.4v17.4h-17.4Z"
        );
        assert_eq!(
            outline(Marker::Diamond, [0.0, 0.0], 5.0),
            "M0 -6L6 0L0 6L-6 0Z"
        );
    }

    #[test]
    fn a_legend_wraps() {
        // 30 + 6 + 10.54 x 3 = 67.62 an entry and 14 between: two fit in 150.
        let names = ["GDL", "DL2", "WCE"];
        let entries = || {
            names
                .iter()
                .enumerate()
                .map(|(i, &name)| (Look::nth(i), name))
        };
        let mut ink = Ink::default();
        assert_eq!(legend(&mut ink, entries(), [0.0, 0.0, 150.0]), 2.0 * ROW);
        assert_eq!(legend(&mut ink, entries(), [0.0, 0.0, 300.0]), ROW);
        assert_eq!(legend(&mut ink, entries().take(0), [0.0, 0.0, 300.0]), 0.0);
    }
}
