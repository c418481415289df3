//! `lacuna losses doctor`

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::Table;
use lacuna_losses::Loss;
use lacuna_train::config::RunConfig;
use lacuna_train::doctor::{ExaminedRun, examine_run};

#[derive(clap::Args)]
pub struct Arguments {
    /// The run configuration
    config: PathBuf,
    /// Set a key of the configuration, for example loss.name=dice; repeatable
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = RunConfig::read(&arguments.config, &arguments.set)?;
    let examined = examine_run(&config, &mut |note| eprintln!("{note}"))?;
    super::super::print(&render(config.loss.named.name(), &examined))
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
    if examination.findings.is_empty() {
        text.push_str("nothing to warn of\n");
    }
    for finding in &examination.findings {
        let _ = writeln!(
            text,
            "warning: {}: {}\n  try: {}",
            finding.kind, finding.what, finding.remedy
        );
    }
    text
}
