//! The tables of an evaluation: scores of subjects, worst first, and over all of them.

use lacuna_metrics::{ClassScores, Conventions, LesionStratum};
use lacuna_record::{Evaluation, SubjectScores};

use crate::markup::number;
use crate::study::{Cell, Column, StudyTable};

/// What the columns of [`subject_scores`] say, in words.
const MEANING: &str = "The subjects of least DSC come first. DSC: Dice similarity coefficient; 1 when both \
    masks are empty, 0 when one is. Generalised: of all classes of a subject together, each weighted by one \
    over its squared volume. AVD: absolute volume difference in percent of the reference. HD95: 95 % \
    Hausdorff distance of the surfaces, the image's diagonal when one mask is empty. Lesions are 26-connected \
    components: one of the reference is missed when none of its voxels is predicted, one of the prediction is \
    false when it shares no voxel with the reference. F1 1:1: each lesion paired at most once. A dash: a \
    share of nothing. A pointer over a heading shows the name of the convention.";

/// The subjects, those of least DSC first: by their last row, the foreground or the only class.
pub fn worst_first(evaluation: &Evaluation) -> Vec<&SubjectScores> {
    let dsc = |s: &SubjectScores| s.classes.last().map_or(f64::NAN, |row| row.dsc);
    let mut subjects: Vec<&SubjectScores> = evaluation.subjects.iter().collect();
    subjects.sort_by(|a, b| dsc(a).total_cmp(&dsc(b)));
    subjects
}

/// A row for each subject and class.
pub fn subject_scores(evaluation: &Evaluation) -> StudyTable {
    let c = &evaluation.summary.conventions;
    let mut columns = vec![Column::words("Subject"), Column::words("Class")];
    columns.extend(score_columns(c));
    let row = |subject: &str, scores: &ClassScores| -> Vec<Cell> {
        let mut row: Vec<Cell> = vec![subject.into(), scores.class.as_str().into()];
        row.extend(score_cells(scores).map(Cell::from));
        row
    };
    let rows = worst_first(evaluation).into_iter().flat_map(|s| {
        let of_subject = |scores| row(&s.subject, scores);
        s.classes.iter().map(of_subject).collect::<Vec<_>>()
    });
    StudyTable {
        id: "subjects".to_owned(),
        title: "Subjects, worst first".to_owned(),
        rows: rows.collect(),
        columns,
        convention: format!(
            "{MEANING} NSD: share of both surfaces that lies within {} mm of the other.",
            c.nsd_tolerance_mm
        ),
    }
}

fn score_columns(c: &Conventions) -> [Column; 14] {
    let surface = |rest: &str| format!("{}; {rest}", c.surface);
    let column = |group, name, hint: &str| Column::numbers(name).under(group).hinted(hint);
    let counted = format!("{}; number", c.lesion);
    [
        column("Voxels", "DSC", &c.overlap),
        column("Voxels", "sensitivity", &c.overlap),
        column("Voxels", "precision", &c.overlap),
        column("Voxels", "generalised", &c.generalised_dice),
        column("Volume", "mm³ too many", &c.volume_difference),
        column("Volume", "AVD %", &c.avd),
        column("Surface", "HD95 mm", &surface(&c.hd95)),
        column("Surface", "NSD", &surface(&c.nsd)),
        column("Lesions", "reference", &counted),
        column("Lesions", "missed", &counted),
        column("Lesions", "predicted", &counted),
        column("Lesions", "false", &counted),
        column("Lesions", "F1", &c.lesion),
        column("Lesions", "F1 1:1", &c.lesion_one_to_one),
    ]
}

/// In the order of [`score_columns`]. A share of nothing is a dash.
fn score_cells(s: &ClassScores) -> [String; 14] {
    let (reference, prediction) = (s.counts.reference() > 0, s.counts.prediction() > 0);
    let said = |said: bool, text: String| if said { text } else { "–".to_owned() };
    let unit = |value: f64| match value.is_finite() {
        true => format!("{value:.3}"),
        false => "n/a".to_owned(),
    };
    let lesions = &s.lesions;
    [
        unit(s.dsc),
        said(reference, unit(s.sensitivity)),
        said(prediction, unit(s.precision)),
        unit(s.generalised_dice),
        format!("{:+.0}", s.volume_difference_mm3),
        said(reference, format!("{:.1}", s.avd_percent)),
        said(reference == prediction, format!("{:.1}", s.hd95_mm)),
        unit(s.nsd),
        lesions.reference.len().to_string(),
        (lesions.reference.iter().filter(|l| !l.detected).count()).to_string(),
        lesions.prediction.len().to_string(),
        (lesions.prediction.iter().filter(|l| !l.detected).count()).to_string(),
        unit(s.lesion_f1),
        unit(s.lesion_f1_one_to_one),
    ]
}

/// A row for each class and metric over all subjects.
pub fn summary_scores(evaluation: &Evaluation) -> StudyTable {
    let summary = &evaluation.summary;
    let empty = |class: &str| {
        let mut rows = evaluation.rows().filter(|(_, row)| row.class == class);
        rows.any(|(_, row)| row.counts.reference() == 0)
    };
    let mut rows = Vec::new();
    for class in &summary.classes {
        for metric in &class.metrics {
            let d = &metric.distribution;
            // Volumes as a percentage of one voxel would drown those of the others.
            let mean = match (
                metric.metric == "avd_percent" && empty(&class.class),
                d.mean_interval,
            ) {
                (true, _) => "–".to_owned(),
                (false, None) => format!("{} (n = 1)", number(d.mean)),
                (false, Some(i)) => {
                    format!("{} [{}, {}]", number(d.mean), number(i.low), number(i.high))
                }
            };
            rows.push(vec![
                title(&metric.metric).into(),
                class.class.as_str().into(),
                format!("{} ({})", number(d.quartiles.median), number(d.iqr)).into(),
                mean.into(),
            ]);
        }
    }
    let bootstrap = &summary.bootstrap;
    StudyTable {
        id: "summary".to_owned(),
        title: format!("Over {} subject(s)", summary.subjects),
        columns: vec![
            Column::words("Metric"),
            Column::words("Class"),
            Column::numbers("Median (IQR)"),
            Column::numbers("Mean [interval]"),
        ],
        rows,
        convention: format!(
            "IQR: interquartile range, quartiles by linear interpolation. In brackets the {:.0} % \
             percentile bootstrap interval over subjects, {} resamples, seed {}.",
            100.0 * bootstrap.level,
            bootstrap.resamples,
            bootstrap.seed
        ),
    }
}

/// A metric in words.
fn title(metric: &str) -> String {
    let known = match metric {
        "dsc" => "DSC",
        "generalised_dice" => "Generalised Dice",
        "sensitivity" => "Sensitivity",
        "precision" => "Precision",
        "avd_percent" => "AVD, %",
        "volume_difference_mm3" => "Volume difference, mm³",
        "hd95_mm" => "HD95, mm",
        "nsd" => "NSD",
        "lesion_recall" => "Lesion recall",
        "lesion_precision" => "Lesion precision",
        "lesion_f1" => "Lesion F1",
        "lesion_recall_one_to_one" => "Lesion recall 1:1",
        "lesion_precision_one_to_one" => "Lesion precision 1:1",
        "lesion_f1_one_to_one" => "Lesion F1 1:1",
        other => other,
    };
    known.to_owned()
}

/// Missed and false lesions of each class by their volume.
pub fn size_table(evaluation: &Evaluation) -> StudyTable {
    let mut rows = Vec::new();
    for class in &evaluation.summary.classes {
        let of_class = (evaluation.rows())
            .filter(|(_, row)| row.class == class.class)
            .map(|(_, row)| &row.lesions);
        for stratum in LesionStratum::of(of_class) {
            rows.push(vec![
                range(stratum.from_mm3, stratum.below_mm3).into(),
                class.class.as_str().into(),
                stratum.reference.into(),
                (stratum.reference - stratum.found).into(),
                share(stratum.reference - stratum.found, stratum.reference).into(),
                stratum.predicted.into(),
                stratum.false_positives.into(),
                share(stratum.false_positives, stratum.predicted).into(),
            ]);
        }
    }
    StudyTable {
        id: "sizes".to_owned(),
        title: "Missed and false lesions by volume".to_owned(),
        columns: error_columns("Volume, mm³"),
        rows,
        convention:
            "Of all subjects together. A lesion of the reference counts where its own volume \
                     lies, a predicted component where its lies; lower ends are included."
                .to_owned(),
    }
}

/// The columns of a table of missed and false lesions by `what`.
pub fn error_columns(what: &str) -> Vec<Column> {
    let lesions = |name| Column::numbers(name).under("Lesions of the reference");
    let components = |name| Column::numbers(name).under("Predicted components");
    vec![
        Column::words(what),
        Column::words("Class"),
        lesions("all"),
        lesions("missed"),
        lesions("share missed"),
        components("all"),
        components("false"),
        components("share false"),
    ]
}

/// A range whose end may be open.
pub fn range(from: f64, below: Option<f64>) -> String {
    match below {
        None => format!("{from} and more"),
        Some(below) if from == 0.0 => format!("below {below}"),
        Some(below) => format!("{from} to below {below}"),
    }
}

/// A share in percent; a dash of nothing.
pub fn share(part: usize, whole: usize) -> String {
    match whole {
        0 => "–".to_owned(),
        whole => format!("{:.0} %", 100.0 * part as f64 / whole as f64),
    }
}
