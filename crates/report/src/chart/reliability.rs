//! Reliability diagrams: is what is called likely, often so?
//!
//! For each bin of predicted probability the share of its voxels that are
//! foreground, at the mean of their probabilities; on the diagonal the two
//! agree. Empty bins have no point, and the line passes over them. Below, the voxels in each bin on a logarithmic axis. Source: DeGroot
//! and Fienberg, "The comparison and evaluation of forecasters" (1983).

use super::TEXT;
use super::WIDTH;
use super::axis::{Axis, Decades, Scale};
use super::drawing::{Drawing, Frame, Ink, units};
use super::look::{Look, legend};

const FRAME: Frame = Frame {
    left: 66.0,
    top: 14.0,
    right: 462.0,
    bottom: 334.0,
};
/// The area of the voxel counts.
const COUNTS: Frame = Frame {
    left: 66.0,
    top: 356.0,
    right: 462.0,
    bottom: 436.0,
};
/// Units down, without the legend.
const HEIGHT: f64 = 488.0;

/// The bins of one predictor. The three have one length.
#[derive(Clone, Debug, PartialEq)]
pub struct ReliabilitySeries {
    /// For the legend.
    pub name: String,
    /// Colour, dashes and marks.
    pub look: Look,
    /// Voxels in each of equal bins of probability from 0 to 1.
    pub voxels: Vec<u64>,
    /// Sum of the probabilities in each bin.
    pub probability: Vec<f64>,
    /// Voxels of each bin that are foreground.
    pub foreground: Vec<u64>,
}

impl ReliabilitySeries {
    /// Mean probability and observed share of each bin that is not empty.
    pub fn points(&self) -> Vec<[f64; 2]> {
        let bins = self
            .voxels
            .iter()
            .zip(&self.probability)
            .zip(&self.foreground);
        bins.filter(|((voxels, _), _)| **voxels > 0)
            .map(|((&voxels, &sum), &foreground)| {
                [sum / voxels as f64, foreground as f64 / voxels as f64]
            })
            .collect()
    }
}

/// A reliability diagram of several predictors.
#[derive(Clone, Debug, PartialEq)]
pub struct Reliability {
    /// What it shows, for readers who cannot see it.
    pub title: String,
    /// Drawn in this order.
    pub series: Vec<ReliabilitySeries>,
}

impl Reliability {
    /// The chart as an `<svg>` element.
    pub fn svg(&self) -> String {
        self.drawing().svg()
    }

    /// The chart as a picture.
    pub fn drawing(&self) -> Drawing {
        let unit = |start, end| {
            Axis::over(
                std::iter::empty(),
                Scale::Linear,
                Some([0.0, 1.0]),
                start,
                end,
            )
        };
        let (x, y) = (unit(FRAME.left, FRAME.right), unit(FRAME.bottom, FRAME.top));
        let mut ink = Ink::default();
        ink.rules(FRAME, &y);
        ink.corner(FRAME);
        let diagonal = format!(
            "M{} {}L{} {}",
            units(FRAME.left),
            units(FRAME.bottom),
            units(FRAME.right),
            units(FRAME.top)
        );
        let faint = "stroke=\"currentColor\" stroke-opacity=\"0.6\" stroke-dasharray=\"1 4\" \
                     stroke-linecap=\"round\" stroke-width=\"2\"";
        ink.path(&diagonal, faint, Some("Probability and frequency agree"));
        for series in &self.series {
            curve(&mut ink, series, &x, &y);
        }
        let middle = 0.5 * (FRAME.top + FRAME.bottom);
        ink.turned(middle, "Observed frequency");
        self.counts(&mut ink, &x);
        let entries = self.series.iter().map(|s| (s.look, &*s.name));
        let rows = legend(&mut ink, entries, [FRAME.left - TEXT, HEIGHT, FRAME.right]);
        Drawing {
            title: self.title.clone(),
            size: [WIDTH, HEIGHT + rows + 4.0],
            body: ink.0,
        }
    }

    /// Steps of the voxels in each bin; those of empty bins are left out.
    fn counts(&self, ink: &mut Ink, x: &Axis) {
        let all = || self.series.iter().flat_map(|s| &s.voxels);
        let most = all().max().copied().unwrap_or(0).max(10);
        let ends = Some([1.0, 10f64.powf((most as f64).log10().ceil())]);
        let log = Scale::Log(Decades::Power);
        let ([bottom, top], none) = ([COUNTS.bottom, COUNTS.top], std::iter::empty());
        let y = Axis::over(none, log, ends, bottom, top).sparse(3);
        ink.axes(COUNTS, x, &y);
        ink.labels(COUNTS, "Mean predicted probability", "Voxels");
        for series in &self.series {
            let bins = series.voxels.len() as f64;
            let mut path = String::new();
            let mut pen_up = true;
            for (bin, &voxels) in series.voxels.iter().enumerate() {
                if voxels == 0 {
                    pen_up = true;
                    continue;
                }
                let ends = [bin as f64, bin as f64 + 1.0].map(|b| units(x.place(b / bins)));
                let height = units(y.place(voxels as f64));
                path += &match pen_up {
                    true => format!("M{} {height}H{}", ends[0], ends[1]),
                    false => format!("V{height}H{}", ends[1]),
                };
                pen_up = false;
            }
            if !path.is_empty() {
                ink.path(&path, series.look.stroke(1.8), Some(&series.name));
            }
        }
    }
}

fn curve(ink: &mut Ink, series: &ReliabilitySeries, x: &Axis, y: &Axis) {
    let points = series
        .points()
        .into_iter()
        .map(|[p, f]| [x.place(p), y.place(f)]);
    let points: Vec<[f64; 2]> = points.filter(|p| p.iter().all(|v| v.is_finite())).collect();
    if points.is_empty() {
        return;
    }
    let path: Vec<String> = points.iter().map(|p| p.map(units).join(" ")).collect();
    ink.path(
        &format!("M{}", path.join("L")),
        series.look.stroke(2.2),
        Some(&series.name),
    );
    for &at in &points {
        series.look.mark(ink, at, 4.0, None);
    }
}

#[cfg(test)]
mod tests {
    use super::super::checks::sound;
    use super::*;

    fn diagram() -> Reliability {
        Reliability {
            title: "Calibration".to_owned(),
            series: vec![ReliabilitySeries {
                name: "a < b".to_owned(),
                look: Look::nth(0),
                voxels: vec![1000, 0, 10, 100],
                probability: vec![100.0, 0.0, 6.0, 90.0],
                foreground: vec![0, 0, 5, 100],
            }],
        }
    }

    #[test]
    fn empty_bins_are_left_out() {
        let points = diagram().series[0].points();
        assert_eq!(points, [[0.1, 0.0], [0.6, 0.5], [0.9, 1.0]]);
    }

    #[test]
    fn points_and_steps_lie_where_the_axes_say() {
        // x 0 to 1 over 66 to 462, y over 334 to 14: (0.1, 0) at 105.6, 334;
        // (0.6, 0.5) at 303.6, 174; (0.9, 1) at 422.4, 14.
        let svg = diagram().svg();
        sound(&svg);
        assert!(svg.contains("d=\"M105.6 334L303.6 174L422.4 14\""), "{svg}");
        // Quarters of 99; counts 1 to 1000 over 436 to 356, 26.67 a decade:
        // 1000 at 356, 10 at 409.33, 100 at 382.67.
        assert!(
            svg.contains("d=\"M66 356H165M264 409.33H363V382.67H462\""),
            "{svg}"
        );
        assert!(svg.contains("a &lt; b"));
    }

    #[test]
    fn no_voxels_are_an_empty_diagram() {
        let mut none = diagram();
        none.series[0].voxels = vec![0; 4];
        sound(&none.svg());
        none.series[0].probability = vec![f64::NAN; 4];
        none.series[0].voxels = vec![1; 4];
        sound(&none.svg());
        none.series.clear();
        sound(&none.svg());
    }
}
