//! The sum at the end of a residual block.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::composed;
use crate::extension::{Operations, has_kernels};

/// `change + x`, both `[batch, z, y, x, channel]`; where `x` has fewer channels,
/// zeros stand half before and half behind them (one more behind where the
/// difference is odd).
///
/// # Panics
/// If `x` has more channels, or the other lengths differ.
pub fn add_widened(x: Tensor<5>, change: Tensor<5>) -> Tensor<5> {
    if !has_kernels(&x) {
        return composed::add_widened(x, change);
    }
    Tensor::from_dispatch(Dispatch::add_widened(
        x.into_dispatch(),
        change.into_dispatch(),
    ))
}

/// Channels of zeros before those of a value of `narrow` channels among `wide`.
pub(crate) fn channels_before(narrow: usize, wide: usize) -> usize {
    (wide - narrow) / 2
}
