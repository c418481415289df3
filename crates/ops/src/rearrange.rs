//! Values brought to other places: concatenation and pixel shuffle.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::composed;
use crate::extension::{Operations, has_kernels};

/// The channels of `b` behind those of `a`, both `[batch, z, y, x, channel]`.
///
/// # Panics
/// If the voxels differ.
pub fn join_channels(a: Tensor<5>, b: Tensor<5>) -> Tensor<5> {
    if !has_kernels(&a) {
        return composed::join_channels(a, b);
    }
    Tensor::from_dispatch(Dispatch::join_channels(
        a.into_dispatch(),
        b.into_dispatch(),
    ))
}

/// `[batch, z, y, x, 4 channels]` to `[batch, z, 2 y, 2 x, channels]`: each
/// voxel's values, ordered `(dy, dx, channel)`, become a square of voxels.
///
/// # Panics
/// If the channels are no multiple of 4.
pub fn shuffle_pixels(x: Tensor<5>) -> Tensor<5> {
    assert!(
        x.dims()[4].is_multiple_of(4),
        "squares of four voxels from {} channels",
        x.dims()[4]
    );
    if !has_kernels(&x) {
        return composed::shuffle_pixels(x);
    }
    Tensor::from_dispatch(Dispatch::shuffle_pixels(x.into_dispatch()))
}
