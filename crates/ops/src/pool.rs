//! Max pooling in planes.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::composed;
use crate::extension::{Operations, has_kernels};

/// The largest value of each `window` by `window` square of voxels along y and
/// x, the squares `stride` voxels apart: `[batch, z, y, x, channel]` to
/// `[batch, z, (y - window) / stride + 1, (x - window) / stride + 1, channel]`,
/// rounded down. The gradient goes to the first of equal values.
///
/// # Panics
/// If the window is larger than 15 or than the image, or the stride is 0.
pub fn max_pool(x: Tensor<5>, window: usize, stride: usize) -> Tensor<5> {
    if !has_kernels(&x) {
        return composed::max_pool(x, window, stride);
    }
    let pooling = Pooling { window, stride };
    Tensor::from_dispatch(Dispatch::max_pool(x.into_dispatch(), pooling))
}

/// Squares of a max pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pooling {
    /// Voxels along each side.
    pub window: usize,
    /// Voxels from one to the next.
    pub stride: usize,
}
