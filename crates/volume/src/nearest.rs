//! The nearest of many points: a balanced k-d tree, kept as an order of the
//! points themselves (Bentley, CACM 18, 1975).

/// Points in mm that are asked which of them is nearest.
pub struct Points(Vec<[f64; 3]>);

impl Points {
    /// Orders the points: the middle one splits the others along x, those of
    /// each half are split along y, then z, then x again.
    pub fn new(mut points: Vec<[f64; 3]>) -> Self {
        order(&mut points, 0);
        Self(points)
    }

    /// Distance (mm) from `at` to the nearest point; infinite without points.
    pub fn distance(&self, at: [f64; 3]) -> f64 {
        let mut squared = f64::INFINITY;
        search(&self.0, 0, &at, &mut squared);
        squared.sqrt()
    }
}

fn order(points: &mut [[f64; 3]], axis: usize) {
    if points.len() < 2 {
        return;
    }
    let middle = points.len() / 2;
    points.select_nth_unstable_by(middle, |a, b| a[axis].total_cmp(&b[axis]));
    let (below, above) = points.split_at_mut(middle);
    order(below, (axis + 1) % 3);
    order(&mut above[1..], (axis + 1) % 3);
}

/// Lowers `best` to the smallest squared distance from `at` to a point.
fn search(points: &[[f64; 3]], axis: usize, at: &[f64; 3], best: &mut f64) {
    let middle = points.len() / 2;
    let Some(point) = points.get(middle) else {
        return;
    };
    let squared: f64 = (0..3).map(|a| (at[a] - point[a]).powi(2)).sum();
    *best = best.min(squared);
    let beyond = at[axis] - point[axis];
    let (below, above) = (&points[..middle], &points[middle + 1..]);
    let (near, far) = if beyond < 0.0 {
        (below, above)
    } else {
        (above, below)
    };
    search(near, (axis + 1) % 3, at, best);
    if beyond * beyond < *best {
        search(far, (axis + 1) % 3, at, best);
    }
}
