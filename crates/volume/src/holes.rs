//! Holes of a mask, and the box around it.

use crate::Volume;

/// The mask with its holes: what no way of voxels that share a face leads out of, across the
/// faces of the volume along the axes of `out`. With all of them it is what
/// `scipy.ndimage.binary_fill_holes` finds; a single slice needs its own two left alone.
pub fn fill_holes(mask: &Volume<bool>, out: [bool; 3]) -> Volume<bool> {
    let [nx, ny, nz] = mask.shape();
    let mut outside = mask.map(|_| false);
    let mut reached = Vec::new();
    let mut reach = |at: usize, reached: &mut Vec<usize>| {
        if !mask.data()[at] && !std::mem::replace(&mut outside.data_mut()[at], true) {
            reached.push(at);
        }
    };
    let place = |at: usize| [at % nx, at / nx % ny, at / nx / ny];
    let last = [nx, ny, nz].map(|n| n.saturating_sub(1));
    for at in 0..mask.len() {
        let place = place(at);
        if (0..3).any(|a| out[a] && (place[a] == 0 || place[a] == last[a])) {
            reach(at, &mut reached);
        }
    }
    while let Some(at) = reached.pop() {
        let place = place(at);
        for (a, stride) in [1, nx, nx * ny].into_iter().enumerate() {
            if place[a] > 0 {
                reach(at - stride, &mut reached);
            }
            if place[a] < last[a] {
                reach(at + stride, &mut reached);
            }
        }
    }
    outside.map(|outside| !outside)
}

/// The half-open box `low..high` of a mask; `None` where it is empty.
pub fn box_of(mask: &Volume<bool>) -> Option<([usize; 3], [usize; 3])> {
    let shape = mask.shape();
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
    (high[0] > 0).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Affine;

    #[test]
    fn a_ring_is_filled_and_an_open_one_is_not() {
        let ring = |open: bool| {
            let mut mask = Volume::filled([5, 5, 1], Affine::identity(), false).unwrap();
            for y in 1..4 {
                for x in 1..4 {
                    let at = mask.index([x, y, 0]);
                    mask.data_mut()[at] = (x, y) != (2, 2) && !(open && (x, y) == (2, 1));
                }
            }
            mask
        };
        // A single slice has no way out across it in SciPy either: its faces are edges.
        let inside = |mask: &Volume<bool>| mask.data().iter().filter(|m| **m).count();
        assert_eq!(inside(&fill_holes(&ring(false), [true; 3])), 8);
        let in_plane = [true, true, false];
        assert_eq!(inside(&fill_holes(&ring(false), in_plane)), 9);
        assert_eq!(inside(&fill_holes(&ring(true), in_plane)), 7);
        let mut shell = Volume::filled([3; 3], Affine::identity(), true).unwrap();
        let middle = shell.index([1; 3]);
        shell.data_mut()[middle] = false;
        assert_eq!(inside(&fill_holes(&shell, [true; 3])), 27);
        let above = shell.index([1, 1, 2]);
        shell.data_mut()[above] = false;
        assert_eq!(inside(&fill_holes(&shell, [true; 3])), 25);
    }
}
