//! The residual connection whose channels grow: zero channels half before and
//! half behind the input's (Li et al. 2017).

use rayon::prelude::*;

use crate::columns::Columns;

/// `change + x`, where `x` has `from` channels and `change` has `channels`, at
/// least as many: zero channels stand half before and half behind those of `x`,
/// the odd one behind. Both are `[voxel, channel]`; the sum takes the memory of
/// `change`.
///
/// # Panics
/// If `from` exceeds `channels` or the voxels differ.
pub fn add_widened(mut change: Vec<f32>, channels: usize, x: &[f32], from: usize) -> Vec<f32> {
    let before = before(channels, from);
    assert_eq!(change.len() * from, x.len() * channels, "voxels");
    let voxels = voxels_per_task(channels);
    change
        .par_chunks_mut(voxels * channels)
        .zip(x.par_chunks(voxels * from))
        .for_each(|(change, x)| match from == channels {
            true => add(change, x),
            false => {
                for (row, x) in change.chunks_exact_mut(channels).zip(x.chunks_exact(from)) {
                    add(&mut row[before..before + from], x);
                }
            }
        });
    change
}

/// The gradient of [`add_widened`] by `x`: the middle `from` of the `channels` of
/// `upstream`, `[voxel, channel]`.
///
/// # Panics
/// If `from` exceeds `channels` or the last voxel is incomplete.
pub fn widened_gradient(upstream: &[f32], channels: usize, from: usize) -> Vec<f32> {
    let before = before(channels, from);
    assert_eq!(upstream.len() % channels, 0, "whole voxels");
    let voxels = voxels_per_task(channels);
    let mut gradient = vec![0.0f32; upstream.len() / channels * from];
    gradient
        .par_chunks_mut(voxels * from)
        .zip(upstream.par_chunks(voxels * channels))
        .for_each(|(gradient, upstream)| {
            for (row, upstream) in gradient
                .chunks_exact_mut(from)
                .zip(upstream.chunks_exact(channels))
            {
                row.copy_from_slice(&upstream[before..before + from]);
            }
        });
    gradient
}

/// Zero channels before those of the input.
fn before(channels: usize, from: usize) -> usize {
    assert!(
        (1..=channels).contains(&from),
        "{from} channels do not widen to {channels}"
    );
    (channels - from) / 2
}

fn voxels_per_task(channels: usize) -> usize {
    Columns::new(channels).task / channels
}

fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::noise;

    #[test]
    fn zero_channels_stand_half_before_and_half_behind() {
        let change = vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0];
        let sum = add_widened(change.clone(), 5, &[10.0, 20.0, 30.0, 40.0], 2);
        assert_eq!(sum, [1.0, 12.0, 23.0, 4.0, 5.0, 6.0, 37.0, 48.0, 9.0, 10.0]);
        assert_eq!(widened_gradient(&change, 5, 2), [2.0, 3.0, 7.0, 8.0]);
        assert_eq!(widened_gradient(&change, 5, 5), change);
        assert_eq!(add_widened(vec![1.0, 2.0], 2, &[3.0], 1), [4.0, 2.0]);
    }

    #[test]
    fn values_over_several_tasks_match_an_index_by_index_sum() {
        for (channels, from) in [(32, 16), (37, 30), (30, 30)] {
            let voxels = 5001;
            let change = noise(voxels * channels, 1);
            let x = noise(voxels * from, 2);
            let sum = add_widened(change.clone(), channels, &x, from);
            let gradient = widened_gradient(&change, channels, from);
            let before = (channels - from) / 2;
            for v in 0..voxels {
                for c in 0..channels {
                    let i = v * channels + c;
                    let inside = (before..before + from).contains(&c);
                    let added = if inside {
                        x[v * from + c - before]
                    } else {
                        0.0
                    };
                    assert_eq!(sum[i], change[i] + added);
                    if inside {
                        assert_eq!(gradient[v * from + c - before], change[i]);
                    }
                }
            }
        }
    }
}
