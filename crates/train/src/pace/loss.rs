//! How fast a loss is, beside a plain copy.

use lacuna_losses::{Input, Layout, LossConfig, LossError, PatchGrid, Reference};
use lacuna_volume::Zyx;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::timed;

/// Share of foreground in the labels.
const FOREGROUND: f64 = 0.02;

/// Values that one thread copies at a time.
const COPIED: usize = 1 << 16;

/// What a loss is measured on: random logits and labels, always the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossScene {
    /// Patches.
    pub batch: usize,
    /// Classes, at least two.
    pub classes: usize,
    /// Voxels of a patch along z, y, x.
    pub shape: [usize; 3],
    /// Every voxel has a weight.
    pub voxel_weights: bool,
    /// Every voxel has shares of all classes.
    pub soft_labels: bool,
}

/// Seconds of a loss, and of what limits it.
#[derive(Clone, Debug, PartialEq)]
pub struct LossPace {
    /// Value and gradient, of each repetition.
    pub loss: Vec<f64>,
    /// Reading and writing as many bytes as the logits have, of each repetition.
    pub copy: Vec<f64>,
}

impl LossPace {
    /// Evaluates the loss `repeat` times, after one time that touches the memory.
    ///
    /// # Errors
    /// When the loss refuses its options or the scene.
    pub fn measure(config: &LossConfig, scene: &LossScene, repeat: u32) -> Result<Self, LossError> {
        let layout = Layout {
            batch: scene.batch,
            classes: scene.classes,
            elements: scene.shape.iter().product(),
        };
        let (logits, labels) = random(layout);
        let weights = scene.voxel_weights.then(|| weights(&labels));
        let shares = scene.soft_labels.then(|| smoothed(layout, &labels));
        let mut input = Input::new(layout, &logits, &labels);
        input.weights = weights.as_deref();
        if let Some(shares) = &shares {
            input.reference = Reference::Soft(shares);
        }
        input.grid = Some(PatchGrid {
            shape: Zyx(scene.shape),
            spacing: Zyx([1.0; 3]),
        });
        let mut gradient = vec![0.0f32; logits.len()];
        let mut copy = vec![0.0f32; logits.len()];

        // In turn, so that whatever else the machine does falls on both.
        let (mut loss_seconds, mut copy_seconds) = (Vec::new(), Vec::new());
        for repetition in 0..=repeat {
            let (evaluation, loss_taken) =
                timed(|| config.value_and_gradient(&input, &mut gradient));
            evaluation?;
            let ((), copy_taken) = timed(|| parallel_copy(&logits, &mut copy));
            // The first touches the memory.
            if repetition > 0 {
                loss_seconds.push(loss_taken);
                copy_seconds.push(copy_taken);
            }
        }
        Ok(Self {
            loss: loss_seconds,
            copy: copy_seconds,
        })
    }
}

/// Logits between -4 and 4, and labels of which a few are foreground; always the same.
fn random(layout: Layout) -> (Vec<f32>, Vec<u8>) {
    let Layout {
        batch,
        classes,
        elements,
    } = layout;
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let logits = (0..batch * classes * elements)
        .map(|_| rng.random_range(-4.0..4.0))
        .collect();
    let labels = (0..batch * elements)
        .map(|_| match rng.random_bool(FOREGROUND) {
            true => rng.random_range(1..classes as u16) as u8,
            false => 0,
        })
        .collect();
    (logits, labels)
}

/// From .5 to 1.5, no two neighbours alike.
fn weights(labels: &[u8]) -> Vec<f32> {
    let weight = |i: usize| 0.5 + (i % 97) as f32 / 96.0;
    (0..labels.len()).map(weight).collect()
}

/// A tenth of each element shared among all classes.
fn smoothed(layout: Layout, labels: &[u8]) -> Vec<f32> {
    let Layout {
        classes, elements, ..
    } = layout;
    let share = |own: bool| 0.1 / classes as f32 + if own { 0.9 } else { 0.0 };
    labels
        .chunks(elements)
        .flat_map(|labels| {
            (0..classes).flat_map(move |class| {
                (labels.iter()).map(move |label| share(usize::from(*label) == class))
            })
        })
        .collect()
}

fn parallel_copy(from: &[f32], to: &mut [f32]) {
    to.par_chunks_mut(COPIED)
        .zip(from.par_chunks(COPIED))
        .for_each(|(to, from)| to.copy_from_slice(from));
}
