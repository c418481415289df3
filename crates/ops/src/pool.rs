//! Max pooling in planes.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::composed;
use crate::extension::{Operations, has_kernels};

/// The largest value of each `window` by `window` square of voxels along y and
/// x, the squares `stride` voxels apart: `[batch, z, y, x, channel]` to
/// `[batch, z, (y - window) / stride + 1, (x - window) / stride + 1, channel]`,
/// rounded down. The gradient goes to the first of equal values, row by row.
///
/// # Panics
/// If the window or the stride is 0 or the window is larger than the image.
pub fn max_pool(x: Tensor<5>, window: usize, stride: usize) -> Tensor<5> {
    if !has_kernels(&x) {
        return composed::max_pool(x, window, stride);
    }
    Tensor::from_dispatch(Dispatch::max_pool(x.into_dispatch(), window, stride))
}
