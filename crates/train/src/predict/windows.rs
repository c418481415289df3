//! Windows over a subject: which sizes, and where they lie.
//!
//! They tile the mask's bounding box (the whole volume without a mask). A window's
//! border is filled from the neighbouring voxels and, at the volume's edge, by
//! reflection.

use lacuna_data::sampler::Plane;
use lacuna_data::subject::Case;
use lacuna_data::window::extract_window;
use lacuna_nets::Architecture;
use lacuna_volume::Zyx;

use super::model::Window;
use crate::run::RunError;

/// Largest default effective window: a 2-D slice up to this edge is one window.
const LARGEST_2D: usize = 512;
/// The same for 3-D networks, where activations fill memory sooner.
const LARGEST_3D: usize = 64;

/// Most voxels of an input window, so that its activations can be held.
const MOST_WINDOW_VOXELS: usize = 1 << 26;

/// How windows are laid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowOptions {
    /// Edge of the input window in voxels; `None` chooses a legal size that fits the volume.
    pub window: Option<usize>,
    /// Overlap of neighbouring effective windows as a share of their edge, in [0, 0.9].
    pub overlap: f64,
}

impl Default for WindowOptions {
    fn default() -> Self {
        Self {
            window: None,
            overlap: 0.25,
        }
    }
}

impl WindowOptions {
    /// Refuses a window that the network cannot take.
    ///
    /// # Errors
    /// [`RunError::Window`]
    pub fn check(&self, architecture: &Architecture) -> Result<(), RunError> {
        let Some(found) = self.window else {
            return Ok(());
        };
        let refused = |message| RunError::Window { found, message };
        let rank = architecture.rank() as u32;
        if (found.checked_pow(rank)).is_none_or(|voxels| voxels > MOST_WINDOW_VOXELS) {
            let most = (MOST_WINDOW_VOXELS as f64)
                .powf(1.0 / f64::from(rank))
                .floor();
            return Err(refused(format!(
                "a window of {found} voxels along {rank} axes cannot be held in memory; choose \
                 at most {most}"
            )));
        }
        match architecture.effective_size(found) {
            Ok(_) => Ok(()),
            Err(e) => Err(refused(e.to_string())),
        }
    }
}

/// The windows of one subject. Axes are (u, v, s): s is the axis along which
/// slabs are finished (the slice axis of a 2-D network), u varies fastest.
pub(super) struct Layout {
    /// Volume axis of u, v and s.
    axes: [usize; 3],
    /// Region to predict, in (u, v, s), half open.
    pub(super) low: [usize; 3],
    pub(super) high: [usize; 3],
    /// Effective window in (u, v, s).
    pub(super) effective: [usize; 3],
    /// Input window in (x, y, z).
    input: [usize; 3],
    pub(super) overlap: f64,
}

impl Layout {
    pub(super) fn new(
        architecture: &Architecture,
        plane: Plane,
        case: &Case,
        options: WindowOptions,
    ) -> Result<Self, RunError> {
        let rank = architecture.rank();
        let axes = if rank == 3 {
            [0, 1, 2]
        } else {
            match plane.slice_axis() {
                0 => [1, 2, 0],
                1 => [0, 2, 1],
                _ => [0, 1, 2],
            }
        };
        let (low, high) = mask_box(case);
        let low = axes.map(|a| low[a]);
        let high = axes.map(|a| high[a]);
        let extent = (0..rank).map(|a| high[a] - low[a]).max().unwrap_or(1);
        let input = match options.window {
            Some(size) => size,
            None => default_window(architecture, extent),
        };
        options.check(architecture)?;
        let edge = architecture.effective_size(input)?;
        let mut effective = [edge; 3];
        let mut input = [input; 3];
        if rank == 2 {
            effective[2] = 1;
            input[axes[2]] = 1;
        }
        Ok(Self {
            axes,
            low,
            high,
            effective,
            input,
            overlap: options.overlap,
        })
    }

    /// Starts of the windows along u, v and s; the last one ends with the region.
    pub(super) fn starts(&self) -> [Vec<usize>; 3] {
        [0, 1, 2].map(|a| {
            let (low, high, edge) = (self.low[a], self.high[a], self.effective[a]);
            if high <= low {
                return Vec::new();
            }
            if high - low <= edge {
                return vec![low];
            }
            let span = high - low - edge;
            let stride = ((edge as f64 * (1.0 - self.overlap)) as usize).max(1);
            let count = span.div_ceil(stride) + 1;
            // Spread evenly, so that no two windows overlap more than they need.
            (0..count).map(|i| low + i * span / (count - 1)).collect()
        })
    }

    pub(super) fn to_xyz(&self, uvs: [usize; 3]) -> [usize; 3] {
        let mut xyz = [0; 3];
        for (axis, value) in self.axes.iter().zip(uvs) {
            xyz[*axis] = value;
        }
        xyz
    }

    fn effective_xyz(&self) -> [usize; 3] {
        self.to_xyz(self.effective)
    }

    pub(super) fn touches_mask(&self, case: &Case, origin: [usize; 3]) -> bool {
        let Some(mask) = &case.mask else { return true };
        let edge = self.effective_xyz();
        let shape = mask.shape();
        let range = |a: usize| origin[a]..(origin[a] + edge[a]).min(shape[a]);
        range(2).any(|z| {
            range(1).any(|y| {
                let row = mask.index([origin[0], y, z]);
                mask.data()[row..row + range(0).len()].iter().any(|&m| m)
            })
        })
    }

    /// The input of the effective window at `origin`. A network's x, y and z are u, v
    /// and s: both keep the order of memory.
    pub(super) fn input(&self, case: &Case, origin: [usize; 3]) -> Window {
        let effective = self.effective_xyz();
        let corner: [isize; 3] = std::array::from_fn(|a| {
            origin[a] as isize - ((self.input[a] - effective[a]) / 2) as isize
        });
        Window {
            values: extract_window(&case.channels, corner, self.input),
            channels: case.channels.len(),
            size: Zyx::from_xyz(self.axes.map(|a| self.input[a])),
        }
    }
}

/// The half-open box of the mask, or of the whole volume without one.
fn mask_box(case: &Case) -> ([usize; 3], [usize; 3]) {
    let shape = case.channels[0].shape();
    let Some(mask) = &case.mask else {
        return ([0; 3], shape);
    };
    let (mut low, mut high) = (shape, [0; 3]);
    for (i, _) in mask.data().iter().enumerate().filter(|(_, m)| **m) {
        let at = [
            i % shape[0],
            i / shape[0] % shape[1],
            i / shape[0] / shape[1],
        ];
        for a in 0..3 {
            low[a] = low[a].min(at[a]);
            high[a] = high[a].max(at[a] + 1);
        }
    }
    (low, high)
}

/// The legal input size whose effective window just covers `extent`, up to a limit.
fn default_window(architecture: &Architecture, extent: usize) -> usize {
    let limit = match architecture.rank() {
        2 => LARGEST_2D,
        _ => LARGEST_3D,
    };
    let wanted = extent.min(limit) + architecture.border();
    (wanted..=wanted + architecture.alignment())
        .find(|&size| architecture.is_legal(size))
        .unwrap_or_else(|| architecture.smallest_legal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_cover_the_region_and_end_with_it() {
        let layout = Layout {
            axes: [0, 1, 2],
            low: [3, 0, 0],
            high: [103, 10, 24],
            effective: [24, 24, 24],
            input: [64; 3],
            overlap: 0.25,
        };
        let [u, v, s] = layout.starts();
        // Span 76, stride 18: 6 windows spread evenly.
        assert_eq!(u, [3, 18, 33, 48, 63, 79]);
        assert_eq!(v, [0]);
        assert_eq!(s, [0]);
    }
}
