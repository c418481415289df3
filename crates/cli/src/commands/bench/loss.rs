//! `lacuna bench loss`

use std::process::ExitCode;

use anyhow::{anyhow, bail};
use lacuna_losses::Loss;
use lacuna_train::pace::{LossPace, LossScene};
use serde::Serialize;

use super::{Measure, median, show};
use crate::commands::losses::configured;

/// The most logits; gradient and copy take as much memory again.
const MOST_LOGITS: usize = 1 << 28;

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
    let mut axes = [1; 3];
    axes[5 - shape.len()..].copy_from_slice(&shape[2..]);
    let config = configured(name, set)?;
    let scene = LossScene {
        batch: shape[0],
        classes: shape[1],
        shape: axes,
        voxel_weights: *voxel_weights,
        soft_labels: *soft_labels,
    };
    let pace = LossPace::measure(&config, &scene, measure.repeat)?;
    let figures = Figures {
        loss: config.named.name(),
        shape,
        loss_s_median: median(&pace.loss),
        copy_s_median: median(&pace.copy),
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
