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
//! There is no dropout and no weight penalty: Sudre et al. mention neither. `norm` puts one
//! between each convolution but the last, then without bias, and its maxout.

use lacuna_volume::Zyx;

use crate::config::{ModelConfig, TwoPathPreset};
use crate::parameters::MAXOUT_GAIN;
use crate::plan::{Conv, Layer, Plan, cube};

/// Spatial axes.
const RANK: usize = 2;
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
struct Preset {
    local: [Stage; 2],
    global: Stage,
    /// Voxels dropped at the end of the global path's axes.
    global_crop: usize,
    /// Kernel width of the classifier.
    head: usize,
}

impl Preset {
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

pub(crate) fn plan(config: &ModelConfig, inputs: usize, classes: usize) -> Plan {
    let preset = Preset::of(config.preset.unwrap_or_default());
    let mut from = inputs;
    let local = preset.local.iter().enumerate().flat_map(|(i, stage)| {
        let to = config.channels(stage.channels);
        let channels = [std::mem::replace(&mut from, to), to];
        maxout(config, &format!("local.{i}"), stage, channels)
    });
    let local: Vec<_> = local.collect();
    let to = config.channels(preset.global.channels);
    let mut global = maxout(config, "global", &preset.global, [inputs, to]);
    global.push(Layer::Crop {
        before: Zyx([0; 3]),
        after: Zyx([0, preset.global_crop, preset.global_crop]),
    });
    let head = cube(RANK, preset.head);
    let classifier = Conv {
        columns_first: true,
        ..Conv::new("classifier", [from + to, classes], head)
    };
    Plan {
        network: config.name,
        rank: RANK,
        layers: vec![Layer::Join(vec![local, global]), classifier.into()],
        gain: MAXOUT_GAIN,
    }
}

/// A convolution, maxout over equal parts of its channels, and a max pooling of
/// stride 1.
fn maxout(config: &ModelConfig, name: &str, stage: &Stage, [from, to]: [usize; 2]) -> Vec<Layer> {
    let kernel = cube(RANK, stage.kernel);
    let norm = config.norm(format!("{name}.norm"), PIECES * to);
    let conv = Conv::new(format!("{name}.conv"), [from, PIECES * to], kernel);
    let mut layers = vec![conv.with_bias(norm.is_none()).into()];
    layers.extend(norm);
    layers.push(Layer::Maxout(PIECES));
    if stage.pool > 1 {
        layers.push(Layer::MaxPool {
            window: cube(RANK, stage.pool),
            stride: cube(RANK, 1),
        });
    }
    layers
}
