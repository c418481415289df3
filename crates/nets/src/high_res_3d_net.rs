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

use lacuna_volume::Zyx;

use crate::config::ModelConfig;
use crate::parameters::RECTIFIER_GAIN;
use crate::plan::{Conv, Faces, GAMMA_BETA, Layer, Norm, NormOf, Plan, Rectify, cube};

/// Voxels dropped from the output at each face. A choice, not a consequence of
/// the layers: it is what the effective patches of Table 1 need.
pub const CROP: usize = 18;

/// Spatial axes.
const RANK: usize = 3;
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

pub(crate) fn plan(config: &ModelConfig, inputs: usize, classes: usize) -> Plan {
    let stem = config.channels(STEM);
    let tail = config.channels(TAIL);
    let mut layers = vec![conv("stem", [inputs, stem], KERNEL, 1)];
    layers.extend(norm("stem_norm", stem));
    let mut from = stem;
    let groups = GROUPS.into_iter().flat_map(|group| [group; BLOCKS]);
    for (i, (width, dilation)) in groups.enumerate() {
        let to = config.channels(width);
        layers.push(residual(&format!("blocks.{i}"), [from, to], dilation));
        from = to;
    }
    layers.push(conv("tail", [from, tail], 1, 1));
    layers.extend(norm("tail_norm", tail));
    layers.push(Conv::new("classifier", [tail, classes], cube(RANK, 1)).into());
    layers.push(Layer::Crop {
        before: Zyx([CROP; 3]),
        after: Zyx([CROP; 3]),
    });
    Plan {
        network: config.name,
        rank: RANK,
        layers,
        gain: RECTIFIER_GAIN,
    }
}

/// Batch norm, ReLU and convolution, twice, added to the input.
fn residual(name: &str, [from, to]: [usize; 2], dilation: usize) -> Layer {
    let change = (0..CONVS).flat_map(|i| {
        let from = if i == 0 { from } else { to };
        let mut layers = norm(&format!("{name}.norms.{i}"), from);
        let place = format!("{name}.convs.{i}");
        layers.push(conv(&place, [from, to], KERNEL, dilation));
        layers
    });
    Layer::Residual {
        change: change.collect(),
        shortcut: Vec::new(),
    }
}

fn conv(name: &str, channels: [usize; 2], kernel: usize, dilation: usize) -> Layer {
    Conv::new(name, channels, cube(RANK, kernel))
        .with_dilation(dilation)
        .with_faces(Faces::Padded)
        .without_bias()
        .into()
}

fn norm(name: &str, channels: usize) -> Vec<Layer> {
    let norm = Norm {
        name: name.to_owned(),
        channels,
        of: NormOf::Batch,
        terms: GAMMA_BETA,
    };
    vec![Layer::Norm(norm), Layer::Rectify(Rectify::Zero)]
}
