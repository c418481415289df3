//! Max and mean pooling.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::composed;
use crate::extension::{Operations, has_kernels};

/// The largest value of each `window` of voxels along z, y and x, the windows
/// `stride` voxels apart: `[batch, z, y, x, channel]` to
/// `[batch, (z - window) / stride + 1, ..., channel]`, rounded down. The gradient
/// goes to the first of equal values, of a plane row by row, then of planes.
///
/// # Panics
/// If a window or a stride is 0 or the window is larger than the image.
pub fn max_pool(x: Tensor<5>, window: [usize; 3], stride: [usize; 3]) -> Tensor<5> {
    let ([wz, wy, wx], [sz, sy, sx]) = (window, stride);
    let x = planes(x, [wy, wx], [sy, sx]);
    if [wz, sz] == [1, 1] {
        return x;
    }
    // The largest of a box is the largest of its planes' largest: z against the
    // rest of an image as one axis.
    let [batch, z, y, x_length, channels] = x.dims();
    let flat = x.reshape([batch, 1, z, y * x_length, channels]);
    let deep = planes(flat, [wz, 1], [sz, 1]);
    let z = deep.dims()[2];
    deep.reshape([batch, z, y, x_length, channels])
}

/// Pooling along y and x.
fn planes(x: Tensor<5>, window: [usize; 2], stride: [usize; 2]) -> Tensor<5> {
    if !has_kernels(&x) {
        return composed::max_pool(x, window, stride);
    }
    Tensor::from_dispatch(Dispatch::max_pool(x.into_dispatch(), window, stride))
}

/// The mean of each block of voxels side by side: `[batch, z, y, x, channel]` to
/// `[batch, z / block, y / block, x / block, channel]`.
///
/// # Panics
/// If a length is no multiple of the block's.
pub fn mean_pool(x: Tensor<5>, block: [usize; 3]) -> Tensor<5> {
    let [_, z, y, x_length, _] = x.dims();
    let whole = [z, y, x_length]
        .iter()
        .zip(block)
        .all(|(length, block)| length.is_multiple_of(block));
    assert!(whole, "blocks of {block:?} in {:?}", x.dims());
    if !has_kernels(&x) {
        return composed::mean_pool(x, block);
    }
    Tensor::from_dispatch(Dispatch::mean_pool(x.into_dispatch(), block))
}
