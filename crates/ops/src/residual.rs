//! Residual blocks and the sum at their end.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::composed;
use crate::convolve::Filter;
use crate::extension::{Operations, has_kernels};
use crate::normalise::{self, Normalisation};

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

/// A residual block, `[batch, z, y, x, channel]` to the same voxels: `x`
/// normalised, rectified and convolved, then changed by `rest`, and `x` added by
/// [`add_widened`]. `rest` makes its result from what it is given.
///
/// The gradients by `x` of the two ways are summed while the normalisation's is
/// computed, not in a pass of its own.
///
/// # Panics
/// As [`normalise_rectify_convolve`](crate::normalise_rectify_convolve) and
/// [`add_widened`].
pub fn residual(
    x: Tensor<5>,
    norm: &Normalisation,
    filter: &Filter,
    rest: impl FnOnce(Tensor<5>) -> Tensor<5>,
) -> Tensor<5> {
    // The sum comes later than the convolution, so its gradient comes first.
    let change = rest(normalise::apply(x.clone(), norm, filter, true));
    add_widened(x, change)
}
