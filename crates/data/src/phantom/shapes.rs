//! Distances to simple solids and smooth random fields: what the brain and its
//! lesions are drawn with. Lengths are in the caller's unit.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use std::f64::consts::TAU;

pub(super) type Point = [f64; 3];

pub(super) fn dot(a: Point, b: Point) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn norm(a: Point) -> f64 {
    dot(a, a).sqrt()
}

pub(super) fn minus(a: Point, b: Point) -> Point {
    [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
}

/// A direction uniform on the sphere.
pub(super) fn direction(rng: &mut ChaCha8Rng) -> Point {
    let z = rng.random_range(-1.0..1.0f64);
    let turn = rng.random_range(0.0..TAU);
    let r = (1.0 - z * z).sqrt();
    [r * turn.cos(), r * turn.sin(), z]
}

/// Depth inside an ellipsoid (negative outside), to first order near its
/// surface: `k0 (1 - k0) / |grad k0²/2|` with `k0 = |p / radii|`.
pub(super) fn ellipsoid(p: Point, centre: Point, radii: Point) -> f64 {
    let q = minus(p, centre);
    let (mut k0, mut k1) = (0.0, 0.0);
    for axis in 0..3 {
        let u = q[axis] / radii[axis];
        k0 += u * u;
        k1 += (u / radii[axis]).powi(2);
    }
    let (k0, k1) = (k0.sqrt(), k1.sqrt());
    match k1 > 1e-9 {
        true => k0 * (1.0 - k0) / k1,
        false => radii[0].min(radii[1]).min(radii[2]),
    }
}

/// Depth inside the tapered capsule from `a` (radius `ra`) to `b` (radius `rb`).
pub(super) fn capsule(p: Point, (a, ra): (Point, f64), (b, rb): (Point, f64)) -> f64 {
    let (ap, ab) = (minus(p, a), minus(b, a));
    let t = (dot(ap, ab) / dot(ab, ab)).clamp(0.0, 1.0);
    let foot = [ap[0] - t * ab[0], ap[1] - t * ab[1], ap[2] - t * ab[2]];
    ra + t * (rb - ra) - norm(foot)
}

/// Larger of two depths with the crease rounded over a width `k`: the union of
/// two solids.
pub(super) fn union(a: f64, b: f64, k: f64) -> f64 {
    let h = (k - (a - b).abs()).max(0.0) / k;
    a.max(b) + 0.25 * k * h * h
}

/// Share of an interval of width `w` centred at `s` that lies in `[-t, t]`:
/// how much of a voxel at distance `s` from the middle of a sheet is filled by
/// a sheet of half-thickness `t`.
pub(super) fn sheet_share(s: f64, t: f64, w: f64) -> f64 {
    ((s + 0.5 * w).min(t) - (s - 0.5 * w).max(-t)).clamp(0.0, w) / w
}

/// Share of a voxel of width `w` inside a solid whose surface is `depth` away.
pub(super) fn solid_share(depth: f64, w: f64) -> f64 {
    (depth / w + 0.5).clamp(0.0, 1.0)
}

/// A smooth random field: a sum of plane waves of one wavelength in random
/// directions, standard deviation 1.
pub(super) struct Waves(Vec<(Point, f64, f64)>);

impl Waves {
    /// `count` waves of that length.
    pub(super) fn draw(rng: &mut ChaCha8Rng, count: usize, wavelength: f64) -> Self {
        let amplitude = (2.0 / count as f64).sqrt();
        let wave = |_| {
            let k = direction(rng).map(|d| d * TAU / wavelength);
            (k, rng.random_range(0.0..TAU), amplitude)
        };
        Self((0..count).map(wave).collect())
    }

    /// The field at `p`.
    pub(super) fn at(&self, p: Point) -> f64 {
        let wave = |(k, phase, a): &(Point, f64, f64)| a * (dot(*k, p) + phase).sin();
        self.0.iter().map(wave).sum()
    }

    /// The field and its gradient at `p`.
    pub(super) fn with_gradient(&self, p: Point) -> (f64, Point) {
        let (mut value, mut gradient) = (0.0, [0.0; 3]);
        for &(k, phase, a) in &self.0 {
            let (sin, cos) = (dot(k, p) + phase).sin_cos();
            value += a * sin;
            for axis in 0..3 {
                gradient[axis] += a * cos * k[axis];
            }
        }
        (value, gradient)
    }
}
