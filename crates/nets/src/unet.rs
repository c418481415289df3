//! UNets (Ronneberger, Fischer and Brox 2015), unpadded or padded.
//!
//! Each level has two 3x3 convolutions with bias, each followed by a ReLU; going
//! down, a 2x2 max pooling and twice the channels; going up, a 2x2 transposed
//! convolution of stride 2 that halves the channels, concatenated behind the
//! output of the same level on the way down. A 1x1 convolution gives the logits.
//!
//! | | `unet` | `padded-unet` |
//! |---|---|---|
//! | levels | 64, 128, 256 | 64, 128, 256, 512, 1024 |
//! | 3x3 convolutions | unpadded; what is concatenated is cropped centrally | zeros keep the size |
//! | lengths | border 40, a multiple of 4 | no border, multiples of 16 |
//!
//! Three levels, that is two poolings, are the only depth whose border without
//! padding, `12 * 2^poolings - 8`, gives the effective patches of Sudre et al.
//! 2017, Table 1 (56 to 16, 64 to 24, 88 to 48). Five levels are the published
//! depth; with padding the output is as large as the input, and voxels near its
//! edges depend on the zeros around it.
//!
//! There is no batch norm: the published UNet has none. NiftyNet's later
//! `unet_2d` adds it and has five levels; it postdates the paper and its border
//! of 184 exceeds the paper's patches.
//!
//! Axis order: input and logits `[batch, channel, y, x]`, within
//! `[batch, 1, y, x, channel]`.

use burn::module::Module;
use burn::nn::Initializer;
use burn::nn::conv::{Conv2d, ConvTranspose2d, ConvTranspose2dConfig};
use burn::tensor::{Device, Tensor};
use lacuna_ops::{Precision, convolve, convolve_rectify, join_channels, max_pool};

use crate::architecture::Extent;
use crate::config::ModelConfig;
use crate::init;
use crate::layers::{Faces, conv2d, crop_like, filter_2d, grow, planes_first, planes_last};

/// Kernel widths of the convolutions of a block.
const BLOCK: [usize; 2] = [3, 3];
/// Window and stride of the poolings and of the transposed convolutions.
const POOL: usize = 2;
/// Kernel width of the classifier.
const CLASSIFIER: usize = 1;

/// What the two UNets differ in.
pub(crate) struct Plan {
    /// Channels of each level, from full resolution down.
    widths: &'static [usize],
    /// Borders of the convolutions of a block.
    faces: Faces,
}

/// The UNet of the paper's Table 1.
pub(crate) const UNPADDED: Plan = Plan {
    widths: &[64, 128, 256],
    faces: Faces::Valid,
};

/// Ronneberger's levels with an output as large as the input.
pub(crate) const PADDED: Plan = Plan {
    widths: &[64, 128, 256, 512, 1024],
    faces: Faces::Padded,
};

/// The network's layers as seen by the length of an axis.
pub(crate) fn extents(plan: &Plan) -> Vec<Extent> {
    let mut layers = level(plan, 0);
    layers.push(Extent::Valid {
        kernel: CLASSIFIER,
        dilation: 1,
    });
    layers
}

fn level(plan: &Plan, depth: usize) -> Vec<Extent> {
    let block = BLOCK.map(|kernel| match plan.faces {
        Faces::Valid => Extent::Valid {
            kernel,
            dilation: 1,
        },
        Faces::Padded => Extent::Padded {
            kernel,
            dilation: 1,
        },
    });
    let mut layers = block.to_vec();
    if depth + 1 < plan.widths.len() {
        let mut detour = vec![Extent::Shrink(POOL)];
        detour.extend(level(plan, depth + 1));
        detour.push(Extent::Grow(POOL));
        layers.push(Extent::Skip(detour));
        layers.extend(block);
    }
    layers
}

/// The convolutions of one level, each followed by a ReLU.
#[derive(Module, Debug)]
pub struct Block {
    convs: Vec<Conv2d>,
}

impl Block {
    fn new(channels: [usize; 2], faces: Faces, device: &Device) -> Self {
        let mut from = channels[0];
        let convs = BLOCK
            .iter()
            .map(|&kernel| {
                let channels = [std::mem::replace(&mut from, channels[1]), channels[1]];
                conv2d(channels, kernel, faces, device)
            })
            .collect();
        Self { convs }
    }

    fn forward(&self, x: Tensor<5>, precision: Precision) -> Tensor<5> {
        self.convs.iter().fold(x, |x, conv| {
            convolve_rectify(x, &filter_2d(conv, precision))
        })
    }
}

/// One level on the way up.
#[derive(Module, Debug)]
pub struct Up {
    grow: ConvTranspose2d,
    block: Block,
}

impl Up {
    fn new(channels: [usize; 2], faces: Faces, device: &Device) -> Self {
        let grow = ConvTranspose2dConfig::new(channels, [POOL; 2])
            .with_stride([POOL; 2])
            .with_initializer(Initializer::Zeros)
            .init(device);
        Self {
            grow,
            block: Block::new([2 * channels[1], channels[1]], faces, device),
        }
    }

    fn forward(&self, x: Tensor<5>, skip: Tensor<5>, precision: Precision) -> Tensor<5> {
        let grown = grow(x, &self.grow, precision);
        let skip = crop_like(skip, &grown);
        self.block.forward(join_channels(skip, grown), precision)
    }
}

/// A UNet.
#[derive(Module, Debug)]
pub struct Unet {
    down: Vec<Block>,
    up: Vec<Up>,
    classifier: Conv2d,
}

impl Unet {
    pub(crate) fn new(
        plan: &Plan,
        config: &ModelConfig,
        input_channels: usize,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Self {
        let widths: Vec<usize> = plan.widths.iter().map(|&w| config.channels(w)).collect();
        let mut from = input_channels;
        let down = widths
            .iter()
            .map(|&width| {
                let channels = [std::mem::replace(&mut from, width), width];
                Block::new(channels, plan.faces, device)
            })
            .collect();
        let up = widths
            .windows(2)
            .rev()
            .map(|pair| Up::new([pair[1], pair[0]], plan.faces, device))
            .collect();
        let network = Self {
            down,
            up,
            classifier: conv2d([widths[0], classes], CLASSIFIER, Faces::Valid, device),
        };
        init::fill(network, seed, init::RECTIFIER_GAIN)
    }

    /// Logits `[batch, class, y - border, x - border]` of
    /// `[batch, channel, y, x]`.
    pub(crate) fn forward(&self, input: Tensor<4>, precision: Precision) -> Tensor<4> {
        let input = planes_last(input);
        let mut levels: Vec<Tensor<5>> = Vec::with_capacity(self.down.len());
        for block in &self.down {
            let x = match levels.last() {
                None => input.clone(),
                Some(above) => max_pool(above.clone(), POOL, POOL),
            };
            levels.push(block.forward(x, precision));
        }
        let bottom = levels.pop().unwrap_or(input);
        let top = self
            .up
            .iter()
            .zip(levels.into_iter().rev())
            .fold(bottom, |x, (up, skip)| up.forward(x, skip, precision));
        planes_first(convolve(top, &filter_2d(&self.classifier, precision)))
    }
}
