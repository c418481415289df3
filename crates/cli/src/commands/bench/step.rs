//! `lacuna bench step`

use std::process::ExitCode;

use anyhow::bail;
use burn::module::Module;
use burn::tensor::TensorData;
use lacuna_data::sampler::PatchMaps;
use lacuna_losses::{LossConfig, PatchGrid};
use lacuna_nets::{ModelConfig, Network};
use lacuna_train::config::OptimiserName;
use lacuna_train::device::PrecisionName;
use lacuna_train::step::{Step, Target};
use lacuna_train::training::new_optimiser;
use serde::Serialize;

use super::{Measure, Model, median, random_batch, show, timed};

/// The most input values of a batch: beyond it no machine holds the activations.
const MOST_VALUES: usize = 1 << 28;

#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    model: Model,
    /// Edge of the input patch in voxels
    #[arg(long, default_value_t = 64, value_name = "N")]
    patch: usize,
    /// Patches in a batch
    #[arg(long, default_value_t = 1, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..))]
    batch: u16,
    /// Modalities
    #[arg(long, default_value_t = 3, value_name = "N")]
    channels: usize,
    /// Classes, background included
    #[arg(long, default_value_t = 2, value_name = "N")]
    classes: usize,
    #[command(flatten)]
    measure: Measure,
}

#[derive(Serialize)]
struct Figures {
    net: String,
    precision: String,
    patch: usize,
    batch: u16,
    parameters: usize,
    /// Forward, generalised Dice, backward and Adam.
    step_s_median: f64,
    /// A forward pass in evaluation mode.
    infer_s_median: f64,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Arguments {
        model,
        patch,
        batch,
        channels,
        classes,
        measure,
    } = arguments;
    let compute = model.compute()?;
    let training = compute.autodiff();
    let config = ModelConfig::new(model.net);
    let network = Network::new(&config, *channels, *classes, 0, training.device())?;
    let effective = network.effective_size(*patch)?;
    let rank = network.rank();
    let values = (0..rank).try_fold(channels * usize::from(*batch), |n, _| n.checked_mul(*patch));
    if values.is_none_or(|n| n > MOST_VALUES) {
        bail!(
            "--patch {patch} --batch {batch}: too many voxels; expected at most {MOST_VALUES} input values"
        );
    }
    let (images, labels) = random_batch(usize::from(*batch), *channels, *patch, effective, rank);

    let loss = LossConfig::default();
    let step = Step {
        compute: &training,
        loss: &loss,
        grid: PatchGrid::millimetres(effective, rank),
        regions: None,
        rate: 1e-4,
    };
    let adam = OptimiserName::Adam;
    let (network, steps) = timed_steps(&step, network, adam, &images, &labels, measure.repeat)?;
    let network = network.valid();
    let infer = (0..=measure.repeat)
        .map(|_| timed(|| compute.logits(&network, images.clone()).into_data()).1)
        .skip(1)
        .collect::<Vec<_>>();

    let figures = Figures {
        net: model.net.to_string(),
        precision: PrecisionName::from(model.precision).to_string(),
        patch: *patch,
        batch: *batch,
        parameters: network.parameter_count(),
        step_s_median: median(&steps),
        infer_s_median: median(&infer),
    };
    let text = |seconds: f64| format!("{seconds:.4} s");
    let rows = vec![
        [
            "network".into(),
            format!("{}, {} parameters", figures.net, figures.parameters),
        ],
        [
            "input".into(),
            format!(
                "{batch} x {channels} x {patch}^{rank}, {}",
                figures.precision
            ),
        ],
        ["training step".into(), text(figures.step_s_median)],
        [
            "1000 iterations".into(),
            format!("{:.1} min", figures.step_s_median * 1000.0 / 60.0),
        ],
        ["forward pass".into(), text(figures.infer_s_median)],
    ];
    show(measure, &figures, rows)
}

/// Takes `repeat` training steps on one batch after one that is not timed; the
/// network behind them, and the seconds of each.
pub fn timed_steps(
    step: &Step,
    mut network: Network,
    optimiser: OptimiserName,
    images: &TensorData,
    labels: &[u8],
    repeat: u32,
) -> anyhow::Result<(Network, Vec<f64>)> {
    let mut optimiser = new_optimiser(optimiser);
    let mut seconds = Vec::new();
    let maps = PatchMaps::default();
    for repetition in 0..=repeat {
        let target = Target {
            labels,
            maps: &maps,
            iteration: u64::from(repetition),
        };
        let (taken, took) = timed(|| step.take(network, &mut optimiser, images.clone(), target));
        (network, _) = taken?;
        // The first makes the optimiser's state and touches the memory.
        if repetition > 0 {
            seconds.push(took);
        }
    }
    Ok((network, seconds))
}
