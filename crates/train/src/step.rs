//! One training step: forward, loss, backward, optimiser.

use std::borrow::Cow;

use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Tensor, TensorData};
use lacuna_data::sampler::PatchMaps;
use lacuna_losses::wrappers::{DeepSupervision, coarser_labels};
use lacuna_losses::{
    Evaluation, Input, Layout, LossConfig, LossError, PatchGrid, Reference, ReferenceMaps, Regions,
};
use lacuna_nets::Network;
use lacuna_volume::{IGNORED, Zyx};

use crate::clip::clipped;
use crate::collapse::Alternation;
use crate::compute::Compute;
use crate::config::{MOMENTUM, OptimiserName, TrainConfig};

/// What a step needs besides the network and the batch.
pub struct Step<'a> {
    /// Where and in what precision, with gradients.
    pub compute: &'a Compute,
    /// What is minimised.
    pub loss: &'a LossConfig,
    /// What the network's channels are, unless they are the classes.
    pub regions: Option<&'a Regions>,
    /// The grid of the effective patches.
    pub grid: PatchGrid,
    /// Learning rate.
    pub rate: f64,
    /// Outputs below the finest that the loss is asked of too, with half the weight of
    /// the one above each.
    pub deep_supervision: usize,
    /// Largest norm of all gradients together; 0 is no limit.
    pub clip_norm: f64,
}

/// What the network's output is judged by.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// `[B, N]` with N the voxels of the effective patch.
    pub labels: &'a [u8],
    /// What the loss reads beside them.
    pub maps: &'a PatchMaps,
    /// The training iteration.
    pub iteration: u64,
}

/// What came of a step.
pub struct Taken {
    /// After the step.
    pub network: Network,
    /// Before it.
    pub evaluation: Evaluation,
    /// How much of the foreground that was predicted before it is a checkerboard, see
    /// [`Event::alternation`](lacuna_record::Event::alternation).
    pub alternation: Option<f64>,
}

impl Step<'_> {
    /// The network after one step on the mean of the losses of `batches`, each with its
    /// images `[B, C, H, W]` or `[B, C, D, H, W]`, and that loss before it with the counts
    /// of all.
    ///
    /// # Errors
    /// Those of [`LossConfig::value_and_gradient`]: [`LossError::NonFiniteLogit`] where the
    /// network's output is not finite.
    ///
    /// # Panics
    /// Without a batch.
    pub fn take(
        &self,
        network: Network,
        optimiser: &mut ModuleOptimizer,
        batches: Vec<(TensorData, Target)>,
    ) -> Result<Taken, LossError> {
        let share = 1.0 / batches.len() as f64;
        let mut gradients = GradientsAccumulator::new();
        let mut judged: Option<Evaluation> = None;
        let mut pattern = Alternation::default();
        for (images, target) in batches {
            let (sum, evaluation) =
                self.judge_outputs(&network, images, target, share, &mut pattern)?;
            let own = GradientsParams::from_grads(sum.backward(), &network);
            gradients.accumulate(&network, own);
            judged = Some(match judged {
                None => evaluation,
                Some(before) => together(before, evaluation),
            });
        }
        let gradients = match self.clip_norm > 0.0 {
            true => clipped(gradients.grads(), &network, self.clip_norm),
            false => gradients.grads(),
        };
        Ok(Taken {
            network: optimiser.step(self.rate, network, gradients),
            evaluation: judged.expect("a step has a batch"),
            alternation: pattern.share(),
        })
    }

    /// `share` times the weighted mean of the losses of the finest outputs, with the counts
    /// of the finest one, and what their gradients are handed to autodiff by.
    fn judge_outputs(
        &self,
        network: &Network,
        images: TensorData,
        target: Target,
        share: f64,
        pattern: &mut Alternation,
    ) -> Result<(Tensor<1>, Evaluation), LossError> {
        let count = self.deep_supervision + 1;
        let supervision = DeepSupervision::halving(count)?;
        let outputs = self.compute.outputs(network, images, count > 1);
        let mut judged: Option<(Tensor<1>, Evaluation)> = None;
        for ((logits, shape), &weight) in outputs.into_iter().zip(supervision.weights()) {
            let [batch, classes, elements] = logits.dims();
            let layout = Layout {
                batch,
                classes,
                elements,
            };
            let host = logits.to_data();
            let host: &[f32] = host.as_slice().expect("the device computes in f32");
            if judged.is_none() {
                self.add_pattern(host, layout, shape, pattern);
            }
            let (labels, grid) = self.coarser(target.labels, shape);
            let target = Target {
                labels: &labels,
                ..target
            };
            let (evaluation, gradient) = self.judge(host, layout, grid, target, share * weight)?;
            // d(sum(logits * g))/d(logits) is g: this hands the loss gradient to autodiff.
            let gradient = Tensor::<3>::from_data(gradient, &logits.device());
            let sum = (logits * gradient).sum();
            judged = Some(match judged {
                None => (sum, evaluation),
                Some((sums, finest)) => (
                    sums + sum,
                    Evaluation {
                        value: finest.value + evaluation.value,
                        ..finest
                    },
                ),
            });
        }
        Ok(judged.expect("a network has an output"))
    }

    /// Adds what a network calls foreground to `pattern`, by the rule of
    /// [`Evaluation::tp`].
    fn add_pattern(
        &self,
        logits: &[f32],
        layout: Layout,
        shape: Zyx<usize>,
        pattern: &mut Alternation,
    ) {
        let elements = layout.elements;
        let mut called = vec![false; elements];
        for sample in logits.chunks_exact(layout.classes * elements) {
            let (first, others) = match self.regions {
                Some(_) => (&[][..], sample),
                None => sample.split_at(elements),
            };
            called.fill(false);
            for class in others.chunks_exact(elements) {
                for (i, logit) in class.iter().enumerate() {
                    called[i] |= *logit > first.get(i).copied().unwrap_or(0.0);
                }
            }
            pattern.add(&called, shape.to_xyz());
        }
    }

    /// The labels of a batch, and their grid, on an output of those lengths.
    fn coarser<'l>(&self, labels: &'l [u8], shape: Zyx<usize>) -> (Cow<'l, [u8]>, PatchGrid) {
        let whole = self.grid.shape;
        if shape == whole {
            return (Cow::Borrowed(labels), self.grid);
        }
        let factors = Zyx(std::array::from_fn(|a| whole.0[a].div_ceil(shape.0[a])));
        let voxels: usize = whole.0.iter().product();
        let coarse = labels
            .chunks_exact(voxels)
            .flat_map(|sample| coarser_labels(sample, whole, factors))
            .collect();
        let spacing = std::array::from_fn(|a| self.grid.spacing.0[a] * factors.0[a] as f64);
        let grid = PatchGrid {
            shape,
            spacing: Zyx(spacing),
        };
        (Cow::Owned(coarse), grid)
    }

    /// `weight` times the loss and its gradient `[B, classes, N]` with respect to the
    /// logits. Both are finite when the logits are.
    fn judge(
        &self,
        logits: &[f32],
        layout: Layout,
        grid: PatchGrid,
        target: Target,
        weight: f64,
    ) -> Result<(Evaluation, TensorData), LossError> {
        let mut gradient = vec![0.0f32; logits.len()];
        let maps = target.maps;
        let known = target.labels.contains(&IGNORED).then(|| known(target));
        let (labels, weights) = match &known {
            Some((labels, weights)) => (labels.as_slice(), Some(weights.as_slice())),
            None => (target.labels, given(&maps.weight)),
        };
        let shares = self.regions.map(|r| r.shares(layout, labels));
        let reference = Reference::Labels(labels);
        let input = Input {
            reference: shares.as_deref().map_or(reference, Reference::Soft),
            weights,
            grid: Some(grid),
            maps: ReferenceMaps {
                distance: given(&maps.distance),
                lesion: given(&maps.lesion),
            },
            iteration: target.iteration,
            ..Input::new(layout, logits, labels)
        };
        let mut evaluation = self.loss.value_and_gradient(&input, &mut gradient)?;
        if weight != 1.0 {
            evaluation.value *= weight;
            gradient.iter_mut().for_each(|g| *g *= weight as f32);
        }
        let shape = [layout.batch, layout.classes, layout.elements];
        Ok((evaluation, TensorData::new(gradient, shape)))
    }
}

/// The sum of two losses, with the counts of both.
fn together(mut one: Evaluation, other: Evaluation) -> Evaluation {
    one.value += other.value;
    one.values.extend(other.values);
    one.tp += other.tp;
    one.fp += other.fp;
    one.fn_ += other.fn_;
    one
}

/// Labels and weights with no voxel ignored: what is has the weight 0, which every loss honours,
/// and the background.
fn known(target: Target) -> (Vec<u8>, Vec<f32>) {
    let weights = &target.maps.weight;
    let labels = target.labels.iter();
    let known = labels.enumerate().map(|(at, &label)| match label {
        IGNORED => (0, 0.0),
        label => (label, weights.get(at).copied().unwrap_or(1.0)),
    });
    known.unzip()
}

/// A map, unless it is empty because nothing reads it.
fn given<T>(map: &[T]) -> Option<&[T]> {
    (!map.is_empty()).then_some(map)
}

/// A fresh optimiser.
pub fn new_optimiser(config: &TrainConfig) -> ModuleOptimizer {
    match config.optimiser {
        OptimiserName::Adam => lacuna_ops::adam(1e-8, 0.0),
        OptimiserName::AdamW => lacuna_ops::adam(1e-8, config.weight_decay),
        OptimiserName::Sgd => sgd(config),
    }
}

fn sgd(config: &TrainConfig) -> ModuleOptimizer {
    let momentum = MomentumConfig::new()
        .with_momentum(config.momentum.unwrap_or(MOMENTUM))
        .with_dampening(0.0)
        .with_nesterov(config.nesterov);
    let decay =
        (config.weight_decay > 0.0).then(|| WeightDecayConfig::new(config.weight_decay as f32));
    SgdConfig::new()
        .with_momentum(Some(momentum))
        .with_weight_decay(decay)
        .init()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_weighs_nothing() {
        let mut maps = PatchMaps::default();
        let of = |maps: &PatchMaps| {
            known(Target {
                labels: &[0, 2, IGNORED],
                maps,
                iteration: 0,
            })
        };
        assert_eq!(of(&maps), (vec![0, 2, 0], vec![1.0, 1.0, 0.0]));
        maps.weight = vec![0.5, 3.0, 4.0];
        assert_eq!(of(&maps), (vec![0, 2, 0], vec![0.5, 3.0, 0.0]));
    }
}
