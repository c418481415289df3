//! Heat maps: a value over two axes, in ten colours of equal steps.

use crate::colour::{css, tenth};

use super::axis::{Axis, Scale};
use super::drawing::{Anchor, Drawing, Frame, Ink, units};

const SIZE: [f64; 2] = [300.0, 252.0];
const FRAME: Frame = Frame {
    left: 58.0,
    top: 12.0,
    right: 226.0,
    bottom: 180.0,
};
/// Left edge and width of the bar of colours.
const BAR: [f64; 2] = [238.0, 12.0];

/// A value over a regular grid, its first row lowest.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatMap {
    /// What it shows, for readers who cannot see it.
    pub title: String,
    /// Below the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
    /// Ends of both axes: centres of the outermost cells.
    pub ends: [[f64; 2]; 2],
    /// Rows from the lower end of the vertical axis; cells that are not finite
    /// stay empty.
    pub rows: Vec<Vec<f64>>,
    /// Values of the first and the last colour, alike in maps that are compared.
    pub scale: [f64; 2],
}

impl HeatMap {
    /// The scale that the finite values of maps need; from 0 to 1 without any.
    pub fn scale_of<'a>(values: impl IntoIterator<Item = &'a f64>) -> [f64; 2] {
        let finite = values.into_iter().copied().filter(|v| v.is_finite());
        let ends = finite.fold(None, |ends: Option<[f64; 2]>, value| {
            let [low, high] = ends.unwrap_or([value; 2]);
            Some([low.min(value), high.max(value)])
        });
        ends.unwrap_or([0.0, 1.0])
    }

    /// The map as a picture.
    pub fn drawing(&self) -> Drawing {
        let [[x0, x1], [y0, y1]] = self.ends;
        let none = std::iter::empty;
        let range = |ends| Some(ends);
        let x = Axis::over(
            none(),
            Scale::Linear,
            range([x0, x1]),
            FRAME.left,
            FRAME.right,
        );
        let y = Axis::over(
            none(),
            Scale::Linear,
            range([y0, y1]),
            FRAME.bottom,
            FRAME.top,
        );
        let [low, high] = self.scale;
        // A constant has one colour: what rounding makes of it is no pattern.
        let rounding = 1e-6 * low.abs().max(high.abs());
        let span = match high - low > rounding {
            true => high - low,
            false => f64::INFINITY,
        };
        let mut ink = Ink::default();
        let columns = self.rows.first().map_or(0, Vec::len).max(1);
        let width = (FRAME.right - FRAME.left) / columns as f64;
        let height = (FRAME.bottom - FRAME.top) / self.rows.len().max(1) as f64;
        for (row, values) in self.rows.iter().enumerate() {
            for (column, value) in values.iter().enumerate().filter(|(_, v)| v.is_finite()) {
                let left = FRAME.left + column as f64 * width;
                let top = FRAME.bottom - (row + 1) as f64 * height;
                ink.cell([left, top], [width, height], (value - low) / span);
            }
        }
        let x = x.sparse(3);
        ink.axes(FRAME, &x, &y);
        ink.labels(FRAME, &self.x_label, &self.y_label);
        let step = (FRAME.bottom - FRAME.top) / 10.0;
        for level in 0..10 {
            let top = FRAME.bottom - (level + 1) as f64 * step;
            ink.cell([BAR[0], top], [BAR[1], step], (level as f64 + 0.5) / 10.0);
        }
        let beside = BAR[0] + BAR[1] + 4.0;
        for (value, at) in [(low, FRAME.bottom), (high, FRAME.top)] {
            let text = format!("{value:.3}");
            ink.text([beside, at], Anchor::Start, "dy=\"0.35em\"", &text);
        }
        Drawing {
            title: self.title.clone(),
            size: SIZE,
            body: ink.0,
        }
    }
}

impl Ink {
    fn cell(&mut self, [left, top]: [f64; 2], [width, height]: [f64; 2], share: f64) {
        // A little larger than it is, so that no seams show.
        let d = format!(
            "M{} {}h{}v{}h-{}z",
            units(left),
            units(top),
            units(width + 0.3),
            units(height + 0.3),
            units(width + 0.3)
        );
        let fill = format!("fill=\"{}\"", css(tenth(share)));
        self.path(&d, fill, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::checks;
    use super::*;

    #[test]
    fn every_finite_cell_is_drawn_in_its_colour() {
        let map = HeatMap {
            title: "a & b".into(),
            x_label: "x".into(),
            y_label: "y".into(),
            ends: [[0.0, 1.0], [0.0, 1.0]],
            rows: vec![vec![0.0, f64::NAN], vec![1.0, 0.5]],
            scale: [0.0, 1.0],
        };
        let svg = map.drawing().svg();
        checks::sound(&svg);
        // Three cells and ten of the bar.
        assert_eq!(svg.matches("fill=\"#").count(), 13);
        // Lowest: the first cell and the lowest of the bar.
        assert_eq!(svg.matches(&css(tenth(0.0))).count(), 2);
        assert_eq!(svg.matches(&css(tenth(1.0))).count(), 2);
        assert!(svg.contains("0.000") && svg.contains("1.000"));

        // Of two maps the one of smaller values stays in the lower colours.
        let rows = vec![vec![0.0, 0.2]];
        let scale = HeatMap::scale_of(rows.iter().chain(&map.rows).flatten());
        assert_eq!(scale, [0.0, 1.0]);
        let svg = HeatMap {
            rows,
            ..map.clone()
        }
        .drawing()
        .svg();
        // The cell of 0.2 and the third of the bar.
        assert_eq!(svg.matches(&css(tenth(0.2))).count(), 2);
        assert_eq!(HeatMap::scale_of(&[f64::NAN]), [0.0, 1.0]);

        let constant = HeatMap {
            scale: [0.3 - 1e-12, 0.3 + 1e-12],
            rows: vec![vec![0.3, 0.3 + 1e-12], vec![0.3 - 1e-12, 0.3]],
            ..map
        };
        // Four cells and the lowest of the bar.
        let svg = constant.drawing().svg();
        assert_eq!(svg.matches(&css(tenth(0.0))).count(), 5);
    }
}
