//! A plan's layers applied to values, with a network's parameters.
//!
//! Values are `[batch, z, y, x, channel]`. What a convolution reads through a norm
//! and a rectifier is not stored.

use burn::tensor::{Device, Tensor, TensorData};
use lacuna_ops::{
    Filter, Normalisation, Precision, Statistics, add_widened, convolve, convolve_rectify,
    join_channels, max_pool, mean_pool, normalise_rectify, normalise_rectify_convolve, rectify,
    residual, shuffle_voxels,
};
use lacuna_volume::Zyx;

use crate::parameters::Parameters;
use crate::plan::{Conv, First, Layer, Norm, NormOf, Rectify, Transposed};

/// Share of the batch in the running mean and variance at each training
/// forward pass: NiftyNet's decay of 0.9 (its `BNLayer` default), which is also
/// PyTorch's default momentum. The running variance is that of the batch
/// divided by its number of values (biased), as NiftyNet keeps it; PyTorch
/// divides by one less.
pub const BATCH_NORM_MOMENTUM: f64 = 0.1;

/// Added to the variance before the root: the default of NiftyNet's `BNLayer` and
/// of PyTorch's batch and instance norms.
pub const NORM_EPSILON: f64 = 1e-5;

/// One pass through a network.
pub(crate) struct Pass<'a> {
    pub parameters: &'a Parameters,
    pub precision: Precision,
    /// Batch norms use and record the statistics of the batch.
    pub training: bool,
    /// Whether [`Layer::Output`]s are computed.
    pub all: bool,
    /// What they gave, in the order of the layers.
    pub outputs: Vec<Tensor<5>>,
}

/// What goes from layer to layer.
#[allow(
    clippy::large_enum_variant,
    reason = "handles, of which one goes about"
)]
enum Flow {
    Stored(Tensor<5>),
    /// Values still to be normalised and rectified by whoever reads them.
    Unread(Tensor<5>, Normalisation),
}

impl Flow {
    fn stored(self) -> Tensor<5> {
        match self {
            Self::Stored(x) => x,
            Self::Unread(x, norm) => normalise_rectify(x, &norm),
        }
    }

    fn convolved(self, filter: &Filter) -> Tensor<5> {
        match self {
            Self::Stored(x) => convolve(x, filter),
            Self::Unread(x, norm) => normalise_rectify_convolve(x, &norm, filter),
        }
    }
}

impl Pass<'_> {
    /// What `layers` make of `x`.
    pub fn through(&mut self, layers: &[Layer], x: Tensor<5>) -> Tensor<5> {
        self.run(layers, Flow::Stored(x)).stored()
    }

    fn run(&mut self, layers: &[Layer], mut flow: Flow) -> Flow {
        let mut rest = layers;
        while let [layer, behind @ ..] = rest {
            rest = behind;
            flow = match layer {
                Layer::Conv(conv) => {
                    let filter = self.filter(conv);
                    Flow::Stored(match (flow, behind) {
                        (Flow::Stored(x), [Layer::Rectify(Rectify::Zero), behind @ ..]) => {
                            rest = behind;
                            convolve_rectify(x, &filter)
                        }
                        (flow, _) if conv.columns_first => columns_first(flow.stored(), filter),
                        (flow, _) => flow.convolved(&filter),
                    })
                }
                Layer::Norm(norm) => {
                    let x = flow.stored();
                    let rectifier = match behind {
                        [Layer::Rectify(rectifier), behind @ ..] => {
                            rest = behind;
                            rectifier
                        }
                        // A slope of 1 is none.
                        _ => &Rectify::Leaky(1.0),
                    };
                    let norm = self.normalisation(&x, norm, rectifier);
                    Flow::Unread(x, norm)
                }
                layer => Flow::Stored(self.apply(layer, flow)),
            };
        }
        flow
    }

    fn apply(&mut self, layer: &Layer, flow: Flow) -> Tensor<5> {
        match layer {
            Layer::Transposed(transposed) => self.transposed(transposed, flow),
            Layer::Rectify(rectifier) => {
                let x = flow.stored();
                let slopes = self.slopes(rectifier, x.dims()[4], &x.device());
                rectify(x, slopes)
            }
            Layer::MaxPool { window, stride } => max_pool(flow.stored(), window.0, stride.0),
            Layer::MeanPool(block) => mean_pool(flow.stored(), block.0),
            Layer::Maxout(pieces) => maxout(flow.stored(), *pieces),
            Layer::Centres(block) => centres(flow.stored(), block.0),
            Layer::Replicate(factor) => replicate(flow.stored(), factor.0),
            Layer::Crop { before, after } => crop(flow.stored(), before, after),
            Layer::Odd => flow.stored(),
            Layer::Join(branches) => {
                let x = flow.stored();
                let ends: Vec<_> = branches
                    .iter()
                    .map(|branch| self.through(branch, x.clone()))
                    .collect();
                ends.into_iter()
                    .reduce(join_channels)
                    .expect("a join has branches")
            }
            Layer::Skip { detour, first } => {
                let x = flow.stored();
                let detour = self.through(detour, x.clone());
                let input = crop_like(x, &detour);
                match first {
                    First::Input => join_channels(input, detour),
                    First::Detour => join_channels(detour, input),
                }
            }
            Layer::Residual { change, shortcut } => self.residual(change, shortcut, flow.stored()),
            Layer::Output(head) => {
                let x = flow.stored();
                if self.all {
                    let output = self.through(head, x.clone());
                    self.outputs.push(output);
                }
                x
            }
            Layer::Conv(_) | Layer::Norm(_) => unreachable!("taken with what is behind them"),
        }
    }

    fn residual(&mut self, change: &[Layer], shortcut: &[Layer], x: Tensor<5>) -> Tensor<5> {
        match (change, shortcut) {
            (
                [
                    Layer::Norm(norm),
                    Layer::Rectify(rectifier),
                    Layer::Conv(conv),
                    rest @ ..,
                ],
                [],
            ) => {
                let norm = self.normalisation(&x, norm, rectifier);
                let filter = self.filter(conv);
                residual(x, &norm, &filter, |x| self.through(rest, x))
            }
            _ => {
                let change = self.through(change, x.clone());
                add_widened(self.through(shortcut, x), change)
            }
        }
    }

    /// What [`lacuna_ops`] takes of a convolution.
    fn filter(&self, conv: &Conv) -> Filter {
        Filter {
            weight: self.parameters.kernel(&conv.name),
            bias: (conv.bias).then(|| self.parameters.row(&conv.name, "bias")),
            stride: conv.stride.0,
            dilation: conv.dilation.0,
            padding: conv.padding(),
            precision: self.precision,
        }
    }

    /// A transposed convolution whose stride is its kernel: a convolution of one
    /// tap to the values of each block of voxels, which are then put in their
    /// places.
    fn transposed(&self, transposed: &Transposed, flow: Flow) -> Tensor<5> {
        let [from, out] = transposed.channels;
        let block: usize = transposed.factor.0.iter().product();
        // [in, (out, dz, dy, dx)] to [(dz, dy, dx, out), in], in two steps of which
        // each copies fast.
        let columns = (self.parameters.kernel(&transposed.name)).reshape([from, block * out]);
        let rows = columns
            .transpose()
            .reshape([out, block, from])
            .swap_dims(0, 1);
        let bias = || {
            self.parameters
                .row(&transposed.name, "bias")
                .repeat(&[block])
        };
        let filter = Filter {
            weight: rows.reshape([block * out, from, 1, 1, 1]),
            bias: transposed.bias.then(bias),
            stride: [1; 3],
            dilation: [1; 3],
            padding: [0; 3],
            precision: self.precision,
        };
        shuffle_voxels(flow.convolved(&filter), transposed.factor.0)
    }

    /// The slopes of a rectifier of so many channels; none are 0.
    fn slopes(&self, rectifier: &Rectify, channels: usize, device: &Device) -> Option<Tensor<1>> {
        match rectifier {
            Rectify::Zero => None,
            Rectify::Leaky(slope) => Some(Tensor::full([channels], *slope, device)),
            Rectify::Slopes { name, .. } => Some(self.parameters.row(name, "alpha")),
        }
    }

    /// The normalisation of `x`: by its own statistics, which running averages then
    /// take in, or by those averages.
    fn normalisation(&self, x: &Tensor<5>, norm: &Norm, rectifier: &Rectify) -> Normalisation {
        let running = |name| self.parameters.running(&norm.name, name);
        let statistics = match norm.of {
            NormOf::Instance => Statistics::of_images(x),
            NormOf::Batch if self.training => {
                let statistics = Statistics::of(x);
                for (name, batch) in [
                    ("running_mean", &statistics.mean),
                    ("running_var", &statistics.variance),
                ] {
                    let kept = running(name)
                        .value_sync()
                        .mul_scalar(1.0 - BATCH_NORM_MOMENTUM);
                    let moved = kept + batch.clone().mul_scalar(BATCH_NORM_MOMENTUM);
                    running(name).update(moved.detach());
                }
                statistics
            }
            NormOf::Batch => Statistics::given(
                running("running_mean").value(),
                running("running_var").value(),
            ),
        };
        let [scale, shift] = norm.terms;
        Normalisation {
            gamma: self.parameters.row(&norm.name, scale),
            beta: self.parameters.row(&norm.name, shift),
            slope: self.slopes(rectifier, norm.channels, &x.device()),
            statistics,
            epsilon: NORM_EPSILON,
        }
    }
}

/// The largest of `pieces` equal parts of the channels.
fn maxout(x: Tensor<5>, pieces: usize) -> Tensor<5> {
    let channels = x.dims()[4] / pieces;
    let piece = |index| x.clone().narrow(4, index * channels, channels);
    (1..pieces).map(piece).fold(piece(0), Tensor::max_pair)
}

/// The centre voxel of every block.
fn centres(x: Tensor<5>, block: [usize; 3]) -> Tensor<5> {
    let [batch, z, y, x_length, channels] = x.dims();
    let [bz, by, bx] = block;
    let [z, y, x_length] = [z / bz, y / by, x_length / bx];
    let split = x.reshape([batch, z, bz, y, by, x_length, bx, channels]);
    [2, 4, 6]
        .into_iter()
        .zip(block)
        .fold(split, |x, (axis, block)| x.narrow(axis, block / 2, 1))
        .reshape([batch, z, y, x_length, channels])
}

/// Every voxel repeated to a block.
fn replicate(x: Tensor<5>, factor: [usize; 3]) -> Tensor<5> {
    let [batch, z, y, x_length, channels] = x.dims();
    let [fz, fy, fx] = factor;
    x.reshape([batch, z, 1, y, 1, x_length, 1, channels])
        .expand([batch, z, fz, y, fy, x_length, fx, channels])
        .reshape([batch, z * fz, y * fy, x_length * fx, channels])
}

/// Drops voxels at the two ends of each axis.
fn crop(x: Tensor<5>, before: &Zyx<usize>, after: &Zyx<usize>) -> Tensor<5> {
    (0..3).fold(x, |x, axis| match (before.0[axis], after.0[axis]) {
        (0, 0) => x,
        (before, after) => {
            let length = x.dims()[axis + 1] - before - after;
            x.narrow(axis + 1, before, length)
        }
    })
}

/// The central part of `x` with the lengths of `reference`.
fn crop_like(x: Tensor<5>, reference: &Tensor<5>) -> Tensor<5> {
    let target = reference.dims();
    (1..4).fold(x, |x, axis| match x.dims()[axis] - target[axis] {
        0 => x,
        excess => x.narrow(axis, excess / 2, target[axis]),
    })
}

/// The convolution of `x` by a filter with few outputs in a plane, which leave most
/// of a vector idle, in two steps: over the taps of a column, with an output for
/// each pair of a tap of the row and an output, and the sum of each output over the
/// row.
fn columns_first(x: Tensor<5>, filter: Filter) -> Tensor<5> {
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
