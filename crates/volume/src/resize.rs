//! A volume with another number of voxels over the same field of view, by splines.
//!
//! The voxels' outer faces stay where they are, so that voxel `i` of `n` new ones lies at
//! `(i + 1/2) m / n - 1/2` of `m` old ones, as in scikit-image's `resize(mode="edge")`,
//! which is `scipy.ndimage.zoom(mode="nearest", grid_mode=True)`. Nothing is smoothed first.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Affine, Grid, Volume, VolumeError};

/// Voxels by which a line is continued before it is made a spline, as in SciPy: the pole's
/// 12th power is 1e-7.
const PADDING: usize = 12;

/// Degree of the spline through the voxels' values along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spline {
    /// 0: the value of the nearest voxel.
    Nearest,
    /// 1
    Linear,
    /// 3. Values are clipped to the range of those that they come from.
    Cubic,
}

/// The grid with `shape` voxels over the field of view of `grid`.
pub fn resized_grid(grid: &Grid, shape: [usize; 3]) -> Grid {
    let scale: [f64; 3] = std::array::from_fn(|a| grid.shape[a] as f64 / shape[a] as f64);
    let first = grid.affine.apply(scale.map(|scale| (scale - 1.0) / 2.0));
    let row = |r: usize| {
        let old = grid.affine.0[r];
        [
            old[0] * scale[0],
            old[1] * scale[1],
            old[2] * scale[2],
            first[r],
        ]
    };
    Grid {
        shape,
        affine: Affine([row(0), row(1), row(2)]),
    }
}

/// `image` with `shape` voxels: a `spline` along every axis, or with `apart` another one
/// along that axis, after the slices across it have been resized each by itself.
///
/// # Errors
/// When a volume has no voxel, or the new one's affine is singular.
pub fn resize(
    image: &Volume<f32>,
    shape: [usize; 3],
    spline: Spline,
    apart: Option<(usize, Spline)>,
) -> Result<Volume<f32>, VolumeError> {
    for shape in [image.shape(), shape] {
        if shape.contains(&0) {
            return Err(VolumeError::Empty { shape });
        }
    }
    if image.shape() == shape {
        return Ok(image.clone());
    }
    let mut now = image.shape();
    let mut values = image.data().to_vec();
    for axis in (0..3).filter(|axis| apart.is_none_or(|(other, _)| other != *axis)) {
        values = along(&values, now, axis, shape[axis], spline);
        now[axis] = shape[axis];
    }
    if spline == Spline::Cubic {
        clip(&mut values, now, image, apart.map(|(axis, _)| axis));
    }
    if let Some((axis, spline)) = apart {
        values = along(&values, now, axis, shape[axis], spline);
    }
    Volume::new(shape, resized_grid(&image.grid(), shape).affine, values)
}

/// Clips `values` of `shape` to the range of `image`, or of its same slice across an axis.
fn clip(values: &mut [f32], shape: [usize; 3], image: &Volume<f32>, slices: Option<usize>) {
    let number = |at: usize, shape: [usize; 3]| match slices {
        None => 0,
        Some(axis) => at / shape[..axis].iter().product::<usize>() % shape[axis],
    };
    let count = slices.map_or(1, |axis| shape[axis]);
    let mut ranges = vec![[f32::INFINITY, f32::NEG_INFINITY]; count];
    for (at, value) in image.data().iter().enumerate() {
        let range = &mut ranges[number(at, image.shape())];
        *range = [range[0].min(*value), range[1].max(*value)];
    }
    for (at, value) in values.iter_mut().enumerate() {
        let [least, most] = ranges[number(at, shape)];
        *value = value.clamp(least, most);
    }
}

/// `values` of `shape` with `length` voxels along `axis`.
fn along(
    values: &[f32],
    shape: [usize; 3],
    axis: usize,
    length: usize,
    spline: Spline,
) -> Vec<f32> {
    let old = shape[axis];
    if old == length {
        return values.to_vec();
    }
    let stride: usize = shape[..axis].iter().product();
    let taps: Vec<Taps> = (0..length)
        .map(|i| {
            Taps::at(
                (i as f64 + 0.5) * (old as f64 / length as f64) - 0.5,
                spline,
            )
        })
        .collect();
    // Lines side by side in memory are read and written together.
    let lines = |block: &[f32], out: &mut [f32]| {
        for line in 0..stride {
            let found = (0..old).map(|i| f64::from(block[i * stride + line]));
            let spline_of = coefficients(found, spline);
            for (i, taps) in taps.iter().enumerate() {
                out[i * stride + line] = taps.value(&spline_of) as f32;
            }
        }
    };
    let mut out = vec![0.0; values.len() / old * length];
    out.par_chunks_mut(stride * length)
        .zip(values.par_chunks(stride * old))
        .for_each(|(out, block)| lines(block, out));
    out
}

/// The coefficients of the spline through a line that goes on with its outermost values,
/// [`PADDING`] of which it has at either end.
fn coefficients(line: impl ExactSizeIterator<Item = f64>, spline: Spline) -> Vec<f64> {
    let inside = line.len();
    let mut c = vec![0.0; inside + 2 * PADDING];
    for (to, value) in c[PADDING..].iter_mut().zip(line) {
        *to = value;
    }
    let (first, last) = (c[PADDING], c[PADDING + inside - 1]);
    c[..PADDING].fill(first);
    c[PADDING + inside..].fill(last);
    if spline != Spline::Cubic {
        return c;
    }
    // Unser et al., IEEE Trans. Signal Processing 41 (1993) 821: one pole, gain 6.
    let pole = 3.0_f64.sqrt() - 2.0;
    let mut before = 6.0 * first / (1.0 - pole);
    for value in &mut c {
        before = 6.0 * *value + pole * before;
        *value = before;
    }
    let mut behind = before * -pole / (1.0 - pole);
    for value in c.iter_mut().rev() {
        behind = pole * (behind - *value);
        *value = behind;
    }
    c
}

/// Which coefficients make a value, and how much of each.
struct Taps {
    first: usize,
    weights: [f64; 4],
}

impl Taps {
    /// Those at `position` of a line, within half a voxel of its ends.
    fn at(position: f64, spline: Spline) -> Self {
        let padded = position + PADDING as f64;
        let below = padded.floor();
        let t = padded - below;
        let (first, weights) = match spline {
            Spline::Nearest => ((padded + 0.5).floor(), [1.0, 0.0, 0.0, 0.0]),
            Spline::Linear => (below, [1.0 - t, t, 0.0, 0.0]),
            Spline::Cubic => {
                let cube = |v: f64| v * v * v;
                let inner = |v: f64| (4.0 - 6.0 * v * v + 3.0 * cube(v)) / 6.0;
                let weights = [cube(1.0 - t) / 6.0, inner(t), inner(1.0 - t), cube(t) / 6.0];
                (below - 1.0, weights)
            }
        };
        Self {
            first: first as usize,
            weights,
        }
    }

    fn value(&self, coefficients: &[f64]) -> f64 {
        let used = &coefficients[self.first..][..4];
        used.iter().zip(self.weights).map(|(c, w)| c * w).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(values: &[f32]) -> Volume<f32> {
        Volume::new([values.len(), 1, 1], Affine::identity(), values.to_vec()).unwrap()
    }

    #[test]
    fn new_voxels_lie_between_the_same_faces() {
        let image = line(&[0.0, 4.0]);
        let resized = |n: usize, spline| resize(&image, [n, 1, 1], spline, None).unwrap();
        // At -1/4, 1/4, 3/4 and 5/4.
        assert_eq!(resized(4, Spline::Linear).data(), [0.0, 1.0, 3.0, 4.0]);
        assert_eq!(resized(4, Spline::Nearest).data(), [0.0, 0.0, 4.0, 4.0]);
        assert_eq!(resized(1, Spline::Linear).data(), [2.0]);
        let grid = resized(4, Spline::Linear).grid();
        assert_eq!(grid.affine.0[0], [0.5, 0.0, 0.0, -0.25]);
    }

    #[test]
    fn a_cubic_spline_goes_through_its_values_and_stays_in_their_range() {
        let values = [0.0, 0.0, 0.0, 9.0, 9.0, 9.0, 9.0];
        // Three new voxels for each: the middle one lies on the old one.
        let out = resize(&line(&values), [21, 1, 1], Spline::Cubic, None).unwrap();
        for (i, value) in values.iter().enumerate() {
            assert!((out.data()[3 * i + 1] - value).abs() < 1e-5, "{i}");
        }
        assert!(out.data().iter().all(|v| (0.0..=9.0).contains(v)));
        // By symmetry half way between the two levels.
        let out = resize(&line(&[0.0, 0.0, 9.0, 9.0]), [3, 1, 1], Spline::Cubic, None).unwrap();
        assert!((out.data()[1] - 4.5).abs() < 1e-5);
    }

    #[test]
    fn an_axis_apart_has_a_spline_of_its_own() {
        let image = Volume::new([2, 1, 2], Affine::identity(), vec![0.0, 4.0, 8.0, 12.0]).unwrap();
        let apart = Some((2, Spline::Nearest));
        let out = resize(&image, [4, 1, 3], Spline::Linear, apart).unwrap();
        let slices: Vec<&[f32]> = out.data().chunks(4).collect();
        // The slice in the middle lies half way: SciPy takes the one behind.
        assert_eq!(slices[0], [0.0, 1.0, 3.0, 4.0]);
        assert_eq!(slices[1], [8.0, 9.0, 11.0, 12.0]);
        assert_eq!(slices[2], slices[1]);
    }

    #[test]
    fn nothing_cannot_be_resized() {
        let refused = resize(&line(&[1.0]), [0, 1, 1], Spline::Linear, None).unwrap_err();
        assert!(matches!(refused, VolumeError::Empty { .. }));
    }
}
