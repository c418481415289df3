//! `lacuna evaluate`

use std::path::PathBuf;
use std::process::ExitCode;

use comfy_table::Table;
use lacuna_data::manifest::Manifest;
use lacuna_evaluate::{Request, evaluate, regions};
use lacuna_metrics::{ClassScores, Options};
use lacuna_record::Evaluation;
use lacuna_record::fingerprint::Quantiles;
use lacuna_train::dataset::ids_named;

use crate::terminal::Counted;

#[derive(clap::Args)]
pub struct Arguments {
    /// Manifest with the reference labels
    #[arg(long)]
    dataset: PathBuf,
    /// Folder with one <subject id>.nii.gz of class indices each, or of another ending that
    /// `lacuna predict --format` knows, or a derivative dataset of BIDS; axes may be
    /// stored in another order or direction than the reference's
    #[arg(long, value_name = "DIR")]
    predictions: PathBuf,
    /// Folder for scores.csv, lesions.csv, lesion_conventions.csv, lesion_strata.csv,
    /// summary.json and overlays/; also froc.csv, average_precision.csv and precision_recall.csv
    /// where --predictions has probabilities
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Subjects to score; default: those that `lacuna predict` listed in the
    /// folder, else every labelled subject of the manifest. Repeatable, as an id that has a
    /// comma itself must stand alone
    #[arg(long, value_name = "ID,...")]
    subjects: Vec<String>,
    /// Classes to score as one, joined by `+`, such as core+enhancing, or a region of the
    /// manifest by its name; repeatable. Default: those of the manifest and those that the
    /// network was trained on
    #[arg(long = "region", value_name = "CLASS+CLASS")]
    regions: Vec<String>,
    /// The predictions hold the dataset's own label values, not class indices; not needed
    /// for those of `lacuna predict --label-values`
    #[arg(long)]
    label_values: bool,
    /// Replace an evaluation of other predictions in --out
    #[arg(long)]
    force: bool,
    /// Tolerance of the normalised surface distance in mm
    #[arg(long, default_value_t = 1.0, value_name = "MM")]
    tolerance: f64,
    /// Modality behind the overlay pictures; default: FLAIR if there is one, else the first
    #[arg(long, value_name = "MODALITY")]
    overlay: Option<String>,
    #[command(flatten)]
    json: super::Json,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::read(&arguments.dataset)?;
    let options = Options {
        nsd_tolerance_mm: arguments.tolerance,
        regions: regions(&manifest, &arguments.predictions, &arguments.regions)?,
        ..Options::default()
    };
    let request = Request {
        manifest: &manifest,
        predictions: &arguments.predictions,
        out: &arguments.out,
        subjects: &ids_named(&manifest, &arguments.subjects),
        options,
        label_values: arguments.label_values,
        force: arguments.force,
        overlay: arguments.overlay.as_deref(),
    };
    let mut bar = Counted::new("evaluate");
    let evaluation = evaluate(&request, &mut |done, total| bar.at(done, total));
    drop(bar);
    let evaluation = evaluation?;
    for note in &evaluation.notes {
        tell!("note: {note}");
    }
    arguments.json.print(&evaluation, || {
        format!(
            "{}{}written: {}\nwhere the errors lie: lacuna report {}\n",
            table(&evaluation),
            lesion_tables(&evaluation),
            arguments.out.display(),
            arguments.out.display()
        )
    })
}

/// The terminal table: one row per subject and class, then the summary. What is a share
/// of nothing is a dash, whatever the convention's value in the files.
pub fn table(evaluation: &Evaluation) -> String {
    let mut table = crate::terminal::table([
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
        "F1 1:1",
        "GDS",
    ]);
    for (subject, s) in evaluation.rows() {
        let (reference, prediction) = (s.counts.reference() > 0, s.counts.prediction() > 0);
        let share = |said: bool, value: f64, digits: usize| match said {
            true => format!("{value:.digits$}"),
            false => "-".to_owned(),
        };
        table.add_row([
            subject.to_owned(),
            s.class.clone(),
            format!("{:.3}", s.dsc),
            share(reference, s.sensitivity, 3),
            share(prediction, s.precision, 3),
            share(reference, s.avd_percent, 1),
            share(reference == prediction, s.hd95_mm, 1),
            format!("{:.3}", s.nsd),
            share(reference, s.lesion_recall, 3),
            share(prediction, s.lesion_precision, 3),
            format!("{:.3}", s.lesion_f1),
            format!("{:.3}", s.lesion_f1_one_to_one),
            format!("{:.3}", s.generalised_dice),
        ]);
    }
    let empty = |s: &ClassScores| s.counts.reference() == 0 || s.counts.prediction() == 0;
    let note = match evaluation.rows().any(|(_, s)| empty(s)) {
        true => {
            "- : not defined, since reference or prediction is empty; the files and the summary hold the value of the convention\n"
        }
        false => "",
    };
    format!("{table}\n{note}{}", summary_lines(evaluation))
}

/// Median (IQR) and the bootstrap interval of the mean, then the conventions.
fn summary_lines(evaluation: &Evaluation) -> String {
    let mut text = String::new();
    let summary = &evaluation.summary;
    for class in &summary.classes {
        let rows = || (evaluation.rows()).filter(|(_, row)| row.class == class.class);
        let empty = (rows().filter(|(_, row)| row.counts.reference() == 0)).count();
        text += &format!("{} over {} subject(s)", class.class, summary.subjects);
        text += &match empty {
            0 => ":\n".to_owned(),
            empty => format!(", {empty} with an empty reference:\n"),
        };
        for m in &class.metrics {
            let d = &m.distribution;
            text += &format!(
                "  {:<27} median {:.3} (IQR {:.3})",
                m.metric, d.quartiles.median, d.iqr
            );
            // Volumes as a percentage of one voxel would drown those of the others.
            text += &match (&d.mean_interval, m.metric == "avd_percent" && empty > 0) {
                (_, true) => "  no mean, as a reference is empty\n".to_owned(),
                (None, _) => format!("  mean {:.3} (n = 1)\n", d.mean),
                (Some(interval), _) => format!(
                    "  mean {:.3} [{:.0} % bootstrap {:.3} to {:.3}]\n",
                    d.mean,
                    100.0 * summary.bootstrap.level,
                    interval.low,
                    interval.high
                ),
            };
        }
    }
    let c = &summary.conventions;
    text += &format!(
        "conventions: overlap {}; GDS {}; AVD {}; surface {}; HD95 {}; NSD {} at {} mm; lesions {}, 1:1 {}\n",
        c.overlap,
        c.generalised_dice,
        c.avd,
        c.surface,
        c.hd95,
        c.nsd,
        c.nsd_tolerance_mm,
        c.lesion,
        c.lesion_one_to_one
    );
    text
}

/// Lesions of all subjects by each convention and by volume, then the curves of probabilities.
fn lesion_tables(evaluation: &Evaluation) -> String {
    let mut text = format!(
        "lesions of all subjects, by convention (docs/lesion-conventions.md):\n{}\nby volume (wmh):\n{}\n",
        convention_table(evaluation),
        stratum_table(evaluation)
    );
    for class in &evaluation.froc {
        let points: Vec<String> = (class.froc.points.iter())
            .map(|p| format!("{:.3} at {}", p.sensitivity, p.false_positives_per_scan))
            .collect();
        text += &format!(
            "FROC {}: sensitivity {} false positives per scan; mean (CPM) {:.3}\n",
            class.class,
            points.join(", "),
            class.froc.cpm
        );
    }
    for class in &evaluation.precision_recall {
        let each = class.subjects.iter().filter_map(|s| s.average_precision);
        let each = Quantiles::of(each).map_or_else(String::new, |each| {
            format!(
                "; by subject {:.3}, median {:.3}, {:.3}",
                each.min, each.p50, each.max
            )
        });
        text += &format!(
            "precision-recall {}: area {} over all voxels ({:.4} % foreground){each}\n",
            class.class,
            or_dash(class.all.average_precision, 3),
            100.0 * class.all.foreground as f64 / class.all.voxels as f64,
        );
    }
    text
}

fn convention_table(evaluation: &Evaluation) -> Table {
    let mut table = crate::terminal::table([
        "class",
        "convention",
        "lesions",
        "found",
        "predicted",
        "false",
        "recall",
        "prec.",
        "F1",
        "PQ",
        "DSC",
        "HD95 mm",
    ]);
    for class in &evaluation.summary.classes {
        for row in &class.lesion_detections {
            let value = |name: &str| row.values.get(name).copied();
            table.add_row([
                class.class.clone(),
                row.convention.to_string(),
                row.reference.to_string(),
                row.found.to_string(),
                row.predicted.to_string(),
                row.false_positives.to_string(),
                or_dash((row.reference > 0).then_some(row.recall), 3),
                or_dash((row.predicted > 0).then_some(row.precision), 3),
                or_dash(Some(row.f1), 3),
                or_dash(value("pq"), 3),
                or_dash(value("lesion_wise_dsc"), 3),
                or_dash(value("lesion_wise_hd95_mm"), 1),
            ]);
        }
    }
    table
}

fn stratum_table(evaluation: &Evaluation) -> Table {
    let mut table = crate::terminal::table([
        "class",
        "mm3",
        "lesions",
        "found",
        "sens.",
        "predicted",
        "false",
    ]);
    for class in &evaluation.summary.classes {
        for row in &class.lesion_strata {
            table.add_row([
                class.class.clone(),
                match row.below_mm3 {
                    Some(below) => format!("{} to {below}", row.from_mm3),
                    None => format!("{} or more", row.from_mm3),
                },
                row.reference.to_string(),
                row.found.to_string(),
                or_dash(row.sensitivity(), 3),
                row.predicted.to_string(),
                row.false_positives.to_string(),
            ]);
        }
    }
    table
}

fn or_dash(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}
