//! `lacuna demo`: the whole way on a phantom cohort.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use lacuna_data::manifest::Manifest;
use lacuna_data::phantom::{PhantomConfig, write_cohort};
use lacuna_train::apply::TrainedRun;
use lacuna_train::config::RunConfig;
use lacuna_train::device::DeviceName;
use lacuna_train::predict::WindowOptions;

use super::evaluate::evaluate;
use super::predict::predict_dataset;
use super::train::train_with_progress;
use crate::terminal::stop_flag;

/// The run that the demo trains; the rest are defaults.
const RUN: &str = include_str!("demo.toml");

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder to write; default: lacuna-demo, or the first free of lacuna-demo-2, -3, ...
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Key of the phantoms and of the training
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let out = arguments.out.clone().unwrap_or_else(free_folder);
    std::fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
    let stop = stop_flag()?;

    let phantoms = PhantomConfig {
        seed: arguments.seed,
        ..PhantomConfig::default()
    };
    eprintln!(
        "1/4 {} phantoms of {:?} voxels, lesions in {:.3} % of them",
        phantoms.subjects,
        phantoms.shape,
        100.0 * phantoms.foreground_share
    );
    let dataset = write_cohort(&phantoms, &out.join("cohort"))?;

    let run_toml = out.join("run.toml");
    let text = format!("seed = {}\n{RUN}", arguments.seed);
    lacuna_io::atomic::write_bytes(&run_toml, text.as_bytes())?;
    let config = RunConfig::read(&run_toml, &[])?;
    let run = out.join("run");
    eprintln!("2/4 training: {}", run_toml.display());
    let summary = train_with_progress(&config, &run, false, DeviceName::Cpu, &stop)?;
    if !summary.finished {
        eprintln!("stopped");
        return Ok(ExitCode::from(130));
    }

    let predictions = out.join("predictions");
    let trained = TrainedRun::open(&run, &DeviceName::Cpu.open()?)?;
    let manifest = Manifest::read(&dataset)?;
    let test = trained.facts.split.test.clone();
    eprintln!("3/4 predicting the held-out subjects: {}", test.join(", "));
    predict_dataset(
        &trained,
        &manifest,
        &test,
        &predictions,
        false,
        WindowOptions::default(),
        &stop,
    )?;

    eprintln!("4/4 evaluating");
    let evaluation = evaluate(&manifest, &predictions, &out.join("evaluation"), &[], 1.0)?;
    print!("{}", evaluation.table());
    Ok(ExitCode::SUCCESS)
}

fn free_folder() -> PathBuf {
    let mut folder = PathBuf::from("lacuna-demo");
    let mut number = 1;
    while folder.exists() {
        number += 1;
        folder = Path::new(&format!("lacuna-demo-{number}")).to_owned();
    }
    folder
}
