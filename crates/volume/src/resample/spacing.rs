//! A grid of another spacing over the same field of view.

use crate::{Grid, Spacing, VolumeError};

/// An axis whose length would change by less than this many voxels keeps its
/// spacing: headers hold 1 mm as 0.99999994.
const SAME_LENGTH: f64 = 0.01;

/// The grid with another spacing over the same field of view. The outer edge
/// in front of voxel 0 stays in place, so its centre moves by half the change
/// of spacing; the number of voxels is rounded, so the far edge moves by half
/// a new voxel at most (or further, where that would leave no voxel).
///
/// # Errors
/// When the spacing is not above zero and finite, or makes too many voxels.
pub fn grid_with_spacing(grid: &Grid, spacing: Spacing) -> Result<Grid, VolumeError> {
    if !spacing.0.iter().all(|&s| s.is_finite() && s > 0.0) {
        return Err(VolumeError::Spacing { spacing });
    }
    let old = grid.spacing().0;
    let mut new = *grid;
    for axis in 0..3 {
        let voxels = grid.shape[axis] as f64;
        let exact = voxels * old[axis] / spacing.0[axis];
        if (exact - voxels).abs() < SAME_LENGTH {
            continue;
        }
        // The cast saturates; a shape beyond memory is refused below.
        new.shape[axis] = exact.round().max(1.0) as usize;
        let ratio = spacing.0[axis] / old[axis];
        for row in &mut new.affine.0 {
            row[3] += row[axis] * (ratio - 1.0) / 2.0;
            row[axis] *= ratio;
        }
    }
    let voxels = new.shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s));
    match voxels {
        Some(n) if n <= isize::MAX as usize => Ok(new),
        _ => Err(VolumeError::TooLarge { shape: new.shape }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resample::tests::{oblique, spaced};

    #[test]
    fn the_field_of_view_is_kept() {
        // 10 voxels of 1 mm from -0.5 to 9.5 mm: 5 of 2 mm, the first centre at 0.5 mm.
        let grid = grid_with_spacing(&spaced(10, 1.0, 0.0), Spacing([2.0, 1.0, 1.0])).unwrap();
        assert_eq!(grid, spaced(5, 2.0, 0.5));
        // 4 voxels of 3 mm from -1.5 to 10.5 mm.
        let grid = grid_with_spacing(&spaced(4, 3.0, 0.0), Spacing([1.0; 3])).unwrap();
        assert_eq!(grid.shape, [12, 1, 1]);
        assert!((grid.affine.0[0][3] - -1.0).abs() < 1e-12);
        let outer = |grid: &Grid| [grid.corners()[0], grid.corners()[7]];
        assert_eq!(outer(&grid)[1][0], 10.5);
    }

    #[test]
    fn an_oblique_field_of_view_is_kept() {
        let old = oblique([8, 6, 4]);
        let Spacing(edges) = old.spacing();
        let new = grid_with_spacing(&old, Spacing(edges.map(|e| e / 2.0))).unwrap();
        assert_eq!(new.shape, [16, 12, 8]);
        for (a, b) in old.corners().iter().zip(&new.corners()) {
            for axis in 0..3 {
                assert!((a[axis] - b[axis]).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn a_spacing_equal_but_for_rounding_changes_nothing() {
        let grid = spaced(240, f64::from(0.999_999_94_f32), -3.0);
        assert_eq!(grid_with_spacing(&grid, Spacing([1.0; 3])).unwrap(), grid);
    }

    #[test]
    fn unusable_spacings_are_refused() {
        let grid = spaced(4, 1.0, 0.0);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let error = grid_with_spacing(&grid, Spacing([1.0, bad, 1.0])).unwrap_err();
            assert!(matches!(error, VolumeError::Spacing { .. }));
        }
        let error = grid_with_spacing(&grid, Spacing([1e-300; 3])).unwrap_err();
        assert!(matches!(error, VolumeError::TooLarge { .. }));
        // A single voxel remains however coarse the grid.
        let grid = grid_with_spacing(&grid, Spacing([1e6, 1.0, 1.0])).unwrap();
        assert_eq!(grid.shape, [1, 1, 1]);
    }
}
