//! `lacuna losses doctor`

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::Table;
use lacuna_losses::doctor::{Examination, examine, examined_grid};
use lacuna_losses::{Loss, PatchGrid};
use lacuna_train::config::RunConfig;
use lacuna_train::dataset::{Dataset, patch_geometry};
use lacuna_train::outputs::Outputs;
use lacuna_volume::Zyx;

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
    let dataset = Dataset::open(&config)?;
    let ids = &dataset.facts.split.train;
    eprintln!("reading the labels of {} training subject(s)", ids.len());
    let classes = dataset.facts.classes.len();
    let mut counts = vec![0_u64; classes];
    let mut first_spacing = None;
    for id in ids {
        let case = dataset.case(id, &config)?;
        for &class in case.label.iter().flat_map(|label| label.data()) {
            counts[usize::from(class)] += 1;
        }
        first_spacing.get_or_insert(case.channels[0].spacing().0);
    }
    let total: u64 = counts.iter().sum();
    let shares: Vec<f64> = counts.iter().map(|n| *n as f64 / total as f64).collect();

    let (_, effective) = patch_geometry(&config)?.sizes(config.patch.plane);
    let spacing = first_spacing.unwrap_or([1.0; 3]);
    let grid = PatchGrid {
        shape: Zyx::from_xyz(effective),
        spacing: Zyx::from_xyz(spacing),
    };
    let examined = examined_grid(grid);
    let outputs = Outputs::new(&config, &dataset.facts.classes)?;
    let examination = examine(&config.loss, examined, &shares, outputs.regions())?;
    super::super::print(&render(
        config.loss.named.name(),
        &dataset.facts.classes,
        &shares,
        examined,
        &examination,
    ))
}

fn render(
    loss: &str,
    classes: &[String],
    shares: &[f64],
    grid: PatchGrid,
    examination: &Examination,
) -> String {
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
