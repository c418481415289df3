//! Resampling of a patch: where each voxel of the result reads, and what it reads
//! there.

use super::motion::Motion;
use crate::transform::Frame;

/// A position this close to a voxel centre (in voxels) is taken to be on it, so that
/// a quarter turn copies voxels.
const ON_CENTRE: f64 = 1e-6;

/// From a patch with its margin to the same patch without one.
pub(super) struct Pull {
    /// Voxels of what is read.
    source: [usize; 3],
    /// Voxels of the result, around the same centre.
    target: [usize; 3],
    /// Where each voxel of the result reads, x fastest.
    cells: Vec<Cell>,
}

/// The eight voxels around a position.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// Place in memory of the lowest.
    pub(super) base: u32,
    /// Weight of the next voxel along x, y, z, 0 to 1.
    pub(super) part: [f32; 3],
}

impl Pull {
    pub(super) fn new(
        motion: &Motion,
        frame: &Frame,
        source: [usize; 3],
        target: [usize; 3],
    ) -> Self {
        let middle = |size: [usize; 3]| size.map(|n| (n as f64 - 1.0) / 2.0);
        let (to, from) = (middle(source), middle(target));
        let border = [0, 1, 2].map(|a| middle(frame.input)[a] - from[a]);
        let deformed = motion.elastic.as_ref().map(|elastic| {
            let around = [0, 1, 2].map(|a| elastic.around(a, border[a], target[a]));
            (elastic, around)
        });
        let [nx, ny, nz] = target;
        let m = motion.matrix;
        let mut cells = Vec::with_capacity(nx * ny * nz);
        let mut controls = Vec::new();
        for z in 0..nz {
            for y in 0..ny {
                let [dy, dz] = [y as f64 - from[1], z as f64 - from[2]];
                let row = [0, 1, 2].map(|a| to[a] + m[a][1] * dy + m[a][2] * dz);
                if let Some((elastic, [_, around_y, around_z])) = &deformed {
                    elastic.row_at(&around_y[y], &around_z[z], &mut controls);
                }
                for x in 0..nx {
                    let dx = x as f64 - from[0];
                    let mut position = [0, 1, 2].map(|a| row[a] + m[a][0] * dx);
                    if let Some((_, [around_x, ..])) = &deformed {
                        let u = around_x[x].displacement(&controls);
                        for (position, m) in position.iter_mut().zip(m) {
                            *position += m[0] * u[0] + m[1] * u[1] + m[2] * u[2];
                        }
                    }
                    cells.push(Cell::around(position, source));
                }
            }
        }
        Self {
            source,
            target,
            cells,
        }
    }

    /// Voxels of the result along x, y, z.
    pub(super) fn target(&self) -> [usize; 3] {
        self.target
    }

    /// Where each voxel of the result reads.
    pub(super) fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Distance in memory to the next voxel along each axis; 0 where there is none.
    pub(super) fn strides(&self) -> [usize; 3] {
        let [nx, ny, _] = self.source;
        let stride = [1, nx, nx * ny];
        [0, 1, 2].map(|a| if self.source[a] > 1 { stride[a] } else { 0 })
    }

    /// A channel on the grid of the result, interpolated linearly.
    pub(super) fn linear(&self, channel: &[f32]) -> Vec<f32> {
        let [sx, sy, sz] = self.strides();
        let mix = |a: f32, b: f32, part: f32| a * (1.0 - part) + b * part;
        let value = |cell: &Cell| {
            let [px, py, pz] = cell.part;
            // One check of the bounds for eight voxels.
            let around = &channel[cell.base as usize..][..sx + sy + sz + 1];
            let along_x = |i: usize| mix(around[i], around[i + sx], px);
            let along_y = |i: usize| mix(along_x(i), along_x(i + sy), py);
            mix(along_y(0), along_y(sz), pz)
        };
        self.cells.iter().map(value).collect()
    }

    /// A mask on the grid of the result, of which the nearest voxel counts.
    pub(super) fn nearest(&self, mask: &[bool]) -> Vec<bool> {
        let strides = self.strides();
        let value = |cell: &Cell| {
            let step = |a: usize| if cell.part[a] > 0.5 { strides[a] } else { 0 };
            mask[cell.base as usize + step(0) + step(1) + step(2)]
        };
        self.cells.iter().map(value).collect()
    }
}

impl Cell {
    fn around(position: [f64; 3], shape: [usize; 3]) -> Self {
        let (mut base, mut part, mut stride) = (0, [0.0; 3], 1);
        for axis in 0..3 {
            let n = shape[axis] as i32;
            let p = position[axis].clamp(0.0, f64::from(n - 1));
            let nearest = f64::from((p + 0.5) as i32);
            let p = if (p - nearest).abs() <= ON_CENTRE {
                nearest
            } else {
                p
            };
            let below = (p as i32).min((n - 2).max(0));
            base += below as u32 * stride;
            part[axis] = (p - f64::from(below)) as f32;
            stride *= n as u32;
        }
        Self { base, part }
    }
}
