//! Layers and tensor moves that more than one network is made of.
//!
//! Layers start with zero weights, which [`crate::init`] fills.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig, Conv3d, Conv3dConfig, ConvTranspose2d};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PRelu, PaddingConfig2d, PaddingConfig3d};
use burn::tensor::{Device, Tensor};
use lacuna_ops::{Filter, Normalisation, Precision, Statistics, convolve, shuffle_pixels};

/// Share of the batch in the running mean and variance at each training
/// forward pass: NiftyNet's decay of 0.9 (its `BNLayer` default), which is also
/// PyTorch's default momentum. The running variance is that of the batch
/// divided by its number of values (biased), as NiftyNet keeps it; PyTorch
/// divides by one less.
pub const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// Added to the variance before the root: NiftyNet's `BNLayer` default, also
/// PyTorch's.
pub const BATCH_NORM_EPSILON: f64 = 1e-5;

/// How a convolution treats the faces of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Faces {
    /// No padding: the output is smaller.
    Valid,
    /// Zeros around the input keep its size (odd kernels).
    Padded,
}

/// A square convolution with bias, stride 1.
pub(crate) fn conv2d(channels: [usize; 2], kernel: usize, faces: Faces, device: &Device) -> Conv2d {
    let padding = match faces {
        Faces::Valid => PaddingConfig2d::Valid,
        Faces::Padded => {
            let pad = (kernel - 1) / 2;
            PaddingConfig2d::Explicit(pad, pad, pad, pad)
        }
    };
    Conv2dConfig::new(channels, [kernel; 2])
        .with_padding(padding)
        .with_initializer(Initializer::Zeros)
        .init(device)
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

/// What [`lacuna_ops`] takes of a convolution layer.
pub(crate) fn filter_3d(conv: &Conv3d, precision: Precision) -> Filter {
    let padding = match &conv.padding {
        PaddingConfig3d::Valid => [0; 3],
        PaddingConfig3d::Explicit(z, y, x) => [*z, *y, *x],
        PaddingConfig3d::Same => unreachable!("no layer here is made with it"),
    };
    Filter {
        weight: conv.weight.val(),
        bias: conv.bias.as_ref().map(Param::val),
        stride: conv.stride,
        dilation: conv.dilation,
        padding,
        precision,
    }
}

/// The same of a 2-D layer, for images of one voxel along z.
pub(crate) fn filter_2d(conv: &Conv2d, precision: Precision) -> Filter {
    let [out, channels, y, x] = conv.weight.dims();
    let [top, left] = match &conv.padding {
        PaddingConfig2d::Valid => [0; 2],
        PaddingConfig2d::Explicit(top, left, _, _) => [*top, *left],
        PaddingConfig2d::Same => unreachable!("no layer here is made with it"),
    };
    Filter {
        weight: conv.weight.val().reshape([out, channels, 1, y, x]),
        bias: conv.bias.as_ref().map(Param::val),
        stride: [1, conv.stride[0], conv.stride[1]],
        dilation: [1, conv.dilation[0], conv.dilation[1]],
        padding: [0, top, left],
        precision,
    }
}

/// Batch norm of `x` `[batch, z, y, x, channel]` and a rectifier with the slopes
/// of `activation` (none: ReLU).
pub(crate) fn normalise_rectify(
    x: Tensor<5>,
    norm: &BatchNorm,
    activation: Option<&PRelu>,
) -> Tensor<5> {
    let norm = normalisation(&x, norm, activation);
    lacuna_ops::normalise_rectify(x, &norm)
}

/// [`normalise_rectify`] and a convolution.
pub(crate) fn normalise_rectify_convolve(
    x: Tensor<5>,
    norm: &BatchNorm,
    activation: Option<&PRelu>,
    filter: &Filter,
) -> Tensor<5> {
    let norm = normalisation(&x, norm, activation);
    lacuna_ops::normalise_rectify_convolve(x, &norm, filter)
}

/// A residual block: [`normalise_rectify_convolve`] of `x`, `rest` of that, and
/// `x` added.
pub(crate) fn residual(
    x: Tensor<5>,
    norm: &BatchNorm,
    filter: &Filter,
    rest: impl FnOnce(Tensor<5>) -> Tensor<5>,
) -> Tensor<5> {
    let norm = normalisation(&x, norm, None);
    lacuna_ops::residual(x, &norm, filter, rest)
}

/// The normalisation that a layer is for `x`: by the statistics of `x`, which
/// its running ones then take in, where [`BatchNorm::forward`] would do so.
fn normalisation(x: &Tensor<5>, norm: &BatchNorm, activation: Option<&PRelu>) -> Normalisation {
    let statistics = match x.device().is_autodiff() && norm.training.is_enabled() {
        true => {
            let statistics = Statistics::of(x);
            let moved = |running: Tensor<1>, batch: &Tensor<1>| {
                let kept = running.mul_scalar(1.0 - norm.momentum);
                (kept + batch.clone().mul_scalar(norm.momentum)).detach()
            };
            let mean = moved(norm.running_mean.value_sync(), &statistics.mean);
            let variance = moved(norm.running_var.value_sync(), &statistics.variance);
            norm.running_mean.update(mean);
            norm.running_var.update(variance);
            statistics
        }
        false => Statistics::given(norm.running_mean.value(), norm.running_var.value()),
    };
    Normalisation {
        gamma: norm.gamma.val(),
        beta: norm.beta.val(),
        slope: activation.map(|activation| activation.alpha.val()),
        statistics,
        epsilon: norm.epsilon,
    }
}

/// `[batch, channel, z, y, x]` to `[batch, z, y, x, channel]`.
pub(crate) fn channels_last(x: Tensor<5>) -> Tensor<5> {
    x.permute([0, 2, 3, 4, 1])
}

/// `[batch, z, y, x, channel]` to `[batch, channel, z, y, x]`.
pub(crate) fn channels_first(x: Tensor<5>) -> Tensor<5> {
    x.permute([0, 4, 1, 2, 3])
}

/// `[batch, channel, y, x]` to `[batch, 1, y, x, channel]`.
pub(crate) fn planes_last(x: Tensor<4>) -> Tensor<5> {
    let [batch, channels, y, x_length] = x.dims();
    channels_last(x.reshape([batch, channels, 1, y, x_length]))
}

/// `[batch, 1, y, x, channel]` to `[batch, channel, y, x]`.
pub(crate) fn planes_first(x: Tensor<5>) -> Tensor<4> {
    let [batch, _, y, x_length, channels] = x.dims();
    channels_first(x).reshape([batch, channels, y, x_length])
}

/// A transposed convolution of width and stride 2, `[batch, 1, y, x, channels_in]`
/// to `[batch, 1, 2 y, 2 x, channels_out]`: a 1x1 convolution to the values of
/// each square of four voxels, which are then put in their places.
pub(crate) fn grow(x: Tensor<5>, conv: &ConvTranspose2d, precision: Precision) -> Tensor<5> {
    let [channels_in, channels_out, ..] = conv.weight.dims();
    // [in, (out, dy, dx)] to [(dy, dx, out), in], in two steps of which each
    // copies fast.
    let columns = conv.weight.val().reshape([channels_in, 4 * channels_out]);
    let rows = columns
        .transpose()
        .reshape([channels_out, 4, channels_in])
        .swap_dims(0, 1);
    let filter = Filter {
        weight: rows.reshape([4 * channels_out, channels_in, 1, 1, 1]),
        bias: (conv.bias.as_ref()).map(|bias| bias.val().repeat(&[4])),
        stride: [1; 3],
        dilation: [1; 3],
        padding: [0; 3],
        precision,
    };
    shuffle_pixels(convolve(x, &filter))
}

/// Drops `before` and `after` voxels at the two ends of every spatial axis of
/// `[batch, z, y, x, channel]` that is longer than one voxel.
pub(crate) fn crop(x: Tensor<5>, before: usize, after: usize) -> Tensor<5> {
    (1..4).fold(x, |x, axis| match x.dims()[axis] {
        1 => x,
        length => x.narrow(axis, before, length - before - after),
    })
}

/// The central part of `x` with the spatial shape of `reference`, both
/// `[batch, z, y, x, channel]`.
pub(crate) fn crop_like(x: Tensor<5>, reference: &Tensor<5>) -> Tensor<5> {
    let target = reference.dims();
    (1..4).fold(x, |x, axis| match x.dims()[axis] - target[axis] {
        0 => x,
        excess => x.narrow(axis, excess / 2, target[axis]),
    })
}
