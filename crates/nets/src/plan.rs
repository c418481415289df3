//! A network as a value: a list of layers, of which its border, its legal input
//! lengths, its parameters and its forward pass all follow.

use lacuna_volume::Zyx;

use crate::config::ModelName;

/// A network's layers, first to last.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Which network.
    pub network: ModelName,
    /// Number of spatial axes: 2 or 3. A 2-D network does nothing along z.
    pub rank: usize,
    /// The layers; what the last one gives is the logits.
    pub layers: Vec<Layer>,
    /// Kernels start with the standard deviation `gain / sqrt(fan_in)`.
    pub gain: f64,
}

impl Plan {
    /// How many outputs the network has, the logits among them.
    pub fn outputs(&self) -> usize {
        1 + outputs(&self.layers)
    }
}

fn outputs(layers: &[Layer]) -> usize {
    let of = |layer: &Layer| match layer {
        Layer::Output(_) => 1,
        Layer::Skip { detour, .. } => outputs(detour),
        Layer::Residual { change, shortcut } => outputs(change) + outputs(shortcut),
        Layer::Join(branches) => branches.iter().map(|branch| outputs(branch)).sum(),
        _ => 0,
    };
    layers.iter().map(of).sum()
}

/// One layer. Lengths and factors are along z, y and x.
#[derive(Debug, Clone, PartialEq)]
pub enum Layer {
    /// A convolution.
    Conv(Conv),
    /// A transposed convolution whose stride is its kernel.
    Transposed(Transposed),
    /// A normalisation with scale and shift.
    Norm(Norm),
    /// A rectifier.
    Rectify(Rectify),
    /// The largest value of each window.
    MaxPool {
        /// Voxels of a window.
        window: Zyx<usize>,
        /// Voxels from one window to the next.
        stride: Zyx<usize>,
    },
    /// The mean of each block of voxels.
    MeanPool(Zyx<usize>),
    /// The largest of so many equal parts of the channels (Goodfellow et al. 2013).
    Maxout(usize),
    /// The centre voxel of each block.
    Centres(Zyx<usize>),
    /// Each voxel repeated to a block.
    Replicate(Zyx<usize>),
    /// Voxels dropped at the start and at the end of each axis.
    Crop {
        /// Dropped at the start.
        before: Zyx<usize>,
        /// Dropped at the end.
        after: Zyx<usize>,
    },
    /// The network's authors allow odd lengths only; changes nothing.
    Odd,
    /// Parallel branches, their channels behind each other.
    Join(Vec<Vec<Layer>>),
    /// A detour, its channels joined with those of its own input, which is cropped
    /// centrally to the detour's lengths.
    Skip {
        /// What comes between.
        detour: Vec<Layer>,
        /// Whose channels come first.
        first: First,
    },
    /// `change` plus `shortcut` of the same input (He et al. 2016); no shortcut is
    /// the input itself, whose channels may be fewer: zeros stand half before and
    /// half behind them.
    Residual {
        /// What is added.
        change: Vec<Layer>,
        /// What it is added to.
        shortcut: Vec<Layer>,
    },
    /// A further output of the network; what these layers read goes on as it was.
    Output(Vec<Layer>),
}

/// Order of the channels of a [`Layer::Skip`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// The input, then the detour.
    Input,
    /// The detour, then the input.
    Detour,
}

/// How a convolution treats the faces of its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Faces {
    /// No padding: the output is smaller.
    Valid,
    /// Zeros around the input keep its size, or a whole part of it (odd kernels).
    Padded,
}

/// A convolution.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// Place of its parameters: `NAME.weight` `[out, in, (z,) y, x]`, `NAME.bias`.
    pub name: String,
    /// Channels read and given.
    pub channels: [usize; 2],
    /// Taps.
    pub kernel: Zyx<usize>,
    /// Input voxels from one output voxel to the next.
    pub stride: Zyx<usize>,
    /// Input voxels from one tap to the next.
    pub dilation: Zyx<usize>,
    /// What happens at the faces.
    pub faces: Faces,
    /// Whether something is added to each channel.
    pub bias: bool,
    /// Computed over the columns of the kernel first, for large kernels with few
    /// outputs.
    pub columns_first: bool,
}

impl Conv {
    /// An unpadded convolution with bias, of stride and dilation 1.
    pub fn new(name: impl Into<String>, channels: [usize; 2], kernel: Zyx<usize>) -> Self {
        Self {
            name: name.into(),
            channels,
            kernel,
            stride: Zyx([1; 3]),
            dilation: Zyx([1; 3]),
            faces: Faces::Valid,
            bias: true,
            columns_first: false,
        }
    }

    /// With these faces.
    pub fn with_faces(self, faces: Faces) -> Self {
        Self { faces, ..self }
    }

    /// With this stride.
    pub fn with_stride(self, stride: Zyx<usize>) -> Self {
        Self { stride, ..self }
    }

    /// With the same dilation along each axis.
    pub fn with_dilation(self, dilation: usize) -> Self {
        let dilation = Zyx(self
            .kernel
            .0
            .map(|taps| if taps == 1 { 1 } else { dilation }));
        Self { dilation, ..self }
    }

    /// Without bias.
    pub fn without_bias(self) -> Self {
        self.with_bias(false)
    }

    /// With a bias, or without.
    pub fn with_bias(self, bias: bool) -> Self {
        Self { bias, ..self }
    }

    /// Voxels from the first tap to the last along axis `axis` of z, y, x.
    pub(crate) fn reach(&self, axis: usize) -> usize {
        self.dilation.0[axis] * (self.kernel.0[axis] - 1)
    }

    /// Voxels of zeros at both ends of each axis.
    pub(crate) fn padding(&self) -> [usize; 3] {
        std::array::from_fn(|axis| match self.faces {
            Faces::Valid => 0,
            Faces::Padded => self.reach(axis) / 2,
        })
    }
}

impl From<Conv> for Layer {
    fn from(conv: Conv) -> Self {
        Self::Conv(conv)
    }
}

/// A transposed convolution: each voxel becomes a block of voxels.
#[derive(Debug, Clone, PartialEq)]
pub struct Transposed {
    /// Place of its parameters: `NAME.weight` `[in, out, (z,) y, x]`, `NAME.bias`.
    pub name: String,
    /// Channels read and given.
    pub channels: [usize; 2],
    /// Voxels of the block: kernel and stride.
    pub factor: Zyx<usize>,
    /// Whether something is added to each channel.
    pub bias: bool,
}

/// A normalisation: `scale (x - mean) / sqrt(variance + epsilon) + shift`.
#[derive(Debug, Clone, PartialEq)]
pub struct Norm {
    /// Place of its parameters.
    pub name: String,
    /// Channels.
    pub channels: usize,
    /// Whose mean and variance.
    pub of: NormOf,
    /// Names of scale and shift within its place.
    pub terms: [&'static str; 2],
}

/// Names of a norm's scale and shift in the networks of the paper.
pub const GAMMA_BETA: [&str; 2] = ["gamma", "beta"];
/// The same in PyTorch.
pub const WEIGHT_BIAS: [&str; 2] = ["weight", "bias"];

/// What a normalisation takes mean and variance of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormOf {
    /// The batch while training, its running averages (`NAME.running_mean` and
    /// `NAME.running_var`) otherwise (Ioffe and Szegedy 2015).
    Batch,
    /// Each image of the batch, always (Ulyanov, Vedaldi and Lempitsky 2016).
    #[default]
    Instance,
}

/// What becomes of negative values.
#[derive(Debug, Clone, PartialEq)]
pub enum Rectify {
    /// 0 (ReLU).
    Zero,
    /// This share of them (leaky ReLU).
    Leaky(f64),
    /// A trained share of them for each channel (PReLU, He et al. 2015),
    /// `NAME.alpha`.
    Slopes {
        /// Place of the parameters.
        name: String,
        /// Channels.
        channels: usize,
        /// Share before training.
        start: f64,
    },
}

/// `n` along each axis of a network of that rank, 1 along the z of a 2-D one.
pub fn cube(rank: usize, n: usize) -> Zyx<usize> {
    Zyx([if rank == 2 { 1 } else { n }, n, n])
}
