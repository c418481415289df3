//! Line charts as SVG.
//!
//! Axes and text take the colour of the text around the picture
//! (`currentColor`), so that a chart inside a page follows its light or dark
//! theme, and a chart on its own is black. The view box is [`WIDTH`] x
//! [`HEIGHT`] units with the data in [`FRAME`]; the picture scales with its
//! container.

use std::fmt::Write;

use lacuna_metrics::quantile;

use crate::colour::{Rgb, css};
use crate::markup::escape;

/// Units across.
pub const WIDTH: f64 = 640.0;
/// Units down.
pub const HEIGHT: f64 = 260.0;
/// Left, top, right and bottom of the area that holds the data, in units.
pub const FRAME: [f64; 4] = [64.0, 14.0, 626.0, 216.0];

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
    /// Its name, for readers who cannot see the picture.
    pub name: String,
    /// x ascending; points that are not finite leave a gap.
    pub points: Vec<[f64; 2]>,
    /// Colour.
    pub colour: Rgb,
    /// Weight.
    pub stroke: Stroke,
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
    /// Ends of the vertical axis; from the data, widened to ticks, when absent.
    pub y_range: Option<[f64; 2]>,
    /// Drawn in this order.
    pub series: Vec<Series>,
}

impl LineChart {
    /// The chart as an `<svg>` element.
    pub fn svg(&self) -> String {
        let [left, top, right, bottom] = FRAME;
        let x = Axis::over(self.finite(0), None, left, right);
        let y = Axis::over(self.finite(1), self.y_range, bottom, top);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             role=\"img\" fill=\"none\" font-family=\"system-ui, sans-serif\" font-size=\"12\">\
             <title>{}</title>",
            escape(&self.title)
        );
        grid(&mut svg, &x, &y);
        for series in &self.series {
            line(&mut svg, series, &x, &y);
        }
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"currentColor\">{}</text>",
            units(0.5 * (left + right)),
            units(HEIGHT - 8.0),
            escape(&self.x_label)
        );
        let middle = units(0.5 * (top + bottom));
        let _ = write!(
            svg,
            "<text x=\"14\" y=\"{middle}\" text-anchor=\"middle\" fill=\"currentColor\" \
             transform=\"rotate(-90 14 {middle})\">{}</text></svg>",
            escape(&self.y_label)
        );
        svg
    }

    fn finite(&self, axis: usize) -> impl Iterator<Item = f64> {
        let points = self.series.iter().flat_map(|s| &s.points);
        points
            .filter(|p| p.iter().all(|v| v.is_finite()))
            .map(move |p| p[axis])
    }
}

/// Median of each value's neighbourhood: `window` values around it, fewer at
/// the ends. Values that are not finite are left out of it.
pub fn running_median(values: &[f64], window: usize) -> Vec<f64> {
    let (before, after) = (window.saturating_sub(1) / 2, window / 2);
    let mut sorted: Vec<f64> = Vec::with_capacity(window + 1);
    let mut next = 0;
    let mut medians = Vec::with_capacity(values.len());
    for centre in 0..values.len() {
        while next < values.len() && next <= centre + after {
            if values[next].is_finite() {
                let place = sorted.partition_point(|&v| v < values[next]);
                sorted.insert(place, values[next]);
            }
            next += 1;
        }
        if centre > before {
            let gone = values[centre - before - 1];
            if gone.is_finite() {
                sorted.remove(sorted.partition_point(|&v| v < gone));
            }
        }
        medians.push(match sorted.is_empty() {
            true => f64::NAN,
            false => quantile(&sorted, 0.5),
        });
    }
    medians
}

/// A linear axis from data to units of the picture.
struct Axis {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
    step: f64,
}

impl Axis {
    /// An axis from `start` to `end` that holds all values.
    fn over(
        values: impl Iterator<Item = f64>,
        fixed: Option<[f64; 2]>,
        start: f64,
        end: f64,
    ) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            low = low.min(value);
            high = high.max(value);
        }
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if low == high {
            let margin = if low == 0.0 { 1.0 } else { 0.5 * low.abs() };
            (low, high) = (low - margin, high + margin);
        }
        let step = tick_step((fixed.map_or(high - low, |[a, b]| b - a)) / 5.0);
        let [low, high] =
            fixed.unwrap_or([(low / step).floor() * step, (high / step).ceil() * step]);
        Self {
            low,
            high,
            start,
            end,
            step,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.start + share * (self.end - self.start)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let first = (self.low / self.step - 1e-6).ceil();
        let last = (self.high / self.step + 1e-6).floor();
        let count = (last - first).clamp(0.0, 50.0) as usize;
        (0..=count).map(move |i| (first + i as f64) * self.step)
    }

    fn tick_text(&self, tick: f64) -> String {
        let decimals = (-self.step.log10()).ceil().clamp(0.0, 9.0) as usize;
        match self.low.abs().max(self.high.abs()) {
            size if !(1e-4..1e6).contains(&size) => format!("{tick:.1e}"),
            _ => format!("{tick:.decimals$}"),
        }
    }
}

/// 1, 2 or 5 times a power of ten, the smallest that is at least `least`.
fn tick_step(least: f64) -> f64 {
    if !(least.is_finite() && least > 0.0) {
        return 1.0;
    }
    let power = 10f64.powf(least.log10().floor());
    let multiple = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|m| m * power >= least * (1.0 - 1e-9))
        .unwrap_or(10.0);
    multiple * power
}

fn grid(svg: &mut String, x: &Axis, y: &Axis) {
    let [left, top, right, bottom] = FRAME;
    for tick in y.ticks() {
        let at = units(y.place(tick));
        let _ = write!(
            svg,
            "<path d=\"M{left} {at}H{right}\" stroke=\"currentColor\" stroke-opacity=\"0.18\"/>\
             <text x=\"{}\" y=\"{at}\" dy=\"0.35em\" text-anchor=\"end\" fill=\"currentColor\">{}</text>",
            units(left - 7.0),
            y.tick_text(tick)
        );
    }
    for tick in x.ticks() {
        let at = units(x.place(tick));
        let _ = write!(
            svg,
            "<path d=\"M{at} {bottom}v5\" stroke=\"currentColor\"/>\
             <text x=\"{at}\" y=\"{}\" text-anchor=\"middle\" fill=\"currentColor\">{}</text>",
            units(bottom + 18.0),
            x.tick_text(tick)
        );
    }
    let _ = write!(
        svg,
        "<path d=\"M{left} {top}V{bottom}H{right}\" stroke=\"currentColor\"/>"
    );
}

fn line(svg: &mut String, series: &Series, x: &Axis, y: &Axis) {
    let (width, opacity) = match series.stroke {
        Stroke::Faint => ("1", "0.35"),
        Stroke::Strong => ("2.2", "1"),
    };
    let mut path = String::new();
    let mut pen_up = true;
    for point in thinned(&series.points) {
        if !point.iter().all(|v| v.is_finite()) {
            pen_up = true;
            continue;
        }
        let command = if pen_up { 'M' } else { 'L' };
        let (px, py) = (units(x.place(point[0])), units(y.place(point[1])));
        let _ = write!(path, "{command}{px} {py}");
        pen_up = false;
    }
    if !path.is_empty() {
        let _ = write!(
            svg,
            "<path d=\"{path}\" stroke=\"{}\" stroke-width=\"{width}\" stroke-opacity=\"{opacity}\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\"><title>{}</title></path>",
            css(series.colour),
            escape(&series.name)
        );
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

/// A coordinate with at most two decimals.
fn units(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
