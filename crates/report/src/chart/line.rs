//! Line charts.

use crate::colour::css;

use super::axis::{Axis, Scale};
use super::drawing::{Drawing, Frame, Ink, units};
use super::look::{Look, legend};
use super::{TEXT, WIDTH};

/// Units down, without the legend.
const HEIGHT: f64 = 230.0;
const FRAME: Frame = Frame {
    left: 66.0,
    top: 14.0,
    right: 462.0,
    bottom: 178.0,
};
/// With more points than this, only some have a mark.
const MARKS: usize = 24;

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stroke {
    /// Thin and pale: single values that scatter.
    Faint,
    /// Thick: what the reader should follow.
    Strong,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Its name, for the legend and for readers who cannot see the picture.
    pub name: String,
    /// x ascending; points that are not finite leave a gap.
    pub points: Vec<[f64; 2]>,
    /// x, low and high of an interval around the line, x ascending; those not
    /// finite leave a gap.
    pub band: Vec<[f64; 3]>,
    /// Colour, dashes and marks.
    pub look: Look,
    /// Weight.
    pub stroke: Stroke,
}

impl Series {
    /// A thick line without an interval, its points by ascending x.
    pub fn strong(name: impl Into<String>, points: Vec<[f64; 2]>, look: Look) -> Self {
        Self {
            name: name.into(),
            points,
            band: Vec::new(),
            look,
            stroke: Stroke::Strong,
        }
    }
}

/// A chart of lines over one pair of axes.
#[derive(Clone, Debug, PartialEq)]
pub struct LineChart {
    /// What it shows, for readers who cannot see it.
    pub title: String,
    /// Below the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
    /// Of the horizontal axis.
    pub x_scale: Scale,
    /// Ends of the vertical axis; from the data, widened to ticks, when absent.
    pub y_range: Option<[f64; 2]>,
    /// Whether the names of the series stand below the chart.
    pub legend: bool,
    /// Drawn in this order.
    pub series: Vec<Series>,
}

impl LineChart {
    /// The chart as an `<svg>` element.
    pub fn svg(&self) -> String {
        self.drawing().svg()
    }

    /// The chart as a picture.
    pub fn drawing(&self) -> Drawing {
        let x = Axis::over(self.shown(0), self.x_scale, None, FRAME.left, FRAME.right);
        let ends = [FRAME.bottom, FRAME.top];
        let y = Axis::over(self.shown(1), Scale::Linear, self.y_range, ends[0], ends[1]);
        let mut ink = Ink::default();
        ink.axes(FRAME, &x, &y);
        for series in &self.series {
            band(&mut ink, series, &x, &y);
        }
        for series in &self.series {
            line(&mut ink, series, &x, &y);
        }
        ink.labels(FRAME, &self.x_label, &self.y_label);
        let mut height = HEIGHT;
        if self.legend {
            let entries = self.series.iter().map(|s| (s.look, &*s.name));
            let rows = legend(&mut ink, entries, [FRAME.left - TEXT, HEIGHT, FRAME.right]);
            height += rows + 4.0;
        }
        Drawing {
            title: self.title.clone(),
            size: [WIDTH, height],
            body: ink.0,
        }
    }

    /// x (0) or y (1) of all that is drawn.
    fn shown(&self, axis: usize) -> impl Iterator<Item = f64> {
        let points = self.series.iter().flat_map(|s| &s.points).copied();
        let bands = self.series.iter().flat_map(|s| &s.band);
        let bands = bands.flat_map(|&[x, low, high]| [[x, low], [x, high]]);
        points
            .chain(bands)
            .filter(|&[x, y]| self.x_scale.of(x).is_finite() && y.is_finite())
            .map(move |p| p[axis])
    }
}

/// The interval around a line: there along its high ends, back along its low.
fn band(ink: &mut Ink, series: &Series, x: &Axis, y: &Axis) {
    let placed = |&[at, low, high]: &[f64; 3]| [x.place(at), y.place(low), y.place(high)];
    let placed: Vec<[f64; 3]> = series.band.iter().map(placed).collect();
    for run in placed.split(|p| !p.iter().all(|v| v.is_finite())) {
        if run.is_empty() {
            continue;
        }
        let high = run.iter().map(|&[x, _, high]| [x, high]);
        let low = run.iter().rev().map(|&[x, low, _]| [x, low]);
        let corners: Vec<String> = high
            .chain(low)
            .map(|[x, y]| format!("{} {}", units(x), units(y)))
            .collect();
        let fill = format!("fill=\"{}\" fill-opacity=\"0.18\"", css(series.look.colour));
        ink.path(&format!("M{}Z", corners.join("L")), fill, None);
    }
}

fn line(ink: &mut Ink, series: &Series, x: &Axis, y: &Axis) {
    let (width, opacity) = match series.stroke {
        Stroke::Faint => (1.0, "0.35"),
        Stroke::Strong => (2.2, "1"),
    };
    let mut path = String::new();
    let mut pen_up = true;
    for point in thinned(&series.points) {
        let at = [x.place(point[0]), y.place(point[1])];
        if !at.iter().all(|v| v.is_finite()) {
            pen_up = true;
            continue;
        }
        path.push(if pen_up { 'M' } else { 'L' });
        path.push_str(&at.map(units).join(" "));
        pen_up = false;
    }
    if path.is_empty() {
        return;
    }
    let stroke = series.look.stroke(width);
    let paint = format!("{stroke} stroke-opacity=\"{opacity}\" stroke-linecap=\"round\"");
    ink.path(&path, paint, Some(&series.name));
    if series.look.marker.is_some() {
        let every = series.points.len().div_ceil(MARKS);
        for &[px, py] in series.points.iter().step_by(every) {
            let at = [x.place(px), y.place(py)];
            if at.iter().all(|v| v.is_finite()) {
                let title = format!("{}: {px}, {py:.3}", series.name);
                series.look.mark(ink, at, 4.0, Some(&title));
            }
        }
    }
}

/// At most two points per unit across: the lowest and highest of each bin, in
/// their order, so that no spike is lost.
fn thinned(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let bins = WIDTH as usize;
    if points.len() <= 2 * bins {
        return points.to_vec();
    }
    let mut kept = Vec::with_capacity(2 * bins);
    for bin in points.chunks(points.len().div_ceil(bins)) {
        let by_value = |a: &&[f64; 2], b: &&[f64; 2]| a[1].total_cmp(&b[1]);
        let finite = || bin.iter().filter(|p| p[1].is_finite());
        match (finite().min_by(by_value), finite().max_by(by_value)) {
            (Some(low), Some(high)) if low[0] <= high[0] => kept.extend([*low, *high]),
            (Some(low), Some(high)) => kept.extend([*high, *low]),
            _ => kept.push(bin[0]),
        }
    }
    kept
}

#[cfg(test)]
mod tests;
