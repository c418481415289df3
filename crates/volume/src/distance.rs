//! Exact Euclidean distance transform with unequal voxel edges.
//!
//! Squared distances are separable: along z they follow from two sweeps over
//! the mask, along y and then x from the lower envelope of one parabola per
//! voxel (Felzenszwalb and Huttenlocher, Theory of Computing 8, 2012). Axes
//! that are not perpendicular have no such sum: there the nearest voxel is
//! searched for among the positions in mm.

use crate::Volume;
use crate::nearest::Points;
use rayon::prelude::*;

/// Distance in mm from each voxel centre to the nearest voxel centre where the
/// mask is true: 0 inside the mask, infinite everywhere if the mask is empty.
/// Millimetres are those of the mask's affine, which may be sheared.
pub fn euclidean_distance_mm(mask: &Volume<bool>) -> Volume<f64> {
    if mask.affine().is_sheared() {
        return sheared_distance_mm(mask);
    }
    let [nx, ny, _] = mask.shape();
    let [dx, dy, dz] = mask.spacing().0;
    let mut distance = mask.map(|&inside| if inside { 0.0 } else { f64::INFINITY });
    if mask.is_empty() {
        return distance;
    }
    let slice = nx * ny;
    square_along_z(distance.data_mut(), slice, dz);
    let workspace = || (Envelope::default(), vec![0.0; ny]);
    distance.data_mut().par_chunks_mut(slice).for_each_init(
        workspace,
        |(envelope, column), slice| {
            for x in 0..nx {
                let along_y = slice[x..].iter().step_by(nx);
                column.iter_mut().zip(along_y).for_each(|(c, v)| *c = *v);
                envelope.lower(column, dy);
                let along_y = slice[x..].iter_mut().step_by(nx);
                along_y.zip(column.iter()).for_each(|(v, c)| *v = *c);
            }
        },
    );
    distance
        .data_mut()
        .par_chunks_mut(nx)
        .for_each_init(Envelope::default, |envelope, row| {
            envelope.lower(row, dx);
            row.iter_mut().for_each(|v| *v = v.sqrt());
        });
    distance
}

/// The same for any affine.
fn sheared_distance_mm(mask: &Volume<bool>) -> Volume<f64> {
    let [nx, ny, _] = mask.shape();
    let place = |index: usize| {
        let voxel = [index % nx, index / nx % ny, index / (nx * ny)];
        mask.affine().apply(voxel.map(|v| v as f64))
    };
    let inside = mask
        .data()
        .iter()
        .enumerate()
        .filter(|(_, inside)| **inside);
    let points = Points::new(inside.map(|(index, _)| place(index)).collect());
    let mut distance = mask.map(|_| 0.0);
    (distance.data_mut().par_iter_mut().enumerate())
        .filter(|(index, _)| !mask.data()[*index])
        .for_each(|(index, mm)| *mm = points.distance(place(index)));
    distance
}

/// Turns 0 (mask) and infinity (elsewhere) into squared distances along z.
fn square_along_z(data: &mut [f64], slice: usize, dz: f64) {
    // Whole steps first, so that n steps give (n dz)^2 and not a rounded sum.
    for here in slice..data.len() {
        data[here] = data[here].min(data[here - slice] + 1.0);
    }
    for here in (slice..data.len()).rev() {
        data[here - slice] = data[here - slice].min(data[here] + 1.0);
    }
    for v in data {
        *v = (*v * dz) * (*v * dz);
    }
}

/// The parabolas that form the lower envelope along one line of voxels.
#[derive(Default)]
struct Envelope {
    /// Index and squared distance at the apex of each parabola, left to right.
    apex: Vec<(usize, f64)>,
    /// Where (in voxels) each parabola takes over from the one before it.
    from: Vec<f64>,
}

impl Envelope {
    /// Replaces `f` by the minimum over i of `f[i] + (step (q - i))^2` at each q.
    fn lower(&mut self, f: &mut [f64], step: f64) {
        self.apex.clear();
        self.from.clear();
        let step2 = step * step;
        for (q, &fq) in f.iter().enumerate() {
            if fq.is_infinite() {
                continue;
            }
            let mut start = f64::NEG_INFINITY;
            while let (Some(&(p, fp)), Some(&from)) = (self.apex.last(), self.from.last()) {
                // The crossing, written so that no large squares cancel.
                start = 0.5 * ((fq - fp) / (step2 * (q - p) as f64) + (q + p) as f64);
                if start > from {
                    break;
                }
                self.apex.pop();
                self.from.pop();
                start = f64::NEG_INFINITY;
            }
            self.apex.push((q, fq));
            self.from.push(start);
        }
        if self.apex.is_empty() {
            return;
        }
        let mut at = 0;
        for (q, out) in f.iter_mut().enumerate() {
            while self.from.get(at + 1).is_some_and(|&from| from < q as f64) {
                at += 1;
            }
            let (p, fp) = self.apex[at];
            let steps = q.abs_diff(p) as f64 * step;
            *out = fp + steps * steps;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Affine, Spacing};
    use proptest::prelude::*;

    fn brute_force(mask: &Volume<bool>) -> Vec<f64> {
        let [nx, ny, nz] = mask.shape();
        let voxels: Vec<[usize; 3]> = (0..nz)
            .flat_map(|z| (0..ny).flat_map(move |y| (0..nx).map(move |x| [x, y, z])))
            .collect();
        let to = |a: &[usize; 3], b: &[usize; 3]| -> f64 {
            let [a, b] = [a, b].map(|v| mask.affine().apply(v.map(|i| i as f64)));
            (0..3).map(|i| (a[i] - b[i]).powi(2)).sum::<f64>().sqrt()
        };
        voxels
            .iter()
            .map(|v| {
                voxels
                    .iter()
                    .filter(|&&m| mask.data()[mask.index(m)])
                    .map(|m| to(v, m))
                    .fold(f64::INFINITY, f64::min)
            })
            .collect()
    }

    #[test]
    fn one_voxel_with_unequal_edges() {
        let affine = Affine::from_spacing(Spacing([3.0, 4.0, 12.0]));
        let mut mask = Volume::filled([3, 2, 2], affine, false).unwrap();
        mask.data_mut()[0] = true;
        let d = euclidean_distance_mm(&mask);
        assert_eq!(d.data()[d.index([0, 0, 0])], 0.0);
        assert_eq!(d.data()[d.index([2, 0, 0])], 6.0);
        assert_eq!(d.data()[d.index([1, 1, 0])], 5.0);
        assert_eq!(d.data()[d.index([1, 1, 1])], 13.0);
    }

    #[test]
    fn nothing_is_infinitely_far() {
        let mask = Volume::filled([2, 3, 2], Affine::identity(), false).unwrap();
        let d = euclidean_distance_mm(&mask);
        assert!(d.data().iter().all(|&v| v == f64::INFINITY));
        let none = Volume::filled([0, 3, 2], Affine::identity(), false).unwrap();
        assert!(euclidean_distance_mm(&none).is_empty());
    }

    proptest! {
        #[test]
        fn equals_brute_force(
            shape in prop::array::uniform3(1usize..8),
            spacing in prop::array::uniform3(0.2f64..6.0),
            bits in prop::collection::vec(0u8..100, 343),
            share in 1u8..60,
            shear in prop_oneof![Just(0.0), 0.1f64..3.0],
        ) {
            let data = bits[..shape.iter().product()].iter().map(|&b| b < share).collect();
            let mut affine = Affine::from_spacing(Spacing(spacing));
            affine.0[1][2] = shear;
            let mask = Volume::new(shape, affine, data).unwrap();
            let found = euclidean_distance_mm(&mask);
            for (a, b) in found.data().iter().zip(brute_force(&mask)) {
                prop_assert!(*a == b || (a - b).abs() <= 1e-12 * b, "{a} {b}");
            }
        }
    }
}
