//! Layers and tensor moves that more than one network is made of.
//!
//! Layers start with zero weights, which [`crate::init`] fills.

use burn::nn::conv::{Conv2d, Conv2dConfig, Conv3d, Conv3dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d, PaddingConfig3d};
use burn::tensor::{Device, Tensor};

/// Share of the batch in the running mean and variance at each training
/// forward pass: NiftyNet's decay of 0.9 (its `BNLayer` default), which is also
/// PyTorch's default momentum. The running variance is that of the batch
/// divided by its number of values (biased), as NiftyNet keeps it; PyTorch
/// divides by one less.
pub const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// Added to the variance before the root: NiftyNet's `BNLayer` default, also
/// PyTorch's.
pub const BATCH_NORM_EPSILON: f64 = 1e-5;

/// An unpadded square convolution with bias, stride 1.
pub(crate) fn conv2d(channels: [usize; 2], kernel: usize, device: &Device) -> Conv2d {
    Conv2dConfig::new(channels, [kernel; 2])
        .with_padding(PaddingConfig2d::Valid)
        .with_initializer(Initializer::Zeros)
        .init(device)
}

/// How a 3-D convolution treats the faces of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Faces {
    /// No padding: the output is smaller.
    Valid,
    /// Zeros around the input keep its size (odd kernels).
    Padded,
}

/// A cubic convolution of stride 1; `bias` only where no batch norm follows.
pub(crate) fn conv3d(
    channels: [usize; 2],
    kernel: usize,
    dilation: usize,
    faces: Faces,
    bias: bool,
    device: &Device,
) -> Conv3d {
    // Burn's own `Same` padding leaves the dilation out of account.
    let padding = match faces {
        Faces::Valid => PaddingConfig3d::Valid,
        Faces::Padded => {
            let pad = dilation * (kernel - 1) / 2;
            PaddingConfig3d::Explicit(pad, pad, pad)
        }
    };
    Conv3dConfig::new(channels, [kernel; 3])
        .with_dilation([dilation; 3])
        .with_padding(padding)
        .with_bias(bias)
        .with_initializer(Initializer::Zeros)
        .init(device)
}

/// Batch normalisation over `[batch, channel, ...]` with scale and shift. On an
/// autodiff device it uses and records the statistics of the batch, otherwise
/// the running ones.
pub(crate) fn batch_norm(channels: usize, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels)
        .with_momentum(BATCH_NORM_MOMENTUM)
        .with_epsilon(BATCH_NORM_EPSILON)
        .init(device)
}

/// Drops `before` and `after` voxels at the two ends of every spatial axis of
/// `[batch, channel, ...]`.
pub(crate) fn crop<const D: usize>(x: Tensor<D>, before: usize, after: usize) -> Tensor<D> {
    if before + after == 0 {
        return x;
    }
    (2..D).fold(x, |x, axis| {
        let length = x.dims()[axis] - before - after;
        x.narrow(axis, before, length)
    })
}

/// The central part of `x` with the spatial shape of `reference`, both
/// `[batch, channel, ...]`.
pub(crate) fn crop_like<const D: usize>(x: Tensor<D>, reference: &Tensor<D>) -> Tensor<D> {
    let target = reference.dims();
    (2..D).fold(x, |x, axis| {
        let start = (x.dims()[axis] - target[axis]) / 2;
        x.narrow(axis, start, target[axis])
    })
}
