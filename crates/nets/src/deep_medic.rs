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

use lacuna_volume::Zyx;

use crate::config::ModelConfig;
use crate::parameters::RECTIFIER_GAIN;
use crate::plan::{Conv, GAMMA_BETA, Layer, Norm, NormOf, Plan, Rectify, cube};

/// Spatial axes.
const RANK: usize = 3;
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

pub(crate) fn plan(config: &ModelConfig, inputs: usize, classes: usize) -> Plan {
    let path = PATH.map(|width| config.channels(width));
    let full = FULL.map(|width| config.channels(width));
    let mut normal = vec![Layer::Crop {
        before: Zyx([NORMAL_CROP; 3]),
        after: Zyx([NORMAL_CROP; 3]),
    }];
    normal.extend(sequence("normal", inputs, &path, KERNEL));
    let mut context = vec![Layer::Centres(cube(RANK, FACTOR))];
    context.extend(sequence("context", inputs, &path, KERNEL));
    context.push(Layer::Replicate(cube(RANK, FACTOR)));

    let mut layers = vec![Layer::Odd, Layer::Join(vec![normal, context])];
    layers.extend(sequence("full", 2 * path[path.len() - 1], &full, 1));
    let channels = [full[full.len() - 1], classes];
    layers.push(Conv::new("classifier", channels, cube(RANK, 1)).into());
    Plan {
        network: config.name,
        rank: RANK,
        layers,
        gain: RECTIFIER_GAIN,
    }
}

/// Convolutions of the given channels, each without bias and followed by batch
/// norm and a PReLU.
fn sequence(name: &str, mut from: usize, widths: &[usize], kernel: usize) -> Vec<Layer> {
    let layers = widths.iter().enumerate().flat_map(|(i, &to)| {
        let name = format!("{name}.{i}");
        let channels = [std::mem::replace(&mut from, to), to];
        let conv = Conv::new(format!("{name}.conv"), channels, cube(RANK, kernel));
        [
            conv.without_bias().into(),
            Layer::Norm(Norm {
                name: format!("{name}.norm"),
                channels: to,
                of: NormOf::Batch,
                terms: GAMMA_BETA,
            }),
            Layer::Rectify(Rectify::Slopes {
                name: format!("{name}.activation"),
                channels: to,
                start: SLOPE,
            }),
        ]
    });
    layers.collect()
}
