//! `lacuna train`

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use lacuna_train::config::RunConfig;
use lacuna_train::device::DeviceName;
use lacuna_train::training::{Progress as Step, Summary, train};

use crate::DeviceArgument;
use crate::terminal::{Progress, stop_flag};

#[derive(clap::Args)]
pub struct Arguments {
    /// The run configuration; `lacuna config` prints a documented one
    config: PathBuf,
    /// Folder for checkpoints, events and the summary
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Continue the run in --out from its newest checkpoint
    #[arg(long)]
    resume: bool,
    /// Override a key of the configuration, for example --set train.batch=5
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArgument,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = RunConfig::read(&arguments.config, &arguments.overrides)?;
    let stop = stop_flag()?;
    let summary = train_with_progress(
        &config,
        &arguments.out,
        arguments.resume,
        arguments.device.into(),
        &stop,
    )?;
    if summary.finished {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!(
        "stopped; continue with: lacuna train {} --out {} --resume",
        arguments.config.display(),
        arguments.out.display()
    );
    Ok(ExitCode::from(super::INTERRUPTED))
}

/// Trains, showing progress, and prints the summary.
pub fn train_with_progress(
    config: &RunConfig,
    out: &Path,
    resume: bool,
    device: DeviceName,
    stop: &AtomicBool,
) -> anyhow::Result<Summary> {
    let device = device.open()?;
    let mut bar: Option<Progress> = None;
    let summary = train(config, out, resume, &device, stop, &mut |step| match step {
        Step::Note(text) => eprintln!("{text}"),
        Step::Start { done, total } => bar = Some(Progress::new("train", done, total)),
        Step::Iteration(event) => {
            if let Some(bar) = &mut bar {
                let state = format!("loss {:.3} DSC {:.3}", event.loss, event.dsc);
                bar.at(event.iteration, &state);
            }
        }
        Step::Validation(scored) => {
            if let Some(bar) = &bar {
                bar.note(&format!(
                    "validation after {}: mean DSC {:.3}",
                    scored.iteration, scored.dsc
                ));
            }
        }
    });
    if let Some(bar) = bar {
        bar.finish();
    }
    let summary = summary?;
    super::print(&describe(&summary, out))?;
    Ok(summary)
}

fn describe(summary: &Summary, out: &Path) -> String {
    let mut text = String::new();
    if let Some(last) = &summary.last_iterations {
        text += &format!(
            "training DSC over the last {} iterations: median {:.3} (IQR {:.3})\n",
            last.iterations, last.median, last.iqr
        );
    }
    let memory = summary.peak_memory_bytes.map_or_else(String::new, |b| {
        format!(", peak memory {:.2} GB", b as f64 / 1e9)
    });
    text + &format!(
        "patches: foreground share {:.4}, without foreground {:.1} %\n\
         {:.3} s per iteration (median), {:.1} % of the time waiting for patches{memory}\n\
         run folder: {}\n",
        summary.foreground_share,
        100.0 * summary.empty_patch_rate,
        summary.seconds_per_iteration,
        100.0 * summary.wait_share,
        out.display()
    )
}
