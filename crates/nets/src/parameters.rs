//! The tensors of a network under their names, and their initial values.
//!
//! Kernels are drawn from a normal distribution of mean 0 and standard
//! deviation `gain / sqrt(fan_in)` (He et al. 2015, eq. 10, with gain
//! `sqrt(2)` for layers that a rectifier follows); biases start at 0, norms at
//! scale 1 and shift 0.
//!
//! Every tensor has its own ChaCha8 stream, keyed by the seed and the tensor's
//! place among a network's tensors, so that the weights depend on nothing else: no
//! global state, thread or device. The place is also the tensor's `ParamId`, which
//! lets an optimiser's state be carried from one process to another.

use std::collections::BTreeMap;

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor, Param, ParamId, RunningState};
use burn::tensor::{Device, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

use crate::plan::{Conv, Layer, Norm, NormOf, Plan, Rectify, Transposed};

/// Gain for layers followed by a ReLU (He et al. 2015).
pub(crate) const RECTIFIER_GAIN: f64 = std::f64::consts::SQRT_2;

/// Gain for maxout layers of two pieces: the larger of two independent values
/// of mean 0 has the mean square of one of them.
pub(crate) const MAXOUT_GAIN: f64 = 1.0;

/// Separates these random numbers from all others drawn with the same seed.
const DOMAIN: [u8; 16] = *b"initial weights\0";

/// A tensor that a plan asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Declared {
    pub name: String,
    pub kind: Kind,
}

/// What a tensor is, and so its shape and initial values.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// A kernel; `fan_in` values are weighted to each output value.
    Kernel { shape: [usize; 5], fan_in: usize },
    /// A trained value for each channel.
    Row { channels: usize, start: f32 },
    /// A running average for each channel.
    Running { channels: usize, start: f32 },
}

impl Kind {
    /// Lengths of the tensor; a kernel's whatever the network's rank.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::Kernel { shape, .. } => shape.to_vec(),
            Self::Row { channels, .. } | Self::Running { channels, .. } => vec![*channels],
        }
    }
}

/// The tensors of a plan, in the order that numbers them.
pub(crate) fn declared(plan: &Plan) -> Vec<Declared> {
    let mut tensors = Vec::new();
    declare(&plan.layers, &mut tensors);
    tensors
}

fn declare(layers: &[Layer], to: &mut Vec<Declared>) {
    for layer in layers {
        match layer {
            Layer::Conv(conv) => of_conv(conv, to),
            Layer::Transposed(transposed) => of_transposed(transposed, to),
            Layer::Norm(norm) => of_norm(norm, to),
            Layer::Rectify(Rectify::Slopes {
                name,
                channels,
                start,
            }) => to.push(row(name, "alpha", *channels, *start as f32)),
            Layer::Join(branches) => branches.iter().for_each(|branch| declare(branch, to)),
            Layer::Skip { detour, .. } => declare(detour, to),
            Layer::Output(head) => declare(head, to),
            Layer::Residual { change, shortcut } => {
                // Norms before convolutions: the numbers that weights of earlier
                // versions were drawn by.
                let (norms, others): (Vec<_>, Vec<_>) =
                    (change.iter().cloned()).partition(|layer| matches!(layer, Layer::Norm(_)));
                declare(&norms, to);
                declare(&others, to);
                declare(shortcut, to);
            }
            Layer::Rectify(_)
            | Layer::MaxPool { .. }
            | Layer::MeanPool(_)
            | Layer::Maxout(_)
            | Layer::Centres(_)
            | Layer::Replicate(_)
            | Layer::Crop { .. }
            | Layer::Odd => {}
        }
    }
}

fn row(place: &str, name: &str, channels: usize, start: f32) -> Declared {
    Declared {
        name: format!("{place}.{name}"),
        kind: Kind::Row { channels, start },
    }
}

fn of_conv(conv: &Conv, to: &mut Vec<Declared>) {
    let ([from, out], [z, y, x]) = (conv.channels, conv.kernel.0);
    to.push(Declared {
        name: format!("{}.weight", conv.name),
        kind: Kind::Kernel {
            shape: [out, from, z, y, x],
            fan_in: from * z * y * x,
        },
    });
    if conv.bias {
        to.push(row(&conv.name, "bias", out, 0.0));
    }
}

fn of_transposed(transposed: &Transposed, to: &mut Vec<Declared>) {
    let ([from, out], [z, y, x]) = (transposed.channels, transposed.factor.0);
    to.push(Declared {
        name: format!("{}.weight", transposed.name),
        kind: Kind::Kernel {
            shape: [from, out, z, y, x],
            // Each output voxel lies under a single tap.
            fan_in: from,
        },
    });
    if transposed.bias {
        to.push(row(&transposed.name, "bias", out, 0.0));
    }
}

fn of_norm(norm: &Norm, to: &mut Vec<Declared>) {
    let [scale, shift] = norm.terms;
    to.push(row(&norm.name, scale, norm.channels, 1.0));
    to.push(row(&norm.name, shift, norm.channels, 0.0));
    if norm.of == NormOf::Batch {
        for (name, start) in [("running_mean", 0.0), ("running_var", 1.0)] {
            let channels = norm.channels;
            to.push(Declared {
                name: format!("{}.{name}", norm.name),
                kind: Kind::Running { channels, start },
            });
        }
    }
}

/// A network's tensors by name.
#[derive(Debug, Clone)]
pub(crate) struct Parameters(Vec<Named>);

#[derive(Debug, Clone)]
struct Named {
    name: String,
    tensor: Held,
}

/// Kernels of 2-D networks have no z.
#[derive(Debug, Clone)]
enum Held {
    Row(Param<Tensor<1>>),
    Plane(Param<Tensor<4>>),
    Volume(Param<Tensor<5>>),
    Running(RunningState<Tensor<1>>),
}

/// The same of whatever a [`Held`] holds.
macro_rules! each {
    ($held:expr, $tensor:ident => $value:expr) => {
        match $held {
            Held::Row($tensor) => $value,
            Held::Plane($tensor) => $value,
            Held::Volume($tensor) => $value,
            Held::Running($tensor) => $value,
        }
    };
}

/// A [`Held`] with another in its place.
macro_rules! changed {
    ($held:expr, $tensor:ident => $value:expr) => {
        match $held {
            Held::Row($tensor) => Held::Row($value),
            Held::Plane($tensor) => Held::Plane($value),
            Held::Volume($tensor) => Held::Volume($value),
            Held::Running($tensor) => Held::Running($value),
        }
    };
}

impl Parameters {
    /// Initial values that `seed` alone decides.
    pub fn new(plan: &Plan, seed: u64, device: &Device) -> Self {
        let tensors = declared(plan).into_iter().enumerate();
        let named = tensors.map(|(index, Declared { name, kind })| {
            let id = ParamId::from(index as u64);
            let row = |channels, start| Tensor::full([channels], start, device);
            let tensor = match kind {
                Kind::Row { channels, start } => Held::Row(trained(id, row(channels, start))),
                Kind::Running { channels, start } => {
                    Held::Running(RunningState::with_id(id, row(channels, start)))
                }
                Kind::Kernel { shape, fan_in } => {
                    let std = plan.gain / (fan_in as f64).sqrt();
                    let values = normal(seed, index as u64, shape.iter().product(), std);
                    kernel(id, plan.rank, values, shape, device)
                }
            };
            Named { name, tensor }
        });
        Self(named.collect())
    }

    fn named(&self, place: &str, name: &str) -> &Held {
        let found = self.0.iter().find(|named| {
            (named.name.strip_prefix(place)).and_then(|rest| rest.strip_prefix('.')) == Some(name)
        });
        match found {
            Some(named) => &named.tensor,
            None => unreachable!("{place}.{name}: a plan declares what it reads"),
        }
    }

    /// A row `[channel]`.
    pub fn row(&self, place: &str, name: &str) -> Tensor<1> {
        match self.named(place, name) {
            Held::Row(row) => row.val(),
            _ => unreachable!("{place}.{name} is a row"),
        }
    }

    /// A running average.
    pub fn running(&self, place: &str, name: &str) -> &RunningState<Tensor<1>> {
        match self.named(place, name) {
            Held::Running(running) => running,
            _ => unreachable!("{place}.{name} is a running average"),
        }
    }

    /// A kernel with three axes, of which a 2-D one has one voxel along z.
    pub fn kernel(&self, place: &str) -> Tensor<5> {
        match self.named(place, "weight") {
            Held::Volume(kernel) => kernel.val(),
            Held::Plane(kernel) => {
                let [a, b, y, x] = kernel.dims();
                kernel.val().reshape([a, b, 1, y, x])
            }
            _ => unreachable!("{place}.weight is a kernel"),
        }
    }

    /// Whether they are trained, and so batch norms on what they are given: what
    /// [`Module::valid`] turns off.
    pub fn is_training(&self) -> bool {
        (self.0.first()).is_some_and(|named| each!(&named.tensor, t => trains(t)))
    }

    pub fn collect_devices(&self, devices: Devices) -> Devices {
        (self.0.iter()).fold(
            devices,
            |devices, named| each!(&named.tensor, t => t.collect_devices(devices)),
        )
    }

    fn map_each(self, change: impl Fn(Held) -> Held) -> Self {
        let named = self.0.into_iter().map(|Named { name, tensor }| Named {
            name,
            tensor: change(tensor),
        });
        Self(named.collect())
    }

    /// A share of the way from each tensor to the same one of `other`, running averages
    /// too.
    pub fn towards(self, other: &Self, share: f64) -> Self {
        let pairs = self.0.into_iter().zip(&other.0).enumerate();
        let named = pairs.map(|(index, (Named { name, tensor }, other))| {
            let tensor = match (tensor, &other.tensor) {
                (Held::Row(a), Held::Row(b)) => Held::Row(a.map(|a| between(a, b.val(), share))),
                (Held::Plane(a), Held::Plane(b)) => {
                    Held::Plane(a.map(|a| between(a, b.val(), share)))
                }
                (Held::Volume(a), Held::Volume(b)) => {
                    Held::Volume(a.map(|a| between(a, b.val(), share)))
                }
                (Held::Running(a), Held::Running(b)) => {
                    let value = between(a.value(), b.value(), share);
                    Held::Running(RunningState::with_id(ParamId::from(index as u64), value))
                }
                _ => unreachable!("{name}: networks of one plan hold the same tensors"),
            };
            Named { name, tensor }
        });
        Self(named.collect())
    }

    /// The tensors of `other` in place of those that `taken` takes by name. Both are of one
    /// plan but for the number of classes, and on one device.
    pub fn taking(self, other: &Self, taken: impl Fn(&str) -> bool) -> Self {
        let pairs = self.0.into_iter().zip(&other.0);
        let named = pairs.map(|(mine, other)| match taken(&mine.name) {
            true => other.clone(),
            false => mine,
        });
        Self(named.collect())
    }

    /// Those values, by name, in place of its own; as many as each tensor has.
    pub fn holding(self, values: &BTreeMap<String, Vec<f32>>) -> Self {
        let named = self.0.into_iter().enumerate();
        let named = named.map(|(index, Named { name, tensor })| {
            let tensor = match (values.get(&name), tensor) {
                (None, tensor) => tensor,
                (Some(v), Held::Row(row)) => Held::Row(row.map(|t| filled(&t, v))),
                (Some(v), Held::Plane(kernel)) => Held::Plane(kernel.map(|t| filled(&t, v))),
                (Some(v), Held::Volume(kernel)) => Held::Volume(kernel.map(|t| filled(&t, v))),
                (Some(v), Held::Running(running)) => {
                    let id = ParamId::from(index as u64);
                    Held::Running(RunningState::with_id(id, filled(&running.value(), v)))
                }
            };
            Named { name, tensor }
        });
        Self(named.collect())
    }

    pub fn fork(self, device: &Device) -> Self {
        self.map_each(|held| changed!(held, t => t.fork(device)))
    }

    pub fn moved_to(self, device: &Device) -> Self {
        self.map_each(|held| changed!(held, t => t.to_device(device)))
    }

    pub fn train(self) -> Self {
        self.map_each(|held| changed!(held, t => t.train()))
    }

    pub fn valid(&self) -> Self {
        self.clone().map_each(|held| changed!(held, t => t.valid()))
    }

    pub fn materialize(self) -> Self {
        self.map_each(|held| changed!(held, t => t.materialize()))
    }

    /// Each tensor within the modules that its name tells.
    pub fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        for named in &self.0 {
            let parts = || named.name.split('.');
            parts().for_each(|part| visitor.enter_module(part, CONTAINER));
            each!(&named.tensor, t => t.visit(visitor));
            (parts().rev()).for_each(|part| visitor.exit_module(part, CONTAINER));
        }
    }

    pub fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        let named = self.0.into_iter().map(|Named { name, tensor }| {
            let parts = || name.split('.');
            parts().for_each(|part| mapper.enter_module(part, CONTAINER));
            let tensor = changed!(tensor, t => Module::map(t, mapper));
            (parts().rev()).for_each(|part| mapper.exit_module(part, CONTAINER));
            Named { name, tensor }
        });
        Self(named.collect())
    }
}

fn between<const D: usize>(a: Tensor<D>, b: Tensor<D>, share: f64) -> Tensor<D> {
    a.clone() + (b - a).mul_scalar(share)
}

/// A tensor like that one with these values.
fn filled<const D: usize>(like: &Tensor<D>, values: &[f32]) -> Tensor<D> {
    let data = TensorData::new(values.to_vec(), like.dims());
    Tensor::from_data(data, &like.device())
}

fn trains(tensor: &impl Module) -> bool {
    tensor.devices().iter().all(Device::is_autodiff)
}

/// What Burn's visitors are told of the modules that names are made of.
const CONTAINER: &str = "Struct:Network";

fn trained<const D: usize>(id: ParamId, tensor: Tensor<D>) -> Param<Tensor<D>> {
    Param::initialized(id, tensor).set_require_grad(true)
}

fn kernel(id: ParamId, rank: usize, values: Vec<f32>, shape: [usize; 5], device: &Device) -> Held {
    let [a, b, z, y, x] = shape;
    match rank {
        2 => {
            let data = TensorData::new(values, [a, b, z * y, x]);
            Held::Plane(trained(id, Tensor::from_data(data, device)))
        }
        _ => {
            let data = TensorData::new(values, shape);
            Held::Volume(trained(id, Tensor::from_data(data, device)))
        }
    }
}

fn normal(seed: u64, index: u64, count: usize, std: f64) -> Vec<f32> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&index.to_le_bytes());
    key[16..].copy_from_slice(&DOMAIN);
    let mut rng = ChaCha8Rng::from_seed(key);
    (0..count)
        .map(|_| {
            let z: f64 = StandardNormal.sample(&mut rng);
            (z * std) as f32
        })
        .collect()
}
