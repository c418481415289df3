//! DeepMedic (Kamnitsas et al. 2017) in the form of NiftyNet's class.
//!
//! Two paths of eight unpadded 3x3x3 convolutions (30, 30, 40, 40, 40, 40, 50
//! and 50 channels). The normal path sees the input less 16 voxels at each
//! face; the context path sees the whole input at a third of its resolution,
//! the centre voxel of every 3x3x3 block, without smoothing. The context path's
//! output is replicated threefold along each axis and concatenated behind the
//! normal path's; two 1x1x1 convolutions of 150 channels and the classifier
//! follow. Border 48. Inputs are multiples of 3 and odd, as NiftyNet demands
//! (hence 87 in Table 1 where other networks have 85).
//!
//! Every convolution but the classifier is without bias and followed by batch
//! norm and a PReLU with one slope per channel that starts at 0 (NiftyNet's
//! `PReLU`). The classifier is a convolution with bias and nothing behind it,
//! as in the original; NiftyNet's class puts batch norm and the activation on
//! the classifier too, which bounds the logits' scale and is taken as an
//! oversight. No dropout, no residual connections.
//!
//! Axis order: input and logits `[batch, channel, z, y, x]`, within
//! `[batch, z, y, x, channel]`.

use burn::module::Module;
use burn::nn::conv::Conv3d;
use burn::nn::{BatchNorm, PRelu, PReluConfig};
use burn::tensor::{Device, Tensor};
use lacuna_ops::{Precision, convolve, join_channels};

use crate::architecture::Extent;
use crate::config::ModelConfig;
use crate::init;
use crate::layers::{
    Faces, batch_norm, channels_first, channels_last, conv3d, crop, filter_3d, normalise_rectify,
    normalise_rectify_convolve,
};

/// Channels of the eight convolutions of each path.
const PATH: [usize; 8] = [30, 30, 40, 40, 40, 40, 50, 50];
/// Kernel width within the paths.
const KERNEL: usize = 3;
/// Channels of the 1x1x1 convolutions behind the paths.
const FULL: [usize; 2] = [150, 150];
/// Edge of the block whose centre voxel the context path sees.
const FACTOR: usize = 3;
/// Slope of the PReLU for negative values, before training.
const SLOPE: f64 = 0.0;

/// Voxels the normal path drops at each face, so that its output covers the
/// same part of the input as the context path's: the context path loses
/// `FACTOR` voxels where the normal path loses one.
const NORMAL_CROP: usize = (FACTOR - 1) * PATH.len() * (KERNEL - 1) / 2;

/// The network's layers as seen by the length of an axis.
pub(crate) fn extents() -> Vec<Extent> {
    let path = PATH.map(|_| Extent::Valid {
        kernel: KERNEL,
        dilation: 1,
    });
    let mut normal = vec![Extent::Crop {
        before: NORMAL_CROP,
        after: NORMAL_CROP,
    }];
    normal.extend(path.clone());
    let mut context = vec![Extent::Shrink(FACTOR)];
    context.extend(path);
    context.push(Extent::Grow(FACTOR));
    vec![Extent::Odd, Extent::Join(vec![normal, context])]
}

/// A convolution without bias, batch norm and a PReLU.
#[derive(Module, Debug)]
pub struct Layer {
    conv: Conv3d,
    norm: BatchNorm,
    activation: PRelu,
}

impl Layer {
    fn new(channels: [usize; 2], kernel: usize, device: &Device) -> Self {
        Self {
            conv: conv3d(channels, kernel, 1, Faces::Valid, false, device),
            norm: batch_norm(channels[1], device),
            activation: PReluConfig::new()
                .with_num_parameters(channels[1])
                .with_alpha(SLOPE)
                .init(device),
        }
    }

    /// Norm and activation of what this layer's convolution gave, read by another.
    fn read_by(&self, x: Tensor<5>, conv: &Conv3d, precision: Precision) -> Tensor<5> {
        let filter = filter_3d(conv, precision);
        normalise_rectify_convolve(x, &self.norm, Some(&self.activation), &filter)
    }
}

/// Layers one behind the other, without the last one's norm and activation, and
/// that last layer.
fn through(layers: &[Layer], x: Tensor<5>, precision: Precision) -> (Tensor<5>, &Layer) {
    let (first, last) = (&layers[0], &layers[layers.len() - 1]);
    let x = convolve(x, &filter_3d(&first.conv, precision));
    let x = layers
        .windows(2)
        .fold(x, |x, pair| pair[0].read_by(x, &pair[1].conv, precision));
    (x, last)
}

/// Layers of the given channels, one behind the other.
fn sequence(mut from: usize, widths: &[usize], kernel: usize, device: &Device) -> Vec<Layer> {
    widths
        .iter()
        .map(|&to| Layer::new([std::mem::replace(&mut from, to), to], kernel, device))
        .collect()
}

/// The two-resolution network.
#[derive(Module, Debug)]
pub struct DeepMedic {
    normal: Vec<Layer>,
    context: Vec<Layer>,
    full: Vec<Layer>,
    classifier: Conv3d,
}

impl DeepMedic {
    pub(crate) fn new(
        config: &ModelConfig,
        input_channels: usize,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Self {
        let path = PATH.map(|width| config.channels(width));
        let full = FULL.map(|width| config.channels(width));
        let network = Self {
            normal: sequence(input_channels, &path, KERNEL, device),
            context: sequence(input_channels, &path, KERNEL, device),
            full: sequence(2 * path[path.len() - 1], &full, 1, device),
            classifier: conv3d(
                [full[full.len() - 1], classes],
                1,
                1,
                Faces::Valid,
                true,
                device,
            ),
        };
        init::fill(network, seed, init::RECTIFIER_GAIN)
    }

    /// Logits `[batch, class, z - border, y - border, x - border]` of
    /// `[batch, channel, z, y, x]`.
    pub(crate) fn forward(&self, input: Tensor<5>, precision: Precision) -> Tensor<5> {
        let input = channels_last(input);
        let path = |layers: &[Layer], x| {
            let (x, last) = through(layers, x, precision);
            normalise_rectify(x, &last.norm, Some(&last.activation))
        };
        let normal = path(&self.normal, crop(input.clone(), NORMAL_CROP, NORMAL_CROP));
        let context = replicate(path(&self.context, block_centres(input)));
        let both = join_channels(normal, context);
        let (x, last) = through(&self.full, both, precision);
        channels_first(last.read_by(x, &self.classifier, precision))
    }
}

/// The centre voxel of every block, `[batch, z / 3, y / 3, x / 3, channel]`.
fn block_centres(x: Tensor<5>) -> Tensor<5> {
    let [batch, z, y, x_length, channels] = x.dims();
    let blocks = [z, y, x_length].map(|length| length / FACTOR);
    let split = x.reshape([
        batch, blocks[0], FACTOR, blocks[1], FACTOR, blocks[2], FACTOR, channels,
    ]);
    [2, 4, 6]
        .into_iter()
        .fold(split, |x, axis| x.narrow(axis, FACTOR / 2, 1))
        .reshape([batch, blocks[0], blocks[1], blocks[2], channels])
}

/// Every voxel repeated along each axis, `[batch, 3 z, 3 y, 3 x, channel]`.
fn replicate(x: Tensor<5>) -> Tensor<5> {
    let [batch, z, y, x_length, channels] = x.dims();
    x.reshape([batch, z, 1, y, 1, x_length, 1, channels])
        .expand([batch, z, FACTOR, y, FACTOR, x_length, FACTOR, channels])
        .reshape([batch, z * FACTOR, y * FACTOR, x_length * FACTOR, channels])
}
