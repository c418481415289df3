//! The operations on the processor: kernels on the slices of its tensors.

use burn::backend::{Flex, TensorMetadata};
use burn::tensor::{Shape, TensorData};
use burn_flex::FlexTensor;
use lacuna_kernels::{Convolution, Rectifier, Source};

use crate::elementwise::{self, Channels, Planes};
use crate::extension::{NormSettings, Operations, Settings};
use crate::pool::Pooling;
use crate::residual::channels_before;

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

/// The values of `tensor` to change, copied only where another holds them.
pub(crate) fn owned(tensor: FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
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

/// The tensors of a normalisation as slices.
pub(crate) fn channels<'a>(tensors: [&'a FlexTensor; 5], norm: &NormSettings) -> Channels<'a> {
    let [gamma, beta, slope, mean, variance] = tensors.map(values);
    Channels {
        gamma,
        beta,
        slope,
        mean,
        variance,
        epsilon: norm.epsilon,
        of_batch: norm.of_batch,
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
        let (mean, variance) = elementwise::moments(values(&x), channels);
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
        let channels = channels([&gamma, &beta, &slope, &mean, &variance], &norm);
        let (scale, shift) = channels.scale_and_shift();
        let y = elementwise::rectified(values(&x), &scale, &shift, channels.slope);
        tensor(y, x.shape())
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
        let channels = channels([&gamma, &beta, &slope, &mean, &variance], &norm);
        let (scale, shift) = channels.scale_and_shift();
        let rectifier = Rectifier {
            scale: &scale,
            shift: &shift,
            slope: channels.slope,
        };
        run(&x, Some(rectifier), &weight, &bias, &settings)
    }

    fn add_widened(x: FlexTensor, change: FlexTensor) -> FlexTensor {
        let x = x.to_contiguous();
        let mut sum = owned(change);
        let ([.., narrow], [.., wide]) = (x.shape().dims::<5>(), sum.shape().dims::<5>());
        assert_eq!(
            x.shape()[..4],
            sum.shape()[..4],
            "the voxels of the two sides of a residual sum"
        );
        let before = channels_before(narrow, wide);
        elementwise::add_channels(sum.storage_mut(), wide, values(&x), narrow, before);
        sum
    }

    fn max_pool(x: FlexTensor, pooling: Pooling) -> FlexTensor {
        largest(&x.to_contiguous(), pooling).0
    }
}

/// Planes of a max pooling of `x`.
pub(crate) fn planes(x: &FlexTensor, pooling: Pooling) -> Planes {
    let [batch, z, y, x_length, channels] = x.shape().dims();
    Planes::new([batch * z, y, x_length, channels], pooling)
}

/// The largest values of a contiguous `x` and their places in their squares.
pub(crate) fn largest(x: &FlexTensor, pooling: Pooling) -> (FlexTensor, Vec<u8>) {
    let [batch, z, _, _, channels] = x.shape().dims();
    let planes = planes(x, pooling);
    let (largest, places) = planes.largest(values(x));
    let [oy, ox] = planes.output;
    (tensor(largest, [batch, z, oy, ox, channels]), places)
}
