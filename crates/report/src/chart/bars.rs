//! Horizontal bars: one number a name, such as the share of runs that fail.
//!
//! Name and value stand above the bar, on two lines where one is too short, so
//! that neither is cut on a narrow screen.

use crate::colour::{BLUE, Rgb, css};

use super::axis::{Axis, Scale};
use super::drawing::{Anchor, Drawing, Frame, Ink, text_width, units};
use super::{TEXT, WIDTH};

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Above its left end.
    pub name: String,
    /// Its length; no bar when not finite.
    pub value: f64,
    /// Ends of an interval around the value.
    pub interval: Option<[f64; 2]>,
    /// Above it at the right border: the value as text.
    pub text: String,
}

/// Bars from zero along one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct BarChart {
    /// What it shows, for readers who cannot see it.
    pub title: String,
    /// Below the axis.
    pub x_label: String,
    /// The right end of the axis; from the data, widened to a tick, when absent.
    pub x_end: Option<f64>,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

const LEFT: f64 = 14.0;
const RIGHT: f64 = 454.0;
const TOP: f64 = 4.0;
/// Units from the axis to the names.
const INDENT: f64 = 6.0;
/// Units down of a line of text above a bar, of a bar, and of the gap below.
const LINE: f64 = TEXT + 4.0;
const THICK: f64 = 12.0;
const GAP: f64 = 11.0;
/// Of all bars: names tell them apart.
const COLOUR: Rgb = BLUE;

impl Bar {
    /// Lines of text above it: the value has its own when both together are
    /// longer than the axis.
    fn lines(&self) -> f64 {
        let together = INDENT + text_width(&self.name) + TEXT + text_width(&self.text);
        if together > RIGHT - LEFT { 2.0 } else { 1.0 }
    }

    /// Units down that it takes with its text and the gap below.
    fn height(&self) -> f64 {
        self.lines() * LINE + THICK + GAP
    }
}

impl BarChart {
    /// The chart as an `<svg>` element.
    pub fn svg(&self) -> String {
        self.drawing().svg()
    }

    /// The chart as a picture.
    pub fn drawing(&self) -> Drawing {
        let frame = Frame {
            left: LEFT,
            top: TOP,
            right: RIGHT,
            bottom: TOP + self.bars.iter().map(Bar::height).sum::<f64>(),
        };
        let ends = self.bars.iter().flat_map(|b| {
            let interval = b.interval.into_iter().flatten();
            interval.chain([0.0, b.value])
        });
        let fixed = self.x_end.map(|end| [0.0, end]);
        let x = Axis::over(ends, Scale::Linear, fixed, LEFT, RIGHT);
        let mut ink = Ink::default();
        for (tick, text) in x.ticks() {
            let at = x.place(*tick);
            let d = format!("M{} {}v5", units(at), units(frame.bottom));
            ink.path(&d, "stroke=\"currentColor\"", None);
            ink.text([at, frame.bottom + TEXT + 6.0], Anchor::Middle, "", text);
        }
        ink.corner(frame);
        let mut top = frame.top;
        for bar in &self.bars {
            draw(&mut ink, &x, top, bar);
            top += bar.height();
        }
        let middle = [0.5 * (LEFT + RIGHT), frame.bottom + 2.0 * TEXT + 10.0];
        ink.text(middle, Anchor::Middle, "", &self.x_label);
        Drawing {
            title: self.title.clone(),
            size: [WIDTH, frame.bottom + 2.0 * TEXT + 17.0],
            body: ink.0,
        }
    }
}

fn draw(ink: &mut Ink, x: &Axis, top: f64, bar: &Bar) {
    let [zero, end] = [x.place(0.0), x.place(bar.value)];
    let baseline = top + TEXT - 1.0;
    let name_at = [LEFT + INDENT, baseline];
    ink.text(name_at, Anchor::Start, "", &bar.name);
    let value_at = [RIGHT, baseline + (bar.lines() - 1.0) * LINE];
    let bold = "font-weight=\"bold\"";
    ink.text(value_at, Anchor::End, bold, &bar.text);
    let top = top + bar.lines() * LINE;
    if !end.is_finite() {
        return;
    }
    let thick = units(THICK);
    let (from, middle) = (units(zero), units(top + 0.5 * THICK));
    let length = units(end - zero);
    let d = format!("M{from} {}h{length}v{thick}h-{length}Z", units(top));
    let title = format!("{}: {}", bar.name, bar.text);
    let fill = format!("fill=\"{}\" fill-opacity=\"0.8\"", css(COLOUR));
    ink.path(&d, fill, Some(&title));
    if let Some(interval) = bar.interval.filter(|i| i.iter().all(|v| v.is_finite())) {
        let [low, high] = interval.map(|v| units(x.place(v)));
        let cap = units(top + 0.25 * THICK);
        let tall = units(0.5 * THICK);
        let d = format!("M{low} {middle}H{high}M{low} {cap}v{tall}M{high} {cap}v{tall}");
        ink.path(&d, "stroke=\"currentColor\" stroke-width=\"1.5\"", None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::checks::sound;
    use super::*;

    fn chart(bars: &[(&str, f64, &str)], x_end: Option<f64>) -> BarChart {
        let bar = |&(name, value, text): &(&str, f64, &str)| Bar {
            name: name.to_owned(),
            value,
            interval: None,
            text: text.to_owned(),
        };
        BarChart {
            title: "Rates".to_owned(),
            x_label: "Share".to_owned(),
            x_end,
            bars: bars.iter().map(bar).collect(),
        }
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        // 0 to 1 over 14 to 454: 0.25 is 110. Rows of 44 from 4; bars 21 below.
        let mut chart = chart(&[("WCE", 0.25, "3/12"), ("A & B", 1.0, "1")], Some(1.0));
        chart.bars[0].interval = Some([0.125, 0.5]);
        let svg = chart.svg();
        sound(&svg);
        assert!(svg.contains("d=\"M14 25h110v12h-110Z\""), "{svg}");
        assert!(svg.contains("d=\"M14 69h440v12h-440Z\""), "{svg}");
        assert!(svg.contains("d=\"M69 31H234M69 28v6M234 28v6\""), "{svg}");
        assert!(svg.contains("A &amp; B") && svg.contains(">3/12</text>"));
        assert_eq!(svg.matches("x=\"454\" y=").count(), 3);
    }

    #[test]
    fn the_axis_begins_at_zero() {
        // 30 and 45 minutes: a fifth of 45 is 9, so ticks every 10 to 50.
        let svg = chart(&[("a", 30.0, "30"), ("b", 45.0, "45")], None).svg();
        assert!(svg.contains(">50</text>") && !svg.contains(">60</text>"));
        assert!(svg.contains("h264v12"), "{svg}");
    }

    #[test]
    fn a_long_name_has_its_own_line() {
        // 40 characters of 10.54 and the value's 4 with 17 and 6 between are
        // 486.8, more than 440: the bar begins at 4 + 2 x 21.
        let name = "0123456789".repeat(4);
        let svg = chart(&[(&name, 1.0, "10 %")], Some(1.0)).svg();
        assert!(
            svg.contains("x=\"454\" y=\"41\" text-anchor=\"end\""),
            "{svg}"
        );
        assert!(svg.contains("d=\"M14 46h440"), "{svg}");
    }

    #[test]
    fn values_that_are_not_finite_have_no_bar() {
        let svg = chart(&[("a", f64::NAN, "n/a")], None).svg();
        sound(&svg);
        assert!(!svg.contains("v12") && svg.contains(">n/a</text>"));
        sound(&chart(&[], None).svg());
    }
}
