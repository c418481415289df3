//! `lacuna losses doctor`

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use lacuna_losses::Loss;
use lacuna_losses::doctor::Finding;
use lacuna_train::config::RunConfig;
use lacuna_train::device::DeviceName;
use lacuna_train::doctor::{ExaminedRun, TriedSteps, examine_run, try_steps};
use serde_json::{Value, json};

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
    #[command(flatten)]
    json: crate::commands::Json,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = RunConfig::read(&arguments.config, &arguments.set)?;
    let examined = examine_run(&config, &mut |note| tell!("{note}"))?;
    let loss = config.loss.named.name();
    let json = arguments.json.json;
    // What is known is told before the steps, which take their time.
    if !json {
        super::super::print(&render(loss, &examined))?;
    }
    if arguments.steps == 0 {
        return match json {
            true => arguments
                .json
                .print(&told_as_json(loss, &examined, None), String::new),
            false => Ok(ExitCode::SUCCESS),
        };
    }
    let device = DeviceName::from(arguments.device).open()?;
    let scratch = tempfile::tempdir()?;
    let scratch = scratch.path().join("run");
    let mut note = |note| tell!("{note}");
    let tried = try_steps(&config, arguments.steps, &scratch, &device, &mut note)?;
    arguments
        .json
        .print(&told_as_json(loss, &examined, Some(&tried)), || {
            render_steps(&tried)
        })
}

/// All that was found.
fn told_as_json(loss: &str, examined: &ExaminedRun, tried: Option<&TriedSteps>) -> Value {
    let findings = |findings: &[Finding]| -> Vec<Value> {
        let told = |f: &Finding| json!({ "kind": f.kind, "what": f.what, "remedy": f.remedy });
        findings.iter().map(told).collect()
    };
    let classes = (examined.classes.iter().zip(&examined.shares))
        .zip(&examined.examination.typical)
        .map(|((class, share), voxels)| {
            json!({ "class": class, "share": share, "typical_voxels": voxels })
        });
    let probes = examined.examination.probes.iter().map(|probe| {
        json!({
            "patch": probe.patch,
            "prediction": probe.prediction,
            "loss": probe.response.value,
            "lesion_pull": probe.response.lesion_pull,
            "background_pull": probe.response.background_pull,
            "largest": probe.response.largest,
        })
    });
    json!({
        "loss": loss,
        "patch": examined.grid.shape.to_xyz(),
        "classes": classes.collect::<Vec<_>>(),
        "probes": probes.collect::<Vec<_>>(),
        "findings": findings(&examined.examination.findings),
        "steps": tried.map(|tried| json!({
            "steps": tried.events.len(),
            "seconds": tried.seconds,
            "loss": tried.loss,
            "dsc": tried.dsc,
            "findings": findings(&tried.findings),
        })),
    })
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
    let mut table = crate::terminal::table([
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
