//! The operations as Burn's backends see them.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, DispatchDevice, backend_extension};
use burn::tensor::{Device, Tensor};
use lacuna_kernels::Precision;

/// What a convolution does besides its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Input voxels from one output voxel to the next.
    pub stride: [usize; 3],
    /// Input voxels from one tap to the next.
    pub dilation: [usize; 3],
    /// Voxels of zeros at both ends of each axis.
    pub padding: [usize; 3],
    /// Negative results become 0.
    pub rectify: bool,
    /// Arithmetic of the products.
    pub precision: Precision,
    /// The gradient by what is read has been handed a part before this
    /// operation's turn comes, and is added to in the same pass.
    pub joins: bool,
}

/// Where a normalisation's mean and variance come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NormSettings {
    /// Added to the variance before the root.
    pub epsilon: f64,
    /// Mean and variance are those of the values, which the gradient follows;
    /// otherwise they are constants.
    pub of_values: bool,
}

/// The operations with a kernel on the processor. Values are
/// `[batch, z, y, x, channel]`, weights `[out, in, z, y, x]`, all others
/// `[channel]`; means and variances `[images * channel]`, where one image stands
/// for all.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Operations: Backend {
    /// A convolution with bias.
    fn convolve(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        settings: Settings,
    ) -> FloatTensor<Self>;

    /// Mean and biased variance of each channel, without gradient: over all images
    /// together, or over each of so many.
    fn moments(x: FloatTensor<Self>, images: usize) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Normalisation and rectifier.
    #[allow(clippy::too_many_arguments, reason = "each is a different tensor")]
    fn normalise_rectify(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slope: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        norm: NormSettings,
    ) -> FloatTensor<Self>;

    /// Normalisation, rectifier and convolution.
    #[allow(clippy::too_many_arguments, reason = "each is a different tensor")]
    fn normalise_rectify_convolve(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        slope: FloatTensor<Self>,
        mean: FloatTensor<Self>,
        variance: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        norm: NormSettings,
        settings: Settings,
    ) -> FloatTensor<Self>;

    /// `change` plus `x`, whose channels lie in the middle of those of `change`.
    fn add_widened(x: FloatTensor<Self>, change: FloatTensor<Self>) -> FloatTensor<Self>;

    /// The largest values of windows of voxels in planes.
    fn max_pool(x: FloatTensor<Self>, window: [usize; 2], stride: [usize; 2]) -> FloatTensor<Self>;

    /// The means of blocks of voxels.
    fn mean_pool(x: FloatTensor<Self>, block: [usize; 3]) -> FloatTensor<Self>;

    /// The channels of `b` behind those of `a`.
    fn join_channels(a: FloatTensor<Self>, b: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Channels to blocks of voxels.
    fn shuffle_voxels(x: FloatTensor<Self>, factor: [usize; 3]) -> FloatTensor<Self>;
}

/// Whether the tensor lies where the kernels run.
pub(crate) fn has_kernels<const D: usize>(x: &Tensor<D>) -> bool {
    is_processor(&x.device())
}

/// Whether the device is the processor through Burn's `flex` backend, with
/// autodiff or without: where the kernels run, in every [`Precision`].
pub fn is_processor(device: &Device) -> bool {
    match device.as_dispatch() {
        DispatchDevice::Flex(_) => true,
        DispatchDevice::Autodiff(device) => matches!(**device, DispatchDevice::Flex(_)),
        #[allow(unreachable_patterns, reason = "other backends are optional")]
        _ => false,
    }
}
