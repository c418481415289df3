//! HighRes3DNet (Li et al. 2017), at full resolution throughout.
//!
//! A 3x3x3 convolution to 16 channels, batch norm and ReLU; three residual
//! blocks each of 16, 32 and 64 channels with dilation 1, 2 and 4; a 1x1x1
//! convolution to 80 channels, batch norm and ReLU; a 1x1x1 convolution with
//! bias to the classes, with nothing behind it. A residual block is twice batch
//! norm, ReLU and 3x3x3 convolution, added to its input; where the channels
//! grow, zero channels are put half before and half behind the input's.
//! Convolutions that batch norm follows or precedes have no bias. The
//! activation is the publication's ReLU (NiftyNet's class can also be given
//! PReLU). No dropout.
//!
//! All convolutions are padded with zeros and dilated directly, so any input
//! length works, and the output is cropped by [`CROP`] voxels at each face:
//! the border of 36 of Sudre et al. 2017, Table 1 (51 to 15). The receptive
//! field of 87 reaches 43 voxels to either side, so the crop does not remove
//! all influence of the padded zeros.
//!
//! Axis order: input and logits `[batch, channel, z, y, x]`, within
//! `[batch, z, y, x, channel]`.

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::nn::conv::Conv3d;
use burn::tensor::{Device, Tensor};
use lacuna_ops::{Precision, convolve};

use crate::architecture::Extent;
use crate::config::ModelConfig;
use crate::init;
use crate::layers::{
    Faces, batch_norm, channels_first, channels_last, conv3d, crop, filter_3d, normalise_rectify,
    normalise_rectify_convolve, residual,
};

/// Voxels dropped from the output at each face. A choice, not a consequence of
/// the layers: it is what the effective patches of Table 1 need.
pub const CROP: usize = 18;

/// Channels of the first convolution.
const STEM: usize = 16;
/// Channels and dilation of each group of residual blocks.
const GROUPS: [(usize, usize); 3] = [(16, 1), (32, 2), (64, 4)];
/// Residual blocks in a group.
const BLOCKS: usize = 3;
/// Convolutions in a residual block.
const CONVS: usize = 2;
/// Kernel width of all convolutions but the last two.
const KERNEL: usize = 3;
/// Channels of the 1x1x1 convolution before the classifier.
const TAIL: usize = 80;

/// The network's layers as seen by the length of an axis.
pub(crate) fn extents() -> Vec<Extent> {
    let padded = |dilation| Extent::Padded {
        kernel: KERNEL,
        dilation,
    };
    let mut layers = vec![padded(1)];
    for (_, dilation) in GROUPS {
        layers.extend((0..BLOCKS * CONVS).map(|_| padded(dilation)));
    }
    layers.push(Extent::Crop {
        before: CROP,
        after: CROP,
    });
    layers
}

/// Batch norm, ReLU and convolution, twice, added to the input.
#[derive(Module, Debug)]
pub struct Residual {
    norms: Vec<BatchNorm>,
    convs: Vec<Conv3d>,
}

impl Residual {
    fn new(channels: [usize; 2], dilation: usize, device: &Device) -> Self {
        let [mut from, to] = channels;
        let mut norms = Vec::with_capacity(CONVS);
        let mut convs = Vec::with_capacity(CONVS);
        for _ in 0..CONVS {
            norms.push(batch_norm(from, device));
            convs.push(conv3d(
                [from, to],
                KERNEL,
                dilation,
                Faces::Padded,
                false,
                device,
            ));
            from = to;
        }
        Self { norms, convs }
    }

    /// `[batch, z, y, x, channel]` to the same lengths and the block's channels.
    fn forward(&self, x: Tensor<5>, precision: Precision) -> Tensor<5> {
        let ([norm, norms @ ..], [conv, convs @ ..]) = (&self.norms[..], &self.convs[..]) else {
            unreachable!("a block has convolutions");
        };
        residual(x, norm, &filter_3d(conv, precision), |x| {
            norms.iter().zip(convs).fold(x, |x, (norm, conv)| {
                normalise_rectify_convolve(x, norm, None, &filter_3d(conv, precision))
            })
        })
    }
}

/// The high-resolution network.
#[derive(Module, Debug)]
pub struct HighRes3dNet {
    stem: Conv3d,
    stem_norm: BatchNorm,
    blocks: Vec<Residual>,
    tail: Conv3d,
    tail_norm: BatchNorm,
    classifier: Conv3d,
}

impl HighRes3dNet {
    pub(crate) fn new(
        config: &ModelConfig,
        input_channels: usize,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Self {
        let stem = config.channels(STEM);
        let tail = config.channels(TAIL);
        let mut from = stem;
        let mut blocks = Vec::with_capacity(GROUPS.len() * BLOCKS);
        for (width, dilation) in GROUPS {
            let to = config.channels(width);
            for _ in 0..BLOCKS {
                blocks.push(Residual::new([from, to], dilation, device));
                from = to;
            }
        }
        let pointwise = |channels, bias| conv3d(channels, 1, 1, Faces::Padded, bias, device);
        let network = Self {
            stem: conv3d(
                [input_channels, stem],
                KERNEL,
                1,
                Faces::Padded,
                false,
                device,
            ),
            stem_norm: batch_norm(stem, device),
            blocks,
            tail: pointwise([from, tail], false),
            tail_norm: batch_norm(tail, device),
            classifier: pointwise([tail, classes], true),
        };
        init::fill(network, seed, init::RECTIFIER_GAIN)
    }

    /// Logits `[batch, class, z - border, y - border, x - border]` of
    /// `[batch, channel, z, y, x]`.
    pub(crate) fn forward(&self, input: Tensor<5>, precision: Precision) -> Tensor<5> {
        let filter = |conv| filter_3d(conv, precision);
        let x = convolve(channels_last(input), &filter(&self.stem));
        let x = normalise_rectify(x, &self.stem_norm, None);
        let x = self
            .blocks
            .iter()
            .fold(x, |x, block| block.forward(x, precision));
        let x = convolve(x, &filter(&self.tail));
        let norm = &self.tail_norm;
        let logits = normalise_rectify_convolve(x, norm, None, &filter(&self.classifier));
        channels_first(crop(logits, CROP, CROP))
    }
}
