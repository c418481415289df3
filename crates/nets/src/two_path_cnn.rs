//! TwoPathCNN (Havaei et al. 2017), dense and unpadded, all strides 1.
//!
//! A local path (two maxout convolutions, each followed by a max pooling) and a
//! global path (one large maxout convolution) see the same input; their outputs
//! are concatenated and a large convolution gives the logits. Maxout takes the
//! larger of two feature maps (two pieces). Receptive field 33, border 32.
//!
//! | | `havaei` | `sudre-text` |
//! |---|---|---|
//! | local | 7x7, pool 4x4, 3x3, pool 2x2 | 7x7, pool 4x4, 5x5, pool 2x2 |
//! | global | 13x13 | 13x13, pool 2x2, last row and column dropped |
//! | head | 21x21 | 19x19 |
//!
//! Hidden channels: 64, 64 and 160. `sudre-text` follows the words of Sudre et
//! al. 2017 (second kernel 5x5, pooling in the global path); with them the
//! local path loses 14 voxels and the global path 13, so that the border of
//! Table 1 needs a 19x19 head and a global path one voxel shorter.
//!
//! There is no dropout and no weight penalty: Sudre et al. mention neither.
//!
//! Axis order: input and logits `[batch, channel, y, x]`, within
//! `[batch, 1, y, x, channel]`.

use burn::module::Module;
use burn::nn::conv::Conv2d;
use burn::tensor::{Device, Tensor, TensorData};
use lacuna_ops::{Filter, Precision, convolve, join_channels, max_pool};

use crate::architecture::Extent;
use crate::config::{ModelConfig, TwoPathPreset};
use crate::init;
use crate::layers::{Faces, conv2d, crop, filter_2d, planes_first, planes_last};

/// Feature maps that each maxout channel is the largest of.
const PIECES: usize = 2;

/// One maxout layer of a path.
struct Stage {
    /// Kernel width of the convolution.
    kernel: usize,
    /// Window of the max pooling of stride 1 behind it; 1 is none.
    pool: usize,
    /// Channels after the maxout.
    channels: usize,
}

/// A preset's layers.
struct Plan {
    local: [Stage; 2],
    global: Stage,
    /// Voxels dropped at the end of the global path's axes.
    global_crop: usize,
    /// Kernel width of the classifier.
    head: usize,
}

impl Plan {
    fn of(preset: TwoPathPreset) -> Self {
        let stage = |kernel, pool, channels| Stage {
            kernel,
            pool,
            channels,
        };
        match preset {
            TwoPathPreset::Havaei => Self {
                local: [stage(7, 4, 64), stage(3, 2, 64)],
                global: stage(13, 1, 160),
                global_crop: 0,
                head: 21,
            },
            TwoPathPreset::SudreText => Self {
                local: [stage(7, 4, 64), stage(5, 2, 64)],
                global: stage(13, 2, 160),
                global_crop: 1,
                head: 19,
            },
        }
    }
}

/// The network's layers as seen by the length of an axis.
pub(crate) fn extents(preset: TwoPathPreset) -> Vec<Extent> {
    let plan = Plan::of(preset);
    let valid = |kernel| Extent::Valid {
        kernel,
        dilation: 1,
    };
    let stage = |stage: &Stage| [valid(stage.kernel), valid(stage.pool)];
    let mut global = stage(&plan.global).to_vec();
    global.push(Extent::Crop {
        before: 0,
        after: plan.global_crop,
    });
    vec![
        Extent::Join(vec![plan.local.iter().flat_map(stage).collect(), global]),
        valid(plan.head),
    ]
}

/// A convolution, maxout over equal parts of its channels, and a max pooling of
/// stride 1.
#[derive(Module, Debug)]
pub struct Maxout {
    conv: Conv2d,
    pool: usize,
}

impl Maxout {
    fn new(stage: &Stage, channels: [usize; 2], device: &Device) -> Self {
        let maps = [channels[0], PIECES * channels[1]];
        Self {
            conv: conv2d(maps, stage.kernel, Faces::Valid, device),
            pool: stage.pool,
        }
    }

    /// `[batch, 1, y, x, channel]` to the same axes.
    fn forward(&self, x: Tensor<5>, precision: Precision) -> Tensor<5> {
        let maps = convolve(x, &filter_2d(&self.conv, precision));
        let channels = maps.dims()[4] / PIECES;
        let piece = |index| maps.clone().narrow(4, index * channels, channels);
        let x = (1..PIECES).map(piece).fold(piece(0), Tensor::max_pair);
        match self.pool {
            1 => x,
            window => max_pool(x, window, 1),
        }
    }
}

/// The two-path network.
#[derive(Module, Debug)]
pub struct TwoPathCnn {
    local: Vec<Maxout>,
    global: Maxout,
    global_crop: usize,
    classifier: Conv2d,
    #[module(skip)]
    preset: TwoPathPreset,
}

impl TwoPathCnn {
    pub(crate) fn new(
        config: &ModelConfig,
        input_channels: usize,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Self {
        let preset = config.preset.unwrap_or_default();
        let plan = Plan::of(preset);
        let mut from = input_channels;
        let local = plan
            .local
            .iter()
            .map(|stage| {
                let to = config.channels(stage.channels);
                Maxout::new(stage, [std::mem::replace(&mut from, to), to], device)
            })
            .collect();
        let global_channels = config.channels(plan.global.channels);
        let network = Self {
            local,
            global: Maxout::new(&plan.global, [input_channels, global_channels], device),
            global_crop: plan.global_crop,
            classifier: conv2d(
                [from + global_channels, classes],
                plan.head,
                Faces::Valid,
                device,
            ),
            preset,
        };
        init::fill(network, seed, init::MAXOUT_GAIN)
    }

    pub(crate) fn preset(&self) -> TwoPathPreset {
        self.preset
    }

    /// Logits `[batch, class, y - border, x - border]` of
    /// `[batch, channel, y, x]`.
    pub(crate) fn forward(&self, input: Tensor<4>, precision: Precision) -> Tensor<4> {
        let input = planes_last(input);
        let local = self
            .local
            .iter()
            .fold(input.clone(), |x, stage| stage.forward(x, precision));
        let global = crop(self.global.forward(input, precision), 0, self.global_crop);
        let both = join_channels(local, global);
        let logits = convolve_to_few(both, filter_2d(&self.classifier, precision));
        planes_first(logits)
    }
}

/// The convolution of `x` `[batch, 1, y, x, channels_in]` by a filter with few
/// outputs, which leave most of a vector idle, in two steps: over the taps of a
/// column, with an output for each pair of a tap of the row and an output, and the
/// sum of each output over the row.
fn convolve_to_few(x: Tensor<5>, filter: Filter) -> Tensor<5> {
    let device = filter.weight.device();
    let [out, channels, _, rows, taps] = filter.weight.dims();
    let columns = Filter {
        weight: (filter.weight.clone()).permute([4, 0, 1, 2, 3]).reshape([
            taps * out,
            channels,
            1,
            rows,
            1,
        ]),
        bias: None,
        ..filter.clone()
    };
    // 1 where output, and tap and place in the row, are the same.
    let mut same = vec![0.0f32; out * taps * out * taps];
    for output in 0..out {
        for tap in 0..taps {
            same[((output * taps + tap) * out + output) * taps + tap] = 1.0;
        }
    }
    let same = Tensor::<1>::from_data(TensorData::new(same, [out * taps * out * taps]), &device);
    let sums = Filter {
        weight: same.reshape([out, taps * out, 1, 1, taps]),
        precision: Precision::F32,
        ..filter
    };
    convolve(convolve(x, &columns), &sums)
}
