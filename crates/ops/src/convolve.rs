//! Convolution, with bias and rectifier.

use burn::backend::Dispatch;
use burn::tensor::Tensor;
use lacuna_kernels::Precision;

use crate::composed;
use crate::extension::{Operations, Settings, has_kernels};

/// A convolution's weights and how they are laid over the image.
#[derive(Clone, Debug)]
pub struct Filter {
    /// `[channels_out, channels_in, z, y, x]`.
    pub weight: Tensor<5>,
    /// `[channels_out]`; none is 0.
    pub bias: Option<Tensor<1>>,
    /// Input voxels from one output voxel to the next, along z, y and x.
    pub stride: [usize; 3],
    /// Input voxels from one tap to the next.
    pub dilation: [usize; 3],
    /// Voxels of zeros at both ends of each axis.
    pub padding: [usize; 3],
    /// Arithmetic of the products; other devices than the processor know
    /// [`Precision::F32`] alone.
    pub precision: Precision,
}

impl Filter {
    pub(crate) fn settings(&self, rectify: bool) -> Settings {
        Settings {
            stride: self.stride,
            dilation: self.dilation,
            padding: self.padding,
            rectify,
            precision: self.precision,
            joins: false,
        }
    }

    /// The bias, zeros where there is none.
    pub(crate) fn bias_or_zeros(&self) -> Tensor<1> {
        self.bias
            .clone()
            .unwrap_or_else(|| Tensor::zeros([self.weight.dims()[0]], &self.weight.device()))
    }
}

/// The convolution of `x` `[batch, z, y, x, channels_in]`:
/// `[batch, z', y', x', channels_out]`.
///
/// # Panics
/// If the channels of `x` are not the weights', or the kernel does not fit.
pub fn convolve(x: Tensor<5>, filter: &Filter) -> Tensor<5> {
    apply(x, filter, false)
}

/// [`convolve`], with 0 for negative results (ReLU).
///
/// # Panics
/// As [`convolve`].
pub fn convolve_rectify(x: Tensor<5>, filter: &Filter) -> Tensor<5> {
    apply(x, filter, true)
}

fn apply(x: Tensor<5>, filter: &Filter, rectify: bool) -> Tensor<5> {
    if !has_kernels(&x) {
        return composed::convolve(x, filter, rectify);
    }
    Tensor::from_dispatch(Dispatch::convolve(
        x.into_dispatch(),
        filter.weight.clone().into_dispatch(),
        filter.bias_or_zeros().into_dispatch(),
        filter.settings(rectify),
    ))
}
