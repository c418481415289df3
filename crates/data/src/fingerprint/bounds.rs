//! Boxes around voxels, and volumes cut to them.

use lacuna_volume::{Volume, VolumeError};

/// A box of voxels along x, y, z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// The first voxel.
    pub low: [usize; 3],
    /// One beyond the last.
    pub end: [usize; 3],
}

impl Bounds {
    /// The box around the voxels that `keep` says, by their place in memory (x fastest);
    /// `None` without any.
    pub fn around(shape: [usize; 3], keep: impl Fn(usize) -> bool) -> Option<Self> {
        let mut bounds: Option<Self> = None;
        each_voxel(shape, |index, voxel| {
            if keep(index) {
                let bounds = bounds.get_or_insert(Self {
                    low: voxel,
                    end: voxel,
                });
                bounds.hold(voxel);
            }
        });
        bounds
    }

    /// Widens the box to hold a voxel.
    pub fn hold(&mut self, voxel: [usize; 3]) {
        for (axis, at) in voxel.into_iter().enumerate() {
            self.low[axis] = self.low[axis].min(at);
            self.end[axis] = self.end[axis].max(at + 1);
        }
    }

    /// The box with one voxel more on each side, as far as the grid goes.
    pub fn widened(self, shape: [usize; 3]) -> Self {
        Self {
            low: self.low.map(|at| at.saturating_sub(1)),
            end: std::array::from_fn(|axis| (self.end[axis] + 1).min(shape[axis])),
        }
    }

    /// Where a voxel of the grid lies in the box; `None` beyond it.
    pub fn place(&self, voxel: [usize; 3]) -> Option<[usize; 3]> {
        let held = (0..3).all(|a| (self.low[a]..self.end[a]).contains(&voxel[a]));
        held.then(|| std::array::from_fn(|a| voxel[a] - self.low[a]))
    }

    /// Voxels along x, y, z.
    pub fn shape(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.end[axis] - self.low[axis])
    }

    pub fn voxels(&self) -> usize {
        self.shape().iter().product()
    }

    /// The voxels of the box, with the affine's axes and the box's own origin.
    pub fn cut<T, U>(
        &self,
        volume: &Volume<T>,
        value: impl Fn(&T) -> U,
    ) -> Result<Volume<U>, VolumeError> {
        let mut data = Vec::with_capacity(self.voxels());
        for z in self.low[2]..self.end[2] {
            for y in self.low[1]..self.end[1] {
                let start = volume.index([self.low[0], y, z]);
                let row = &volume.data()[start..start + self.shape()[0]];
                data.extend(row.iter().map(&value));
            }
        }
        // Lengths and components do not know of the origin.
        Volume::new(self.shape(), *volume.affine(), data)
    }
}

/// Calls `visit` with each voxel's place in memory and along the axes, in memory order.
pub(super) fn each_voxel(shape: [usize; 3], mut visit: impl FnMut(usize, [usize; 3])) {
    let [nx, ny, nz] = shape;
    let mut index = 0;
    for z in 0..nz {
        for y in 0..ny {
            for x in 0..nx {
                visit(index, [x, y, z]);
                index += 1;
            }
        }
    }
}
