//! The operations on the processor: kernels on the slices of its tensors.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Shape, TensorData};
use burn_flex::FlexTensor;
use lacuna_kernels::{self as kernels, Convolution, MaxPool, Moments, Normalisation};
use lacuna_kernels::{PixelShuffle, Rectifier, Source, Statistics};

use crate::extension::{NormSettings, Operations, Settings};

/// The values of a tensor that is contiguous.
pub(crate) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor
        .as_slice()
        .expect("a contiguous tensor of 32-bit floats")
}

/// A tensor that owns `values`, without copying them.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.into()))
}

/// The values of `tensor`, copied only where another holds them or they are not
/// contiguous.
pub(crate) fn into_values(tensor: FlexTensor) -> Vec<f32> {
    let data = tensor.to_contiguous();
    drop(tensor);
    (data.into_data().try_into_vec()).expect("a tensor of 32-bit floats")
}

/// The convolution that `settings` and the tensors' shapes describe.
pub(crate) fn geometry(x: &FlexTensor, weight: &FlexTensor, settings: &Settings) -> Convolution {
    let [batch, z, y, x_length, channels_in] = x.shape().dims();
    let [channels_out, reads, kz, ky, kx] = weight.shape().dims();
    assert_eq!(channels_in, reads, "channels of the image and the weights");
    Convolution {
        batch,
        channels_in,
        channels_out,
        input: [z, y, x_length],
        kernel: [kz, ky, kx],
        stride: settings.stride,
        dilation: settings.dilation,
        padding: settings.padding,
    }
}

/// Shape of the convolution's output.
pub(crate) fn output_shape(convolution: &Convolution) -> [usize; 5] {
    let [z, y, x] = convolution.output();
    [convolution.batch, z, y, x, convolution.channels_out]
}

fn run(
    x: &FlexTensor,
    rectified: Option<Rectifier<'_>>,
    weight: &FlexTensor,
    bias: &FlexTensor,
    settings: &Settings,
) -> FlexTensor {
    let convolution = geometry(x, weight, settings);
    let source = Source {
        values: values(x),
        rectified,
    };
    let output = convolution.forward(
        source,
        values(weight),
        Some(values(bias)),
        settings.rectify,
        settings.precision,
    );
    tensor(output, output_shape(&convolution))
}

/// The tensors of a normalisation as slices: gamma, beta, slope, mean, variance.
pub(crate) fn normalisation<'a>(
    tensors: [&'a FlexTensor; 5],
    norm: &NormSettings,
) -> Normalisation<'a> {
    let [gamma, beta, slope, mean, variance] = tensors.map(values);
    Normalisation {
        mean,
        variance,
        epsilon: norm.epsilon as f32,
        gamma,
        beta,
        slope,
        statistics: match norm.of_batch {
            true => Statistics::Batch,
            false => Statistics::Fixed,
        },
    }
}

impl Operations for Flex {
    fn convolve(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        settings: Settings,
    ) -> FlexTensor {
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        run(&x, None, &weight, &bias, &settings)
    }

    fn moments(x: FlexTensor) -> (FlexTensor, FlexTensor) {
        let x = x.to_contiguous();
        let [.., channels] = x.shape().dims::<5>();
        let Moments { mean, variance } = kernels::moments(values(&x), channels);
        (tensor(mean, [channels]), tensor(variance, [channels]))
    }

    fn normalise_rectify(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        slope: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        norm: NormSettings,
    ) -> FlexTensor {
        let x = x.to_contiguous();
        let norm = normalisation([&gamma, &beta, &slope, &mean, &variance], &norm);
        let (scale, shift) = norm.scale_and_shift();
        let rectifier = Rectifier {
            scale: &scale,
            shift: &shift,
            slope: norm.slope,
        };
        tensor(kernels::activate(values(&x), rectifier), x.shape())
    }

    fn normalise_rectify_convolve(
        x: FlexTensor,
        gamma: FlexTensor,
        beta: FlexTensor,
        slope: FlexTensor,
        mean: FlexTensor,
        variance: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        norm: NormSettings,
        settings: Settings,
    ) -> FlexTensor {
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let norm = normalisation([&gamma, &beta, &slope, &mean, &variance], &norm);
        let (scale, shift) = norm.scale_and_shift();
        let rectifier = Rectifier {
            scale: &scale,
            shift: &shift,
            slope: norm.slope,
        };
        run(&x, Some(rectifier), &weight, &bias, &settings)
    }

    fn add_widened(x: FlexTensor, change: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let shape = change.shape();
        let ([.., narrow], [.., wide]) = (x.shape().dims::<5>(), shape.dims::<5>());
        assert_eq!(
            x.shape()[..4],
            shape[..4],
            "the voxels of the two sides of a residual sum"
        );
        let sum = kernels::add_widened(into_values(change), wide, values(&x), narrow);
        tensor(sum, shape)
    }

    fn max_pool(x: FlexTensor, window: usize, stride: usize) -> FlexTensor {
        let x = x.to_contiguous();
        let [batch, z, .., channels] = x.shape().dims::<5>();
        let pool = pool(&x, window, stride);
        let [oy, ox] = pool.output();
        tensor(pool.forward(values(&x)), [batch, z, oy, ox, channels])
    }

    fn join_channels(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        let (a, b) = (a.to_contiguous(), b.to_contiguous());
        let ([n, z, y, x, from_a], [.., from_b]) = (a.shape().dims(), b.shape().dims::<5>());
        assert_eq!(a.shape()[..4], b.shape()[..4], "the voxels to join");
        let joined = kernels::join_channels(values(&a), values(&b), [from_a, from_b]);
        tensor(joined, [n, z, y, x, from_a + from_b])
    }

    fn shuffle_pixels(x: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let [batch, z, y, x_length, channels] = x.shape().dims();
        let apart = shuffle(x.shape().dims()).forward(values(&x));
        tensor(apart, [batch, z, 2 * y, 2 * x_length, channels / 4])
    }
}

/// The pixel shuffle of values of that shape.
pub(crate) fn shuffle([batch, z, y, x, channels]: [usize; 5]) -> PixelShuffle {
    PixelShuffle {
        batch: batch * z,
        input: [y, x],
        channels: channels / 4,
    }
}

/// The pooling of the planes of `x`.
pub(crate) fn pool(x: &FlexTensor, window: usize, stride: usize) -> MaxPool {
    let [batch, z, y, x_length, channels] = x.shape().dims();
    MaxPool {
        batch: batch * z,
        input: [y, x_length],
        channels,
        window: [window; 2],
        stride: [stride; 2],
    }
}
