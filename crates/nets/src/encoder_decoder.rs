//! Encoder-decoder networks whose stages are run-time values, after the PyPI
//! package `dynamic-network-architectures` 0.4 (the networks of nnU-Net, Isensee et
//! al. 2021 and 2024), whose weights they take by name.
//!
//! - `plain-conv-unet`: in each stage so many convolutions, each followed by a norm
//!   and a leaky ReLU of slope .01; the first one of a stage has the stage's stride.
//! - `residual-encoder-unet`: a stem of one such convolution, then in each stage so
//!   many residual blocks (ResNet-D: two convolutions with norms, a leaky ReLU
//!   between them and behind the sum; the shortcut is a mean pooling where there is
//!   a stride, and a 1x1x1 convolution without bias and a norm where the channels
//!   change).
//!
//! In both, each stage on the way up is a transposed convolution whose stride is its
//! kernel, joined in front of the same stage's output on the way down, and so many
//! plain convolutions. Every stage on the way up has a 1x1x1 convolution to the
//! classes, so that deep supervision can ask each of them; the last one gives the
//! logits. All convolutions are padded and have a bias.

use lacuna_volume::Zyx;
use serde::{Deserialize, Serialize};

use crate::config::{ModelConfig, ModelName};
use crate::error::NetError;
use crate::plan::{
    Conv, Faces, First, Layer, Norm, NormOf, Plan, Rectify, Transposed, WEIGHT_BIAS, cube,
};

/// Slope of the leaky ReLU, as in nnU-Net.
const SLOPE: f64 = 0.01;

/// Gain of initial kernels, which a leaky ReLU of [`SLOPE`] follows (He et al. 2015,
/// eq. 15).
fn gain() -> f64 {
    (2.0 / (1.0 + SLOPE * SLOPE)).sqrt()
}

/// The most stages.
const STAGES_MAX: usize = 12;

/// The stages of an encoder-decoder network, first to last on the way down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stages {
    /// Number of spatial axes: 2 or 3.
    pub axes: usize,
    /// Channels of each stage.
    pub features: Vec<usize>,
    /// Kernel widths of each stage along x, y (and z), odd.
    pub kernels: Vec<Vec<usize>>,
    /// Strides into each stage along x, y (and z); the first is usually 1.
    pub strides: Vec<Vec<usize>>,
    /// Convolutions, or residual blocks, in each stage on the way down.
    pub down: Vec<usize>,
    /// Convolutions in each stage on the way up, one stage fewer, lowest first.
    pub up: Vec<usize>,
    /// What norms take mean and variance of: "instance" or "batch".
    pub norm: NormOf,
}

impl Default for Stages {
    /// Five [`regular`](Stages::regular) stages of 32 to 320 channels in 3-D.
    fn default() -> Self {
        Self::regular(3, 5, 32)
    }
}

impl Stages {
    /// Stages of `axes` axes whose channels double from `features` to at most 320 in
    /// 3-D and 512 in 2-D, with kernels of 3, strides of 2 and two convolutions.
    pub fn regular(axes: usize, stages: usize, features: usize) -> Self {
        let most = if axes == 2 { 512 } else { 320 };
        let channels = |stage: usize| (features << stage.min(16)).min(most.max(features));
        Self {
            axes,
            features: (0..stages).map(channels).collect(),
            kernels: vec![vec![3; axes]; stages],
            strides: (0..stages)
                .map(|stage| vec![if stage == 0 { 1 } else { 2 }; axes])
                .collect(),
            down: vec![2; stages],
            up: vec![2; stages.saturating_sub(1)],
            norm: NormOf::Instance,
        }
    }

    /// [`Self::regular`] ones with nnU-Net's numbers of residual blocks, 1, 3, 4 and 6
    /// from there, and one convolution in each stage on the way up.
    pub fn residual(axes: usize, stages: usize, features: usize) -> Self {
        let blocks = |stage: usize| [1, 3, 4, 6][stage.min(3)];
        Self {
            down: (0..stages).map(blocks).collect(),
            up: vec![1; stages.saturating_sub(1)],
            ..Self::regular(axes, stages, features)
        }
    }

    /// Those that the network has when nothing else is said of its convolutions.
    pub fn of(network: ModelName, axes: usize, stages: usize, features: usize) -> Self {
        match network {
            ModelName::ResidualEncoderUnet => Self::residual(axes, stages, features),
            _ => Self::regular(axes, stages, features),
        }
    }

    /// Checks that the lists fit together.
    ///
    /// # Errors
    /// [`NetError::Stages`], with what was found and what is expected.
    pub fn validate(&self, network: ModelName) -> Result<(), NetError> {
        let refuse = |reason: String| Err(NetError::Stages { network, reason });
        if !(2..=3).contains(&self.axes) {
            return refuse(format!("axes is {}; choose 2 or 3", self.axes));
        }
        let stages = self.features.len();
        if !(2..=STAGES_MAX).contains(&stages) {
            return refuse(format!(
                "features names {stages} stages; give 2 to {STAGES_MAX}"
            ));
        }
        for (key, found, expected) in [
            ("kernels", self.kernels.len(), stages),
            ("strides", self.strides.len(), stages),
            ("down", self.down.len(), stages),
            ("up", self.up.len(), stages - 1),
        ] {
            if found != expected {
                return refuse(format!(
                    "{key} has {found} entries where features has {stages}; give {expected}"
                ));
            }
        }
        let named = |key, list: &[Vec<usize>], fits: &dyn Fn(usize) -> bool, rule: &str| {
            let wrong = (list.iter())
                .find(|entry| entry.len() != self.axes || !entry.iter().all(|&n| fits(n)));
            match wrong {
                None => Ok(()),
                Some(entry) => refuse(format!(
                    "{key} has {entry:?}; give {} {rule} for each stage",
                    self.axes
                )),
            }
        };
        let odd = |n: usize| n % 2 == 1 && n <= 31;
        named("kernels", &self.kernels, &odd, "odd numbers up to 31")?;
        let stride = |n: usize| (1..=8).contains(&n);
        named("strides", &self.strides, &stride, "numbers from 1 to 8")?;
        for (key, list) in [
            ("features", &self.features),
            ("down", &self.down),
            ("up", &self.up),
        ] {
            if let Some(wrong) = list.iter().find(|&&n| n == 0 || n > 4096) {
                return refuse(format!("{key} has {wrong}; give numbers from 1 to 4096"));
            }
        }
        Ok(())
    }

    /// An entry of `kernels` or `strides` along z, y and x.
    fn zyx(&self, entry: &[usize]) -> Zyx<usize> {
        let mut lengths = cube(self.axes, 1);
        // Written x first.
        for (length, n) in lengths.0.iter_mut().rev().zip(entry) {
            *length = *n;
        }
        lengths
    }

    fn kernel(&self, stage: usize) -> Zyx<usize> {
        self.zyx(&self.kernels[stage])
    }

    fn stride(&self, stage: usize) -> Zyx<usize> {
        self.zyx(&self.strides[stage])
    }
}

/// What a stage on the way down is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoder {
    Plain,
    Residual,
}

/// The plan of `plain-conv-unet`.
pub(crate) fn plain(config: &ModelConfig, inputs: usize, classes: usize) -> Plan {
    Network::new(config, Encoder::Plain, classes).plan(inputs)
}

/// The plan of `residual-encoder-unet`.
pub(crate) fn residual(config: &ModelConfig, inputs: usize, classes: usize) -> Plan {
    Network::new(config, Encoder::Residual, classes).plan(inputs)
}

struct Network<'a> {
    config: &'a ModelConfig,
    stages: std::borrow::Cow<'a, Stages>,
    encoder: Encoder,
    classes: usize,
}

impl<'a> Network<'a> {
    fn new(config: &'a ModelConfig, encoder: Encoder, classes: usize) -> Self {
        Self {
            config,
            stages: config.stages(),
            encoder,
            classes,
        }
    }

    fn plan(&self, inputs: usize) -> Plan {
        let mut layers = Vec::new();
        let mut from = inputs;
        if self.encoder == Encoder::Residual {
            from = self.features(0);
            let stem = self.conv([inputs, from], 0);
            layers.extend(self.rectified("encoder.stem.convs.0", stem));
        }
        layers.extend(self.stage(0, from));
        Plan {
            network: self.config.name,
            rank: self.stages.axes,
            layers,
            gain: gain(),
        }
    }

    fn features(&self, stage: usize) -> usize {
        self.config.channels(self.stages.features[stage])
    }

    /// The stage, all below it, and the same stage on the way up.
    fn stage(&self, stage: usize, from: usize) -> Vec<Layer> {
        let width = self.features(stage);
        let mut layers = self.down(stage, [from, width]);
        let below = stage + 1;
        if below == self.stages.features.len() {
            return layers;
        }
        let mut detour = self.stage(below, width);
        // Counted from the lowest.
        let up = self.stages.features.len() - 1 - below;
        detour.push(Layer::Transposed(Transposed {
            name: format!("decoder.transpconvs.{up}"),
            channels: [self.features(below), width],
            factor: self.stages.stride(below),
            bias: true,
        }));
        layers.push(Layer::Skip {
            detour,
            first: First::Detour,
        });
        for i in 0..self.stages.up[up] {
            let from = if i == 0 { 2 * width } else { width };
            let name = format!("decoder.stages.{up}.convs.{i}");
            layers.extend(self.rectified(&name, self.conv([from, width], stage)));
        }
        let name = format!("decoder.seg_layers.{up}");
        let head = Conv::new(name, [width, self.classes], cube(self.stages.axes, 1)).into();
        layers.push(match stage {
            0 => head,
            _ => Layer::Output(vec![head]),
        });
        layers
    }

    /// A stage on the way down.
    fn down(&self, stage: usize, [from, to]: [usize; 2]) -> Vec<Layer> {
        let stride = |i| match i {
            0 => self.stages.stride(stage),
            _ => cube(self.stages.axes, 1),
        };
        let blocks = (0..self.stages.down[stage]).flat_map(|i| {
            let channels = [if i == 0 { from } else { to }, to];
            let place = format!("encoder.stages.{stage}");
            match self.encoder {
                Encoder::Plain => {
                    let conv = self.conv(channels, stage).with_stride(stride(i));
                    self.rectified(&format!("{place}.0.convs.{i}"), conv)
                }
                Encoder::Residual => {
                    self.block(&format!("{place}.blocks.{i}"), channels, stage, stride(i))
                }
            }
        });
        blocks.collect()
    }

    /// A residual block.
    fn block(
        &self,
        name: &str,
        [from, to]: [usize; 2],
        stage: usize,
        stride: Zyx<usize>,
    ) -> Vec<Layer> {
        let first = self.conv([from, to], stage).with_stride(stride);
        let mut change = self.rectified(&format!("{name}.conv1"), first);
        let second = self.conv([to, to], stage);
        change.extend(self.normalised(&format!("{name}.conv2"), second));
        let mut shortcut = Vec::new();
        if stride != cube(self.stages.axes, 1) {
            shortcut.push(Layer::MeanPool(stride));
        }
        if from != to {
            let place = format!("{name}.skip.{}", shortcut.len());
            let one = Conv::new("", [from, to], cube(self.stages.axes, 1)).without_bias();
            shortcut.extend(self.normalised(&place, one));
        }
        let sum = Layer::Residual { change, shortcut };
        vec![sum, Layer::Rectify(Rectify::Leaky(SLOPE))]
    }

    /// A padded convolution of a stage, still without a name.
    fn conv(&self, channels: [usize; 2], stage: usize) -> Conv {
        Conv::new("", channels, self.stages.kernel(stage)).with_faces(Faces::Padded)
    }

    /// A convolution and its norm.
    fn normalised(&self, place: &str, conv: Conv) -> Vec<Layer> {
        let norm = Norm {
            name: format!("{place}.norm"),
            channels: conv.channels[1],
            of: self.stages.norm,
            terms: WEIGHT_BIAS,
        };
        let conv = Conv {
            name: format!("{place}.conv"),
            ..conv
        };
        vec![conv.into(), Layer::Norm(norm)]
    }

    /// A convolution, its norm and a leaky ReLU.
    fn rectified(&self, place: &str, conv: Conv) -> Vec<Layer> {
        let mut layers = self.normalised(place, conv);
        layers.push(Layer::Rectify(Rectify::Leaky(SLOPE)));
        layers
    }
}
