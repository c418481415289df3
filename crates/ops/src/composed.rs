//! The operations composed of Burn's own, for devices without kernels.

use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{Tensor, activation, module};
use lacuna_kernels::Precision;

use crate::convolve::Filter;
use crate::normalise::Normalisation;

/// `[batch, z, y, x, channel]` to `[batch, channel, z, y, x]`.
fn channels_first(x: Tensor<5>) -> Tensor<5> {
    x.permute([0, 4, 1, 2, 3])
}

/// `[batch, channel, z, y, x]` to `[batch, z, y, x, channel]`.
fn channels_last(x: Tensor<5>) -> Tensor<5> {
    x.permute([0, 2, 3, 4, 1])
}

pub(crate) fn convolve(x: Tensor<5>, filter: &Filter, rectify: bool) -> Tensor<5> {
    assert_eq!(
        filter.precision,
        Precision::F32,
        "only the processor computes in other precisions"
    );
    let options = ConvOptions::new(filter.stride, filter.padding, filter.dilation, 1);
    let y = module::conv3d(
        channels_first(x),
        filter.weight.clone(),
        filter.bias.clone(),
        options,
    );
    channels_last(if rectify { activation::relu(y) } else { y })
}

pub(crate) fn moments(x: Tensor<5>, images: usize) -> (Tensor<1>, Tensor<1>) {
    let (mean, variance) = group_moments(x.detach(), images);
    let rows = [mean.shape().num_elements()];
    (mean.reshape(rows), variance.reshape(rows))
}

/// Mean and variance `[group, 1, channel]` of `x`, the images in so many groups.
fn group_moments(x: Tensor<5>, groups: usize) -> (Tensor<3>, Tensor<3>) {
    let channels = x.dims()[4];
    let voxels = x.shape().num_elements() / (channels * groups);
    let rows = x.reshape([groups, voxels, channels]);
    let mean = mean_of_rows(rows.clone());
    let variance = mean_of_rows((rows - mean.clone()).square());
    (mean, variance)
}

/// `[group, row, channel]` to `[group, 1, channel]`, in two steps where the rows can be parted:
/// a device may add up in turn, and loses digits in a long sum.
fn mean_of_rows(x: Tensor<3>) -> Tensor<3> {
    let [groups, rows, channels] = x.dims();
    let parted = (1..=rows.isqrt()).rev().find(|n| rows.is_multiple_of(*n));
    let parts = parted.unwrap_or(1);
    let x = x.reshape([groups, parts, rows / parts, channels]);
    let means = x.mean_dim(2).mean_dim(1);
    means.reshape([groups, 1, channels])
}

pub(crate) fn normalise_rectify(x: Tensor<5>, norm: &Normalisation) -> Tensor<5> {
    let settings = norm.settings();
    if settings.of_values {
        let groups = norm.statistics.mean.dims()[0] / norm.gamma.dims()[0];
        return normalise_by_values(x, norm, groups);
    }
    let (gamma, beta) = (norm.gamma.clone(), norm.beta.clone());
    let statistics = &norm.statistics;
    let (mean, variance) = (statistics.mean.clone(), statistics.variance.clone());
    let x = channels_first(x);
    let normalised = module::batch_norm(x, gamma, beta, mean, variance, settings.epsilon);
    rectified(normalised, norm)
}

/// What the rectifier of `norm` makes of `[batch, channel, z, y, x]`, channels last.
fn rectified(x: Tensor<5>, norm: &Normalisation) -> Tensor<5> {
    channels_last(match &norm.slope {
        None => activation::relu(x),
        Some(slope) => activation::prelu(x, slope.clone()),
    })
}

/// `x` by its own mean and variance, the images in so many groups.
fn normalise_by_values(x: Tensor<5>, norm: &Normalisation, groups: usize) -> Tensor<5> {
    let shape = x.dims();
    let channels = shape[4];
    let voxels = x.shape().num_elements() / (channels * groups);
    let (mean, variance) = group_moments(x.clone(), groups);
    let deviation = variance.add_scalar(norm.epsilon).sqrt();
    let row = |row: &Tensor<1>| row.clone().reshape([1, 1, channels]);
    let rows = x.reshape([groups, voxels, channels]);
    let normalised = (rows - mean) / deviation * row(&norm.gamma) + row(&norm.beta);
    let normalised = channels_first(normalised.reshape(shape));
    rectified(normalised, norm)
}

pub(crate) fn add_widened(x: Tensor<5>, change: Tensor<5>) -> Tensor<5> {
    let (narrow, wide) = (x.dims()[4], change.dims()[4]);
    let before = (wide - narrow) / 2;
    let zeros = |count| {
        let [n, z, y, x_length, _] = x.dims();
        Tensor::zeros([n, z, y, x_length, count], &x.device())
    };
    let parts = [zeros(before), x.clone(), zeros(wide - narrow - before)];
    let parts = parts
        .into_iter()
        .filter(|part| part.dims()[4] > 0)
        .collect();
    Tensor::cat(parts, 4) + change
}

pub(crate) fn max_pool(x: Tensor<5>, window: [usize; 2], stride: [usize; 2]) -> Tensor<5> {
    let [batch, z, y, x_length, channels] = x.dims();
    let planes = channels_first(x.reshape([batch * z, 1, y, x_length, channels])).reshape([
        batch * z,
        channels,
        y,
        x_length,
    ]);
    let options = MaxPoolOptions::new(window).with_stride(stride);
    let largest = module::max_pool2d(planes, options);
    let [_, _, y, x_length] = largest.dims();
    channels_last(
        largest
            .reshape([batch, z, channels, y, x_length])
            .permute([0, 2, 1, 3, 4]),
    )
}

pub(crate) fn join_channels(a: Tensor<5>, b: Tensor<5>) -> Tensor<5> {
    Tensor::cat(vec![a, b], 4)
}

pub(crate) fn mean_pool(x: Tensor<5>, block: [usize; 3]) -> Tensor<5> {
    let [batch, z, y, x_length, channels] = x.dims();
    let [bz, by, bx] = block;
    let [z, y, x_length] = [z / bz, y / by, x_length / bx];
    let split = x.reshape([batch, z, bz, y, by, x_length, bx, channels]);
    let means = split.mean_dim(2).mean_dim(4).mean_dim(6);
    means.reshape([batch, z, y, x_length, channels])
}

pub(crate) fn shuffle_voxels(x: Tensor<5>, factor: [usize; 3]) -> Tensor<5> {
    let [batch, z, y, x_length, channels] = x.dims();
    let [fz, fy, fx] = factor;
    let channels = channels / (fz * fy * fx);
    let split = x.reshape([batch * z, y, x_length, fz, fy, fx * channels]);
    let apart = split.permute([0, 3, 1, 4, 2, 5]);
    apart.reshape([batch, z * fz, y * fy, x_length * fx, channels])
}
