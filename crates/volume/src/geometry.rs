//! A grid: where the voxels of a volume lie, without their values.

use crate::{Affine, Spacing, Volume, VolumeError};

/// The largest share of a voxel by which the same voxel of two files may lie
/// apart: farther, they do not show the same place. It is a share and no length,
/// as mice have voxels of 0.05 mm and humans of 5 mm.
pub const SAME_GRID_VOXELS: f64 = 0.1;

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

    /// Whether the same voxel of both grids shows the same place, to within
    /// [`SAME_GRID_VOXELS`].
    pub fn shows_the_voxels_of(&self, other: &Self) -> bool {
        corner_displacement_voxels(self, other) <= SAME_GRID_VOXELS
    }

    /// The grid of `shape` voxels as this one has them, the first where `origin` is in it, which
    /// may lie beyond it.
    pub fn part(&self, origin: [isize; 3], shape: [usize; 3]) -> Self {
        let mut affine = self.affine;
        let first = affine.apply(origin.map(|index| index as f64));
        for (row, first) in affine.0.iter_mut().zip(first) {
            row[3] = first;
        }
        Self { shape, affine }
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

impl<T: Copy> Volume<T> {
    /// On the whole of `grid`, of which the volume is the part from the voxel `low` on; `outside`
    /// elsewhere.
    ///
    /// # Errors
    /// As [`Volume::filled`].
    ///
    /// # Panics
    /// When the part does not fit.
    pub fn placed(&self, grid: &Grid, low: [usize; 3], outside: T) -> Result<Self, VolumeError> {
        let mut whole = Self::filled(grid.shape, grid.affine, outside)?;
        let [nx, ny, _] = self.shape();
        for (row, values) in self.data().chunks_exact(nx).enumerate() {
            let at = whole.index([low[0], low[1] + row % ny, low[2] + row / ny]);
            whole.data_mut()[at..at + nx].copy_from_slice(values);
        }
        Ok(whole)
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

/// [`corner_displacement_mm`] in voxels of `a`: how far, by index, the corners of
/// `b` lie from those of the same name. Infinite when the shapes differ or the
/// affine of `a` has no inverse.
pub fn corner_displacement_voxels(a: &Grid, b: &Grid) -> f64 {
    let Some(to_index) = a.affine.inverse() else {
        return f64::INFINITY;
    };
    let by_index = |grid: &Grid| Grid {
        shape: grid.shape,
        affine: to_index.after(&grid.affine),
    };
    corner_displacement_mm(&by_index(a), &by_index(b))
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
    fn a_limit_is_a_share_of_the_voxel() {
        // .075 mm are one and a half voxels of a mouse, and a 40th of a thick slice.
        let shifted = |edge: f64| {
            let mut rows = RAS.map(|row| row.map(|v| v * edge));
            let grid_here = grid([4, 4, 4], rows);
            rows[2][3] = 0.075;
            (grid_here, grid([4, 4, 4], rows))
        };
        let (mouse, moved) = shifted(0.05);
        assert!((corner_displacement_voxels(&mouse, &moved) - 1.5).abs() < 1e-9);
        assert!(!mouse.shows_the_voxels_of(&moved));
        let (thick, moved) = shifted(3.0);
        assert!((corner_displacement_voxels(&thick, &moved) - 0.025).abs() < 1e-9);
        assert!(thick.shows_the_voxels_of(&moved));
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
