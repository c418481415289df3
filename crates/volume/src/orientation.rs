//! Turning volumes to the closest canonical orientation and back.
//!
//! Canonical is RAS+: voxel axis x runs to the patient's right, y to the
//! front, z to the head. "Closest" because an oblique scan is only permuted
//! and mirrored, never interpolated: voxel values are copied exactly.

use crate::{Affine, Grid, Volume, VolumeError};

/// How the voxel axes of a volume lie in the patient, obliquity aside.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Orientation {
    /// World axis (0 right, 1 anterior, 2 superior) nearest to each voxel axis.
    world: [usize; 3],
    /// Whether each voxel axis runs against that world axis.
    flipped: [bool; 3],
    source: Affine,
}

const PERMUTATIONS: [[usize; 3]; 6] = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
];

impl Orientation {
    /// The signed axis permutation closest to `affine`: of the six ways to
    /// give each voxel axis its own world axis, the one with the largest sum
    /// of absolute direction cosines. For perpendicular axes that is the
    /// permutation reached by the smallest rotation.
    pub fn of(affine: &Affine) -> Self {
        let spacing = affine.spacing().0;
        let cosine = |voxel: usize, world: usize| affine.0[world][voxel] / spacing[voxel];
        let mut world = PERMUTATIONS[0];
        let mut best = f64::NEG_INFINITY;
        for candidate in PERMUTATIONS {
            let sum: f64 = (0..3).map(|v| cosine(v, candidate[v]).abs()).sum();
            if sum > best {
                (world, best) = (candidate, sum);
            }
        }
        Self {
            world,
            flipped: [0, 1, 2].map(|v| cosine(v, world[v]) < 0.0),
            source: *affine,
        }
    }

    /// The voxel axes as they are, whatever the affine says: [`Self::to_canonical`] then
    /// changes nothing.
    pub fn as_stored(affine: &Affine) -> Self {
        Self {
            world: PERMUTATIONS[0],
            flipped: [false; 3],
            source: *affine,
        }
    }

    /// The same with the axes that [`Self::to_canonical`] gives in another `order`, a
    /// permutation of 0, 1 and 2: the new axis `a` is the one that was `order[a]`.
    ///
    /// # Panics
    /// When `order` is no permutation.
    pub fn reordered(self, order: [usize; 3]) -> Self {
        let place = |axis| order.iter().position(|old| *old == axis);
        Self {
            world: (self.world).map(|axis| place(axis).expect("a permutation has every axis")),
            ..self
        }
    }

    /// The direction each voxel axis runs towards, one letter per axis: Right
    /// or Left, Anterior or Posterior, Superior or Inferior. `"LPS"` means that
    /// x runs to the left, y to the back and z to the head.
    pub fn codes(&self) -> String {
        (0..3)
            .map(|v| match (self.world[v], self.flipped[v]) {
                (0, false) => 'R',
                (0, true) => 'L',
                (1, false) => 'A',
                (1, true) => 'P',
                (_, false) => 'S',
                (_, true) => 'I',
            })
            .collect()
    }

    /// True when [`Self::to_canonical`] changes nothing.
    pub fn is_canonical(&self) -> bool {
        self.world == PERMUTATIONS[0] && self.flipped == [false; 3]
    }

    /// The same voxels with the axes permuted and mirrored to run R, A, S.
    /// Every voxel keeps its place in the patient.
    ///
    /// # Errors
    /// When the affine is so extreme that the turned one cannot be inverted.
    pub fn to_canonical<T: Clone>(&self, volume: &Volume<T>) -> Result<Volume<T>, VolumeError> {
        let grid = self.canonical_grid(&volume.grid());
        Volume::new(grid.shape, grid.affine, self.canonical_turn().data(volume))
    }

    /// The grid that [`Self::to_canonical`] gives a volume on `grid`, without
    /// touching a voxel.
    pub fn canonical_grid(&self, grid: &Grid) -> Grid {
        let turn = self.canonical_turn();
        Grid {
            shape: turn.shape(grid.shape),
            affine: turn.affine(&grid.affine, grid.shape),
        }
    }

    /// Undoes [`Self::to_canonical`]: the axes of a canonical volume, turned
    /// back to this orientation. A volume on the grid that `to_canonical` gave
    /// gets the original affine back, bit for bit; one on another grid
    /// (resampled, say) gets the affine that keeps its voxels in place.
    ///
    /// # Errors
    /// As [`Self::to_canonical`].
    pub fn from_canonical<T: Clone>(&self, volume: &Volume<T>) -> Result<Volume<T>, VolumeError> {
        let turn = Turn {
            from: self.world,
            flipped: self.flipped,
        };
        let shape = turn.shape(volume.shape());
        // Mirroring an origin twice can lose its last bit.
        let affine = if self.canonical_turn().affine(&self.source, shape) == *volume.affine() {
            self.source
        } else {
            turn.affine(volume.affine(), volume.shape())
        };
        Volume::new(shape, affine, turn.data(volume))
    }

    fn canonical_turn(&self) -> Turn {
        let mut from = [0; 3];
        for voxel in 0..3 {
            from[self.world[voxel]] = voxel;
        }
        Turn {
            from,
            flipped: from.map(|voxel| self.flipped[voxel]),
        }
    }
}

/// New axis `a` is old axis `from[a]`, run backwards where `flipped[a]`.
struct Turn {
    from: [usize; 3],
    flipped: [bool; 3],
}

impl Turn {
    fn shape(&self, old: [usize; 3]) -> [usize; 3] {
        self.from.map(|axis| old[axis])
    }

    fn affine(&self, old: &Affine, old_shape: [usize; 3]) -> Affine {
        let mut first = [0.0; 3];
        for (&axis, &flipped) in self.from.iter().zip(&self.flipped) {
            if flipped {
                first[axis] = old_shape[axis].saturating_sub(1) as f64;
            }
        }
        let origin = old.apply(first);
        let mut new = [[0.0; 4]; 3];
        for (row, (new_row, old_row)) in new.iter_mut().zip(&old.0).enumerate() {
            for axis in 0..3 {
                let step = old_row[self.from[axis]];
                new_row[axis] = if self.flipped[axis] { -step } else { step };
            }
            new_row[3] = origin[row];
        }
        Affine(new)
    }

    fn data<T: Clone>(&self, volume: &Volume<T>) -> Vec<T> {
        let old = volume.shape();
        let data = volume.data();
        if self.from == PERMUTATIONS[0] && self.flipped == [false; 3] {
            return data.to_vec();
        }
        let stride = [1, old[0], old[0] * old[1]];
        // Offset in the old data of position `p` along new axis `a`.
        let offset = |a: usize, p: usize| {
            let axis = self.from[a];
            stride[axis]
                * if self.flipped[a] {
                    old[axis] - 1 - p
                } else {
                    p
                }
        };
        let [nx, ny, nz] = self.shape(old);
        let mut new = Vec::with_capacity(data.len());
        for z in 0..nz {
            for y in 0..ny {
                let row = offset(2, z) + offset(1, y);
                new.extend((0..nx).map(|x| data[row + offset(0, x)].clone()));
            }
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Each voxel holds its own position in memory.
    fn numbered(shape: [usize; 3], affine: Affine) -> Volume<u32> {
        let n: usize = shape.iter().product();
        Volume::new(shape, affine, (0..n as u32).collect()).unwrap()
    }

    #[test]
    fn lps_is_mirrored_in_x_and_y() {
        let affine = Affine([
            [-1.0, 0.0, 0.0, 10.0],
            [0.0, -2.0, 0.0, 20.0],
            [0.0, 0.0, 3.0, 30.0],
        ]);
        let orientation = Orientation::of(&affine);
        assert_eq!(orientation.codes(), "LPS");
        let canonical = orientation
            .to_canonical(&numbered([3, 2, 1], affine))
            .unwrap();
        // 0 1 2 / 3 4 5 read backwards along both axes.
        assert_eq!(canonical.data(), [5, 4, 3, 2, 1, 0]);
        assert_eq!(
            canonical.affine().0,
            [
                [1.0, 0.0, 0.0, 8.0],
                [0.0, 2.0, 0.0, 18.0],
                [0.0, 0.0, 3.0, 30.0]
            ]
        );
    }

    #[test]
    fn axes_are_permuted() {
        // x runs to the head, y to the right, z to the front.
        let affine = Affine([
            [0.0, 2.0, 0.0, 0.0],
            [0.0, 0.0, 3.0, 0.0],
            [4.0, 0.0, 0.0, 0.0],
        ]);
        let orientation = Orientation::of(&affine);
        assert_eq!(orientation.codes(), "SRA");
        let source = numbered([2, 3, 4], affine);
        let canonical = orientation.to_canonical(&source).unwrap();
        assert_eq!(canonical.shape(), [3, 4, 2]);
        assert_eq!(canonical.spacing().0, [2.0, 3.0, 4.0]);
        assert_eq!(
            canonical.data()[canonical.index([2, 3, 1])],
            source.data()[source.index([1, 2, 3])]
        );
    }

    #[test]
    fn stored_axes_stay_and_can_be_reordered() {
        let affine = Affine([
            [-1.0, 0.0, 0.0, 10.0],
            [0.0, -2.0, 0.0, 20.0],
            [0.0, 0.0, 3.0, 30.0],
        ]);
        let source = numbered([2, 3, 4], affine);
        let stored = Orientation::as_stored(&affine);
        assert_eq!(stored.to_canonical(&source).unwrap(), source);
        let reordered = stored.reordered([2, 0, 1]);
        let turned = reordered.to_canonical(&source).unwrap();
        assert_eq!(turned.shape(), [4, 2, 3]);
        assert_eq!(turned.spacing().0, [3.0, 1.0, 2.0]);
        assert_eq!(
            turned.data()[turned.index([3, 1, 2])],
            source.data()[source.index([1, 2, 3])]
        );
        assert_eq!(reordered.from_canonical(&turned).unwrap(), source);
    }

    #[test]
    fn an_oblique_scan_takes_each_world_axis_once() {
        // The first two voxel axes both lie nearest to the world x axis, so
        // choosing column by column would use it twice.
        let affine = Affine([
            [0.80, 0.75, 0.0, 0.0],
            [0.60, -0.66, 0.0, 0.0],
            [0.00, 0.00, 1.0, 0.0],
        ]);
        // 0.80 + 0.66 against 0.75 + 0.60.
        assert_eq!(Orientation::of(&affine).codes(), "RPS");
    }

    #[test]
    fn a_resampled_volume_keeps_its_place() {
        let source = Affine([
            [-1.0, 0.0, 0.0, 90.0],
            [0.0, 1.0, 0.0, -126.0],
            [0.0, 0.0, 1.0, -72.0],
        ]);
        let coarse = numbered(
            [2, 2, 2],
            Affine([
                [2.0, 0.0, 0.0, 80.5],
                [0.0, 2.0, 0.0, -125.5],
                [0.0, 0.0, 2.0, -71.5],
            ]),
        );
        let back = Orientation::of(&source).from_canonical(&coarse).unwrap();
        assert_eq!(Orientation::of(back.affine()).codes(), "LAS");
        assert_eq!(
            back.affine().apply([1.0, 0.0, 0.0]),
            coarse.affine().apply([0.0; 3])
        );
        assert_eq!(back.data()[back.index([1, 0, 0])], coarse.data()[0]);
    }

    proptest! {
        #[test]
        fn there_and_back_is_exact(
            columns in proptest::collection::vec(-3.0f64..3.0, 9),
            origin in proptest::collection::vec(-200.0f64..200.0, 3),
            shape in proptest::array::uniform3(1usize..5),
        ) {
            let affine = Affine(std::array::from_fn(|r| {
                [columns[3 * r], columns[3 * r + 1], columns[3 * r + 2], origin[r]]
            }));
            prop_assume!(affine.determinant().abs() > 1e-3);
            let source = numbered(shape, affine);
            let orientation = Orientation::of(&affine);
            let canonical = orientation.to_canonical(&source).unwrap();
            prop_assert!(Orientation::of(canonical.affine()).is_canonical());
            prop_assert_eq!(orientation.canonical_grid(&source.grid()), canonical.grid());
            prop_assert_eq!(&orientation.from_canonical(&canonical).unwrap(), &source);
            // Every voxel keeps its value and its place.
            let to_world = canonical.affine();
            let to_source = affine.inverse().unwrap();
            let [nx, ny, nz] = canonical.shape();
            for (x, y, z) in [(0, 0, 0), (nx - 1, 0, nz - 1), (nx / 2, ny - 1, nz / 2)] {
                let at = to_source.apply(to_world.apply([x as f64, y as f64, z as f64]));
                let voxel = at.map(|v| v.round() as usize);
                prop_assert_eq!(
                    canonical.data()[canonical.index([x, y, z])],
                    source.data()[source.index(voxel)]
                );
            }
        }
    }
}
