//! `lacuna bench`: how fast the parts of the main job are on this machine.
//!
//! One file per part. Each does its work once untimed, except for a whole
//! volume, and then `--repeat` times, and hands its figures to [`show`].

mod load;
mod loss;
mod predict;
mod step;

use std::process::ExitCode;

use crate::commands::Json;
use crate::terminal::table;
use lacuna_metrics::Quartiles;
use lacuna_nets::ModelName;
use lacuna_train::compute::Compute;
use lacuna_train::device::{DeviceName, PrecisionName};
use lacuna_train::run::peak_memory_bytes;
use serde::Serialize;

use crate::{DeviceArgument, PrecisionArgument};

#[derive(clap::Subcommand)]
pub enum Part {
    /// Reading a NIfTI file into memory as 32-bit numbers
    Load(load::Arguments),
    /// Value and gradient of generalised Dice, beside a plain copy of its logits
    Loss(loss::Arguments),
    /// A training step of a network, and a forward pass without gradients
    Step(step::Arguments),
    /// Segmenting whole images with an untrained network
    Predict(predict::Arguments),
}

/// What every part asks for.
#[derive(clap::Args)]
struct Measure {
    /// Times to repeat; medians are shown
    #[arg(long, visible_alias = "steps", default_value_t = 5, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    repeat: u32,
    #[command(flatten)]
    json: Json,
}

pub fn run(part: &Part) -> anyhow::Result<ExitCode> {
    match part {
        Part::Load(arguments) => load::run(arguments),
        Part::Loss(arguments) => loss::run(arguments),
        Part::Step(arguments) => step::run(arguments),
        Part::Predict(arguments) => predict::run(arguments),
    }
}

/// The network of a part.
#[derive(clap::Args)]
struct Model {
    /// The network, one of those that `lacuna networks` lists
    #[arg(long, default_value = "unet", value_name = "NAME", value_parser = name_of_network)]
    net: ModelName,
    /// What convolutions multiply
    #[arg(long, value_enum, default_value = "f32")]
    precision: PrecisionArgument,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    device: DeviceArgument,
}

impl Model {
    /// The device in the precision asked for, without gradients.
    fn compute(&self) -> anyhow::Result<Compute> {
        let device = DeviceName::from(self.device).open()?;
        Ok(Compute::new(&device, PrecisionName::from(self.precision))?)
    }
}

fn name_of_network(text: &str) -> Result<ModelName, String> {
    let found = ModelName::ALL
        .into_iter()
        .find(|name| name.to_string() == text);
    found.ok_or_else(|| {
        let names = ModelName::ALL.map(|name| name.to_string());
        format!("expected one of {}", names.join(", "))
    })
}

/// Median of the seconds of all repetitions, of which there is at least one.
fn median(seconds: &[f64]) -> f64 {
    Quartiles::of(seconds).map_or(0.0, |quartiles| quartiles.median)
}

/// The figures of a part with what they depend on; one JSON object.
#[derive(Serialize)]
struct Figures<'a, F> {
    #[serde(flatten)]
    figures: &'a F,
    threads: usize,
    processor: String,
    peak_bytes: Option<u64>,
}

/// Prints `figures` as JSON, or the `rows` that say the same to a reader.
fn show<F: Serialize>(
    measure: &Measure,
    figures: &F,
    rows: Vec<[String; 2]>,
) -> anyhow::Result<ExitCode> {
    let figures = Figures {
        figures,
        threads: rayon::current_num_threads(),
        processor: processor(),
        peak_bytes: peak_memory_bytes(),
    };
    measure.json.print(&figures, || {
        let mut table = table([""; 0]);
        table.add_rows(rows);
        table.add_row(["threads", &figures.threads.to_string()]);
        table.add_row(["processor", &figures.processor]);
        if let Some(bytes) = figures.peak_bytes {
            table.add_row(["peak memory", &format!("{:.0} MB", bytes as f64 / 1e6)]);
        }
        format!("{table}\n")
    })
}

/// The processor's name where the system tells, else its architecture.
fn processor() -> String {
    std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}
