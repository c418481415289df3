//! `lacuna bench loss`

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use lacuna_losses::{Input, Layout, Loss, PatchGrid, Reference};
use lacuna_volume::Zyx;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::Serialize;

use super::{Measure, median, show, timed};
use crate::commands::losses::configured;

/// Share of foreground in the labels.
const FOREGROUND: f64 = 0.02;

/// The most logits; gradient and copy take as much memory again.
const MOST_LOGITS: usize = 1 << 28;

/// Values that one thread copies at a time.
const COPIED: usize = 1 << 16;

#[derive(clap::Args)]
pub struct Arguments {
    /// The loss; `lacuna losses` lists them
    #[arg(long, default_value = "generalised-dice")]
    name: String,
    /// An option of the loss, such as form=squared or activation=sigmoid; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Batch, classes and the axes of a patch
    #[arg(long, default_value = "1,2,96,96,96", value_name = "B,C,X[,Y,Z]")]
    shape: String,
    /// Give every voxel a weight
    #[arg(long)]
    voxel_weights: bool,
    /// Give every voxel shares of all classes
    #[arg(long)]
    soft_labels: bool,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Serialize)]
struct Figures {
    loss: &'static str,
    shape: Vec<usize>,
    /// Value and gradient.
    loss_s_median: f64,
    /// Reading and writing as many bytes as the logits have, as a limit.
    copy_s_median: f64,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        name,
        set,
        shape,
        voxel_weights,
        soft_labels,
        measure,
    } = arguments;
    let shape = parse(shape)?;
    let layout = Layout {
        batch: shape[0],
        classes: shape[1],
        elements: shape[2..].iter().product(),
    };
    let config = configured(name, set)?;
    let (logits, labels) = random(layout);
    let mut axes = [1; 3];
    axes[5 - shape.len()..].copy_from_slice(&shape[2..]);
    let weights = voxel_weights.then(|| weights(&labels));
    let shares = soft_labels.then(|| smoothed(layout, &labels));
    let mut input = Input::new(layout, &logits, &labels);
    input.weights = weights.as_deref();
    if let Some(shares) = &shares {
        input.reference = Reference::Soft(shares);
    }
    input.grid = Some(PatchGrid {
        shape: Zyx(axes),
        spacing: Zyx([1.0; 3]),
    });
    let mut gradient = vec![0.0f32; logits.len()];
    let mut copy = vec![0.0f32; logits.len()];

    // In turn, so that whatever else the machine does falls on both.
    let (mut loss_seconds, mut copy_seconds) = (Vec::new(), Vec::new());
    for repetition in 0..=measure.repeat {
        let (evaluation, loss_taken) = timed(|| config.value_and_gradient(&input, &mut gradient));
        evaluation?;
        let ((), copy_taken) = timed(|| parallel_copy(&logits, &mut copy));
        // The first touches the memory.
        if repetition > 0 {
            loss_seconds.push(loss_taken);
            copy_seconds.push(copy_taken);
        }
    }

    let figures = Figures {
        loss: config.named.name(),
        shape,
        loss_s_median: median(&loss_seconds),
        copy_s_median: median(&copy_seconds),
    };
    let (loss_s, copy_s) = (figures.loss_s_median, figures.copy_s_median);
    let rows = vec![
        ["loss".into(), figures.loss.to_owned()],
        ["logits".into(), arguments.shape.clone()],
        [
            "median".into(),
            format!("{loss_s:.5} s, value and gradient"),
        ],
        [
            "copy".into(),
            format!("{copy_s:.5} s, of as many bytes as the logits"),
        ],
        ["ratio".into(), format!("{:.2}", loss_s / copy_s)],
    ];
    show(measure, &figures, rows)
}

/// At least batch, classes and one axis, with memory for all.
fn parse(text: &str) -> anyhow::Result<Vec<usize>> {
    let refused = |found: &str| {
        anyhow!(
            "--shape {text}: {found}; expected batch, classes and one to three axes, whole \
             numbers from 1 with commas between, for example 1,2,96,96,96"
        )
    };
    let shape = text
        .split(',')
        .map(|n| n.trim().parse().ok().filter(|&n: &usize| n > 0))
        .collect::<Option<Vec<usize>>>()
        .ok_or_else(|| refused("not all are such numbers"))?;
    if !(3..=5).contains(&shape.len()) {
        return Err(refused(&format!("{} numbers", shape.len())));
    }
    if !(2..=256).contains(&shape[1]) {
        bail!("--shape {text}: {} classes; expected 2 to 256", shape[1]);
    }
    let logits = shape
        .iter()
        .try_fold(1usize, |n, &axis| n.checked_mul(axis));
    match logits {
        Some(logits) if logits <= MOST_LOGITS => Ok(shape),
        _ => bail!("--shape {text}: too many logits; expected at most {MOST_LOGITS} in all"),
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
