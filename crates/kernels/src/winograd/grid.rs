//! Which voxels the tiles of a convolution read and write.

use super::lines::{INPUTS, OUTPUTS};
use crate::geometry::Convolution;

/// No voxel: outside the volume, or beyond the last output.
pub(crate) const NONE: usize = usize::MAX;

/// The places of a tile along one axis, [`NONE`] where there is no voxel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    pub inputs: [usize; INPUTS],
    pub outputs: [usize; OUTPUTS],
}

/// All tiles: an image and a line along z, y and x make one.
pub(crate) struct Grid {
    batch: usize,
    lines: [Vec<Line>; 3],
}

impl Grid {
    /// The tiles of `c`; an axis of one tap has lines of a single voxel.
    pub fn new(c: &Convolution) -> Self {
        let output = c.output();
        let lines = std::array::from_fn(|a| {
            let single = c.kernel[a] == 1;
            let step = c.dilation[a];
            // A dilated kernel sees every `step`-th voxel: as many interleaved
            // volumes as the dilation, each with its own tiles.
            let starts: Vec<usize> = match single {
                true => (0..output[a]).collect(),
                false => (0..step.min(output[a]))
                    .flat_map(|rest| (rest..output[a]).step_by(OUTPUTS * step))
                    .collect(),
            };
            let line = |start: usize| Line {
                inputs: std::array::from_fn(|i| {
                    let place = (start + i * step).wrapping_sub(c.padding[a]);
                    let there = place < c.input[a] && (!single || i == 0);
                    if there { place } else { NONE }
                }),
                outputs: std::array::from_fn(|i| {
                    let place = start + i * step;
                    let there = place < output[a] && (!single || i == 0);
                    if there { place } else { NONE }
                }),
            };
            starts.into_iter().map(line).collect()
        });
        Self {
            batch: c.batch,
            lines,
        }
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.batch * self.lines.iter().map(Vec::len).product::<usize>()
    }

    /// Image and lines of a tile; neighbours along x follow each other.
    pub fn tile(&self, index: usize) -> (usize, [Line; 3]) {
        let [z, y, x] = &self.lines;
        let (row, at_x) = (index / x.len(), index % x.len());
        let (plane, at_y) = (row / y.len(), row % y.len());
        (plane / z.len(), [z[plane % z.len()], y[at_y], x[at_x]])
    }
}
