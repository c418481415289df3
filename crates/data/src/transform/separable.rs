//! Weighted sums along one axis after another.

/// What a voxel is made of along an axis: places on it, with weights.
pub(super) type Taps = Vec<(usize, f32)>;

/// Replaces the axis `axis` of x, y, z, which is as long as `shape` says, by one of as
/// many voxels as there are `taps`. Values are x fastest.
pub(super) fn along(
    values: &[f32],
    shape: &mut [usize; 3],
    axis: usize,
    taps: &[Taps],
) -> Vec<f32> {
    // Rows behind each other along the axis; those along x have one voxel each.
    let row: usize = shape[..axis].iter().product();
    let before = shape[axis];
    shape[axis] = taps.len();
    let mut out = vec![0.0; shape.iter().product()];
    let blocks = values.chunks_exact((row * before).max(1));
    for (block, out) in blocks.zip(out.chunks_exact_mut((row * taps.len()).max(1))) {
        for (taps, out) in taps.iter().zip(out.chunks_exact_mut(row)) {
            for (place, weight) in taps {
                let from = &block[place * row..][..row];
                out.iter_mut()
                    .zip(from)
                    .for_each(|(out, v)| *out += weight * v);
            }
        }
    }
    out
}
