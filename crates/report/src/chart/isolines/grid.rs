//! Measured values on a grid, and the cells between them.

use lacuna_metrics::quantile;

use crate::chart::axis::Axis;
use crate::chart::contour::Corner;

use super::Measured;

/// Squares into which a cell is divided, along each side: isolines of bilinear
/// values are curves, drawn as short straight lines.
const FINE: usize = 12;

/// A crossing of the grid that was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crossing {
    pub column: usize,
    pub row: usize,
    /// Not finite when no measurement there was.
    pub value: f64,
}

/// Measured values by column and row.
pub struct Grid {
    /// Of the columns, ascending.
    pub x: Vec<f64>,
    /// Of the rows, ascending.
    pub y: Vec<f64>,
    /// By row, then column.
    pub points: Vec<Crossing>,
}

impl Grid {
    /// The grid of all points that have a place on the axes; the median of
    /// finite values where there are several.
    pub fn of(points: &[Measured]) -> Self {
        let points = points
            .iter()
            .filter(|p| p.x.is_finite() && p.y > 0.0 && p.y.is_finite());
        let distinct = |get: fn(&Measured) -> f64| {
            let mut values: Vec<f64> = points.clone().map(get).collect();
            values.sort_by(f64::total_cmp);
            values.dedup();
            values
        };
        let (x, y) = (distinct(|p| p.x), distinct(|p| p.y));
        let mut crossings = Vec::new();
        for (row, &at_y) in y.iter().enumerate() {
            for (column, &at_x) in x.iter().enumerate() {
                let here = points.clone().filter(|p| p.x == at_x && p.y == at_y);
                let here: Vec<f64> = here.map(|p| p.value).collect();
                let mut finite: Vec<f64> = here.iter().copied().filter(|v| v.is_finite()).collect();
                finite.sort_by(f64::total_cmp);
                let value = match finite.is_empty() {
                    true => f64::NAN,
                    false => quantile(&finite, 0.5),
                };
                if !here.is_empty() {
                    crossings.push(Crossing { column, row, value });
                }
            }
        }
        Self {
            x,
            y,
            points: crossings,
        }
    }

    /// The finite value at a crossing.
    fn value(&self, column: usize, row: usize) -> Option<f64> {
        let found = self
            .points
            .iter()
            .find(|p| p.column == column && p.row == row);
        found.map(|p| p.value).filter(|v| v.is_finite())
    }

    /// Columns or rows from side to side of the surface: where each is and
    /// which. One alone becomes two at `half` units around it.
    fn lines(values: &[f64], axis: &Axis, half: f64) -> Vec<(usize, f64)> {
        match values {
            &[one] => vec![(0, axis.place(one) - half), (0, axis.place(one) + half)],
            _ => values.iter().map(|&v| axis.place(v)).enumerate().collect(),
        }
    }

    /// Whether lines between the points say something: along each axis there is one
    /// value, around which a strip is drawn, or at least three.
    pub fn tells_lines(&self) -> bool {
        let enough = |count: usize| count != 2;
        enough(self.x.len()) && enough(self.y.len())
    }

    /// Whether a point is a corner of a cell that is drawn.
    pub fn on_surface(&self, point: &Crossing) -> bool {
        let near = |at: usize, count: usize| match count {
            1 => vec![[0, 0]],
            _ => [at.checked_sub(1), Some(at)]
                .into_iter()
                .flatten()
                .filter(|low| low + 1 < count)
                .map(|low| [low, low + 1])
                .collect(),
        };
        let columns = near(point.column, self.x.len());
        let rows = near(point.row, self.y.len());
        let single = self.x.len() == 1 && self.y.len() == 1;
        !single
            && columns.iter().any(|&c| {
                rows.iter().any(|&r| {
                    let corners = [(c[0], r[0]), (c[1], r[0]), (c[1], r[1]), (c[0], r[1])];
                    corners
                        .iter()
                        .filter(|&&(c, r)| self.value(c, r).is_some())
                        .count()
                        >= 3
                })
            })
    }

    /// Polygons that cover what lies between measured values, with their
    /// values: small squares of cells with four corners, triangles of cells
    /// with three. None when there is one column and one row.
    pub fn cells(&self, across: &Axis, down: &Axis, half: [f64; 2]) -> Vec<Vec<Corner>> {
        if self.x.len() == 1 && self.y.len() == 1 {
            return Vec::new();
        }
        let columns = Self::lines(&self.x, across, half[0]);
        // `down` runs from the bottom up, and so do strips around one row.
        let rows = Self::lines(&self.y, down, -half[1]);
        let mut cells = Vec::new();
        for pair in rows.windows(2) {
            let [(low, bottom), (high, top)] = [pair[0], pair[1]];
            for pair in columns.windows(2) {
                let [(first, left), (second, right)] = [pair[0], pair[1]];
                let corner = |column, row, at| {
                    let value = self.value(column, row)?;
                    Some(Corner { at, value })
                };
                let corners = [
                    corner(first, low, [left, bottom]),
                    corner(second, low, [right, bottom]),
                    corner(second, high, [right, top]),
                    corner(first, high, [left, top]),
                ];
                match corners {
                    [Some(a), Some(b), Some(c), Some(d)] => cells.extend(divided([a, b, c, d])),
                    _ => {
                        let known: Vec<Corner> = corners.into_iter().flatten().collect();
                        if known.len() == 3 {
                            cells.push(known);
                        }
                    }
                }
            }
        }
        cells
    }
}

/// A cell as squares whose corners are bilinear between its own.
fn divided(cell: [Corner; 4]) -> impl Iterator<Item = Vec<Corner>> {
    let share = |i: usize| i as f64 / FINE as f64;
    let corner = move |i: usize, j: usize| bilinear(cell, share(i), share(j));
    (0..FINE * FINE).map(move |k| {
        let (i, j) = (k % FINE, k / FINE);
        vec![
            corner(i, j),
            corner(i + 1, j),
            corner(i + 1, j + 1),
            corner(i, j + 1),
        ]
    })
}

/// The point at shares `s` along the first side of a cell and `t` along the
/// last, with its value. Exact at the corners.
fn bilinear([a, b, c, d]: [Corner; 4], s: f64, t: f64) -> Corner {
    let mix = |of: fn(&Corner) -> f64| {
        let (near, far) = (
            of(&a) * (1.0 - s) + of(&b) * s,
            of(&d) * (1.0 - s) + of(&c) * s,
        );
        near * (1.0 - t) + far * t
    };
    Corner {
        at: [mix(|c| c.at[0]), mix(|c| c.at[1])],
        value: mix(|c| c.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::axis::{Decades, Scale};

    fn measured(points: &[[f64; 3]]) -> Vec<Measured> {
        let point = |&[x, y, value]: &[f64; 3]| Measured { x, y, value };
        points.iter().map(point).collect()
    }

    /// x from 10 to 20 over 0 to 120; y from 1e-5 to 1e-3 over 200 to 0.
    fn axes() -> [Axis; 2] {
        let axis =
            |scale, ends, start, end| Axis::over(std::iter::empty(), scale, Some(ends), start, end);
        [
            axis(Scale::Linear, [10.0, 20.0], 0.0, 120.0),
            axis(Scale::Log(Decades::Power), [1e-5, 1e-3], 200.0, 0.0),
        ]
    }

    fn value_at(cells: &[Vec<Corner>], at: [f64; 2]) -> Option<f64> {
        let near = |c: &&Corner| (c.at[0] - at[0]).hypot(c.at[1] - at[1]) < 1e-6;
        cells.iter().flatten().find(near).map(|c| c.value)
    }

    #[test]
    fn values_between_are_bilinear_in_x_and_log_y() {
        // Half way in x and a quarter in log y (10^-4.5):
        // low row (0 + 1) / 2, high row (0.4 + 0.2) / 2: 0.75 x 0.5 + 0.25 x 0.3.
        let points = [
            [10.0, 1e-5, 0.0],
            [20.0, 1e-5, 1.0],
            [10.0, 1e-3, 0.4],
            [20.0, 1e-3, 0.2],
        ];
        let [across, down] = axes();
        let cells = Grid::of(&measured(&points)).cells(&across, &down, [9.0; 2]);
        assert_eq!(cells.len(), FINE * FINE);
        let value = value_at(&cells, [60.0, 150.0]).unwrap();
        assert!((value - 0.45).abs() < 1e-9, "{value}");
        assert_eq!(value_at(&cells, [0.0, 200.0]), Some(0.0));
    }

    #[test]
    fn nothing_lies_outside_measured_points() {
        let [across, down] = axes();
        // Three corners: one triangle. Two: nothing.
        let three = [[10.0, 1e-5, 0.0], [20.0, 1e-5, 1.0], [10.0, 1e-3, 0.4]];
        let grid = Grid::of(&measured(&three));
        assert_eq!(grid.cells(&across, &down, [9.0; 2])[0].len(), 3);
        assert!(grid.points.iter().all(|p| grid.on_surface(p)));
        let two = [[10.0, 1e-5, 0.0], [20.0, 1e-3, 1.0], [20.0, 1e-5, f64::NAN]];
        let grid = Grid::of(&measured(&two));
        assert!(grid.cells(&across, &down, [9.0; 2]).is_empty());
        assert!(!grid.points.iter().any(|p| grid.on_surface(p)));
    }

    #[test]
    fn one_column_is_a_strip_around_it() {
        let [across, down] = axes();
        let grid = Grid::of(&measured(&[[15.0, 1e-5, 0.2], [15.0, 1e-3, 0.6]]));
        let cells = grid.cells(&across, &down, [9.0; 2]);
        // x = 15 is at 60: 51 to 69. The middle of log y is 0.4 on all of it.
        for x in [51.0, 60.0, 69.0] {
            let value = value_at(&cells, [x, 100.0]).unwrap();
            assert!((value - 0.4).abs() < 1e-9, "{value}");
        }
        let point = Grid::of(&measured(&[[15.0, 1e-4, 0.2]]));
        assert!(point.cells(&across, &down, [9.0; 2]).is_empty());
        assert!(!point.on_surface(&point.points[0]));
    }

    #[test]
    fn of_several_values_the_median_counts() {
        let points = [
            [1.0, 1.0, 0.1],
            [1.0, 1.0, 0.9],
            [1.0, 1.0, 0.3],
            [1.0, 1.0, f64::NAN],
        ];
        let grid = Grid::of(&measured(&points));
        assert_eq!(grid.points.len(), 1);
        assert_eq!(grid.points[0].value, 0.3);
    }

    /// How often outlines turn around a point.
    fn turns(outlines: &[Vec<[f64; 2]>], [px, py]: [f64; 2]) -> i32 {
        let side = |a: [f64; 2], b: [f64; 2]| {
            let left = (b[0] - a[0]) * (py - a[1]) - (px - a[0]) * (b[1] - a[1]);
            match (a[1] <= py, b[1] <= py) {
                (true, false) if left > 0.0 => 1,
                (false, true) if left < 0.0 => -1,
                _ => 0,
            }
        };
        let around = |p: &Vec<[f64; 2]>| {
            (0..p.len())
                .map(|i| side(p[i], p[(i + 1) % p.len()]))
                .sum::<i32>()
        };
        outlines.iter().map(around).sum()
    }

    #[test]
    fn regions_hold_the_points_above_their_level() {
        // High and low in turn: a saddle in each of the four cells.
        let values = [[0.9, 0.15, 0.8], [0.1, 0.85, 0.05], [0.95, 0.2, 0.5]];
        let (xs, ys) = ([10.0, 12.0, 20.0], [1e-5, 1e-4, 1e-3]);
        let mut points = Vec::new();
        for (row, y) in ys.into_iter().enumerate() {
            points.extend((0..3).map(|column| [xs[column], y, values[row][column]]));
        }
        let [across, down] = axes();
        let cells = Grid::of(&measured(&points)).cells(&across, &down, [9.0; 2]);
        let mut compared = 0;
        for level in [0.1, 0.3, 0.5, 0.7] {
            let outlines = crate::chart::contour::region(&cells, level).outlines;
            for k in 0..59 * 97 {
                // Away from the sides of cells.
                let [x, y] = [
                    1.03 + 2.01 * f64::from(k % 59),
                    1.01 + 2.04 * f64::from(k / 59),
                ];
                // Columns at 0, 24 and 120; rows at 200, 100 and 0.
                let (column, s) = match x < 24.0 {
                    true => (0, x / 24.0),
                    false => (1, (x - 24.0) / 96.0),
                };
                let (row, t) = match y > 100.0 {
                    true => (0, 2.0 - y / 100.0),
                    false => (1, 1.0 - y / 100.0),
                };
                let along =
                    |row: usize| values[row][column] * (1.0 - s) + values[row][column + 1] * s;
                let value = along(row) * (1.0 - t) + along(row + 1) * t;
                // Straight pieces of 1/12 of a cell stray from the curve.
                if (value - level).abs() > 0.01 {
                    assert_eq!(
                        turns(&outlines, [x, y]).abs(),
                        i32::from(value >= level),
                        "{x} {y}"
                    );
                    compared += 1;
                }
            }
        }
        assert!(compared > 20_000);
    }
}
