//! Resampling from one grid to another through the patient's space.
//!
//! Every voxel centre of the new grid is mapped by the two affines into the
//! old volume and interpolated there linearly, each axis in turn. Nothing is
//! smoothed first: going to a much coarser grid aliases fine detail, and who
//! minds should smooth the image before.

mod spacing;

use rayon::prelude::*;

use crate::{Affine, Grid, LabelMap, Volume, VolumeError};
pub use spacing::grid_with_spacing;

/// A position this close to a voxel centre (in voxels) is taken to be on it,
/// so that rounding in the affines never blends neighbours.
const ON_CENTRE: f64 = 1e-6;

/// The image on another grid, by trilinear interpolation. Beyond its outermost
/// voxel centres the image goes on with the value at its edge. A voxel that
/// falls on a voxel centre is copied exactly.
///
/// # Errors
/// When the image has no voxel, or the grid's affine is singular or its voxels
/// do not fit the memory.
pub fn resample_linear(image: &Volume<f32>, grid: &Grid) -> Result<Volume<f32>, VolumeError> {
    let data = image.data();
    resample(image, grid, |position| {
        let cell = Cell::around(position, image.shape());
        let along_x = |corner: usize| {
            let (a, b) = (data[corner], data[corner + cell.step[0]]);
            between(f64::from(a), f64::from(b), cell.part[0])
        };
        let along_y = |corner: usize| {
            let (a, b) = (along_x(corner), along_x(corner + cell.step[1]));
            between(a, b, cell.part[1])
        };
        let (a, b) = (along_y(cell.corner), along_y(cell.corner + cell.step[2]));
        between(a, b, cell.part[2]) as f32
    })
}

/// The label map on another grid: each label's indicator is interpolated
/// linearly and the largest wins, the smaller label at a tie. So no label
/// appears that is not there, unlike when label values are interpolated.
/// Outside the field of view the label is 0.
///
/// # Errors
/// As [`resample_linear`].
pub fn resample_labels(labels: &LabelMap, grid: &Grid) -> Result<LabelMap, VolumeError> {
    let (data, shape) = (labels.data(), labels.shape());
    resample(labels, grid, |position| {
        let inside = position
            .iter()
            .zip(shape)
            .all(|(&p, n)| p >= -0.5 - ON_CENTRE && p <= n as f64 - 0.5 + ON_CENTRE);
        if !inside {
            return 0;
        }
        let cell = Cell::around(position, shape);
        let corners: [u8; 8] = std::array::from_fn(|c| data[cell.index(c)]);
        if corners == [corners[0]; 8] {
            return corners[0];
        }
        heaviest(&corners, &std::array::from_fn(|c| cell.weight(c)))
    })
}

/// The value with the largest sum of weights, the smallest such.
fn heaviest(values: &[u8; 8], weights: &[f64; 8]) -> u8 {
    let mut best = (0, 0.0);
    for &value in values {
        let sum: f64 = (0..8)
            .filter(|&c| values[c] == value)
            .map(|c| weights[c])
            .sum();
        if sum > best.1 || (sum == best.1 && value < best.0) {
            best = (value, sum);
        }
    }
    best.0
}

/// Applies `value` to the position, in voxels of `old`, of every voxel of `grid`.
fn resample<T: Copy + Default + Send + Sync>(
    old: &Volume<T>,
    grid: &Grid,
    value: impl Fn([f64; 3]) -> T + Sync,
) -> Result<Volume<T>, VolumeError> {
    if old.is_empty() {
        return Err(VolumeError::Empty { shape: old.shape() });
    }
    if *grid == old.grid() {
        return Ok(old.clone());
    }
    let singular = |affine: &Affine| VolumeError::SingularAffine { affine: *affine };
    if grid.affine.inverse().is_none() {
        return Err(singular(&grid.affine));
    }
    let to_old = old
        .affine()
        .inverse()
        .ok_or_else(|| singular(old.affine()))?
        .after(&grid.affine);
    let mut data = reserved(grid.shape)?;
    let [nx, ny, _] = grid.shape;
    data.par_chunks_mut(nx.max(1))
        .enumerate()
        .for_each(|(row, voxels)| {
            let (y, z) = (row % ny, row / ny);
            for (x, voxel) in voxels.iter_mut().enumerate() {
                *voxel = value(to_old.apply([x as f64, y as f64, z as f64]));
            }
        });
    Volume::new(grid.shape, grid.affine, data)
}

/// Memory for the new voxels, or an error where taking it would abort.
fn reserved<T: Copy + Default>(shape: [usize; 3]) -> Result<Vec<T>, VolumeError> {
    let too_large = VolumeError::TooLarge { shape };
    let Some(voxels) = shape.iter().try_fold(1usize, |n, &s| n.checked_mul(s)) else {
        return Err(too_large);
    };
    let mut data = Vec::new();
    if data.try_reserve_exact(voxels).is_err() {
        return Err(too_large);
    }
    data.resize(voxels, T::default());
    Ok(data)
}

fn between(a: f64, b: f64, part: f64) -> f64 {
    // Apart, so that an infinite neighbour of weight 0 does not count.
    if part == 0.0 { a } else { a + (b - a) * part }
}

/// The eight voxels around a position. Corner `c` lies one voxel further along
/// axis `a` when bit `a` of `c` is set.
struct Cell {
    /// Position in memory of corner 0.
    corner: usize,
    /// Distance in memory to the next voxel along each axis; 0 when it has no weight.
    step: [usize; 3],
    /// Weight of the next voxel along each axis, from 0 to below 1.
    part: [f64; 3],
}

impl Cell {
    fn around(position: [f64; 3], shape: [usize; 3]) -> Self {
        let mut cell = Self {
            corner: 0,
            step: [0; 3],
            part: [0.0; 3],
        };
        let mut stride = 1;
        for axis in 0..3 {
            let p = position[axis].clamp(0.0, (shape[axis] - 1) as f64);
            let nearest = (p + 0.5) as usize;
            if (p - nearest as f64).abs() <= ON_CENTRE {
                cell.corner += nearest * stride;
            } else {
                let below = p as usize;
                cell.corner += below * stride;
                cell.step[axis] = stride;
                cell.part[axis] = p - below as f64;
            }
            stride *= shape[axis];
        }
        cell
    }

    fn index(&self, corner: usize) -> usize {
        (0..3)
            .filter(|axis| corner & (1 << axis) != 0)
            .fold(self.corner, |index, axis| index + self.step[axis])
    }

    fn weight(&self, corner: usize) -> f64 {
        (0..3)
            .map(|axis| {
                if corner & (1 << axis) == 0 {
                    1.0 - self.part[axis]
                } else {
                    self.part[axis]
                }
            })
            .product()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Orientation, Spacing, corner_displacement_mm};
    use proptest::prelude::*;

    fn line<T: Clone>(values: &[T]) -> Volume<T> {
        Volume::new([values.len(), 1, 1], Affine::identity(), values.to_vec()).unwrap()
    }

    pub(super) fn spaced(n: usize, spacing: f64, first: f64) -> Grid {
        let mut affine = Affine::from_spacing(Spacing([spacing, 1.0, 1.0]));
        affine.0[0][3] = first;
        Grid {
            shape: [n, 1, 1],
            affine,
        }
    }

    pub(super) fn oblique(shape: [usize; 3]) -> Grid {
        Grid {
            shape,
            affine: Affine([
                [0.9, -0.2, 0.1, -90.1],
                [0.3, 1.1, -0.4, 126.3],
                [-0.1, 0.2, 2.9, -72.7],
            ]),
        }
    }

    #[test]
    fn values_are_interpolated_and_continued() {
        let image = line(&[0.0, 4.0, 2.0]);
        // At -1, -0.25, 0.5, 1.25, 2, 2.75.
        let out = resample_linear(&image, &spaced(6, 0.75, -1.0)).unwrap();
        assert_eq!(out.data(), [0.0, 0.0, 2.0, 3.5, 2.0, 2.0]);
    }

    #[test]
    fn a_neighbour_without_weight_does_not_count() {
        let image = line(&[1.0, f32::INFINITY, 3.0, f32::NAN, 5.0]);
        let out = resample_linear(&image, &spaced(3, 2.0, 0.0)).unwrap();
        assert_eq!(out.data(), [1.0, 3.0, 5.0]);
    }

    #[test]
    fn labels_are_voted_and_0_outside() {
        let labels = line(&[1, 3, 3]);
        // At -1.1, -0.4, 0.3, 1.0, 1.7, 2.4, 3.1.
        let out = resample_labels(&labels, &spaced(7, 0.7, -1.1)).unwrap();
        assert_eq!(out.data(), [0, 1, 1, 3, 3, 3, 0]);
        // Half way the smaller label wins.
        let out = resample_labels(&labels, &spaced(1, 1.0, 0.5)).unwrap();
        assert_eq!(out.data(), [1]);
    }

    #[test]
    fn three_minorities_lose_to_one_label_with_two_corners() {
        // In the middle of a 2x2 square: 5 has half the weight, 1 and 2 a quarter each.
        let square = Volume::new([2, 2, 1], Affine::identity(), vec![1, 5, 2, 5]).unwrap();
        let mut centre = spaced(1, 1.0, 0.5);
        centre.affine.0[1][3] = 0.5;
        assert_eq!(resample_labels(&square, &centre).unwrap().data(), [5]);
    }

    #[test]
    fn what_cannot_be_resampled_is_refused() {
        let empty = line::<f32>(&[]);
        let error = resample_linear(&empty, &spaced(1, 1.0, 0.0)).unwrap_err();
        assert!(matches!(error, VolumeError::Empty { .. }));
        let image = line(&[1.0]);
        let error = resample_linear(&image, &spaced(1, 0.0, 0.0)).unwrap_err();
        assert!(matches!(error, VolumeError::SingularAffine { .. }));
        let mut vast = spaced(1, 1.0, 0.0);
        vast.shape = [1 << 20, 1 << 20, 1 << 20];
        let error = resample_linear(&image, &vast).unwrap_err();
        assert!(matches!(error, VolumeError::TooLarge { .. }));
    }

    #[test]
    fn a_linear_image_is_reproduced_on_any_inner_grid() {
        let source = oblique([12, 11, 10]);
        let plane = |w: [f64; 3]| 2.0 * w[0] - 3.0 * w[1] + 0.5 * w[2] + 7.0;
        let values = |grid: &Grid| {
            let [nx, ny, nz] = grid.shape;
            let mut out = Vec::new();
            for z in 0..nz {
                for y in 0..ny {
                    for x in 0..nx {
                        let at = [x as f64, y as f64, z as f64];
                        out.push(plane(grid.affine.apply(at)) as f32);
                    }
                }
            }
            out
        };
        let image = Volume::new(source.shape, source.affine, values(&source)).unwrap();
        let mut inner = grid_with_spacing(&source, Spacing([0.7, 0.8, 1.9])).unwrap();
        // Start two old voxels inside, and stop well before the far edge.
        let start = source.affine.apply([2.0, 2.0, 2.0]);
        for (row, value) in inner.affine.0.iter_mut().zip(start) {
            row[3] = value;
        }
        inner.shape = [8, 7, 6];
        let out = resample_linear(&image, &inner).unwrap();
        for (found, expected) in out.data().iter().zip(values(&inner)) {
            assert!((found - expected).abs() < 1e-3, "{found} {expected}");
        }
        assert_eq!(corner_displacement_mm(&out.grid(), &inner), 0.0);
    }

    proptest! {
        #[test]
        fn the_same_grid_gives_the_same_bits(
            values in proptest::collection::vec(any::<f32>(), 24),
            labels in proptest::collection::vec(any::<u8>(), 24),
        ) {
            let grid = oblique([2, 3, 4]);
            let image = Volume::new(grid.shape, grid.affine, values).unwrap();
            let out = resample_linear(&image, &grid).unwrap();
            let bits = |v: &Volume<f32>| v.data().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&out), bits(&image));
            let labels = Volume::new(grid.shape, grid.affine, labels).unwrap();
            prop_assert_eq!(&resample_labels(&labels, &grid).unwrap(), &labels);

            // The same voxels in another order meet the old centres again.
            let orientation = Orientation::of(&Affine([
                [0.0, 0.0, -1.0, 0.0],
                [1.0, 0.0, 0.0, 0.0],
                [0.0, -1.0, 0.0, 0.0],
            ]));
            let turned = orientation.to_canonical(&image).unwrap();
            let out = resample_linear(&image, &turned.grid()).unwrap();
            prop_assert_eq!(bits(&out), bits(&turned));
            let turned = orientation.to_canonical(&labels).unwrap();
            prop_assert_eq!(&resample_labels(&labels, &turned.grid()).unwrap(), &turned);
        }
    }
}
