//! A picture under construction and finished.

use std::fmt::{Display, Write};

use crate::markup::escape;

use super::TEXT;
use super::axis::Axis;

/// A finished picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    /// What it shows, for readers who cannot see it.
    pub title: String,
    /// Units across and down.
    pub size: [f64; 2],
    /// SVG elements.
    pub(super) body: String,
}

impl Drawing {
    /// The picture as an `<svg>` element that a page or a file can hold. It is
    /// as wide as its container, up to 4/3 pixels a unit.
    pub fn svg(&self) -> String {
        let [width, height] = self.size.map(units);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" fill=\"none\" font-family=\"system-ui, sans-serif\" font-size=\"12\" \
             style=\"max-width:{}px\"><title>{}</title>{}</svg>",
            units(self.size[0] * 4.0 / 3.0),
            escape(&self.title),
            self.body
        )
    }

    /// The picture with its upper left corner at `at` of another.
    pub(super) fn nested(&self, at: [f64; 2]) -> String {
        let ([x, y], [width, height]) = (at.map(units), self.size.map(units));
        format!(
            "<svg x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\"><title>{}</title>{}</svg>",
            escape(&self.title),
            self.body
        )
    }
}

/// Where a text begins, stands or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// Left, top, right and bottom of the area that holds data, in units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Frame {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
}

/// The elements drawn so far.
#[derive(Default)]
pub(super) struct Ink(pub String);

impl Ink {
    /// Text with its baseline at `at`; `more` holds further attributes.
    pub fn text(&mut self, at: [f64; 2], anchor: Anchor, more: &str, text: &str) {
        let [x, y] = at.map(units);
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let fill = match more.contains("fill=") {
            true => "",
            false => " fill=\"currentColor\"",
        };
        let space = if more.is_empty() { "" } else { " " };
        let _ = write!(
            self.0,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\"{fill}{space}{more}>{}</text>",
            escape(text)
        );
    }

    /// A path with attributes, and what it says to a pointer over it.
    pub fn path(&mut self, d: &str, attributes: impl Display, title: Option<&str>) {
        let _ = match title {
            Some(title) => write!(
                self.0,
                "<path d=\"{d}\" {attributes}><title>{}</title></path>",
                escape(title)
            ),
            None => write!(self.0, "<path d=\"{d}\" {attributes}/>"),
        };
    }

    /// Rules at the ticks of `y`, marks at those of `x`, and both axes.
    pub fn axes(&mut self, frame: Frame, x: &Axis, y: &Axis) {
        self.rules(frame, y);
        for (tick, text) in x.ticks() {
            let at = units(x.place(*tick));
            let d = format!("M{at} {}v5", units(frame.bottom));
            self.path(&d, "stroke=\"currentColor\"", None);
            let below = [x.place(*tick), frame.bottom + TEXT + 6.0];
            self.text(below, Anchor::Middle, "", text);
        }
        self.corner(frame);
    }

    /// A rule across the frame at each tick of `y`, with its text.
    pub fn rules(&mut self, frame: Frame, y: &Axis) {
        for (tick, text) in y.ticks() {
            let at = y.place(*tick);
            let d = format!(
                "M{} {}H{}",
                units(frame.left),
                units(at),
                units(frame.right)
            );
            let faint = "stroke=\"currentColor\" stroke-opacity=\"0.18\"";
            self.path(&d, faint, None);
            let beside = [frame.left - 6.0, at];
            self.text(beside, Anchor::End, "dy=\"0.35em\"", text);
        }
    }

    /// The left and lower edge of the frame.
    pub fn corner(&mut self, frame: Frame) {
        let Frame {
            left,
            top,
            right,
            bottom,
        } = frame;
        let d = format!(
            "M{} {}V{}H{}",
            units(left),
            units(top),
            units(bottom),
            units(right)
        );
        self.path(&d, "stroke=\"currentColor\"", None);
    }

    /// Names of the axes: below the ticks and, turned, at the left border.
    pub fn labels(&mut self, frame: Frame, x: &str, y: &str) {
        let below = frame.bottom + 2.0 * TEXT + 10.0;
        self.text(
            [0.5 * (frame.left + frame.right), below],
            Anchor::Middle,
            "",
            x,
        );
        self.turned(0.5 * (frame.top + frame.bottom), y);
    }

    /// Text that reads upwards at the left border, its middle at `middle`.
    pub fn turned(&mut self, middle: f64, text: &str) {
        let turn = format!("transform=\"rotate(-90 15 {})\"", units(middle));
        self.text([15.0, middle], Anchor::Middle, &turn, text);
    }
}

/// Units that a text takes at most, at [`TEXT`] units a line.
pub(super) fn text_width(text: &str) -> f64 {
    0.62 * TEXT * text.chars().count() as f64
}

/// A coordinate with at most two decimals.
pub(super) fn units(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    match text {
        "-0" => "0".to_owned(),
        _ => text.to_owned(),
    }
}
