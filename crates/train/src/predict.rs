//! Whole-volume prediction by overlapping windows.
//!
//! Windows tile the mask's bounding box (the whole volume without a mask). The
//! network's border is filled from the neighbouring voxels and, at the volume's
//! edge, by reflection. Probabilities of overlapping effective windows are
//! blended with a linear ramp. Memory holds one row of windows along the slab
//! axis, never a probability volume, unless the caller keeps them.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::TensorData;
use lacuna_data::sampler::Plane;
use lacuna_data::subject::Case;
use lacuna_data::window::extract_window;
use lacuna_nets::{Architecture, Network};
use lacuna_volume::{LabelMap, Volume};

use crate::compute::Compute;
use crate::outputs::Outputs;
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

/// The prediction of a subject on its canonical grid.
pub struct Prediction {
    /// Class index per voxel, background outside the mask.
    pub labels: LabelMap,
    /// Probability of each class or region, when asked for.
    pub probabilities: Option<Vec<Volume<f32>>>,
}

/// Predicts `case` with `network`, which must be in evaluation mode.
///
/// `on_window` hears (windows done, windows in all).
///
/// # Errors
/// [`RunError::Window`] for an illegal window, [`RunError::Stopped`] when `stop` is set.
#[allow(clippy::too_many_arguments, reason = "each is a different thing")]
pub fn predict_case(
    network: &Network,
    plane: Plane,
    case: &Case,
    outputs: &Outputs,
    options: WindowOptions,
    keep_probabilities: bool,
    compute: &Compute,
    stop: &AtomicBool,
    on_window: &mut dyn FnMut(usize, usize),
) -> Result<Prediction, RunError> {
    let architecture = network.architecture();
    let layout = Layout::new(&architecture, plane, case, options)?;
    let grid = &case.channels[0];
    let mut labels = grid.map(|_| 0u8);
    let mut probabilities = keep_probabilities.then(|| {
        let outside = outputs.outside();
        let volumes = outside.iter().map(|p| grid.map(|_| *p));
        volumes.collect::<Vec<_>>()
    });

    let starts: [Vec<usize>; 3] = layout.starts();
    let total = starts.iter().map(Vec::len).product();
    let mut done = 0;
    let mut slab = Slab::new(&layout, outputs);
    for (row, &s) in starts[2].iter().enumerate() {
        for &v in &starts[1] {
            for &u in &starts[0] {
                if stop.load(Ordering::Relaxed) {
                    return Err(RunError::Stopped);
                }
                let origin = layout.to_xyz([u, v, s]);
                if layout.touches_mask(case, origin) {
                    let image = layout.input(case, origin);
                    let logits = compute.logits(network, image);
                    slab.add(&layout, &host_f32(logits), [u, v]);
                }
                done += 1;
                on_window(done, total);
            }
        }
        let end = starts[2].get(row + 1).copied().unwrap_or(layout.high[2]);
        for (plane, offset) in slab.take(&layout, end - s) {
            layout.place(
                &plane,
                s + offset,
                case,
                outputs,
                &mut labels,
                probabilities.as_deref_mut(),
            );
        }
    }
    Ok(Prediction {
        labels,
        probabilities,
    })
}

fn host_f32(logits: burn::tensor::Tensor<3>) -> Vec<f32> {
    logits
        .into_data()
        .try_into_vec()
        .expect("the device computes in f32")
}

/// The windows of one subject. Axes are (u, v, s): s is the axis along which
/// slabs are finished (the slice axis of a 2-D network), u varies fastest.
struct Layout {
    /// Volume axis of u, v and s.
    axes: [usize; 3],
    /// Region to predict, in (u, v, s), half open.
    low: [usize; 3],
    high: [usize; 3],
    /// Effective window in (u, v, s).
    effective: [usize; 3],
    /// Input window in (x, y, z).
    input: [usize; 3],
    rank: usize,
    overlap: f64,
}

impl Layout {
    fn new(
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
            rank,
            overlap: options.overlap,
        })
    }

    /// Starts of the windows along u, v and s; the last one ends with the region.
    fn starts(&self) -> [Vec<usize>; 3] {
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

    fn to_xyz(&self, uvs: [usize; 3]) -> [usize; 3] {
        let mut xyz = [0; 3];
        for (axis, value) in self.axes.iter().zip(uvs) {
            xyz[*axis] = value;
        }
        xyz
    }

    fn effective_xyz(&self) -> [usize; 3] {
        self.to_xyz(self.effective)
    }

    fn touches_mask(&self, case: &Case, origin: [usize; 3]) -> bool {
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

    /// The network's input for the effective window at `origin`, [1, C, (D,) H, W].
    fn input(&self, case: &Case, origin: [usize; 3]) -> TensorData {
        let effective = self.effective_xyz();
        let corner: [isize; 3] = std::array::from_fn(|a| {
            origin[a] as isize - ((self.input[a] - effective[a]) / 2) as isize
        });
        let values = extract_window(&case.channels, corner, self.input);
        let mut shape = vec![1, case.channels.len()];
        shape.extend((0..self.rank).rev().map(|a| self.input[self.axes[a]]));
        TensorData::new(values, shape)
    }

    /// Writes one finished plane into the outputs.
    fn place(
        &self,
        plane: &[Vec<f32>],
        s: usize,
        case: &Case,
        outputs: &Outputs,
        labels: &mut LabelMap,
        mut probabilities: Option<&mut [Volume<f32>]>,
    ) {
        let width = self.high[0] - self.low[0];
        for (i, v) in (self.low[1]..self.high[1]).enumerate() {
            for (j, u) in (self.low[0]..self.high[0]).enumerate() {
                let index = labels.index(self.to_xyz([u, v, s]));
                if case.mask.as_ref().is_some_and(|m| !m.data()[index]) {
                    continue;
                }
                let at = i * width + j;
                labels.data_mut()[index] = outputs.class(|channel| plane[channel][at]);
                if let Some(volumes) = probabilities.as_deref_mut() {
                    for (volume, values) in volumes.iter_mut().zip(plane) {
                        volume.data_mut()[index] = values[at];
                    }
                }
            }
        }
    }
}

/// Sums of weighted probabilities for the planes that windows still reach.
struct Slab<'a> {
    outputs: &'a Outputs,
    channels: usize,
    plane: usize,
    /// `[plane][channel][v][u]`
    sums: Vec<f32>,
    /// `[plane][v][u]`
    weights: Vec<f32>,
    ramps: [Vec<f32>; 3],
}

impl<'a> Slab<'a> {
    fn new(layout: &Layout, outputs: &'a Outputs) -> Self {
        let channels = outputs.count();
        let plane = (0..2).map(|a| layout.high[a] - layout.low[a]).product();
        let depth = layout.effective[2];
        Self {
            outputs,
            channels,
            plane,
            sums: vec![0.0; depth * channels * plane],
            weights: vec![0.0; depth * plane],
            ramps: layout.effective.map(|edge| ramp(edge, layout.overlap)),
        }
    }

    /// Adds the probabilities of `logits` `[channels][s][v][u]` of the window at (u, v).
    fn add(&mut self, layout: &Layout, logits: &[f32], [u0, v0]: [usize; 2]) {
        let [nu, nv, ns] = layout.effective;
        let width = layout.high[0] - layout.low[0];
        let stride = nu * nv * ns;
        let mut p = vec![0.0f32; self.channels];
        for s in 0..ns {
            for v in 0..nv.min(layout.high[1] - v0) {
                for u in 0..nu.min(layout.high[0] - u0) {
                    let from = u + nu * (v + nv * s);
                    for (channel, value) in p.iter_mut().enumerate() {
                        *value = logits[channel * stride + from];
                    }
                    self.outputs.activate(&mut p);
                    let weight = self.ramps[0][u] * self.ramps[1][v] * self.ramps[2][s];
                    let at = (v0 + v - layout.low[1]) * width + u0 + u - layout.low[0];
                    self.weights[s * self.plane + at] += weight;
                    for (channel, value) in p.iter().enumerate() {
                        let here = (s * self.channels + channel) * self.plane + at;
                        self.sums[here] += weight * value;
                    }
                }
            }
        }
    }

    /// Takes the first `count` planes as probabilities with their offsets, and moves up.
    fn take(&mut self, layout: &Layout, count: usize) -> Vec<(Vec<Vec<f32>>, usize)> {
        // What a voxel has where no window touched the mask.
        let outside = self.outputs.outside();
        let planes = (0..count.min(layout.effective[2])).map(|s| {
            let weights = &self.weights[s * self.plane..][..self.plane];
            let channels = outside.iter().enumerate().map(|(channel, outside)| {
                let sums = &self.sums[(s * self.channels + channel) * self.plane..][..self.plane];
                let share = |(sum, w): (&f32, &f32)| if *w > 0.0 { sum / w } else { *outside };
                sums.iter().zip(weights).map(share).collect()
            });
            (channels.collect(), s)
        });
        let planes = planes.collect();
        let taken = count.min(layout.effective[2]);
        shift(&mut self.weights, taken * self.plane);
        shift(&mut self.sums, taken * self.channels * self.plane);
        planes
    }
}

/// Moves the elements from `by` on to the front and zeroes the rest.
fn shift(values: &mut [f32], by: usize) {
    values.copy_within(by.., 0);
    let kept = values.len() - by;
    values[kept..].fill(0.0);
}

/// Weight along one axis: rises linearly over the overlap at both ends, never 0.
fn ramp(edge: usize, overlap: f64) -> Vec<f32> {
    let rise = ((edge as f64 * overlap) as usize).clamp(1, edge.div_ceil(2));
    (0..edge)
        .map(|i| (i + 1).min(edge - i).min(rise) as f32 / rise as f32)
        .collect()
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
    fn neighbouring_ramps_add_up_to_a_constant() {
        // Edge 8, overlap 0.25: a rise of 2, so the two shared voxels weigh 1/2 + 1 and 1 + 1/2.
        assert_eq!(ramp(8, 0.25), [0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5]);
        assert_eq!(ramp(1, 0.25), [1.0]);
        assert_eq!(ramp(3, 0.9), [0.5, 1.0, 0.5]);
    }

    #[test]
    fn shifting_keeps_the_tail() {
        let mut v = [1.0, 2.0, 3.0, 4.0];
        shift(&mut v, 3);
        assert_eq!(v, [4.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn windows_cover_the_region_and_end_with_it() {
        let layout = Layout {
            axes: [0, 1, 2],
            low: [3, 0, 0],
            high: [103, 10, 24],
            effective: [24, 24, 24],
            input: [64; 3],
            rank: 3,
            overlap: 0.25,
        };
        let [u, v, s] = layout.starts();
        // Span 76, stride 18: 6 windows spread evenly.
        assert_eq!(u, [3, 18, 33, 48, 63, 79]);
        assert_eq!(v, [0]);
        assert_eq!(s, [0]);
    }
}
