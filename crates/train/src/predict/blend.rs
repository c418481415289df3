//! Overlapping windows blended by their weights, one slab of planes at a time.
//!
//! Axes are (u, v, s) of [`Layout`]: u varies fastest, planes are finished along s.

use half::f16;

use super::windows::{Blend, Layout};

/// What nnU-Net multiplies weights by, so that fewer of them vanish in 16 bits.
const NNUNET_SCALE: f64 = 10.0;

/// Sums of weighted values for the planes that windows still reach.
pub(super) struct Slab {
    /// What a voxel has where no window touched the mask, by channel.
    outside: Vec<f32>,
    plane: usize,
    /// `[plane][channel][v][u]`
    sums: Vec<f32>,
    /// `[plane][v][u]`
    weights: Vec<f32>,
    /// Weight of a window's voxels, `[s][v][u]`.
    kernel: Vec<f32>,
    depth: usize,
    /// Sums and weights are kept in 16 bits, as in nnU-Net.
    sixteen_bits: bool,
}

/// A finished plane.
pub(super) struct Plane {
    /// Its place along s, from the first plane of the slab.
    pub(super) offset: usize,
    /// Means of the windows' values, `[channel][v][u]`.
    pub(super) values: Vec<f32>,
}

impl Slab {
    pub(super) fn new(layout: &Layout, outside: Vec<f32>) -> Self {
        let plane = (0..2).map(|a| layout.high[a] - layout.low[a]).product();
        let depth = layout.effective[2];
        Self {
            plane,
            sums: vec![0.0; depth * outside.len() * plane],
            weights: vec![0.0; depth * plane],
            kernel: match layout.blend {
                Blend::Linear => product(layout.effective.map(|edge| ramp(edge, layout.overlap))),
                Blend::Gaussian => product(layout.effective.map(gaussian)),
                Blend::Nnunet => nnunet(layout.effective),
            },
            depth,
            sixteen_bits: layout.blend == Blend::Nnunet,
            outside,
        }
    }

    /// Adds the values `[channel][s][v][u]` of the window at (u, v).
    pub(super) fn add(&mut self, layout: &Layout, values: &[f32], [u0, v0]: [isize; 2]) {
        let [nu, nv, ns] = layout.effective;
        let width = layout.high[0] - layout.low[0];
        let stride = nu * nv * ns;
        let channels = self.outside.len();
        for s in 0..ns {
            for v in layout.inside(1, v0) {
                let row = (v0 + v as isize) as usize - layout.low[1];
                for u in layout.inside(0, u0) {
                    let from = u + nu * (v + nv * s);
                    let weight = self.kernel[from];
                    let at = row * width + (u0 + u as isize) as usize - layout.low[0];
                    let sum = self.weights[s * self.plane + at] + weight;
                    self.weights[s * self.plane + at] = self.kept(sum);
                    for channel in 0..channels {
                        let here = (s * channels + channel) * self.plane + at;
                        let sum = self.sums[here] + weight * values[channel * stride + from];
                        self.sums[here] = self.kept(sum);
                    }
                }
            }
        }
    }

    /// The value as it is kept.
    fn kept(&self, value: f32) -> f32 {
        match self.sixteen_bits {
            true => f16::from_f32(value).to_f32(),
            false => value,
        }
    }

    /// Takes the first `count` planes, and moves up.
    pub(super) fn take(&mut self, count: usize) -> Vec<Plane> {
        let channels = self.outside.len();
        let count = count.min(self.depth);
        let planes = (0..count).map(|offset| {
            let weights = &self.weights[offset * self.plane..][..self.plane];
            let blended = self
                .outside
                .iter()
                .enumerate()
                .flat_map(|(channel, outside)| {
                    let sums =
                        &self.sums[(offset * channels + channel) * self.plane..][..self.plane];
                    let share = |(sum, w): (&f32, &f32)| match *w > 0.0 {
                        true => self.kept(sum / w),
                        false => *outside,
                    };
                    sums.iter().zip(weights).map(share).collect::<Vec<f32>>()
                });
            Plane {
                offset,
                values: blended.collect(),
            }
        });
        let planes = planes.collect();
        shift(&mut self.weights, count * self.plane);
        shift(&mut self.sums, count * channels * self.plane);
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

/// A Gaussian around the middle of an axis, an eighth of the edge wide, never 0.
fn gaussian(edge: usize) -> Vec<f32> {
    let weights = about((edge as f64 - 1.0) / 2.0, edge);
    weights.map(|weight| weight as f32).collect()
}

/// The same around `middle`.
fn about(middle: f64, edge: usize) -> impl Iterator<Item = f64> {
    let deviation = edge as f64 / 8.0;
    (0..edge).map(move |i| (-0.5 * ((i as f64 - middle) / deviation).powi(2)).exp())
}

/// The weights of a window, `[s][v][u]`, by those along u, v and s.
fn product([u, v, s]: [Vec<f32>; 3]) -> Vec<f32> {
    let mut kernel = Vec::with_capacity(u.len() * v.len() * s.len());
    for s in &s {
        for v in &v {
            kernel.extend(u.iter().map(|u| u * v * s));
        }
    }
    kernel
}

/// The weights of nnU-Net in 16 bits, in which the least are 0: they get the least of the
/// others.
fn nnunet(edges: [usize; 3]) -> Vec<f32> {
    let [u, v, s] = edges.map(|edge| about((edge / 2) as f64, edge).collect::<Vec<f64>>());
    let mut kernel = Vec::with_capacity(u.len() * v.len() * s.len());
    for s in &s {
        for v in &v {
            let scaled = |u: &f64| f16::from_f64(NNUNET_SCALE * u * v * s).to_f32();
            kernel.extend(u.iter().map(scaled));
        }
    }
    let positive = kernel.iter().copied().filter(|weight| *weight > 0.0);
    let least = positive.fold(f32::INFINITY, f32::min);
    for weight in kernel.iter_mut().filter(|weight| **weight == 0.0) {
        *weight = least;
    }
    kernel
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

    /// SciPy's `gaussian_filter` of a unit impulse, over its largest value, is the same
    /// function: exp(-1/2 (i - 3.5)^2) for an edge of 8.
    #[test]
    fn a_gaussian_is_an_eighth_of_the_edge_wide() {
        let found = gaussian(8);
        let expected = [0.002_187_5, 0.043_937, 0.324_652, 0.882_497];
        for (i, expected) in expected.into_iter().enumerate() {
            assert!((found[i] - expected).abs() < 1e-6, "{found:?}");
            assert_eq!(found[i], found[7 - i]);
        }
        assert!(gaussian(64).iter().all(|w| *w > 0.0));
        assert_eq!(gaussian(1), [1.0]);
    }

    /// tests/golden/nnunet.py
    #[test]
    fn weights_are_those_of_nnunet() {
        #[derive(serde::Deserialize)]
        struct Golden {
            window: [usize; 3],
            expected: Vec<f32>,
        }
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/golden/nnunet/gaussians.json"
        );
        let text = std::fs::read_to_string(path).unwrap();
        for golden in serde_json::from_str::<Vec<Golden>>(&text).unwrap() {
            assert_eq!(nnunet(golden.window), golden.expected);
        }
    }

    #[test]
    fn shifting_keeps_the_tail() {
        let mut v = [1.0, 2.0, 3.0, 4.0];
        shift(&mut v, 3);
        assert_eq!(v, [4.0, 0.0, 0.0, 0.0]);
    }
}
