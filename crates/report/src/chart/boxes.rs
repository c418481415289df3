//! Box plots: Figure 3 of the paper.
//!
//! A box spans the quartiles (by linear interpolation) with a line at the
//! median; whiskers reach the furthest values within 1.5 interquartile ranges
//! of the box; values beyond are dots. Source: Tukey, "Exploratory Data
//! Analysis" (1977). With fewer than five values all of them are dots.

use lacuna_metrics::Quartiles;

use crate::colour::css;
use crate::markup::number;

use super::axis::{Axis, Scale};
use super::drawing::{Anchor, Drawing, Frame, Ink, units};
use super::look::{Look, legend};
use super::{TEXT, WIDTH};

/// Units down, without the legend.
const HEIGHT: f64 = 310.0;
const FRAME: Frame = Frame {
    left: 66.0,
    top: 14.0,
    right: 466.0,
    bottom: 258.0,
};
/// With fewer values a box says less than the values.
const FEW: usize = 5;
/// The widest box, in units.
const WIDEST: f64 = 28.0;

/// Boxes of one look, one a group.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxSeries {
    /// For the legend.
    pub name: String,
    /// Colour, and the marker at medians and single values.
    pub look: Look,
    /// Values of each group of the plot; those not finite are left out.
    pub values: Vec<Vec<f64>>,
}

/// A box for each series in each group.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxPlot {
    /// What it shows, for readers who cannot see it.
    pub title: String,
    /// Below the groups.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
    /// Ends of the vertical axis; from the data, widened to ticks, when absent.
    pub y_range: Option<[f64; 2]>,
    /// Names of the groups, from left to right.
    pub groups: Vec<String>,
    /// Drawn side by side in each group, in this order.
    pub series: Vec<BoxSeries>,
}

/// What a box shows of some values.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxStats {
    /// The box and the line in it.
    pub quartiles: Quartiles,
    /// Lowest and highest value within 1.5 interquartile ranges of the box.
    pub whiskers: [f64; 2],
    /// Values beyond the whiskers, ascending.
    pub outliers: Vec<f64>,
    /// All values, finite ones alone.
    pub count: usize,
}

impl BoxStats {
    /// The box of the finite values; `None` when there are none.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut finite: Vec<f64> = values.iter().copied().filter(|v| v.is_finite()).collect();
        finite.sort_by(f64::total_cmp);
        let quartiles = Quartiles::of(&finite)?;
        let reach = 1.5 * quartiles.iqr();
        let near = |v: &f64| *v >= quartiles.q1 - reach && *v <= quartiles.q3 + reach;
        let low = finite.iter().copied().find(near)?;
        let high = finite.iter().rev().copied().find(near)?;
        // A quartile between two values can lie beyond the nearest of them
        // that is no outlier; the whisker then has no length.
        let whiskers = [low.min(quartiles.q1), high.max(quartiles.q3)];
        Some(Self {
            quartiles,
            whiskers,
            outliers: finite.iter().copied().filter(|v| !near(v)).collect(),
            count: finite.len(),
        })
    }
}

impl BoxPlot {
    /// The chart as an `<svg>` element.
    pub fn svg(&self) -> String {
        self.drawing().svg()
    }

    /// The chart as a picture.
    pub fn drawing(&self) -> Drawing {
        let all = self.series.iter().flat_map(|s| &s.values).flatten();
        let finite = all.copied().filter(|v| v.is_finite());
        let ends = [FRAME.bottom, FRAME.top];
        let y = Axis::over(finite, Scale::Linear, self.y_range, ends[0], ends[1]);
        let mut ink = Ink::default();
        ink.rules(FRAME, &y);
        ink.corner(FRAME);
        let share = (FRAME.right - FRAME.left) / self.groups.len().max(1) as f64;
        let slot = (0.86 * share / self.series.len().max(1) as f64).min(1.5 * WIDEST);
        for (g, group) in self.groups.iter().enumerate() {
            let middle = FRAME.left + (g as f64 + 0.5) * share;
            if g > 0 {
                let d = format!("M{} {}v6", units(middle - 0.5 * share), units(FRAME.bottom));
                ink.path(&d, "stroke=\"currentColor\"", None);
            }
            let below = [middle, FRAME.bottom + TEXT + 6.0];
            ink.text(below, Anchor::Middle, "", group);
            let first = middle - 0.5 * slot * (self.series.len() as f64 - 1.0);
            for (s, series) in self.series.iter().enumerate() {
                let values = series.values.get(g).map_or(&[][..], Vec::as_slice);
                if let Some(stats) = BoxStats::of(values) {
                    let name = format!("{}, {group}", series.name);
                    let at = first + s as f64 * slot;
                    draw(&mut ink, &y, at, 0.7 * slot, series.look, &stats, &name);
                    dots(&mut ink, &y, at, series.look, &stats, values);
                }
            }
        }
        ink.labels(FRAME, &self.x_label, &self.y_label);
        // Boxes have no dashes.
        let whole = |look| Look { dash: "", ..look };
        let entries = self.series.iter().map(|s| (whole(s.look), &*s.name));
        let rows = legend(&mut ink, entries, [FRAME.left - TEXT, HEIGHT, FRAME.right]);
        Drawing {
            title: self.title.clone(),
            size: [WIDTH, HEIGHT + rows + 4.0],
            body: ink.0,
        }
    }
}

/// Box, whiskers and median around `x`.
fn draw(ink: &mut Ink, y: &Axis, x: f64, width: f64, look: Look, stats: &BoxStats, name: &str) {
    let colour = css(look.colour);
    let Quartiles { q1, median, q3 } = stats.quartiles;
    let [low, high] = stats.whiskers;
    let [top, bottom] = [y.place(q3), y.place(q1)].map(units);
    let (left, right) = (units(x - 0.5 * width), units(x + 0.5 * width));
    let (cap_left, cap_right) = (units(x - 0.25 * width), units(x + 0.25 * width));
    let middle = units(x);
    let [low_at, high_at] = [y.place(low), y.place(high)].map(units);
    let whiskers = format!(
        "M{middle} {bottom}V{low_at}M{cap_left} {low_at}H{cap_right}\
         M{middle} {top}V{high_at}M{cap_left} {high_at}H{cap_right}"
    );
    let stroke = format!("stroke=\"{colour}\" stroke-width=\"1.5\"");
    ink.path(&whiskers, &stroke, None);
    let title = format!(
        "{name}: median {}, quartiles {} and {}, whiskers {} and {}, {} values, {} beyond",
        number(median),
        number(q1),
        number(q3),
        number(low),
        number(high),
        stats.count,
        stats.outliers.len()
    );
    let outline = format!("M{left} {top}H{right}V{bottom}H{left}Z");
    let fill = format!("fill=\"{colour}\" fill-opacity=\"0.22\" {stroke}");
    ink.path(&outline, fill, Some(&title));
    let line = format!("M{left} {}H{right}", units(y.place(median)));
    ink.path(
        &line,
        format!("stroke=\"{colour}\" stroke-width=\"3\""),
        None,
    );
}

/// Values beyond the whiskers, or all when they are few; else the marker of
/// the series at its median.
fn dots(ink: &mut Ink, y: &Axis, x: f64, look: Look, stats: &BoxStats, values: &[f64]) {
    let few = stats.count < FEW;
    let single: Vec<f64> = match few {
        true => values.iter().copied().filter(|v| v.is_finite()).collect(),
        false => stats.outliers.clone(),
    };
    let plain = Look {
        marker: None,
        ..look
    };
    for value in single {
        let shown = if few { look } else { plain };
        let radius = if few { 3.0 } else { 2.2 };
        shown.mark(ink, [x, y.place(value)], radius, Some(&number(value)));
    }
    if !few {
        look.mark(ink, [x, y.place(stats.quartiles.median)], 4.0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::checks::sound;
    use super::*;

    fn plot(values: Vec<Vec<f64>>) -> BoxPlot {
        BoxPlot {
            title: "Test <DSC>".to_owned(),
            x_label: "Patch".to_owned(),
            y_label: "DSC".to_owned(),
            y_range: Some([0.0, 1.0]),
            groups: vec!["S".to_owned(), "M & L".to_owned()],
            series: vec![BoxSeries {
                name: "GDL".to_owned(),
                look: Look::nth(0),
                values,
            }],
        }
    }

    #[test]
    fn whiskers_are_those_of_tukey() {
        // 1 to 9 and 30: quartiles at places 2.25, 4.5 and 6.75: 3.25, 5.5,
        // 7.75. Reach 1.5 x 4.5 = 6.75: -3.5 to 14.5. 30 lies beyond.
        let values = [30.0, 9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, f64::NAN];
        let stats = BoxStats::of(&values).unwrap();
        let Quartiles { q1, median, q3 } = stats.quartiles;
        assert_eq!([q1, median, q3], [3.25, 5.5, 7.75]);
        assert_eq!(stats.whiskers, [1.0, 9.0]);
        assert_eq!(stats.outliers, [30.0]);
        assert_eq!(stats.count, 10);
        assert_eq!(BoxStats::of(&[f64::NAN]), None);
    }

    #[test]
    fn a_whisker_is_never_inside_its_box() {
        // 0, 0, 0, 100: q3 = 25 lies above every value within reach, which is
        // 25 + 37.5.
        let stats = BoxStats::of(&[0.0, 0.0, 0.0, 100.0]).unwrap();
        assert_eq!(stats.whiskers, [0.0, 25.0]);
        assert_eq!(stats.outliers, [100.0]);
    }

    #[test]
    fn boxes_lie_where_the_axis_says() {
        // 0 to 1 over 258 to 14. Values 0, 0.25, 0.5, 0.75, 1: box 75 to 197,
        // median 136. Group S is 66 to 266, its middle 166; box 29.4 wide.
        let svg = plot(vec![vec![0.0, 0.25, 0.5, 0.75, 1.0], vec![]]).svg();
        sound(&svg);
        assert!(svg.contains("d=\"M151.3 75H180.7V197H151.3Z\""), "{svg}");
        assert!(svg.contains("d=\"M151.3 136H180.7\""));
        assert!(
            svg.contains("M166 197V258M158.65 258H173.35M166 75V14"),
            "{svg}"
        );
        assert!(svg.contains("GDL, S: median 0.500, quartiles 0.250 and 0.750"));
        assert!(svg.contains(">M &amp; L</text>"));
    }

    #[test]
    fn few_values_are_all_dots() {
        let svg = plot(vec![vec![0.25, f64::NAN, 0.75], vec![0.5]]).svg();
        sound(&svg);
        // Three discs of 3 and the legend's of 4.5.
        assert_eq!(svg.matches("a3 3 0 1 0 6 0").count(), 3);
        assert!(svg.contains("M163 197a3 3"), "{svg}");
        sound(&plot(vec![]).svg());
        let mut empty = plot(vec![]);
        (empty.groups, empty.series) = (vec![], vec![]);
        sound(&empty.svg());
    }
}
