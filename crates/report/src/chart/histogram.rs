//! How many values lie where, on an axis of equal factors.

use crate::colour::css;
use crate::markup::number;

use super::axis::{Axis, Decades, Scale};
use super::drawing::{Drawing, Frame, Ink, units};
use super::look::Look;
use super::{TEXT, WIDTH};

const FRAME: Frame = Frame {
    left: 66.0,
    top: 14.0,
    right: 462.0,
    bottom: 178.0,
};
/// Bins of a factor of ten.
const BINS: f64 = 4.0;

/// Counts of positive values, four bins a factor of ten: from 1 up to below 1.78, from
/// there up to below 3.16, 5.62 and 10, and so on.
#[derive(Clone, Debug, PartialEq)]
pub struct LogHistogram {
    /// What it shows, for readers who cannot see it.
    pub title: String,
    /// Below the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
    /// Colour of the bars.
    pub look: Look,
    /// In any order; those that are not positive and finite are left out.
    pub values: Vec<f64>,
}

impl LogHistogram {
    /// The chart as an `<svg>` element.
    pub fn svg(&self) -> String {
        self.drawing().svg()
    }

    /// The chart as a picture.
    pub fn drawing(&self) -> Drawing {
        let bins = self.bins();
        let log = Scale::Log(Decades::Power);
        let x = Axis::over(
            bins.iter().flat_map(|bin| [bin.low, bin.high]),
            log,
            None,
            FRAME.left,
            FRAME.right,
        );
        let counts = bins.iter().map(|bin| bin.count as f64);
        let y = Axis::over(
            counts.chain([0.0]),
            Scale::Linear,
            None,
            FRAME.bottom,
            FRAME.top,
        );
        let mut ink = Ink::default();
        ink.axes(FRAME, &x, &y);
        let fill = format!("fill=\"{}\" fill-opacity=\"0.8\"", css(self.look.colour));
        for bin in &bins {
            let [left, right] = [bin.low, bin.high].map(|v| units(x.place(v)));
            let [top, foot] = [y.place(bin.count as f64), FRAME.bottom].map(units);
            let title = format!("{} to {}: {}", number(bin.low), number(bin.high), bin.count);
            let d = format!("M{left} {foot}V{top}H{right}V{foot}Z");
            ink.path(&d, &fill, Some(&title));
        }
        ink.labels(FRAME, &self.x_label, &self.y_label);
        Drawing {
            title: self.title.clone(),
            size: [WIDTH, FRAME.bottom + 2.0 * TEXT + 18.0],
            body: ink.0,
        }
    }

    /// The bins that hold something, ascending.
    fn bins(&self) -> Vec<Bin> {
        let positive = self.values.iter().filter(|v| v.is_finite() && **v > 0.0);
        // A power of ten begins its bin, whatever the logarithm's last bit.
        let mut places: Vec<i64> = positive
            .map(|v| (BINS * v.log10() + 1e-9).floor() as i64)
            .collect();
        places.sort_unstable();
        let edge = |place: i64| 10f64.powf(place as f64 / BINS);
        places
            .chunk_by(|a, b| a == b)
            .map(|run| Bin {
                low: edge(run[0]),
                high: edge(run[0] + 1),
                count: run.len(),
            })
            .collect()
    }
}

/// Values from `low` up to below `high`.
struct Bin {
    low: f64,
    high: f64,
    count: usize,
}

#[cfg(test)]
mod tests {
    use super::super::checks::sound;
    use super::*;

    fn histogram(values: &[f64]) -> LogHistogram {
        LogHistogram {
            title: "Volumes".to_owned(),
            x_label: "mm³".to_owned(),
            y_label: "Components".to_owned(),
            look: Look::nth(0),
            values: values.to_vec(),
        }
    }

    #[test]
    fn a_factor_of_ten_has_four_bins() {
        // Edges 1, 1.78, 3.16, 5.62, 10.
        let values = [
            1.0,
            1.7,
            1.8,
            3.0,
            3.2,
            5.7,
            9.9,
            10.0,
            1000.0,
            0.0,
            f64::NAN,
        ];
        let chart = histogram(&values);
        let counts: Vec<usize> = chart.bins().iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [2, 2, 1, 2, 1, 1]);
        let last = &chart.bins()[5];
        assert!((last.low - 1000.0).abs() < 1e-9 && (last.high - 1778.279).abs() < 1e-3);
    }

    #[test]
    fn bars_stand_where_the_axes_say() {
        // 1 to 10 over 66 to 462: a bin is 99 wide. Two of two counts reach 14.
        let svg = histogram(&[1.0, 1.0, 9.0]).svg();
        sound(&svg);
        assert!(svg.contains("d=\"M66 178V14H165V178Z\""), "{svg}");
        assert!(svg.contains("d=\"M363 178V96H462V178Z\""), "{svg}");
        assert!(svg.contains("<title>1.00 to 1.78: 2</title>"), "{svg}");
        sound(&histogram(&[]).svg());
    }
}
