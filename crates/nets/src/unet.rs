//! UNet with unpadded convolutions (Ronneberger, Fischer and Brox 2015).
//!
//! Three levels, that is two poolings: the only depth whose border,
//! `12 * 2^poolings - 8`, gives the effective patches of Sudre et al. 2017,
//! Table 1 (56 to 16, 64 to 24, 88 to 48). Each level has two 3x3 convolutions
//! with bias, each followed by a ReLU; going down, a 2x2 max pooling and twice
//! the channels (64, 128, 256); going up, a 2x2 transposed convolution of
//! stride 2 that halves the channels, concatenated behind the centrally cropped
//! output of the same level on the way down. A 1x1 convolution gives the
//! logits.
//!
//! There is no batch norm: the published UNet has none. NiftyNet's later
//! `unet_2d` adds it and has five levels; it postdates the paper and its border
//! of 184 exceeds the paper's patches.
//!
//! Axis order: `[batch, channel, y, x]`.

use burn::module::Module;
use burn::nn::Initializer;
use burn::nn::conv::{Conv2d, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::architecture::Extent;
use crate::config::ModelConfig;
use crate::init;
use crate::layers::{conv2d, crop_like};

/// Channels of each level, from full resolution down.
const WIDTHS: [usize; 3] = [64, 128, 256];
/// Kernel widths of the convolutions of a block.
const BLOCK: [usize; 2] = [3, 3];
/// Window and stride of the poolings and of the transposed convolutions.
const POOL: usize = 2;
/// Kernel width of the classifier.
const CLASSIFIER: usize = 1;

/// The network's layers as seen by the length of an axis.
pub(crate) fn extents() -> Vec<Extent> {
    let mut layers = level(0);
    layers.push(Extent::Valid {
        kernel: CLASSIFIER,
        dilation: 1,
    });
    layers
}

fn level(depth: usize) -> Vec<Extent> {
    let block = BLOCK.map(|kernel| Extent::Valid {
        kernel,
        dilation: 1,
    });
    let mut layers = block.to_vec();
    if depth + 1 < WIDTHS.len() {
        let mut detour = vec![Extent::Shrink(POOL)];
        detour.extend(level(depth + 1));
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
    fn new(channels: [usize; 2], device: &Device) -> Self {
        let mut from = channels[0];
        let convs = BLOCK
            .iter()
            .map(|&kernel| {
                conv2d(
                    [std::mem::replace(&mut from, channels[1]), channels[1]],
                    kernel,
                    device,
                )
            })
            .collect();
        Self { convs }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.convs.iter().fold(x, |x, conv| relu(conv.forward(x)))
    }
}

/// One level on the way up.
#[derive(Module, Debug)]
pub struct Up {
    grow: ConvTranspose2d,
    block: Block,
}

impl Up {
    fn new(channels: [usize; 2], device: &Device) -> Self {
        let grow = ConvTranspose2dConfig::new(channels, [POOL; 2])
            .with_stride([POOL; 2])
            .with_initializer(Initializer::Zeros)
            .init(device);
        Self {
            grow,
            block: Block::new([2 * channels[1], channels[1]], device),
        }
    }

    fn forward(&self, x: Tensor<4>, skip: Tensor<4>) -> Tensor<4> {
        let grown = self.grow.forward(x);
        let skip = crop_like(skip, &grown);
        self.block.forward(Tensor::cat(vec![skip, grown], 1))
    }
}

/// The UNet.
#[derive(Module, Debug)]
pub struct Unet {
    down: Vec<Block>,
    pool: MaxPool2d,
    up: Vec<Up>,
    classifier: Conv2d,
}

impl Unet {
    pub(crate) fn new(
        config: &ModelConfig,
        input_channels: usize,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Self {
        let widths = WIDTHS.map(|width| config.channels(width));
        let mut from = input_channels;
        let down = widths
            .iter()
            .map(|&width| Block::new([std::mem::replace(&mut from, width), width], device))
            .collect();
        let up = widths
            .windows(2)
            .rev()
            .map(|pair| Up::new([pair[1], pair[0]], device))
            .collect();
        let network = Self {
            down,
            pool: MaxPool2dConfig::new([POOL; 2])
                .with_strides([POOL; 2])
                .init(),
            up,
            classifier: conv2d([widths[0], classes], CLASSIFIER, device),
        };
        init::fill(network, seed, init::RECTIFIER_GAIN)
    }

    /// Logits `[batch, class, y - border, x - border]` of
    /// `[batch, channel, y, x]`.
    pub(crate) fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let mut levels: Vec<Tensor<4>> = Vec::with_capacity(self.down.len());
        for block in &self.down {
            let x = match levels.last() {
                None => input.clone(),
                Some(above) => self.pool.forward(above.clone()),
            };
            levels.push(block.forward(x));
        }
        let bottom = levels.pop().unwrap_or(input);
        let top = self
            .up
            .iter()
            .zip(levels.into_iter().rev())
            .fold(bottom, |x, (up, skip)| up.forward(x, skip));
        self.classifier.forward(top)
    }
}
