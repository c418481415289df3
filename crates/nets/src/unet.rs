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
//! of 184 exceeds the paper's patches. `norm` puts one between each 3x3 convolution, then
//! without bias, and its ReLU.

use crate::config::ModelConfig;
use crate::parameters::RECTIFIER_GAIN;
use crate::plan::{Conv, Faces, First, Layer, Plan, Rectify, Transposed, cube};

/// Spatial axes.
const RANK: usize = 2;
/// Kernel widths of the convolutions of a block.
const BLOCK: [usize; 2] = [3, 3];
/// Window and stride of the poolings and of the transposed convolutions.
const POOL: usize = 2;

/// What the two UNets differ in.
pub(crate) struct Levels {
    /// Channels of each level, from full resolution down.
    widths: &'static [usize],
    /// Faces of the convolutions of a block.
    faces: Faces,
}

/// The UNet of the paper's Table 1.
pub(crate) const UNPADDED: Levels = Levels {
    widths: &[64, 128, 256],
    faces: Faces::Valid,
};

/// Ronneberger's levels with an output as large as the input.
pub(crate) const PADDED: Levels = Levels {
    widths: &[64, 128, 256, 512, 1024],
    faces: Faces::Padded,
};

pub(crate) fn plan(levels: &Levels, config: &ModelConfig, inputs: usize, classes: usize) -> Plan {
    let widths: Vec<usize> = levels.widths.iter().map(|&w| config.channels(w)).collect();
    let mut layers = level(config, &widths, levels.faces, 0, inputs);
    let classifier = Conv::new("classifier", [widths[0], classes], cube(RANK, 1));
    layers.push(classifier.into());
    Plan {
        network: config.name,
        rank: RANK,
        layers,
        gain: RECTIFIER_GAIN,
    }
}

/// The level at `depth` and all below it.
fn level(
    config: &ModelConfig,
    widths: &[usize],
    faces: Faces,
    depth: usize,
    from: usize,
) -> Vec<Layer> {
    let width = widths[depth];
    let mut layers = block(config, &format!("down.{depth}"), [from, width], faces);
    if let Some(&below) = widths.get(depth + 1) {
        let pool = cube(RANK, POOL);
        let mut detour = vec![Layer::MaxPool {
            window: pool,
            stride: pool,
        }];
        detour.extend(level(config, widths, faces, depth + 1, width));
        let up = format!("up.{}", widths.len() - 2 - depth);
        detour.push(Layer::Transposed(Transposed {
            name: format!("{up}.grow"),
            channels: [below, width],
            factor: pool,
            bias: true,
        }));
        layers.push(Layer::Skip {
            detour,
            first: First::Input,
        });
        layers.extend(block(
            config,
            &format!("{up}.block"),
            [2 * width, width],
            faces,
        ));
    }
    layers
}

/// The convolutions of one level, each followed by a ReLU.
fn block(config: &ModelConfig, name: &str, [from, to]: [usize; 2], faces: Faces) -> Vec<Layer> {
    let mut layers = Vec::new();
    for (i, &kernel) in BLOCK.iter().enumerate() {
        let channels = [if i == 0 { from } else { to }, to];
        let conv = Conv::new(format!("{name}.convs.{i}"), channels, cube(RANK, kernel));
        let norm = config.norm(format!("{name}.norms.{i}"), to);
        let conv = conv.with_faces(faces).with_bias(norm.is_none());
        layers.push(conv.into());
        layers.extend(norm);
        layers.push(Layer::Rectify(Rectify::Zero));
    }
    layers
}
