//! `lacuna compare`

use std::path::PathBuf;
use std::process::ExitCode;

use lacuna_data::manifest::Manifest;
use lacuna_evaluate::{CompareRequest, compare, metric_of, regions};
use lacuna_metrics::Options;
use lacuna_record::{ComparedPair, ComparedPredictions, MetricDifference};
use lacuna_train::dataset::ids_named;

use crate::terminal::Counted;

#[derive(clap::Args)]
pub struct Arguments {
    /// Two or more folders with predictions of the same subjects: <subject id>.nii.gz
    /// each, or of another ending, by `lacuna predict` or another program, or what `lacuna evaluate` wrote
    #[arg(required = true, num_args = 2.., value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// Manifest with the reference labels
    #[arg(long)]
    dataset: PathBuf,
    /// Folder for compare.html, compare.md, compare.json, differences.csv, summary.csv,
    /// strata.csv, lesions.csv and pictures/
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What to call the folders, in order; default: the last part of their paths
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    names: Vec<String>,
    /// Subjects to compare; default: those that all folders hold. Repeatable, as an id that
    /// has a comma itself must stand alone
    #[arg(long, value_name = "ID,...")]
    subjects: Vec<String>,
    /// Classes to score as one, joined by `+`, such as core+enhancing; repeatable.
    /// Default: those of the manifest and those that the networks behind the folders were
    /// trained on
    #[arg(long = "region", value_name = "CLASS+CLASS")]
    regions: Vec<String>,
    /// The predictions of this name hold the dataset's own label values, not class indices;
    /// not needed for those of `lacuna predict --label-values`
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    label_values: Vec<String>,
    /// Replace a comparison of other folders in --out
    #[arg(long)]
    force: bool,
    /// Tolerance of the normalised surface distance in mm
    #[arg(long, default_value_t = 1.0, value_name = "MM")]
    tolerance: f64,
    /// Modality behind the pictures; default: FLAIR if there is one, else the first
    #[arg(long, value_name = "MODALITY")]
    overlay: Option<String>,
    /// Most subjects to draw, of those that differ most
    #[arg(long, default_value_t = 4, value_name = "N")]
    pictures: usize,
    #[command(flatten)]
    json: super::Json,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let manifest = Manifest::read(&arguments.dataset)?;
    let regions = (arguments.folders.iter())
        .map(|folder| regions(&manifest, folder, &arguments.regions))
        .collect::<Result<Vec<_>, _>>()?
        .concat();
    let options = Options {
        nsd_tolerance_mm: arguments.tolerance,
        regions,
        ..Options::default()
    };
    let request = CompareRequest {
        manifest: &manifest,
        folders: &arguments.folders,
        names: &arguments.names,
        label_values: &arguments.label_values,
        out: &arguments.out,
        subjects: &ids_named(&manifest, &arguments.subjects),
        options,
        force: arguments.force,
        overlay: arguments.overlay.as_deref(),
        pictures: arguments.pictures,
    };
    let mut bar = Counted::new("compare");
    let compared = compare(&request, &mut |done, total| bar.at(done, total));
    drop(bar);
    let compared = compared?;
    for note in &compared.notes {
        tell!("note: {note}");
    }
    arguments.json.print(&compared, || {
        let tables: String = (compared.pairs.iter())
            .map(|pair| table(&compared, pair))
            .collect();
        let page = arguments.out.join("compare.html");
        format!("{tables}written: {}\n", page.display())
    })
}

/// The terminal tables of two predictions: metrics by class, then lesions in all sizes.
fn table(compared: &ComparedPredictions, pair: &ComparedPair) -> String {
    let mut table = crate::terminal::table([
        "class",
        "metric",
        pair.first.as_str(),
        pair.second.as_str(),
        "difference",
        "better/worse/equal",
        "p",
        "Holm p",
    ]);
    for metric in &pair.metrics {
        table.add_row(row(metric));
    }
    let mut text = format!(
        "{} against {}, {} subject(s): means, mean difference [{:.0} % bootstrap]\n{table}\n",
        pair.second,
        pair.first,
        compared.subjects.len(),
        100.0 * compared.bootstrap.level,
    );
    // The strata of all sizes have neither a start nor an end.
    for all in (pair.strata.iter()).filter(|s| s.from_mm3 == 0.0 && s.below_mm3.is_none()) {
        let [first, second, neither] = all.found();
        text += &format!(
            "{}: of {} lesions {} finds {first}, {} {second}, both {}, neither {neither}\n",
            all.class, all.lesions, pair.first, pair.second, all.both
        );
    }
    text
}

fn row(metric: &MetricDifference) -> [String; 8] {
    let (title, decimals) = match metric_of(&metric.metric) {
        Some(known) => (known.title, known.decimals),
        None => (metric.metric.as_str(), 3),
    };
    let (difference, test) = (&metric.comparison.difference, &metric.comparison.test);
    let [better, worse, equal] = metric.better_worse_equal;
    let [first, second] = metric.means.map(|mean| format!("{mean:.decimals$}"));
    let mut mean = format!("{:+.decimals$}", difference.mean);
    if let Some(interval) = &difference.mean_interval {
        let (low, high) = (interval.low, interval.high);
        mean += &format!(" [{low:+.decimals$}, {high:+.decimals$}]");
    }
    [
        metric.class.clone(),
        title.to_owned(),
        first,
        second,
        mean,
        format!("{better}/{worse}/{equal}"),
        p_value(test.p),
        p_value(metric.holm_p),
    ]
}

fn p_value(p: f64) -> String {
    match p < 0.001 {
        true => "< 0.001".to_owned(),
        false => format!("{p:.3}"),
    }
}
