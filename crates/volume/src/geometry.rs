//! A grid: where the voxels of a volume lie, without their values.

use crate::{Affine, Spacing, Volume};

/// The voxels of a volume without their values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Grid {
    /// Voxels along x, y, z.
    pub shape: [usize; 3],
    /// Voxel index to world mm (RAS+).
    pub affine: Affine,
}

impl Grid {
    /// Voxel edge lengths in mm.
    pub fn spacing(&self) -> Spacing {
        self.affine.spacing()
    }

    /// World positions (mm) of the eight corners of the field of view, which
    /// lie half a voxel outside the first and last voxel centres. Corner `c`
    /// is at the far end of axis `a` when bit `a` of `c` is set.
    pub fn corners(&self) -> [[f64; 3]; 8] {
        std::array::from_fn(|corner| {
            self.affine.apply(std::array::from_fn(|axis| {
                if corner & (1 << axis) == 0 {
                    -0.5
                } else {
                    self.shape[axis] as f64 - 0.5
                }
            }))
        })
    }
}

impl<T> Volume<T> {
    /// Where the voxels lie.
    pub fn grid(&self) -> Grid {
        Grid {
            shape: self.shape(),
            affine: *self.affine(),
        }
    }
}

/// The largest distance (mm) between same-named corners of two grids: how far
/// apart the same voxel index can be in the patient. The difference of two
/// affine maps is largest at a corner, so no voxel is displaced by more.
///
/// Infinite when the shapes differ or an affine is not finite.
pub fn corner_displacement_mm(a: &Grid, b: &Grid) -> f64 {
    if a.shape != b.shape || !a.affine.is_finite() || !b.affine.is_finite() {
        return f64::INFINITY;
    }
    a.corners()
        .iter()
        .zip(&b.corners())
        .map(|(p, q)| {
            (0..3)
                .map(|axis| (p[axis] - q[axis]).powi(2))
                .sum::<f64>()
                .sqrt()
        })
        .fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(shape: [usize; 3], rows: [[f64; 4]; 3]) -> Grid {
        Grid {
            shape,
            affine: Affine(rows),
        }
    }

    const RAS: [[f64; 4]; 3] = [
        [1.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0],
    ];

    #[test]
    fn a_shift_displaces_every_corner_alike() {
        let mut moved = RAS;
        moved[0][3] = 3.0;
        moved[2][3] = -4.0;
        let (a, b) = (grid([7, 5, 2], RAS), grid([7, 5, 2], moved));
        assert_eq!(corner_displacement_mm(&a, &b), 5.0);
        assert_eq!(corner_displacement_mm(&a, &a), 0.0);
    }

    #[test]
    fn a_coarser_slice_distance_shows_at_the_far_corner() {
        let mut stretched = RAS;
        stretched[2][2] = 1.5;
        // Far face at 9.5 voxels: 14.25 mm against 9.5 mm.
        let (a, b) = (grid([4, 4, 10], RAS), grid([4, 4, 10], stretched));
        assert_eq!(corner_displacement_mm(&a, &b), 4.75);
    }

    #[test]
    fn a_mirrored_single_slice_is_seen() {
        let mut mirrored = RAS;
        mirrored[2][2] = -1.0;
        let (a, b) = (grid([4, 4, 1], RAS), grid([4, 4, 1], mirrored));
        assert_eq!(corner_displacement_mm(&a, &b), 1.0);
    }

    #[test]
    fn incomparable_grids_are_infinitely_far() {
        let mut broken = RAS;
        broken[1][1] = f64::NAN;
        let a = grid([4, 4, 4], RAS);
        assert_eq!(
            corner_displacement_mm(&a, &grid([4, 4, 5], RAS)),
            f64::INFINITY
        );
        assert_eq!(
            corner_displacement_mm(&a, &grid([4, 4, 4], broken)),
            f64::INFINITY
        );
    }
}
