//! Defects that losses of other tools have or had, each with a test that it is
//! not here. Numbers in brackets are issues of that tool.

mod monai;
mod niftynet;
mod others;

#[path = "../inputs/mod.rs"]
mod inputs;

use inputs::{Batch, config, draw};
use lacuna_losses::{Activation, LossConfig};

pub(crate) fn sigmoid(text: &str) -> LossConfig {
    let mut config = config(text);
    config.options.activation = Activation::Sigmoid;
    config
}

/// `n` elements of two classes; the first `volume` are lesion, and the first
/// `claimed` from `from` on are called lesion.
pub(crate) fn hard(n: usize, volume: usize, claimed: std::ops::Range<usize>) -> Batch {
    let mut batch = draw(1, 2, [1, 1, n], 0.0, 1);
    batch.labels.fill(0);
    batch.labels[..volume].fill(1);
    batch.logits[..n].fill(20.0);
    batch.logits[claimed.clone()].fill(0.0);
    batch.logits[n + claimed.start..n + claimed.end].fill(20.0);
    batch
}

/// One channel of `n` elements with these logits, the first `volume` in the region.
pub(crate) fn channel(n: usize, volume: usize, logit: f64) -> Batch {
    let mut batch = draw(1, 1, [1, 1, n], 0.0, 1);
    batch.labels.fill(0);
    batch.labels[..volume].fill(1);
    batch.logits.fill(logit);
    batch
}
