//! Smooth random displacement: uniform cubic B-splines over a lattice of control
//! points, as free-form deformations have them (Rueckert et al., IEEE Trans Med
//! Imaging 18, 1999).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::transform::Frame;

/// The largest displacement of a control point along each axis, as a share of their
/// distance, that folds nothing: 1 / K with K = 2.479472335 in three dimensions (Choi
/// and Lee, Graphical Models 62, 2000).
pub(super) const MOST_PER_SPACING: f64 = 1.0 / 2.479_472_335;

/// Displacements of the voxels of a patch, in voxels along x, y, z.
#[derive(Clone, Debug)]
pub(super) struct Elastic {
    /// Control points along each axis.
    count: [usize; 3],
    /// Distance of the control points in voxels.
    step: [f64; 3],
    /// x fastest.
    controls: Vec<[f32; 3]>,
    /// No displacement is larger: splines lie between their control points.
    pub(super) most: [f64; 3],
}

impl Elastic {
    /// Control points `spacing_mm` apart over the input patch, each displaced uniformly
    /// by up to `most_mm` along each axis of more than one voxel.
    pub(super) fn draw(frame: &Frame, most_mm: f64, spacing_mm: f64, rng: &mut ChaCha8Rng) -> Self {
        let edges = frame.spacing.0;
        let flat = frame.input.map(|n| n == 1);
        // Closer control points than voxels would be noise.
        let step = [0, 1, 2].map(|a| (spacing_mm / edges[a]).max(1.0));
        let count = [0, 1, 2].map(|a| match flat[a] {
            true => 1,
            false => ((frame.input[a] - 1) as f64 / step[a]) as usize + 4,
        });
        let most = [0, 1, 2].map(|a| if flat[a] { 0.0 } else { most_mm / edges[a] });
        let control = |_| most.map(|most| (most * (2.0 * rng.random::<f64>() - 1.0)) as f32);
        Self {
            count,
            step,
            controls: (0..count.iter().product::<usize>()).map(control).collect(),
            most,
        }
    }

    /// The control points around the voxels `start`, `start + 1`, ... of the input patch
    /// along an axis.
    pub(super) fn around(&self, axis: usize, start: f64, voxels: usize) -> Vec<Around> {
        (0..voxels)
            .map(|i| self.weights(axis, start + i as f64))
            .collect()
    }

    /// Sums the lattice at one place along y and z into `row`, its control points along x.
    pub(super) fn row_at(&self, y: &Around, z: &Around, row: &mut Vec<[f32; 3]>) {
        let [nx, ny, _] = self.count;
        row.clear();
        row.resize(nx, [0.0; 3]);
        for (k, wz) in z.weights.into_iter().enumerate().filter(|(_, w)| *w != 0.0) {
            for (j, wy) in y.weights.into_iter().enumerate().filter(|(_, w)| *w != 0.0) {
                let first = nx * (y.first + j + ny * (z.first + k));
                for (sum, control) in row.iter_mut().zip(&self.controls[first..][..nx]) {
                    add(sum, wy * wz, control);
                }
            }
        }
    }

    fn weights(&self, axis: usize, voxel: f64) -> Around {
        if self.count[axis] == 1 {
            return Around {
                first: 0,
                weights: [1.0, 0.0, 0.0, 0.0],
            };
        }
        let place = (voxel / self.step[axis]).max(0.0);
        let first = (place as usize).min(self.count[axis] - 4);
        Around {
            first,
            weights: basis((place - first as f64) as f32),
        }
    }
}

/// The four control points around a voxel along one axis.
pub(super) struct Around {
    first: usize,
    weights: [f32; 4],
}

impl Around {
    /// The displacement in voxels, from a row of control points.
    pub(super) fn displacement(&self, row: &[[f32; 3]]) -> [f64; 3] {
        let mut sum = [0.0; 3];
        for (control, weight) in row[self.first..].iter().zip(self.weights) {
            add(&mut sum, weight, control);
        }
        sum.map(f64::from)
    }
}

fn add(sum: &mut [f32; 3], weight: f32, control: &[f32; 3]) {
    for (sum, control) in sum.iter_mut().zip(control) {
        *sum += weight * control;
    }
}

/// Weights of the four control points around `t`, 0 to 1, of their distance.
fn basis(t: f32) -> [f32; 4] {
    let (t2, t3, s) = (t * t, t * t * t, 1.0 - t);
    [
        s * s * s / 6.0,
        (3.0 * t3 - 6.0 * t2 + 4.0) / 6.0,
        (-3.0 * t3 + 3.0 * t2 + 3.0 * t + 1.0) / 6.0,
        t3 / 6.0,
    ]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::rng::{Domain, keyed_rng};
    use lacuna_volume::Spacing;

    fn elastic(input: [usize; 3]) -> Elastic {
        let frame = Frame {
            input,
            effective: input,
            spacing: Spacing([1.0, 2.0, 4.0]),
        };
        Elastic::draw(&frame, 3.0, 8.0, &mut keyed_rng(0, Domain::Transform, 0, 0))
    }

    #[test]
    fn the_basis_by_hand_and_a_share_of_one() {
        // 1/6, 4/6, 1/6 at a control point; 1/48, 23/48, 23/48, 1/48 half way.
        let near = |found: [f32; 4], expected: [f32; 4]| {
            assert!(
                found
                    .iter()
                    .zip(expected)
                    .all(|(a, b)| (a - b).abs() < 1e-6),
                "{found:?}"
            );
        };
        near(basis(0.0), [1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0, 0.0]);
        near(basis(0.5), [1.0, 23.0, 23.0, 1.0].map(|v| v / 48.0));
        near(basis(1.0), [0.0, 1.0 / 6.0, 4.0 / 6.0, 1.0 / 6.0]);
    }

    #[test]
    fn a_separable_sum_is_the_plain_one() {
        let elastic = elastic([20, 15, 9]);
        // 8 mm are 8, 4 and 2 voxels; 19/8, 14/4 and 8/2 whole steps.
        assert_eq!(elastic.count, [6, 7, 8]);
        assert_eq!(elastic.most, [3.0, 1.5, 0.75]);
        for [x, y, z] in [[0.0, 0.0, 0.0], [13.0, 7.0, 5.0], [19.0, 14.0, 8.0]] {
            let mut expected = [0.0_f64; 3];
            for (i, control) in elastic.controls.iter().enumerate() {
                let at = [i % 6, i / 6 % 7, i / 42];
                let weight: f64 = [x / 8.0, y / 4.0, z / 2.0]
                    .iter()
                    .zip(at)
                    .map(|(t, c)| f64::from(spline(*t - (c as f64 - 1.0))))
                    .product();
                (0..3).for_each(|a| expected[a] += weight * f64::from(control[a]));
            }
            let found = displacement(&elastic, [x, y, z]);
            for axis in 0..3 {
                assert!(
                    (found[axis] - expected[axis]).abs() < 1e-5,
                    "{found:?} {expected:?}"
                );
                assert!(found[axis].abs() <= elastic.most[axis]);
            }
        }
    }

    pub(in super::super) fn displacement(elastic: &Elastic, [x, y, z]: [f64; 3]) -> [f64; 3] {
        let [x, y, z] = [(0, x), (1, y), (2, z)].map(|(axis, at)| elastic.weights(axis, at));
        let mut row = Vec::new();
        elastic.row_at(&y, &z, &mut row);
        x.displacement(&row)
    }

    /// The cubic B-spline about 0.
    fn spline(t: f64) -> f32 {
        let t = t.abs();
        let value = match t {
            t if t < 1.0 => 2.0 / 3.0 - t * t + t * t * t / 2.0,
            t if t < 2.0 => (2.0 - t).powi(3) / 6.0,
            _ => 0.0,
        };
        value as f32
    }

    #[test]
    fn slices_are_deformed_in_their_plane() {
        let elastic = elastic([20, 15, 1]);
        assert_eq!(elastic.count[2], 1);
        let found: Vec<[f64; 3]> = (0..20)
            .map(|x| displacement(&elastic, [f64::from(x), 3.0, 0.0]))
            .collect();
        assert!(found.iter().all(|u| u[2] == 0.0));
        assert!(found.iter().any(|u| u[0].abs() > 0.1));
    }
}
