//! Cutting boxes out of volumes, with reflection where a box spills over.
//!
//! Boxes are given by the voxel index of their first corner and their size,
//! both in (x, y, z); what is cut has x fastest, that is C order (z, y, x).
//! Reflection is numpy's `pad(mode="reflect")`: about the centre of the edge
//! voxel, which is not repeated, and repeated as often as needed; an axis of
//! one voxel repeats that voxel.

use std::ops::Range;

use lacuna_volume::Volume;

/// Cuts the same box from each channel: `[C, size z, size y, size x]`, x fastest.
/// The origin may be negative and the box may reach past the far edge. Volumes
/// must have at least one voxel along each axis.
pub fn extract_window(channels: &[Volume<f32>], origin: [isize; 3], size: [usize; 3]) -> Vec<f32> {
    let mut out = Vec::with_capacity(channels.len() * size.iter().product::<usize>());
    for channel in channels {
        append_window(&mut out, channel, origin, size);
    }
    out
}

/// The same with 0 beyond the volumes.
pub fn extract_padded(channels: &[Volume<f32>], origin: [isize; 3], size: [usize; 3]) -> Vec<f32> {
    let mut out = vec![0.0; channels.len() * size.iter().product::<usize>()];
    // What of the box lies in the volume, along an axis.
    let inside = |axis: usize, length: usize| {
        let from = (-origin[axis]).max(0) as usize;
        let to = (length as isize - origin[axis]).max(0) as usize;
        from..to.min(size[axis])
    };
    for (number, volume) in channels.iter().enumerate() {
        let [xs, ys, zs] = [0, 1, 2].map(|axis| inside(axis, volume.shape()[axis]));
        if xs.is_empty() {
            continue;
        }
        let at = |axis: usize, i: usize| (origin[axis] + i as isize) as usize;
        for z in zs {
            for y in ys.clone() {
                let from = volume.index([at(0, xs.start), at(1, y), at(2, z)]);
                let to = ((number * size[2] + z) * size[1] + y) * size[0] + xs.start;
                out[to..to + xs.len()].copy_from_slice(&volume.data()[from..from + xs.len()]);
            }
        }
    }
    out
}

/// Appends one volume's box to `out`, x fastest.
pub(crate) fn append_window<T: Copy>(
    out: &mut Vec<T>,
    volume: &Volume<T>,
    origin: [isize; 3],
    size: [usize; 3],
) {
    let shape = volume.shape();
    let row = |y: usize, z: usize| &volume.data()[volume.index([0, y, z])..][..shape[0]];
    append_rows(out, shape, origin, size, row);
}

/// Appends the box of a volume of `shape` whose row along x at (y, z) is `row(y, z)`.
pub(crate) fn append_rows<'a, T: Copy + 'a>(
    out: &mut Vec<T>,
    shape: [usize; 3],
    origin: [isize; 3],
    size: [usize; 3],
    row: impl Fn(usize, usize) -> &'a [T],
) {
    let [xs, ys, zs] = [0, 1, 2].map(|axis| -> Vec<usize> {
        (0..size[axis] as isize)
            .map(|i| reflect(origin[axis] + i, shape[axis]))
            .collect()
    });
    let inside = origin[0] >= 0 && origin[0] as usize + size[0] <= shape[0];
    out.reserve(size.iter().product());
    for &z in &zs {
        for &y in &ys {
            let row = row(y, z);
            if inside {
                out.extend_from_slice(&row[origin[0] as usize..][..size[0]]);
            } else {
                out.extend(xs.iter().map(|&x| row[x]));
            }
        }
    }
}

/// The indices inside an axis of `n` voxels that a box reads.
pub(crate) fn reach(origin: isize, size: usize, n: usize) -> Range<usize> {
    let read = || (0..size as isize).map(|i| reflect(origin + i, n));
    read().min().unwrap_or(0)..read().max().map_or(0, |last| last + 1)
}

/// The index inside an axis of `n` voxels that index `i` is a reflection of.
pub(crate) fn reflect(i: isize, n: usize) -> usize {
    if n == 1 {
        return 0;
    }
    let period = 2 * (n - 1);
    let phase = i.rem_euclid(period as isize) as usize;
    phase.min(period - phase)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lacuna_volume::Affine;

    /// Voxel (x, y, z) holds 100 z + 10 y + x.
    fn arange(shape: [usize; 3]) -> Volume<f32> {
        let mut data = Vec::new();
        for z in 0..shape[2] {
            for y in 0..shape[1] {
                data.extend((0..shape[0]).map(|x| (100 * z + 10 * y + x) as f32));
            }
        }
        Volume::new(shape, Affine::identity(), data).unwrap()
    }

    #[test]
    fn reflection_is_numpys() {
        // numpy.pad(numpy.arange(n), (before, after), mode="reflect"), by
        // tests/golden/reflect.py.
        let cases: [(usize, isize, &[usize]); 4] = [
            (1, -3, &[0, 0, 0, 0, 0, 0]),
            (2, -5, &[1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]),
            (3, -7, &[1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0]),
            (
                5,
                -6,
                &[2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3, 4, 3],
            ),
        ];
        for (n, start, expected) in cases {
            let found: Vec<usize> = (0..expected.len() as isize)
                .map(|i| reflect(start + i, n))
                .collect();
            assert_eq!(found, expected, "axis of {n}");
        }
    }

    #[test]
    fn a_window_inside_is_the_plain_box() {
        let v = arange([4, 5, 6]);
        assert_eq!(
            extract_window(std::slice::from_ref(&v), [1, 2, 3], [2, 2, 2]),
            [321.0, 322.0, 331.0, 332.0, 421.0, 422.0, 431.0, 432.0]
        );
        let mut labels = Vec::new();
        append_window(&mut labels, &v.map(|v| *v as u16), [0, 0, 5], [4, 1, 1]);
        assert_eq!(labels, [500, 501, 502, 503]);
    }

    #[test]
    fn channels_come_one_after_the_other_and_spill_by_reflection() {
        let v = arange([3, 2, 1]);
        let w = v.map(|v| -v);
        assert_eq!(
            extract_window(&[v, w], [-1, -1, 0], [3, 2, 1]),
            [11., 10., 11., 1., 0., 1., -11., -10., -11., -1., -0., -1.]
        );
    }

    #[test]
    fn beyond_the_volume_there_can_be_zeros() {
        let v = arange([3, 2, 1]);
        let w = v.map(|v| -v);
        assert_eq!(
            extract_padded(&[v.clone(), w], [-1, 1, 0], [3, 2, 1]),
            [0., 10., 11., 0., 0., 0., 0., -10., -11., 0., 0., 0.]
        );
        assert_eq!(
            extract_padded(std::slice::from_ref(&v), [3, 0, 0], [2, 1, 1]),
            [0.0; 2]
        );
        assert_eq!(extract_padded(&[v], [0, 0, -3], [2, 1, 2]), [0.0; 4]);
    }

    #[test]
    fn a_box_reads_what_reflection_reaches() {
        assert_eq!(reach(2, 3, 9), 2..5);
        assert_eq!(reach(-3, 4, 9), 0..4);
        assert_eq!(reach(7, 5, 9), 5..9);
        assert_eq!(reach(-2, 9, 3), 0..3);
        assert_eq!(reach(-2, 9, 1), 0..1);
    }

    #[test]
    fn a_window_far_outside_is_still_filled() {
        let v = arange([3, 3, 3]);
        assert_eq!(
            extract_window(std::slice::from_ref(&v), [9, 1, 1], [4, 1, 1]),
            [111.0, 112.0, 111.0, 110.0]
        );
    }
}
