//! The `[train]` section.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Budget, MemoryLimit};
use crate::device::PrecisionName;
use crate::schedule::{Schedule, ScheduleName};

/// The optimiser of the weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptimiserName {
    /// Adam (Kingma and Ba 2015): betas 0.9 and 0.999, epsilon 1e-8.
    #[default]
    Adam,
    /// The same with decoupled weight decay (Loshchilov and Hutter 2019).
    #[serde(rename = "adamw")]
    AdamW,
    /// Stochastic gradient descent with momentum, no dampening; weight decay is added to
    /// the gradient.
    Sgd,
}

/// Most batches in one iteration.
pub(crate) const MOST_ACCUMULATED: usize = 4096;

/// Momentum of [`OptimiserName::Sgd`] where none is given.
pub const MOMENTUM: f64 = 0.9;

/// Least number of iterations by whose speed those that fit into a budget are counted.
pub const MEASURED: u64 = 10;

/// What the loss of a voxel is multiplied by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VoxelWeights {
    /// 1 everywhere.
    #[default]
    None,
    /// The subject's weight map.
    Map,
    /// 1 inside the subject's mask, 0 outside.
    Mask,
}

/// What becomes of a batch that does not fit into memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TooLarge {
    /// The run is refused, with what would fit.
    #[default]
    Refuse,
    /// It is taken in parts, whose gradients are averaged.
    Accumulate,
}

/// `[train]`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Run folder, or file of PyTorch's, from whose weights the training starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
    /// Number of optimiser steps.
    pub iterations: u64,
    /// Time that the training may take, which replaces `iterations`: as many as fit are
    /// chosen after the first, by their own speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// Patches that the network sees together.
    pub batch: usize,
    /// Batches in one iteration, whose gradients are averaged.
    pub accumulate: usize,
    /// What becomes of a batch that does not fit into memory.
    pub too_large: TooLarge,
    /// Learning rate of the first iteration.
    pub learning_rate: f64,
    /// How it changes from there.
    #[serde(rename = "schedule")]
    pub schedule_name: ScheduleName,
    /// Iterations over which the rate rises linearly; what it falls by begins behind them.
    pub warm_up: u64,
    /// The optimiser.
    pub optimiser: OptimiserName,
    /// Momentum of "sgd" ([`MOMENTUM`] when left out), in [0, 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// Nesterov's form of the momentum of "sgd" (Sutskever et al. 2013).
    pub nesterov: bool,
    /// Share of each weight, times the rate, that a step of "adamw" takes away; times
    /// the weight, what "sgd" adds to its gradient.
    pub weight_decay: f64,
    /// Largest Euclidean norm of all gradients together, which longer ones are scaled
    /// to (Pascanu, Mikolov and Bengio 2013); 0 is no limit.
    pub clip_norm: f64,
    /// Outputs of the network below the finest that the loss is asked of too (deep
    /// supervision, Lee et al. 2015), with half the weight of the one above each.
    pub deep_supervision: usize,
    /// Decay of the exponential moving average of the weights (Polyak and Juditsky 1992),
    /// in [0, 1): the average is validated and predicted with. 0 is no average.
    pub ema: f64,
    /// Probability of all foreground that the biases of the last layer stand for before
    /// anything is learnt (Lin et al. 2017), in [0, 1); 0 leaves the biases at 0, where each
    /// class is as likely as another.
    pub prior: f64,
    /// Times that a training that has collapsed begins again with other random numbers.
    pub restarts: u64,
    /// What convolutions multiply.
    pub precision: PrecisionName,
    /// What the loss of a voxel is multiplied by.
    pub voxel_weights: VoxelWeights,
    /// Iterations between checkpoints.
    pub checkpoint_every: u64,
    /// Iterations between validations; 0 means only at the end.
    pub validate_every: u64,
    /// Threads that cut patches ahead.
    pub loader_threads: usize,
    /// Memory that prepared subjects may take; those beyond are read from the cache.
    pub memory: MemoryLimit,
    /// Folder of prepared subjects that find no room; empty means the user's cache.
    pub cache: PathBuf,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            from: None,
            iterations: 1000,
            budget: None,
            batch: 3,
            accumulate: 1,
            too_large: TooLarge::Refuse,
            learning_rate: 1e-4,
            schedule_name: ScheduleName::Constant,
            warm_up: 0,
            optimiser: OptimiserName::Adam,
            momentum: None,
            nesterov: false,
            weight_decay: 0.0,
            clip_norm: 0.0,
            deep_supervision: 0,
            ema: 0.0,
            prior: 0.0,
            restarts: 0,
            precision: PrecisionName::F32,
            voxel_weights: VoxelWeights::None,
            checkpoint_every: 100,
            validate_every: 0,
            loader_threads: 1,
            memory: MemoryLimit::default(),
            cache: PathBuf::new(),
        }
    }
}

impl TrainConfig {
    /// The learning rate of each iteration.
    pub fn schedule(&self) -> Schedule {
        Schedule {
            name: self.schedule_name,
            first: self.learning_rate,
            iterations: self.iterations,
            warm_up: self.warm_up,
        }
    }

    /// Iterations by whose speed the number that fits into a budget is chosen.
    pub fn measured(&self) -> u64 {
        self.warm_up.max(MEASURED)
    }
}
