//! Batch normalisation and rectifier, alone or read by a convolution without
//! being stored.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::composed;
use crate::convolve::Filter;
use crate::extension::{NormSettings, Operations, Settings, has_kernels};

/// Mean and variance of each channel.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// `[channel]`.
    pub mean: Tensor<1>,
    /// `[channel]`, the mean square distance from the mean.
    pub variance: Tensor<1>,
    of_batch: bool,
}

impl Statistics {
    /// Those of `x` `[batch, z, y, x, channel]`. A normalisation of the same `x`
    /// with them has the gradient of batch normalisation in training.
    pub fn of(x: &Tensor<5>) -> Self {
        let (mean, variance) = match has_kernels(x) {
            true => {
                let (mean, variance) = Dispatch::moments(x.clone().into_dispatch());
                (Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
            }
            false => composed::moments(x.clone()),
        };
        Self {
            mean,
            variance,
            of_batch: true,
        }
    }

    /// Constants, such as running averages.
    pub fn given(mean: Tensor<1>, variance: Tensor<1>) -> Self {
        Self {
            mean,
            variance,
            of_batch: false,
        }
    }
}

/// `u = gamma (x - mean) / sqrt(variance + epsilon) + beta` for each channel
/// (Ioffe and Szegedy 2015), then `u` where it is positive and `slope u`
/// elsewhere.
#[derive(Clone, Debug)]
pub struct Normalisation {
    /// `[channel]`.
    pub gamma: Tensor<1>,
    /// `[channel]`.
    pub beta: Tensor<1>,
    /// Factor of negative values, `[channel]`; none is 0, the ReLU.
    pub slope: Option<Tensor<1>>,
    /// Mean and variance.
    pub statistics: Statistics,
    /// Added to the variance before the root.
    pub epsilon: f64,
}

impl Normalisation {
    pub(crate) fn settings(&self) -> NormSettings {
        NormSettings {
            epsilon: self.epsilon,
            of_batch: self.statistics.of_batch,
        }
    }

    /// The slope, zeros where there is none.
    pub(crate) fn slope_or_zeros(&self) -> Tensor<1> {
        self.slope
            .clone()
            .unwrap_or_else(|| Tensor::zeros(self.gamma.dims(), &self.gamma.device()))
    }
}

/// Normalised and rectified `x` `[batch, z, y, x, channel]`.
///
/// # Panics
/// If the channels of `x` are not the normalisation's.
pub fn normalise_rectify(x: Tensor<5>, norm: &Normalisation) -> Tensor<5> {
    if !has_kernels(&x) {
        return composed::normalise_rectify(x, norm);
    }
    Tensor::from_dispatch(Dispatch::normalise_rectify(
        x.into_dispatch(),
        norm.gamma.clone().into_dispatch(),
        norm.beta.clone().into_dispatch(),
        norm.slope_or_zeros().into_dispatch(),
        norm.statistics.mean.clone().into_dispatch(),
        norm.statistics.variance.clone().into_dispatch(),
        norm.settings(),
    ))
}

/// The convolution of normalised and rectified `x`
/// `[batch, z, y, x, channels_in]`: `[batch, z', y', x', channels_out]`.
///
/// For the gradient `x` alone is kept, not what the convolution reads.
///
/// # Panics
/// If the channels of `x` are not the normalisation's and the filter's, or the
/// kernel does not fit.
pub fn normalise_rectify_convolve(
    x: Tensor<5>,
    norm: &Normalisation,
    filter: &Filter,
) -> Tensor<5> {
    apply(x, norm, filter, false)
}

/// [`normalise_rectify_convolve`]; `joins` where the gradient by `x` has been
/// handed a part before this operation's turn comes.
pub(crate) fn apply(x: Tensor<5>, norm: &Normalisation, filter: &Filter, joins: bool) -> Tensor<5> {
    if !has_kernels(&x) {
        return composed::convolve(composed::normalise_rectify(x, norm), filter, false);
    }
    let settings = Settings {
        joins,
        ..filter.settings(false)
    };
    Tensor::from_dispatch(Dispatch::normalise_rectify_convolve(
        x.into_dispatch(),
        norm.gamma.clone().into_dispatch(),
        norm.beta.clone().into_dispatch(),
        norm.slope_or_zeros().into_dispatch(),
        norm.statistics.mean.clone().into_dispatch(),
        norm.statistics.variance.clone().into_dispatch(),
        filter.weight.clone().into_dispatch(),
        filter.bias_or_zeros().into_dispatch(),
        norm.settings(),
        settings,
    ))
}
