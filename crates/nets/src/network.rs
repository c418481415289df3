//! A network with its weights.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use burn::module::{Devices, Module, ModuleMapper, ModuleVisitor};
use burn::tensor::{Device, Tensor};
use lacuna_ops::Precision;
use lacuna_volume::Zyx;

use crate::architecture::Architecture;
use crate::config::ModelConfig;
use crate::error::NetError;
use crate::forward::Pass;
use crate::parameters::Parameters;
use crate::plan::Plan;

/// The most input channels a network is built for.
pub const INPUT_CHANNELS_MAX: usize = 256;
/// The most classes: labels are bytes.
pub const CLASSES_MAX: usize = 256;

/// A network: its plan and its weights.
///
/// A network made on an autodiff device trains: batch norm uses and records the
/// statistics of each batch. [`Module::valid`] gives the same network on the
/// plain device, where batch norm uses the recorded statistics and a forward
/// pass changes nothing. Train from one thread: Burn averages running
/// statistics over the threads that made forward passes.
#[derive(Debug, Clone)]
pub struct Network {
    plan: Arc<Plan>,
    parameters: Parameters,
}

impl Module for Network {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.parameters.collect_devices(devices)
    }

    fn fork(self, device: &Device) -> Self {
        self.with(|parameters| parameters.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.with(|parameters| parameters.moved_to(device))
    }

    fn train(self) -> Self {
        self.with(Parameters::train)
    }

    fn valid(&self) -> Self {
        Self {
            plan: self.plan.clone(),
            parameters: self.parameters.valid(),
        }
    }

    fn materialize(self) -> Self {
        self.with(Parameters::materialize)
    }

    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        self.parameters.visit(visitor);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        self.with(|parameters| parameters.map(mapper))
    }
}

impl Network {
    /// A network with initial weights that depend on `seed` alone.
    ///
    /// # Errors
    /// Those of [`ModelConfig::validate`]; [`NetError::Channels`] for no or
    /// more than [`INPUT_CHANNELS_MAX`] input channels, no or more than
    /// [`CLASSES_MAX`] classes. One class is a single sigmoid channel.
    pub fn new(
        config: &ModelConfig,
        input_channels: usize,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, NetError> {
        config.validate()?;
        let within = |what, found, least, most| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(NetError::Channels {
                network: config.name,
                what,
                found,
                least,
                most,
            })
        };
        within("input channels", input_channels, 1, INPUT_CHANNELS_MAX)?;
        within("classes", classes, 1, CLASSES_MAX)?;
        let plan = config.plan(input_channels, classes)?;
        Ok(Self::of_plan(plan, seed, device))
    }

    /// The network of a plan, with initial weights that depend on `seed` alone.
    pub fn of_plan(plan: Plan, seed: u64, device: &Device) -> Self {
        Self {
            parameters: Parameters::new(&plan, seed, device),
            plan: Arc::new(plan),
        }
    }

    fn with(self, change: impl FnOnce(Parameters) -> Parameters) -> Self {
        Self {
            plan: self.plan,
            parameters: change(self.parameters),
        }
    }

    /// The network whose values lie a `share` of the way from those of this one to those
    /// of `other`, running statistics too. Both in evaluation mode.
    ///
    /// # Panics
    /// When the two are not of one plan.
    #[must_use]
    pub fn towards(self, other: &Self, share: f64) -> Self {
        self.with(|parameters| parameters.towards(&other.parameters, share))
    }

    /// The network with the tensors of `other` but those named in `kept`. Both are of one
    /// configuration, of which the number of classes may differ where the
    /// [heads](ModelConfig::heads) are kept, and on one device.
    #[must_use]
    pub fn taking(self, other: &Self, kept: &BTreeSet<String>) -> Self {
        self.with(|parameters| parameters.taking(&other.parameters, |name| !kept.contains(name)))
    }

    /// Those values, by name, in place of its own; as many as each tensor has. In evaluation
    /// mode.
    pub(crate) fn holding(self, values: &BTreeMap<String, Vec<f32>>) -> Self {
        self.with(|parameters| parameters.holding(values))
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// The spatial arithmetic of this network: border, legal lengths.
    pub fn architecture(&self) -> Architecture {
        Architecture::of_plan(&self.plan)
    }

    /// Number of spatial axes: 2 or 3. See [`Architecture::rank`].
    pub fn rank(&self) -> usize {
        self.architecture().rank()
    }

    /// Input minus output along each axis, in voxels. See
    /// [`Architecture::border`].
    pub fn border(&self) -> Zyx<usize> {
        self.architecture().border()
    }

    /// Lengths of the output for those of a legal input. See
    /// [`Architecture::effective_size`].
    ///
    /// # Errors
    /// [`NetError::IllegalSize`], with the nearest legal lengths.
    pub fn effective_size(&self, size: Zyx<usize>) -> Result<Zyx<usize>, NetError> {
        self.architecture().effective_size(size)
    }

    /// Logits of a 2-D network: `[batch, channel, y, x]` to
    /// `[batch, class, y - border, x - border]`, the convolutions' products in
    /// `precision`.
    ///
    /// # Panics
    /// If the network is 3-D ([`Self::rank`]), a length is not legal
    /// ([`Self::effective_size`]), the number of channels is not the
    /// network's, or the device is not the processor and the precision not
    /// [`Precision::F32`].
    pub fn forward_2d(&self, input: Tensor<4>, precision: Precision) -> Tensor<4> {
        planes_first(self.logits(planes_last(input, self.plan.rank), precision))
    }

    /// Logits of a 3-D network: `[batch, channel, z, y, x]` to
    /// `[batch, class, z - border, y - border, x - border]`.
    ///
    /// # Panics
    /// As [`Self::forward_2d`], if the network is 2-D.
    pub fn forward_3d(&self, input: Tensor<5>, precision: Precision) -> Tensor<5> {
        channels_first(self.logits(volumes_last(input, self.plan.rank), precision))
    }

    /// All outputs of a 2-D network: [`Self::forward_2d`]'s first, then those of the
    /// stages below, each coarser than the one before.
    ///
    /// # Panics
    /// As [`Self::forward_2d`].
    pub fn outputs_2d(&self, input: Tensor<4>, precision: Precision) -> Vec<Tensor<4>> {
        let outputs = self.pass(planes_last(input, self.plan.rank), precision, true);
        outputs.into_iter().map(planes_first).collect()
    }

    /// All outputs of a 3-D network: [`Self::forward_3d`]'s first, then those of the
    /// stages below, each coarser than the one before.
    ///
    /// # Panics
    /// As [`Self::forward_3d`].
    pub fn outputs_3d(&self, input: Tensor<5>, precision: Precision) -> Vec<Tensor<5>> {
        let outputs = self.pass(volumes_last(input, self.plan.rank), precision, true);
        outputs.into_iter().map(channels_first).collect()
    }

    fn logits(&self, input: Tensor<5>, precision: Precision) -> Tensor<5> {
        self.pass(input, precision, false).swap_remove(0)
    }

    /// The logits, and behind them, where `all` outputs are wanted, each coarser one.
    fn pass(&self, input: Tensor<5>, precision: Precision, all: bool) -> Vec<Tensor<5>> {
        let [_, z, y, x, _] = input.dims();
        self.assert_legal(Zyx([z, y, x]));
        let mut pass = Pass {
            parameters: &self.parameters,
            precision,
            training: input.device().is_autodiff() && self.parameters.is_training(),
            all,
            outputs: Vec::new(),
        };
        let logits = pass.through(&self.plan.layers, input);
        pass.outputs.push(logits);
        // The layers come to the coarsest output first.
        pass.outputs.reverse();
        pass.outputs
    }

    fn assert_legal(&self, lengths: Zyx<usize>) {
        if let Err(error) = self.architecture().effective_size(lengths) {
            panic!("{error}");
        }
    }

    /// Number of trained values: kernels, biases, slopes, norms' scales and shifts,
    /// not their running statistics.
    pub fn parameter_count(&self) -> usize {
        self.plan.parameter_count()
    }
}

/// `[batch, channel, z, y, x]` to `[batch, z, y, x, channel]`.
fn channels_last(x: Tensor<5>) -> Tensor<5> {
    x.permute([0, 2, 3, 4, 1])
}

/// `[batch, z, y, x, channel]` to `[batch, channel, z, y, x]`.
fn channels_first(x: Tensor<5>) -> Tensor<5> {
    x.permute([0, 4, 1, 2, 3])
}

/// What a 3-D network is given, channels last.
fn volumes_last(x: Tensor<5>, rank: usize) -> Tensor<5> {
    assert_eq!(rank, 3, "a 2-D network was given a 3-D patch");
    channels_last(x)
}

/// `[batch, channel, y, x]`, which a 2-D network is given, to
/// `[batch, 1, y, x, channel]`.
fn planes_last(x: Tensor<4>, rank: usize) -> Tensor<5> {
    assert_eq!(rank, 2, "a 3-D network was given a 2-D patch");
    let [batch, channels, y, x_length] = x.dims();
    channels_last(x.reshape([batch, channels, 1, y, x_length]))
}

/// `[batch, 1, y, x, channel]` to `[batch, channel, y, x]`.
fn planes_first(x: Tensor<5>) -> Tensor<4> {
    let [batch, _, y, x_length, channels] = x.dims();
    channels_first(x).reshape([batch, channels, y, x_length])
}
