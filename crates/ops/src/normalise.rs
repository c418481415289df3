//! Batch or instance normalisation and rectifier, alone or read by a convolution
//! without being stored.

use burn::backend::Dispatch;
use burn::tensor::Tensor;

use crate::composed;
use crate::convolve::Filter;
use crate::extension::{NormSettings, Operations, Settings, has_kernels};

/// Mean and variance of each channel, over a batch or over each of its images.
#[derive(Clone, Debug)]
pub struct Statistics {
    /// `[channel]`, or `[batch * channel]`, image after image.
    pub mean: Tensor<1>,
    /// The mean square distance from the mean, shaped alike.
    pub variance: Tensor<1>,
    of_values: bool,
}

impl Statistics {
    /// Those of `x` `[batch, z, y, x, channel]`, all images together. A
    /// normalisation of the same `x` with them has the gradient of batch
    /// normalisation in training.
    pub fn of(x: &Tensor<5>) -> Self {
        Self::of_groups(x, 1)
    }

    /// Those of each image of `x`. A normalisation of the same `x` with them is
    /// instance normalisation (Ulyanov, Vedaldi and Lempitsky 2016).
    pub fn of_images(x: &Tensor<5>) -> Self {
        Self::of_groups(x, x.dims()[0])
    }

    fn of_groups(x: &Tensor<5>, images: usize) -> Self {
        let (mean, variance) = match has_kernels(x) {
            true => {
                let (mean, variance) = Dispatch::moments(x.clone().into_dispatch(), images);
                (Tensor::from_dispatch(mean), Tensor::from_dispatch(variance))
            }
            false => composed::moments(x.clone(), images),
        };
        Self {
            mean,
            variance,
            of_values: true,
        }
    }

    /// Constants, such as running averages.
    pub fn given(mean: Tensor<1>, variance: Tensor<1>) -> Self {
        Self {
            mean,
            variance,
            of_values: false,
        }
    }
}

/// `u = gamma (x - mean) / sqrt(variance + epsilon) + beta` for each channel
/// (Ioffe and Szegedy 2015) of a batch or of each image, then `u` where it is positive and `slope u`
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
    /// One that leaves `x` as it is before the rectifier of that slope.
    fn nothing(x: &Tensor<5>, slope: Option<Tensor<1>>) -> Self {
        let (channels, device) = ([x.dims()[4]], x.device());
        let ones = || Tensor::ones(channels, &device);
        let zeros = || Tensor::zeros(channels, &device);
        Self {
            gamma: ones(),
            beta: zeros(),
            slope,
            statistics: Statistics::given(zeros(), ones()),
            epsilon: 0.0,
        }
    }

    pub(crate) fn settings(&self) -> NormSettings {
        NormSettings {
            epsilon: self.epsilon,
            of_values: self.statistics.of_values,
        }
    }

    /// The slope, zeros where there is none.
    pub(crate) fn slope_or_zeros(&self) -> Tensor<1> {
        self.slope
            .clone()
            .unwrap_or_else(|| Tensor::zeros(self.gamma.dims(), &self.gamma.device()))
    }
}

/// `x` `[batch, z, y, x, channel]` where it is positive, elsewhere `slope x` with a
/// slope for each channel (leaky ReLU, Maas, Hannun and Ng 2013); none is 0, the
/// ReLU.
///
/// # Panics
/// If the channels of `x` are not the slope's.
pub fn rectify(x: Tensor<5>, slope: Option<Tensor<1>>) -> Tensor<5> {
    normalise_rectify(x.clone(), &Normalisation::nothing(&x, slope))
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
