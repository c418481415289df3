//! Windows over a subject: which sizes, and where they lie.
//!
//! They tile the mask's bounding box (the whole volume without a mask). A window's
//! border is filled from the neighbouring voxels and, at the volume's edge, by
//! reflection, or zeros where [`Blend::Nnunet`] asks for them.

use std::ops::Range;

use lacuna_data::sampler::Plane;
use lacuna_data::subject::Case;
use lacuna_data::window::{extract_padded, extract_window};
use lacuna_nets::{Architecture, Axis};
use lacuna_volume::{PatchSize, Volume, Zyx, box_of};
use serde::{Deserialize, Serialize};

use super::model::Window;
use crate::run::RunError;

/// Largest default effective window: a 2-D slice up to this edge is one window.
const LARGEST_2D: usize = 512;
/// The same for 3-D networks, where activations fill memory sooner.
const LARGEST_3D: usize = 64;

/// Most voxels of an input window, so that its activations can be held.
const MOST_WINDOW_VOXELS: usize = 1 << 26;

/// Longest default effective window of a network of that rank, but for what legal lengths
/// add to it.
pub(crate) fn longest_output(rank: usize) -> usize {
    match rank {
        2 => LARGEST_2D,
        _ => LARGEST_3D,
    }
}

/// How windows are laid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowOptions {
    /// Size of the input window in voxels; `None` chooses a legal size that fits the volume.
    pub window: Option<PatchSize>,
    /// Overlap of neighbouring effective windows as a share of their edges, in [0, 0.9].
    pub overlap: f64,
    /// How voxels of a window are weighted against those of its neighbours.
    pub blend: Blend,
}

/// Weight of a window's voxels where windows overlap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Blend {
    /// Rises linearly over the overlap, and is 1 in between.
    #[default]
    Linear,
    /// A Gaussian around the window's centre with an eighth of its edge as standard
    /// deviation (nnU-Net, Isensee et al. 2021).
    Gaussian,
    /// What nnU-Net 2 does, voxel by voxel: the Gaussian is about the voxel behind the
    /// middle, windows lie at rounded places, zeros beyond the volume, which lies in the
    /// middle of a larger window, and sums are kept in 16 bits.
    Nnunet,
}

impl Default for WindowOptions {
    fn default() -> Self {
        Self {
            window: None,
            overlap: 0.25,
            blend: Blend::Linear,
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
        let rank = architecture.rank();
        let lengths = found.along(rank).unwrap_or(Zyx([1; 3])).0;
        let voxels = (lengths.iter()).try_fold(1_usize, |n, length| n.checked_mul(*length));
        if voxels.is_none_or(|voxels| voxels > MOST_WINDOW_VOXELS) {
            let most = (MOST_WINDOW_VOXELS as f64).powf(1.0 / rank as f64).floor();
            return Err(refused(format!(
                "a window of {found} voxels along {rank} axes cannot be held in memory; choose \
                 at most {most}"
            )));
        }
        match architecture.patch(found) {
            Ok(_) => Ok(()),
            Err(e) => Err(refused(e.to_string())),
        }
    }

    /// Voxels of the input window and of its effective part along the network's
    /// axes. What is chosen covers the largest of the `extents` along every axis, up
    /// to a limit.
    fn lengths(
        self,
        architecture: &Architecture,
        extents: [usize; 3],
    ) -> Result<[Zyx<usize>; 2], RunError> {
        self.check(architecture)?;
        if let Some(size) = self.window {
            return Ok(architecture.patch(size)?);
        }
        let rank = architecture.rank();
        let limit = longest_output(rank);
        let extent = extents[..rank].iter().copied().max().unwrap_or(1);
        let covering = |axis: &Axis| axis.next_legal(extent.min(limit) + axis.border());
        let mut input = Zyx(architecture.axes().0.each_ref().map(covering));
        if rank == 2 {
            input.0[0] = 1;
        }
        Ok([input, architecture.effective_size(input)?])
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
    /// Input window along the network's axes.
    input: Zyx<usize>,
    pub(super) overlap: f64,
    pub(super) blend: Blend,
}

impl Layout {
    pub(super) fn new(
        architecture: &Architecture,
        plane: Plane,
        shape: [usize; 3],
        inside: Option<&Volume<bool>>,
        options: WindowOptions,
    ) -> Result<Self, RunError> {
        let rank = architecture.rank();
        let axes = match rank {
            2 => plane.axes(),
            _ => [0, 1, 2],
        };
        let (low, high) = match inside {
            Some(inside) => box_of(inside).unwrap_or((shape, [0; 3])),
            None => ([0; 3], shape),
        };
        let low = axes.map(|a| low[a]);
        let high = axes.map(|a| high[a]);
        let extents = [0, 1, 2].map(|a| high[a].saturating_sub(low[a]));
        let [input, effective] = options.lengths(architecture, extents)?;
        Ok(Self {
            axes,
            low,
            high,
            effective: effective.to_xyz(),
            input,
            overlap: options.overlap,
            blend: options.blend,
        })
    }

    /// Starts of the windows along u, v and s; the last one ends with the region.
    /// The first may begin before it.
    pub(super) fn starts(&self) -> [Vec<isize>; 3] {
        [0, 1, 2].map(|a| {
            let (low, high, edge) = (self.low[a], self.high[a], self.effective[a]);
            if high <= low {
                return Vec::new();
            }
            let nnunet = self.blend == Blend::Nnunet;
            let first = low as isize;
            if high - low <= edge {
                let before = if nnunet { (edge - (high - low)) / 2 } else { 0 };
                return vec![first - before as isize];
            }
            let span = high - low - edge;
            let step = (edge as f64 * (1.0 - self.overlap)).max(1.0);
            let count = match nnunet {
                true => (span as f64 / step).ceil() as usize + 1,
                false => span.div_ceil(step as usize) + 1,
            };
            // Spread evenly, so that no two windows overlap more than they need.
            let place = |i: usize| match nnunet {
                true => (span as f64 / (count - 1) as f64 * i as f64).round_ties_even() as isize,
                false => (i * span / (count - 1)) as isize,
            };
            (0..count).map(|i| first + place(i)).collect()
        })
    }

    pub(super) fn to_xyz<T: Copy + Default>(&self, uvs: [T; 3]) -> [T; 3] {
        let mut xyz = [T::default(); 3];
        for (axis, value) in self.axes.iter().zip(uvs) {
            xyz[*axis] = value;
        }
        xyz
    }

    fn effective_xyz(&self) -> [usize; 3] {
        self.to_xyz(self.effective)
    }

    /// The voxels of a window that starts at `start` along u, v or s which lie in the region.
    pub(super) fn inside(&self, axis: usize, start: isize) -> Range<usize> {
        let from = (self.low[axis] as isize - start).max(0) as usize;
        let to = (self.high[axis] as isize - start).max(0) as usize;
        from..to.min(self.effective[axis])
    }

    /// Does the window at `origin` hold a voxel of the mask?
    pub(super) fn touches(&self, mask: &Volume<bool>, origin: [isize; 3]) -> bool {
        let edge = self.effective_xyz();
        let shape = mask.shape();
        let range = |a: usize| {
            let end = (origin[a] + edge[a] as isize).max(0) as usize;
            origin[a].max(0) as usize..end.min(shape[a])
        };
        range(2).any(|z| {
            range(1).any(|y| {
                let row = mask.index([range(0).start, y, z]);
                mask.data()[row..row + range(0).len()].iter().any(|&m| m)
            })
        })
    }

    /// The input of the effective window at `origin`. A network's x, y and z are u, v
    /// and s: both keep the order of memory.
    pub(super) fn input(&self, case: &Case, origin: [isize; 3]) -> Window {
        let effective = self.effective_xyz();
        let input = self.to_xyz(self.input.to_xyz());
        let corner: [isize; 3] =
            std::array::from_fn(|a| origin[a] - ((input[a] - effective[a]) / 2) as isize);
        Window {
            values: match self.blend {
                Blend::Nnunet => extract_padded(&case.channels, corner, input),
                _ => extract_window(&case.channels, corner, input),
            },
            channels: case.channels.len(),
            size: self.input,
        }
    }
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
            input: Zyx([64; 3]),
            overlap: 0.25,
            blend: Blend::Linear,
        };
        let [u, v, s] = layout.starts();
        // Span 76, stride 18: 6 windows spread evenly.
        assert_eq!(u, [3, 18, 33, 48, 63, 79]);
        assert_eq!(v, [0]);
        assert_eq!(s, [0]);
    }

    #[derive(Deserialize)]
    struct Starts {
        length: usize,
        window: usize,
        overlap: f64,
        expected: Vec<isize>,
    }

    /// tests/golden/nnunet.py
    #[test]
    fn windows_lie_where_those_of_nnunet_do() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/golden/nnunet/starts.json"
        );
        let text = std::fs::read_to_string(path).unwrap();
        for case in serde_json::from_str::<Vec<Starts>>(&text).unwrap() {
            let layout = Layout {
                axes: [0, 1, 2],
                low: [7, 0, 0],
                high: [7 + case.length, case.window - 5, 4],
                effective: [case.window, case.window, 1],
                input: Zyx([1, case.window, case.window]),
                overlap: case.overlap,
                blend: Blend::Nnunet,
            };
            let [u, v, s] = layout.starts();
            let expected: Vec<isize> = case.expected.iter().map(|start| start + 7).collect();
            assert_eq!(u, expected);
            // Of five voxels too many, two lie before the volume.
            assert_eq!(v, [-2]);
            assert_eq!(layout.inside(1, -2), 2..case.window - 3);
            assert_eq!(s, [0, 1, 2, 3]);
        }
    }
}
