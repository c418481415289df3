//! Values brought to other places: concatenation and voxel shuffle.

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

/// `[batch, z, y, x, fz fy fx channels]` to
/// `[batch, fz z, fy y, fx x, channels]`: each voxel's values, ordered
/// `(dz, dy, dx, channel)`, become a block of voxels.
///
/// # Panics
/// If the channels are no multiple of the block's voxels.
pub fn shuffle_voxels(x: Tensor<5>, factor: [usize; 3]) -> Tensor<5> {
    let block: usize = factor.iter().product();
    assert!(
        x.dims()[4].is_multiple_of(block),
        "blocks of {block} voxels from {} channels",
        x.dims()[4]
    );
    if !has_kernels(&x) {
        return composed::shuffle_voxels(x, factor);
    }
    Tensor::from_dispatch(Dispatch::shuffle_voxels(x.into_dispatch(), factor))
}
