//! Regions and isolines of a value that is known at the corners of polygons.
//!
//! Marching squares: along a side the value is linear; a square whose corners
//! are in turn above and below the level is joined through its middle when the
//! mean of its corners is above.

use std::collections::BTreeMap;

/// A corner: where it lies and the value there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Corner {
    pub at: [f64; 2],
    pub value: f64,
}

/// Where the value is at least a level.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Region {
    /// Closed outlines; holes turn the other way.
    pub outlines: Vec<Vec<[f64; 2]>>,
    /// The parts of the outlines along which the value is the level.
    pub isolines: Vec<Vec<[f64; 2]>>,
}

/// The part of all `cells` (triangles and squares whose corners all turn one
/// way) where the value is at least `level`.
pub(super) fn region(cells: &[Vec<Corner>], level: f64) -> Region {
    let mut sides = Sides::default();
    for cell in cells {
        for part in above(cell, level) {
            for (i, &from) in part.iter().enumerate() {
                sides.add(from, part[(i + 1) % part.len()]);
            }
        }
    }
    let mut region = Region::default();
    for outline in sides.outlines() {
        region.isolines.extend(at_level(&outline, level));
        let points: Vec<[f64; 2]> = outline.iter().map(|c| c.at).collect();
        region.outlines.push(straightened(points, true));
    }
    region
}

/// The polygons of one cell that are at or above the level.
fn above(cell: &[Corner], level: f64) -> Vec<Vec<Corner>> {
    let inside = |c: &Corner| c.value >= level;
    let mut around = Vec::with_capacity(cell.len() + 4);
    for (i, &corner) in cell.iter().enumerate() {
        let next = cell[(i + 1) % cell.len()];
        if inside(&corner) {
            around.push(corner);
        }
        if inside(&corner) != inside(&next) {
            around.push(crossing(corner, next, level));
        }
    }
    if around.is_empty() {
        return Vec::new();
    }
    let mean = cell.iter().map(|c| c.value).sum::<f64>() / cell.len() as f64;
    let saddle = cell.len() == 4
        && inside(&cell[0]) == inside(&cell[2])
        && inside(&cell[1]) == inside(&cell[3])
        && inside(&cell[0]) != inside(&cell[1]);
    if !saddle || mean >= level {
        return vec![around];
    }
    // Two corners on their own. Crossings lie before and after each of them.
    let first = usize::from(!inside(&cell[0]));
    let alone = |i: usize| {
        let (before, corner, after) = (cell[(i + 3) % 4], cell[i], cell[(i + 1) % 4]);
        let ends = [before, after].map(|other| crossing(corner, other, level));
        vec![ends[0], corner, ends[1]]
    };
    vec![alone(first), alone(first + 2)]
}

/// The point of the side between two corners at which the value is `level`:
/// the same bits from either end, as two cells share the side.
fn crossing(a: Corner, b: Corner, level: f64) -> Corner {
    let (a, b) = if a.value <= b.value { (a, b) } else { (b, a) };
    let share = (level - a.value) / (b.value - a.value);
    let at = [0, 1].map(|i| a.at[i] + share * (b.at[i] - a.at[i]));
    Corner { at, value: level }
}

/// A point to a thousandth of a unit, by which sides find each other.
type Key = [i64; 2];

/// Sides that belong to one polygon only.
#[derive(Default)]
struct Sides {
    corners: BTreeMap<Key, Corner>,
    onward: BTreeMap<Key, Vec<Key>>,
}

impl Sides {
    /// Adds a side, or takes away the same side of a neighbour, which runs the
    /// other way.
    fn add(&mut self, from: Corner, to: Corner) {
        let [a, b] = [from, to].map(|c| c.at.map(|v| (1e3 * v).round() as i64));
        if a == b {
            return;
        }
        let back = self.onward.entry(b).or_default();
        if let Some(i) = back.iter().position(|&k| k == a) {
            back.remove(i);
            return;
        }
        self.onward.entry(a).or_default().push(b);
        self.corners.insert(a, from);
        self.corners.insert(b, to);
    }

    /// The sides joined to closed outlines.
    fn outlines(mut self) -> Vec<Vec<Corner>> {
        let starts: Vec<Key> = self.onward.keys().copied().collect();
        let mut outlines = Vec::new();
        for start in starts {
            let mut outline = Vec::new();
            let mut here = start;
            // As many sides enter a point as leave it, so a walk ends only
            // where it began.
            while let Some(next) = self.onward.get_mut(&here).and_then(Vec::pop) {
                outline.push(self.corners[&here]);
                here = next;
            }
            if !outline.is_empty() {
                outlines.push(outline);
            }
        }
        outlines
    }
}

/// The runs of a closed outline whose corners are at the level.
fn at_level(outline: &[Corner], level: f64) -> Vec<Vec<[f64; 2]>> {
    let count = outline.len();
    let at = |i: usize| outline[i % count].value == level;
    let Some(gap) = (0..count).find(|&i| !at(i) || !at(i + 1)) else {
        let closed = (0..=count).map(|i| outline[i % count].at).collect();
        return vec![straightened(closed, false)];
    };
    let mut runs = Vec::new();
    let mut run: Vec<[f64; 2]> = Vec::new();
    for i in gap + 1..=gap + count {
        run.push(outline[i % count].at);
        if !(at(i) && at(i + 1)) {
            if run.len() > 1 {
                runs.push(straightened(std::mem::take(&mut run), false));
            }
            run.clear();
        }
    }
    runs
}

/// The points without those that lie on the straight line between the one
/// kept before and the one after.
fn straightened(points: Vec<[f64; 2]>, closed: bool) -> Vec<[f64; 2]> {
    let mut kept: Vec<[f64; 2]> = Vec::with_capacity(points.len());
    for (i, &point) in points.iter().enumerate() {
        let after = match points.get(i + 1) {
            None if closed => points.first(),
            after => after,
        };
        if let (Some(&[ax, ay]), Some(&[bx, by])) = (kept.last(), after) {
            let [ux, uy] = [bx - ax, by - ay];
            let off = (ux * (point[1] - ay) - uy * (point[0] - ax)).abs();
            if off <= 0.01 * ux.hypot(uy) && ux.hypot(uy) > 0.01 {
                continue;
            }
        }
        kept.push(point);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corner(x: f64, y: f64, value: f64) -> Corner {
        Corner { at: [x, y], value }
    }

    /// Corners of a square of 10 units at the origin, around it.
    fn square(values: [f64; 4]) -> Vec<Corner> {
        let at = [[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [0.0, 10.0]];
        (0..4)
            .map(|i| corner(at[i][0], at[i][1], values[i]))
            .collect()
    }

    /// Area by the shoelace formula, holes taken off.
    fn area(region: &Region) -> f64 {
        let cross = |a: [f64; 2], b: [f64; 2]| a[0] * b[1] - b[0] * a[1];
        let of = |p: &Vec<[f64; 2]>| -> f64 {
            (0..p.len())
                .map(|i| cross(p[i], p[(i + 1) % p.len()]))
                .sum()
        };
        0.5 * region.outlines.iter().map(of).sum::<f64>()
    }

    #[test]
    fn an_isoline_crosses_where_the_value_is_the_level() {
        // 0 at the left, 1 at the right: 0.3 at x = 3, all along y.
        let region = region(&[square([0.0, 1.0, 1.0, 0.0])], 0.3);
        assert_eq!(region.isolines, [[[3.0, 10.0], [3.0, 0.0]]]);
        assert!((area(&region) - 70.0).abs() < 1e-9);
    }

    #[test]
    fn neighbours_share_one_outline() {
        // Two squares with the value rising along x from 0 to 2.
        let right = square([1.0, 2.0, 2.0, 1.0]).into_iter();
        let right = right
            .map(|c| corner(c.at[0] + 10.0, c.at[1], c.value))
            .collect();
        let cells = [square([0.0, 1.0, 1.0, 0.0]), right];
        let all = region(&cells, f64::NEG_INFINITY);
        assert_eq!(all.outlines.len(), 1);
        assert_eq!(all.outlines[0].len(), 4, "{:?}", all.outlines);
        assert!(all.isolines.is_empty());
        assert!((area(&all) - 200.0).abs() < 1e-9);
        // 0.5 at x = 5: the region runs on into the second square.
        let half = region(&cells, 0.5);
        assert_eq!(half.outlines.len(), 1);
        assert_eq!(half.isolines, [[[5.0, 10.0], [5.0, 0.0]]]);
        // Exactly on the shared side.
        assert_eq!(region(&cells, 1.0).isolines, [[[10.0, 10.0], [10.0, 0.0]]]);
    }

    #[test]
    fn the_middle_decides_a_saddle() {
        // Mean 0.5. At 0.4 the high corners are joined: two low corners of
        // 4 x 4 / 2 are missing. At 0.6 they are apart: two of 4 x 4 / 2.
        let saddle = [square([1.0, 0.0, 1.0, 0.0])];
        let joined = region(&saddle, 0.4);
        assert_eq!((joined.outlines.len(), joined.isolines.len()), (1, 2));
        assert!((area(&joined) - (100.0 - 16.0)).abs() < 1e-9);
        let apart = region(&saddle, 0.6);
        assert_eq!((apart.outlines.len(), apart.isolines.len()), (2, 2));
        assert!((area(&apart) - 16.0).abs() < 1e-9);
    }

    #[test]
    fn an_island_is_closed() {
        // Four squares with 1 in their common corner, 0 around: at 0.5 the
        // region is a diamond of half diagonals 5, area 50.
        let height = |x: f64, y: f64| if x == 10.0 && y == 10.0 { 1.0 } else { 0.0 };
        let mut cells = Vec::new();
        for (left, top) in [(0.0, 0.0), (10.0, 0.0), (0.0, 10.0), (10.0, 10.0)] {
            let shift = |c: Corner| {
                let [x, y] = [c.at[0] + left, c.at[1] + top];
                corner(x, y, height(x, y))
            };
            cells.push(square([0.0; 4]).into_iter().map(shift).collect());
        }
        let island = region(&cells, 0.5);
        assert_eq!(island.outlines.len(), 1);
        assert!((area(&island) - 50.0).abs() < 1e-9);
        let line = &island.isolines[0];
        assert_eq!(line.first(), line.last());
        assert!(region(&cells, 1.5).outlines.is_empty());
    }
}
