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
//! Axis order: `[batch, channel, z, y, x]`.

use burn::module::Module;
use burn::nn::conv::Conv3d;
use burn::nn::{BatchNorm, PRelu, PReluConfig};
use burn::tensor::{Device, Tensor};

use crate::architecture::Extent;
use crate::config::ModelConfig;
use crate::init;
use crate::layers::{Faces, batch_norm, conv3d, crop};

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

    fn forward(&self, x: Tensor<5>) -> Tensor<5> {
        self.activation
            .forward(self.norm.forward(self.conv.forward(x)))
    }
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
    pub(crate) fn forward(&self, input: Tensor<5>) -> Tensor<5> {
        let through = |layers: &[Layer], x| layers.iter().fold(x, |x, layer| layer.forward(x));
        let normal = through(&self.normal, crop(input.clone(), NORMAL_CROP, NORMAL_CROP));
        let context = replicate(through(&self.context, block_centres(input)));
        let both = Tensor::cat(vec![normal, context], 1);
        self.classifier.forward(through(&self.full, both))
    }
}

/// The centre voxel of every block, `[batch, channel, z / 3, y / 3, x / 3]`.
fn block_centres(x: Tensor<5>) -> Tensor<5> {
    let [batch, channels, z, y, x_length] = x.dims();
    let blocks = [z, y, x_length].map(|length| length / FACTOR);
    let split = x.reshape([
        batch * channels,
        blocks[0],
        FACTOR,
        blocks[1],
        FACTOR,
        blocks[2],
        FACTOR,
    ]);
    [2, 4, 6]
        .into_iter()
        .fold(split, |x, axis| x.narrow(axis, FACTOR / 2, 1))
        .reshape([batch, channels, blocks[0], blocks[1], blocks[2]])
}

/// Every voxel repeated along each axis,
/// `[batch, channel, 3 z, 3 y, 3 x]`.
fn replicate(x: Tensor<5>) -> Tensor<5> {
    let [batch, channels, z, y, x_length] = x.dims();
    x.reshape([batch * channels, z, 1, y, 1, x_length, 1])
        .expand([batch * channels, z, FACTOR, y, FACTOR, x_length, FACTOR])
        .reshape([batch, channels, z * FACTOR, y * FACTOR, x_length * FACTOR])
}
