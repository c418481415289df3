//! `lacuna sweep --dry-run`: the grid and the hours it will take.
//!
//! Every combination of network, patch and batch is measured for a few steps
//! on random values with the threads that a run will have. A test subject is
//! taken to cost as many effective patches as cover it, without overlap.

use std::collections::HashMap;

use anyhow::Context;
use burn::module::Module;
use burn::tensor::Device;
use comfy_table::Table;
use indicatif::HumanDuration;
use lacuna_losses::PatchGrid;
use lacuna_nets::Network;
use lacuna_sweep::Executor;
use lacuna_train::compute::Compute;
use lacuna_train::config::RunConfig;
use lacuna_train::device::DeviceName;
use lacuna_train::outputs::Outputs;
use lacuna_train::step::Step;

use super::plan::{DatasetShape, Plan};
use crate::commands::bench::step::timed_steps;
use crate::commands::bench::{median, random_batch, timed};
use crate::terminal::Progress;

/// Steps measured after one that is not.
const STEPS: u32 = 2;

/// Seconds of one combination.
#[derive(Clone, Copy)]
struct Pace {
    step: f64,
    /// Forward pass of one effective voxel.
    voxel: f64,
}

/// The grid as a table with estimated hours.
pub fn describe(plan: &Plan, executor: &Executor) -> anyhow::Result<String> {
    let (jobs, threads) = match executor {
        Executor::Local(local) => (local.jobs, local.threads_each()),
        Executor::Slurm(slurm) => (
            slurm.at_once.unwrap_or(plan.runs.len()),
            usize::from(slurm.cpus),
        ),
    };
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()?;
    let device = DeviceName::from(plan.device).open()?;
    let mut paces: HashMap<String, Pace> = HashMap::new();
    let mut bar = Progress::new("measure", 0, plan.runs.len() as u64);
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "run",
        "patch",
        "batch",
        "iterations",
        "s/iteration",
        "test subjects",
        "hours",
    ]);
    let mut hours = 0.0;
    let runs = plan.runs.iter().zip(&plan.configs).zip(&plan.shapes);
    for (number, ((planned, config), shape)) in runs.enumerate() {
        let key = format!(
            "{:?} {} {} {shape:?}",
            config.model, config.patch.size, config.train.batch
        );
        let pace = match paces.get(&key) {
            Some(pace) => *pace,
            None => {
                let pace = pool
                    .install(|| measure(config, shape, &device))
                    .with_context(|| planned.run.name.clone())?;
                *paces.entry(key).or_insert(pace)
            }
        };
        let labelled: Vec<String> = shape.voxels.keys().cloned().collect();
        let test = config.split.resolve(&labelled, config.seed)?.test;
        let voxels: u64 = test.iter().map(|id| shape.voxels[id]).sum();
        let seconds = pace.step * config.train.iterations as f64 + pace.voxel * voxels as f64;
        hours += seconds / 3600.0;
        table.add_row([
            planned.run.name.clone(),
            format!("{} -> {}", planned.run.patch, planned.run.effective_patch),
            config.train.batch.to_string(),
            config.train.iterations.to_string(),
            format!("{:.3}", pace.step),
            test.len().to_string(),
            format!("{:.2}", seconds / 3600.0),
        ]);
        bar.at(number as u64 + 1, &planned.run.name);
    }
    bar.finish();
    Ok(format!(
        "{table}\n{} runs, {hours:.1} hours one after the other with {threads} thread(s) each; with {jobs} at a time about {} \
         ({STEPS} steps measured for each network, patch and batch on this machine; a second run beside the first slows it)\n",
        plan.runs.len(),
        HumanDuration(std::time::Duration::from_secs_f64(
            3600.0 * hours / jobs as f64
        )),
    ))
}

fn measure(config: &RunConfig, shape: &DatasetShape, device: &Device) -> anyhow::Result<Pace> {
    let compute = Compute::new(device, config.train.precision)?;
    let training = compute.autodiff();
    let outputs = Outputs::new(config, &shape.classes)?;
    let network = Network::new(
        &config.model,
        shape.modalities,
        outputs.count(),
        config.seed,
        training.device(),
    )?;
    let effective = network.effective_size(config.patch.size)?;
    let rank = network.rank();
    let (images, labels) = random_batch(
        config.train.batch,
        shape.modalities,
        config.patch.size,
        effective,
        rank,
    );
    let step = Step {
        compute: &training,
        loss: &config.loss,
        regions: outputs.regions(),
        grid: PatchGrid::millimetres(effective, rank),
        rate: config.train.learning_rate,
    };
    let optimiser = config.train.optimiser;
    let (network, steps) = timed_steps(&step, network, optimiser, &images, &labels, STEPS)?;
    let network = network.valid();
    let (_, forward) = timed(|| compute.logits(&network, images.clone()).into_data());
    Ok(Pace {
        step: median(&steps),
        voxel: forward / (config.train.batch * effective.pow(rank as u32)) as f64,
    })
}
