//! Isolines of a share over two quantities: Figures 1 and 2 of the paper.
//!
//! Values are known at the crossings of a grid of measured x and y. Between
//! four neighbours the value is bilinear in x and log y, between three linear,
//! and nowhere else: nothing is drawn outside measured points. Where only one
//! x (or y) was measured, the values along it colour a strip around it. Two
//! along an axis tell nothing of what lies between them: then each measurement
//! is a disc with its value, and no line is drawn.

mod grid;

use crate::colour::{CIVIDIS, css, tenth};
use crate::markup::number;

use super::WIDTH;
use super::axis::{Axis, Decades, Scale, short};
use super::contour::region;
use super::drawing::{Anchor, Drawing, Frame, Ink, units};
use super::panels::{PanelRow, Panels};
use grid::Grid;

/// One measured value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// On the horizontal axis, which is linear.
    pub x: f64,
    /// On the vertical axis, which is logarithmic: positive.
    pub y: f64,
    /// A share from 0 to 1; marked as missing when not finite.
    pub value: f64,
}

/// Isolines of one series of measurements.
#[derive(Clone, Debug, PartialEq)]
pub struct IsolinePanel {
    /// What was measured, such as a loss.
    pub title: String,
    /// In any order. Of several at one place the median is shown.
    pub points: Vec<Measured>,
}

/// Panels with one horizontal axis.
#[derive(Clone, Debug, PartialEq)]
pub struct IsolineRow {
    /// What they share, such as a network.
    pub title: String,
    /// From left to right.
    pub panels: Vec<IsolinePanel>,
}

/// Rows of panels with one vertical axis and one scale of colours.
#[derive(Clone, Debug, PartialEq)]
pub struct Isolines {
    /// What they show, for readers who cannot see it.
    pub title: String,
    /// Name of the horizontal axis.
    pub x_label: String,
    /// Name of the vertical axis.
    pub y_label: String,
    /// Name of the value.
    pub value_label: String,
    /// From top to bottom.
    pub rows: Vec<IsolineRow>,
}

/// Units across and down of a panel.
const SIZE: [f64; 2] = [180.0, 182.0];
const FRAME: Frame = Frame {
    left: 42.0,
    top: 20.0,
    right: 172.0,
    bottom: 142.0,
};
/// Units between the frame and the outermost points.
const INSET: f64 = 9.0;
/// Units from the middle to the sides of a strip that has the frame to itself.
const STRIP: f64 = 20.0;

impl Isolines {
    /// The panels in rows, at most four side by side.
    pub fn panels(&self) -> Panels {
        let all = || self.rows.iter().flat_map(|row| &row.panels);
        let y = Range::of(
            all().flat_map(|p| &p.points).map(|p| p.y),
            Scale::Log(Decades::Power),
        );
        let rows = self.rows.iter().map(|row| {
            let points = row.panels.iter().flat_map(|p| &p.points);
            let x = Range::of(points.map(|p| p.x), Scale::Linear);
            let draw = |p: &IsolinePanel| (p.title.clone(), self.panel(&row.title, p, &x, &y));
            PanelRow {
                title: row.title.clone(),
                panels: row.panels.iter().map(draw).collect(),
            }
        });
        Panels {
            title: self.title.clone(),
            key: Some(colour_bar(&self.value_label)),
            columns: 4,
            rows: rows.collect(),
        }
    }

    /// All panels in one `<svg>` element.
    pub fn svg(&self) -> String {
        self.panels().svg()
    }

    fn panel(&self, row: &str, panel: &IsolinePanel, x: &Range, y: &Range) -> Drawing {
        let mut ink = Ink::default();
        ink.0.push_str("<g font-size=\"11\">");
        let across = x.axis(FRAME.left + INSET, FRAME.right - INSET);
        let down = y.axis(FRAME.bottom - INSET, FRAME.top + INSET);
        let grid = Grid::of(&panel.points);
        let half = [x, y].map(|range| match range.measured.len() {
            1 => STRIP,
            _ => INSET,
        });
        let lines = grid.tells_lines();
        if lines {
            surface(&mut ink, &grid, &across, &down, half);
        }
        self.frame(&mut ink, x, y, &across, &down);
        self.marks(&mut ink, &grid, lines, &across, &down, half);
        ink.0.push_str("</g>");
        Drawing {
            title: format!(
                "{} by {} and {}: {row}, {}",
                self.value_label, self.x_label, self.y_label, panel.title
            ),
            size: SIZE,
            body: ink.0,
        }
    }

    /// The frame, with ticks at measured values.
    fn frame(&self, ink: &mut Ink, x: &Range, y: &Range, across: &Axis, down: &Axis) {
        let (left, bottom) = (units(FRAME.left), units(FRAME.bottom));
        let stroke = "stroke=\"currentColor\"";
        for (at, text) in x.ticks(across, 6.5) {
            ink.path(&format!("M{} {bottom}v4", units(at)), stroke, None);
            ink.text([at, FRAME.bottom + 15.0], Anchor::Middle, "", &text);
        }
        for (at, text) in y.ticks(down, 0.0) {
            ink.path(&format!("M{left} {}h-4", units(at)), stroke, None);
            let beside = [FRAME.left - 6.0, at];
            ink.text(beside, Anchor::End, "dy=\"0.35em\"", &text);
        }
        ink.corner(FRAME);
        let middle = 0.5 * (FRAME.left + FRAME.right);
        ink.text(
            [middle, FRAME.bottom + 31.0],
            Anchor::Middle,
            "",
            &self.x_label,
        );
        ink.text([2.0, 11.0], Anchor::Start, "", &self.y_label);
    }

    /// The measured points; those on no surface are large and coloured. Where
    /// there is room beside them, with their values.
    fn marks(
        &self,
        ink: &mut Ink,
        grid: &Grid,
        lines: bool,
        across: &Axis,
        down: &Axis,
        half: [f64; 2],
    ) {
        for point in &grid.points {
            let at = [
                across.place(grid.x[point.column]),
                down.place(grid.y[point.row]),
            ];
            let title = format!(
                "{} {}, {} {}: {} {}",
                self.x_label,
                short(grid.x[point.column]),
                self.y_label,
                short(grid.y[point.row]),
                self.value_label,
                number(point.value)
            );
            let title = Some(title.as_str());
            let [px, py] = at.map(units);
            if !point.value.is_finite() {
                let cross = format!("M{px} {py}m-4 -4l8 8m0 -8l-8 8");
                ink.path(
                    &cross,
                    "stroke=\"currentColor\" stroke-width=\"1.5\"",
                    title,
                );
                continue;
            }
            let alone = !(lines && grid.on_surface(point));
            let (radius, fill, edge) = match alone {
                true => (7.0, css(tenth(point.value)), "currentColor"),
                false => (2.8, "#FFFFFF".to_owned(), "#000000"),
            };
            let disc = format!(
                "M{} {py}a{radius} {radius} 0 1 0 {d} 0a{radius} {radius} 0 1 0 -{d} 0Z",
                units(at[0] - radius),
                d = units(2.0 * radius)
            );
            ink.path(&disc, format!("fill=\"{fill}\" stroke=\"{edge}\""), title);
            let value = format!("{:.2}", point.value);
            if grid.x.len() == 1 {
                let reach = if alone { radius } else { half[0] };
                let beside = [at[0] + reach + 4.0, at[1]];
                ink.text(beside, Anchor::Start, "dy=\"0.35em\"", &value);
            } else if grid.y.len() == 1 || !lines {
                let reach = if alone { radius } else { half[1] };
                ink.text([at[0], at[1] - reach - 4.0], Anchor::Middle, "", &value);
            }
        }
    }
}

/// Bands of a tenth with isolines between them.
fn surface(ink: &mut Ink, grid: &Grid, across: &Axis, down: &Axis, half: [f64; 2]) {
    let cells = grid.cells(across, down, half);
    let mut labels: Vec<[f64; 2]> = Vec::new();
    let points = grid.points.iter();
    let dots: Vec<[f64; 2]> = points
        .map(|p| [across.place(grid.x[p.column]), down.place(grid.y[p.row])])
        .collect();
    let mut lines = Ink::default();
    for (band, &colour) in CIVIDIS.iter().enumerate() {
        let level = match band {
            0 => f64::NEG_INFINITY,
            _ => band as f64 / 10.0,
        };
        let above = region(&cells, level);
        if above.outlines.is_empty() {
            break;
        }
        let outline: String = above.outlines.iter().map(|p| path(p) + "Z").collect();
        ink.path(&outline, format!("fill=\"{}\"", css(colour)), None);
        let line_colour = if band <= 5 { "#FFFFFF" } else { "#000000" };
        for line in &above.isolines {
            let paint = format!("stroke=\"{line_colour}\" stroke-width=\"0.9\"");
            lines.path(&path(line), paint, Some(&format!("{level:.1}")));
            if let Some(at) = label_place(line, &labels, &dots) {
                labels.push(at);
                let halo = format!(
                    "dy=\"0.35em\" font-size=\"10\" fill=\"{line_colour}\" stroke=\"{}\" \
                     stroke-width=\"3\" paint-order=\"stroke\"",
                    css(colour)
                );
                lines.text(at, Anchor::Middle, &halo, &format!("{level:.1}"));
            }
        }
    }
    ink.0.push_str(&lines.0);
}

/// A place on a line for its label, clear of other labels and of points.
fn label_place(line: &[[f64; 2]], labels: &[[f64; 2]], dots: &[[f64; 2]]) -> Option<[f64; 2]> {
    let apart = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
    let lengths: Vec<f64> = line.windows(2).map(|s| apart(s[0], s[1])).collect();
    let total: f64 = lengths.iter().sum();
    if total < 2.0 * STRIP + 1.0 {
        return None;
    }
    let along = |share: f64| {
        let mut left = share * total;
        for (side, &length) in line.windows(2).zip(&lengths) {
            if left <= length {
                return [0, 1].map(|i| side[0][i] + left / length * (side[1][i] - side[0][i]));
            }
            left -= length;
        }
        line[line.len() - 1]
    };
    let inside = |[x, y]: [f64; 2]| {
        let (sideways, up) = (INSET + 10.0, INSET + 6.0);
        x > FRAME.left + sideways
            && x < FRAME.right - sideways
            && y > FRAME.top + up
            && y < FRAME.bottom - up
    };
    // A label is about 15 by 10 units: compared as if all were squares of 15.
    let clear = |[x, y]: [f64; 2]| {
        let free = |other: &[f64; 2], wide: f64, high: f64| {
            (other[0] - x).abs() > wide || (other[1] - y).abs() > high
        };
        labels.iter().all(|l| free(l, 17.0, 11.0)) && dots.iter().all(|d| free(d, 12.0, 9.0))
    };
    [0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8]
        .map(along)
        .into_iter()
        .find(|&at| inside(at) && clear(at))
}

fn path(points: &[[f64; 2]]) -> String {
    let points: Vec<String> = points.iter().map(|p| p.map(units).join(" ")).collect();
    format!("M{}", points.join("L"))
}

/// The scale of colours from 0 to 1.
fn colour_bar(label: &str) -> Drawing {
    let (left, top, width, height) = (20.0, 24.0, 44.0, 16.0);
    let mut ink = Ink::default();
    ink.text([left, 17.0], Anchor::Start, "", label);
    for (i, &colour) in CIVIDIS.iter().enumerate() {
        let d = format!(
            "M{} {top}h{width}v{height}h-{width}Z",
            units(left + i as f64 * width)
        );
        ink.path(&d, format!("fill=\"{}\"", css(colour)), None);
    }
    for i in 0..=10 {
        let at = left + f64::from(i) * width;
        let text = format!("{:.1}", f64::from(i) / 10.0);
        ink.text([at, top + height + 18.0], Anchor::Middle, "", &text);
    }
    let whole = units(10.0 * width);
    let d = format!("M{left} {top}h{whole}v{height}h-{whole}Z");
    ink.path(&d, "stroke=\"currentColor\"", None);
    Drawing {
        title: format!("Colours of {label}, from 0 (dark blue) to 1 (yellow)"),
        size: [WIDTH, top + height + 26.0],
        body: ink.0,
    }
}

/// The measured values of an axis.
struct Range {
    scale: Scale,
    /// Ascending, each once.
    measured: Vec<f64>,
}

impl Range {
    fn of(values: impl Iterator<Item = f64>, scale: Scale) -> Self {
        let mut measured: Vec<f64> = values.filter(|&v| scale.of(v).is_finite()).collect();
        measured.sort_by(f64::total_cmp);
        measured.dedup();
        Self { scale, measured }
    }

    /// From the lowest value to the highest; one alone is in the middle.
    fn axis(&self, start: f64, end: f64) -> Axis {
        let ends = match (self.measured.first(), self.measured.last(), self.scale) {
            (Some(&low), Some(&high), _) if low < high => [low, high],
            (Some(&one), _, Scale::Linear) => [one - 1.0, one + 1.0],
            (Some(&one), _, Scale::Log(_)) => [0.1 * one, 10.0 * one],
            (None, ..) => [0.1, 1.0],
        };
        Axis::over(std::iter::empty(), self.scale, Some(ends), start, end)
    }

    /// Places and texts of the measured values, as many as do not touch when a
    /// character takes `character` units along the axis and a line 13.
    fn ticks(&self, axis: &Axis, character: f64) -> Vec<(f64, String)> {
        let mut ticks: Vec<(f64, String)> = Vec::new();
        for &value in &self.measured {
            let (at, text) = (axis.place(value), short(value));
            let room = (character * (text.len() + 1) as f64).max(13.0);
            if ticks
                .last()
                .is_none_or(|(last, _)| (at - last).abs() >= room)
            {
                ticks.push((at, text));
            }
        }
        ticks
    }
}

#[cfg(test)]
mod tests;
