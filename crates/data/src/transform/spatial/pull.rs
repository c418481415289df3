//! Resampling of a patch: where each voxel of the result reads, row by row, and what
//! it reads there.

use super::elastic::Around;
use super::motion::Motion;
use crate::transform::Frame;

/// A position this close to a voxel centre (in voxels) is taken to be on it, so that
/// a quarter turn copies voxels.
const ON_CENTRE: f64 = 1e-6;

/// From a patch with its margin to the same patch without one.
pub(super) struct Pull<'a> {
    motion: &'a Motion,
    /// Voxels of what is read.
    source: [usize; 3],
    /// Voxels of the result, around the same centre.
    target: [usize; 3],
    /// The control points around each voxel of the result, along each axis.
    around: Option<[Vec<Around>; 3]>,
}

/// Where the voxels of one row read.
#[derive(Default)]
pub(super) struct Row {
    /// Place in memory of the lowest of the eight voxels around each position.
    pub(super) base: Vec<usize>,
    /// Weight of the next voxel along x, y, z, 0 to 1.
    pub(super) part: Vec<[f32; 3]>,
    /// Control points along the row.
    controls: Vec<[f32; 3]>,
}

impl<'a> Pull<'a> {
    pub(super) fn new(
        motion: &'a Motion,
        frame: &Frame,
        source: [usize; 3],
        target: [usize; 3],
    ) -> Self {
        let around = motion.elastic.as_ref().map(|elastic| {
            [0, 1, 2].map(|a| {
                let border = (frame.input[a] as f64 - target[a] as f64) / 2.0;
                elastic.around(a, border, target[a])
            })
        });
        Self {
            motion,
            source,
            target,
            around,
        }
    }

    /// Voxels of the result along x, y, z.
    pub(super) fn target(&self) -> [usize; 3] {
        self.target
    }

    /// Distance in memory to the next voxel along each axis; 0 where there is none.
    pub(super) fn strides(&self) -> [usize; 3] {
        let [nx, ny, _] = self.source;
        let stride = [1, nx, nx * ny];
        [0, 1, 2].map(|a| if self.source[a] > 1 { stride[a] } else { 0 })
    }

    /// Calls `read` with each row along x and the place in memory of its first voxel.
    pub(super) fn rows(&self, mut read: impl FnMut(usize, &Row)) {
        let [nx, ny, nz] = self.target;
        let mut row = Row {
            base: vec![0; nx],
            part: vec![[0.0; 3]; nx],
            controls: Vec::new(),
        };
        for z in 0..nz {
            for y in 0..ny {
                self.place(y, z, &mut row);
                read(nx * (y + ny * z), &row);
            }
        }
    }

    fn place(&self, y: usize, z: usize, row: &mut Row) {
        let middle = |n: usize| (n as f64 - 1.0) / 2.0;
        let matrix = self.motion.matrix;
        let [dy, dz] = [
            y as f64 - middle(self.target[1]),
            z as f64 - middle(self.target[2]),
        ];
        let dx = -middle(self.target[0]);
        let first = [0, 1, 2].map(|a| {
            middle(self.source[a]) + matrix[a][0] * dx + matrix[a][1] * dy + matrix[a][2] * dz
        });
        let along = matrix.map(|row| row[0]);
        let elastic = self.motion.elastic.as_ref().zip(self.around.as_ref());
        if let Some((elastic, [_, around_y, around_z])) = elastic {
            elastic.row_at(&around_y[y], &around_z[z], &mut row.controls);
        }
        for x in 0..row.base.len() {
            let mut position = [0, 1, 2].map(|a| first[a] + along[a] * x as f64);
            if let Some((_, [around_x, ..])) = elastic {
                let u = around_x[x].displacement(&row.controls);
                for (position, m) in position.iter_mut().zip(matrix) {
                    *position += m[0] * u[0] + m[1] * u[1] + m[2] * u[2];
                }
            }
            (row.base[x], row.part[x]) = self.cell(position);
        }
    }

    fn cell(&self, position: [f64; 3]) -> (usize, [f32; 3]) {
        let (mut base, mut part, mut stride) = (0, [0.0; 3], 1);
        for axis in 0..3 {
            let n = self.source[axis];
            let p = position[axis].clamp(0.0, (n - 1) as f64);
            let nearest = (p + 0.5) as usize;
            let p = match (p - nearest as f64).abs() <= ON_CENTRE {
                true => nearest as f64,
                false => p,
            };
            let below = (p as usize).min(n.saturating_sub(2));
            base += below * stride;
            part[axis] = (p - below as f64) as f32;
            stride *= n;
        }
        (base, part)
    }

    /// Channels on the grid of the result, interpolated linearly; beside them a mask, of
    /// which the nearest voxel counts.
    pub(super) fn linear(
        &self,
        channels: &[&[f32]],
        mask: Option<&[bool]>,
    ) -> (Vec<Vec<f32>>, Option<Vec<bool>>) {
        let count = self.target.iter().product();
        let mut out: Vec<Vec<f32>> = channels.iter().map(|_| vec![0.0; count]).collect();
        let mut inside = mask.map(|_| vec![false; count]);
        if channels.is_empty() {
            return (out, inside);
        }
        self.rows(|at, row| {
            for (channel, out) in channels.iter().zip(&mut out) {
                self.read_linear(channel, row, &mut out[at..]);
            }
            if let Some((mask, inside)) = mask.zip(inside.as_mut()) {
                self.read_nearest(mask, row, &mut inside[at..]);
            }
        });
        (out, inside)
    }

    fn read_linear(&self, channel: &[f32], row: &Row, out: &mut [f32]) {
        let [sx, sy, sz] = self.strides();
        let mix = |a: f32, b: f32, part: f32| a * (1.0 - part) + b * part;
        for ((out, &base), &[px, py, pz]) in out.iter_mut().zip(&row.base).zip(&row.part) {
            // One check of the bounds for eight voxels.
            let cell = &channel[base..][..sx + sy + sz + 1];
            let along_x = |i: usize| mix(cell[i], cell[i + sx], px);
            let along_y = |i: usize| mix(along_x(i), along_x(i + sy), py);
            *out = mix(along_y(0), along_y(sz), pz);
        }
    }

    fn read_nearest(&self, mask: &[bool], row: &Row, out: &mut [bool]) {
        let strides = self.strides();
        for ((out, &base), part) in out.iter_mut().zip(&row.base).zip(&row.part) {
            let step = |a: usize| if part[a] > 0.5 { strides[a] } else { 0 };
            *out = mask[base + step(0) + step(1) + step(2)];
        }
    }
}
