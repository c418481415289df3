//! The operations on the processor: kernels on the slices of its tensors.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Shape, TensorData};
use burn_flex::FlexTensor;
use lacuna_kernels::{self as kernels, Convolution, MaxPool, MeanPool, Moments, Normalisation};
use lacuna_kernels::{Rectifier, Source, Statistics, VoxelShuffle};

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
        statistics: match norm.of_values {
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

    fn moments(x: FlexTensor, images: usize) -> (FlexTensor, FlexTensor) {
        let x = x.to_contiguous();
        let [.., channels] = x.shape().dims::<5>();
        let Moments { mean, variance } = kernels::moments_of_images(values(&x), channels, images);
        let rows = [images * channels];
        (tensor(mean, rows), tensor(variance, rows))
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
        let channels = norm.gamma.len();
        tensor(
            kernels::activate(values(&x), rectifier, channels),
            x.shape(),
        )
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

    fn max_pool(x: FlexTensor, window: [usize; 2], stride: [usize; 2]) -> FlexTensor {
        let x = x.to_contiguous();
        let [batch, z, .., channels] = x.shape().dims::<5>();
        let pool = pool(&x, window, stride);
        let [oy, ox] = pool.output();
        tensor(pool.forward(values(&x)), [batch, z, oy, ox, channels])
    }

    fn mean_pool(x: FlexTensor, block: [usize; 3]) -> FlexTensor {
        let x = x.to_contiguous();
        let pool = mean_pool(x.shape().dims(), block);
        let [z, y, x_length] = pool.output;
        let shape = [pool.batch, z, y, x_length, pool.channels];
        tensor(pool.forward(values(&x)), shape)
    }

    fn join_channels(a: FlexTensor, b: FlexTensor) -> FlexTensor {
        let (a, b) = (a.to_contiguous(), b.to_contiguous());
        let ([n, z, y, x, from_a], [.., from_b]) = (a.shape().dims(), b.shape().dims::<5>());
        assert_eq!(a.shape()[..4], b.shape()[..4], "the voxels to join");
        let joined = kernels::join_channels(values(&a), values(&b), [from_a, from_b]);
        tensor(joined, [n, z, y, x, from_a + from_b])
    }

    fn shuffle_voxels(x: FlexTensor, factor: [usize; 3]) -> FlexTensor {
        let x = x.to_contiguous();
        let [batch, z, y, x_length, channels] = x.shape().dims();
        let shuffle = shuffle(x.shape().dims(), factor);
        let [fz, fy, fx] = factor;
        let lengths = [z * fz, y * fy, x_length * fx];
        let shape = [
            batch,
            lengths[0],
            lengths[1],
            lengths[2],
            channels / (fz * fy * fx),
        ];
        tensor(shuffle.forward(values(&x)), shape)
    }
}

/// The shuffle of values of that shape.
pub(crate) fn shuffle([batch, z, y, x, channels]: [usize; 5], factor: [usize; 3]) -> VoxelShuffle {
    VoxelShuffle {
        batch,
        input: [z, y, x],
        factor,
        channels: channels / factor.iter().product::<usize>(),
    }
}

/// The mean pooling of values of that shape.
pub(crate) fn mean_pool([batch, z, y, x, channels]: [usize; 5], block: [usize; 3]) -> MeanPool {
    let [bz, by, bx] = block;
    MeanPool {
        batch,
        output: [z / bz, y / by, x / bx],
        block,
        channels,
    }
}

/// The pooling of the planes of `x`.
pub(crate) fn pool(x: &FlexTensor, window: [usize; 2], stride: [usize; 2]) -> MaxPool {
    let [batch, z, y, x_length, channels] = x.shape().dims();
    MaxPool {
        batch: batch * z,
        input: [y, x_length],
        channels,
        window,
        stride,
    }
}
