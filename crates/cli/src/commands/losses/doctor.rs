//! `lacuna losses doctor`

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::Table;
use lacuna_losses::Loss;
use lacuna_losses::doctor::Finding;
use lacuna_train::config::RunConfig;
use lacuna_train::device::DeviceName;
use lacuna_train::doctor::{ExaminedRun, TriedSteps, examine_run, try_steps};

use crate::DeviceArgument;

#[derive(clap::Args)]
pub struct Arguments {
    /// The run configuration
    config: PathBuf,
    /// Set a key of the configuration, for example loss.name=dice; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Steps of the training to take, at its own rate with its own sampler and network; 0
    /// for the loss alone
    #[arg(long, value_name = "N", default_value_t = 20)]
    steps: usize,
    /// Where to compute them
    #[arg(long, value_enum, default_value_t)]
    device: DeviceArgument,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = RunConfig::read(&arguments.config, &arguments.set)?;
    let examined = examine_run(&config, &mut |note| tell!("{note}"))?;
    super::super::print(&render(config.loss.named.name(), &examined))?;
    if arguments.steps == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    let device = DeviceName::from(arguments.device).open()?;
    let scratch = tempfile::tempdir()?;
    let scratch = scratch.path().join("run");
    let mut note = |note| tell!("{note}");
    let tried = try_steps(&config, arguments.steps, &scratch, &device, &mut note)?;
    super::super::print(&render_steps(&tried))
}

fn render_steps(tried: &TriedSteps) -> String {
    let dsc = tried
        .dsc
        .map(|dsc| dsc.map_or_else(|| "–".to_owned(), |dsc| format!("{dsc:.3}")));
    let mut text = format!(
        "{} steps of {:.2} s: loss {:.3} to {:.3}, DSC of batches with foreground {} to {} (first \
         and last quarter)\n",
        tried.events.len(),
        tried.seconds,
        tried.loss[0],
        tried.loss[1],
        dsc[0],
        dsc[1]
    );
    text += &told(&tried.findings);
    text
}

/// The findings, or that there are none.
fn told(findings: &[Finding]) -> String {
    let mut text = String::new();
    if findings.is_empty() {
        text.push_str("nothing to warn of\n");
    }
    for finding in findings {
        let _ = writeln!(
            text,
            "warning: {}: {}\n  try: {}",
            finding.kind, finding.what, finding.remedy
        );
    }
    text
}

fn render(loss: &str, examined: &ExaminedRun) -> String {
    let ExaminedRun {
        classes,
        shares,
        grid,
        examination,
    } = examined;
    let [nx, ny, nz] = grid.shape.to_xyz();
    let mut text = format!("{loss} on patches of {nx} x {ny} x {nz}\n");
    for ((class, share), volume) in classes.iter().zip(shares).zip(&examination.typical) {
        let _ = writeln!(
            text,
            "  {class}: {share:.3e} of the training voxels, {volume} voxels in a typical patch"
        );
    }
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "patch",
        "predicted",
        "loss",
        "pull on lesion",
        "pull on background",
        "largest |dL/dz|",
    ]);
    for probe in &examination.probes {
        let response = &probe.response;
        table.add_row([
            probe.patch.to_owned(),
            probe.prediction.to_owned(),
            format!("{:.4}", response.value),
            format!("{:.2e}", response.lesion_pull),
            format!("{:.2e}", response.background_pull),
            format!("{:.2e}", response.largest),
        ]);
    }
    let _ = writeln!(text, "{table}");
    text + &told(&examination.findings)
}
