//! `lacuna check`

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use lacuna_data::check::{CheckReport, Severity, SubjectReport, check, lost_at};
use lacuna_data::manifest::Manifest;
use lacuna_data::subject::LostLesions;
use serde::Serialize;

use crate::terminal::Progress;

#[derive(clap::Args)]
pub struct Arguments {
    /// The dataset manifest
    dataset: PathBuf,
    #[command(flatten)]
    json: super::Json,
    /// Also say which lesions have no voxel at this spacing of a run, in mm along right,
    /// anterior, superior
    #[arg(long, value_name = "X,Y,Z", value_parser = spacing_of)]
    spacing: Option<[f64; 3]>,
}

fn spacing_of(text: &str) -> Result<[f64; 3], String> {
    let edges = text.split(',').map(|edge| edge.trim().parse::<f64>().ok());
    let edges = edges.map(|edge| edge.filter(|e| e.is_finite() && *e > 0.0));
    let edges: Option<Vec<f64>> = edges.collect();
    edges
        .and_then(|edges| <[f64; 3]>::try_from(edges).ok())
        .ok_or_else(|| "expected three positive numbers such as 1,1,3".to_owned())
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::read(&arguments.dataset)?;
    let bar = Mutex::new(Progress::new("check", 0, manifest.subjects.len() as u64));
    let report = check(&manifest, |done| {
        if let Ok(mut bar) = bar.lock() {
            bar.at(done as u64, "");
        }
    });
    if let Ok(bar) = bar.into_inner() {
        bar.finish();
    }
    let lost = arguments.spacing.map(|mm| (mm, lost_at(&manifest, mm)));
    let found = Found {
        report: &report,
        lost: lost
            .as_ref()
            .map(|(_, lost)| lost.iter().copied().collect()),
    };
    arguments.json.print(&found, || {
        let lost = lost.as_ref().map(|(spacing, lost)| told(*spacing, lost));
        render(&report) + &lost.unwrap_or_default()
    })?;
    Ok(match report.exit_ok() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// All that is found.
#[derive(Serialize)]
struct Found<'a> {
    #[serde(flatten)]
    report: &'a CheckReport,
    /// By subject, lesions without a voxel at the spacing that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<BTreeMap<&'a str, LostLesions>>,
}

/// The lesions that a run at `spacing` does not see.
fn told([x, y, z]: [f64; 3], lost: &[(&str, LostLesions)]) -> String {
    let told: String = (lost.iter())
        .map(|(id, lost)| format!("  {id}: {lost}\n"))
        .collect();
    match told.is_empty() {
        true => format!("no lesion is lost at {x} x {y} x {z} mm\n"),
        false => format!(
            "lesions without a voxel at {x} x {y} x {z} mm (geometry.labels = \"keep-lesions\" \
             keeps them):\n{told}"
        ),
    }
}

fn render(report: &CheckReport) -> String {
    let mut table = crate::terminal::table([
        "subject",
        "shape",
        "spacing mm",
        "axes",
        "label",
        "share %",
        "in mask %",
        "lesions",
        "smallest mm3",
        "median mm3",
        "largest mm3",
    ]);
    for subject in &report.subjects {
        table.add_row(subject_row(subject));
    }
    let mut text = format!(
        "{}: {} subjects, {} with a label; modalities {}; classes {}\n{table}\n",
        report.name,
        report.subjects.len(),
        report.labelled,
        report.modalities.join(", "),
        report.classes.join(", "),
    );
    if let Some(lesions) = &report.lesions {
        text += "lesions by size in voxels:";
        for bin in &lesions.histogram {
            text += &format!("  {} {}", bin.voxels, bin.lesions);
        }
        text.push('\n');
    }
    for (modality, [zero, none]) in report.backgrounds() {
        text += &match (zero, none) {
            (_, 0) => format!("{modality}: background without a mask: 0, in all {zero} images"),
            (0, _) => format!("{modality}: background without a mask: none, in all {none} images"),
            _ => format!(
                "{modality}: background without a mask: 0 in {zero} images, none in {none}; state \
                 normalise.background where they should be alike"
            ),
        };
        text.push('\n');
    }
    for problem in &report.problems {
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        let parts = [
            problem.subject.as_deref(),
            problem.file.as_deref(),
            Some(&problem.finding),
        ];
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        text += &format!("{severity}: {}; {}\n", parts.join(": "), problem.remedy);
    }
    text + &format!(
        "{} error(s), {} warning(s), {} note(s)\n",
        report.count(Severity::Error),
        report.count(Severity::Warning),
        report.count(Severity::Note)
    )
}

fn subject_row(subject: &SubjectReport) -> Vec<String> {
    let mut row = vec![subject.id.clone()];
    match subject.images.first() {
        Some(image) => {
            let [x, y, z] = image.grid.shape;
            let spacing = image.grid.spacing_mm.map(|s| format!("{s:.2}"));
            row.extend([
                format!("{x}x{y}x{z}"),
                spacing.join("x"),
                image.grid.orientation.clone(),
            ]);
        }
        None => row.extend(["unreadable", "", ""].map(str::to_owned)),
    }
    let Some(label) = &subject.label else {
        row.push("none".to_owned());
        row.resize(11, String::new());
        return row;
    };
    row.push(label.values.len().to_string() + " values");
    row.push(format!("{:.4}", 100.0 * label.foreground_share));
    row.push(
        label
            .foreground_share_in_mask
            .map_or_else(String::new, |s| format!("{:.4}", 100.0 * s)),
    );
    row.push(label.lesions.count.to_string());
    match &label.lesions.volume_mm3 {
        Some(v) => row.extend([v.min, v.median, v.max].map(|v| format!("{v:.1}"))),
        None => row.resize(11, String::new()),
    }
    row
}
