//! `lacuna evaluate`

use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::Table;
use lacuna_data::manifest::Manifest;
use lacuna_evaluate::{Request, evaluate, regions};
use lacuna_metrics::Options;
use lacuna_record::Evaluation;

use crate::terminal::Progress;

#[derive(clap::Args)]
pub struct Arguments {
    /// Manifest with the reference labels
    #[arg(long)]
    dataset: PathBuf,
    /// Folder with one <subject id>.nii.gz of class indices each
    #[arg(long, value_name = "DIR")]
    predictions: PathBuf,
    /// Folder for scores.csv, lesions.csv, summary.json and overlays/
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Subjects to score; default: those that `lacuna predict` listed in the
    /// folder, else every labelled subject of the manifest
    #[arg(long, value_delimiter = ',', value_name = "ID,...")]
    subjects: Vec<String>,
    /// Classes to score as one, joined by `+`, such as core+enhancing; repeatable.
    /// Default: the regions that the network was trained on
    #[arg(long = "region", value_name = "CLASS+CLASS")]
    regions: Vec<String>,
    /// Tolerance of the normalised surface distance in mm
    #[arg(long, default_value_t = 1.0, value_name = "MM")]
    tolerance: f64,
    /// Modality behind the overlay pictures; default: FLAIR if there is one, else the first
    #[arg(long, value_name = "MODALITY")]
    overlay: Option<String>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::read(&arguments.dataset)?;
    let options = Options {
        nsd_tolerance_mm: arguments.tolerance,
        regions: regions(&manifest, &arguments.predictions, &arguments.regions)?,
        ..Options::default()
    };
    let evaluation = evaluate_with_progress(&Request {
        manifest: &manifest,
        predictions: &arguments.predictions,
        out: &arguments.out,
        subjects: &arguments.subjects,
        options,
        overlay: arguments.overlay.as_deref(),
    })?;
    super::print(&format!(
        "{}written: {}\n",
        table(&evaluation),
        arguments.out.display()
    ))
}

/// Scores a folder of predictions, showing progress.
pub fn evaluate_with_progress(request: &Request) -> anyhow::Result<Evaluation> {
    let mut bar: Option<Progress> = None;
    let evaluation = evaluate(request, &mut |done, total| {
        let bar = bar.get_or_insert_with(|| Progress::new("evaluate", 0, total as u64));
        bar.at(done as u64, "");
    });
    if let Some(bar) = bar {
        bar.finish();
    }
    Ok(evaluation?)
}

/// The terminal table: one row per subject and class, then the summary.
pub fn table(evaluation: &Evaluation) -> String {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    table.set_header([
        "subject",
        "class",
        "DSC",
        "sens.",
        "prec.",
        "AVD %",
        "HD95 mm",
        "NSD",
        "lesion rec.",
        "lesion prec.",
        "lesion F1",
        "GDS",
    ]);
    for (subject, s) in evaluation.rows() {
        table.add_row([
            subject.to_owned(),
            s.class.clone(),
            format!("{:.3}", s.dsc),
            format!("{:.3}", s.sensitivity),
            format!("{:.3}", s.precision),
            format!("{:.1}", s.avd_percent),
            format!("{:.1}", s.hd95_mm),
            format!("{:.3}", s.nsd),
            format!("{:.3}", s.lesion_recall),
            format!("{:.3}", s.lesion_precision),
            format!("{:.3}", s.lesion_f1),
            format!("{:.3}", s.generalised_dice),
        ]);
    }
    format!("{table}\n{}", summary_lines(evaluation))
}

/// Median (IQR) and the bootstrap interval of the mean, then the conventions.
fn summary_lines(evaluation: &Evaluation) -> String {
    let mut text = String::new();
    let summary = &evaluation.summary;
    for class in &summary.classes {
        text += &format!("{} over {} subject(s):\n", class.class, summary.subjects);
        for m in &class.metrics {
            let d = &m.distribution;
            text += &format!(
                "  {:<22} median {:.3} (IQR {:.3})  mean {:.3} [{:.0} % bootstrap {:.3} to {:.3}]\n",
                m.metric,
                d.quartiles.median,
                d.iqr,
                d.mean,
                100.0 * summary.bootstrap.level,
                d.mean_interval.low,
                d.mean_interval.high
            );
        }
    }
    let c = &summary.conventions;
    text += &format!(
        "conventions: overlap {}; GDS {}; AVD {}; surface {}; HD95 {}; NSD {} at {} mm; lesions {}\n",
        c.overlap,
        c.generalised_dice,
        c.avd,
        c.surface,
        c.hd95,
        c.nsd,
        c.nsd_tolerance_mm,
        c.lesion
    );
    text
}
