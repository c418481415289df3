//! The tables of what was judged.

use lacuna_metrics::Distribution;
use lacuna_record::Evaluation;
use lacuna_report::study::{Cell, Column, Item, StudyTable};
use lacuna_tune::{Agreement, ClassCalibration, TunedClass};

use crate::judge::Judged;

pub(super) fn table(
    id: &str,
    title: &str,
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    convention: &str,
) -> Item {
    let cell = |text: String| Cell { text, best: false };
    Item::Table(StudyTable {
        id: id.to_owned(),
        title: title.to_owned(),
        columns,
        rows: (rows.into_iter())
            .map(|row| row.into_iter().map(cell).collect())
            .collect(),
        convention: convention.to_owned(),
    })
}

pub(super) fn scores_table(judged: &Judged) -> Item {
    let columns = ["class", "labels"].map(Column::words).into_iter();
    let numbers = [
        "DSC",
        "sensitivity",
        "precision",
        "lesion recall",
        "lesion precision",
        "lesion F1",
        "F1 1:1",
    ];
    let metrics = [
        "dsc",
        "sensitivity",
        "precision",
        "lesion_recall",
        "lesion_precision",
        "lesion_f1",
        "lesion_f1_one_to_one",
    ];
    let columns = columns.chain(numbers.map(Column::numbers)).collect();
    let mut rows = Vec::new();
    let kinds = [
        ("as the networks gave them", &judged.before),
        ("tuned", &judged.after),
    ];
    for class in &judged.after.summary.classes {
        for (kind, evaluation) in kinds {
            let found = evaluation
                .summary
                .classes
                .iter()
                .find(|c| c.class == class.class);
            let mean = |metric: &str| {
                let metrics = found.into_iter().flat_map(|c| &c.metrics);
                let of = metrics.into_iter().find(|m| m.metric == metric);
                of.map_or_else(|| "-".to_owned(), |m| with_interval(&m.distribution, false))
            };
            let mut row = vec![class.class.clone(), kind.to_owned()];
            row.extend(metrics.map(mean));
            rows.push(row);
        }
    }
    table(
        "scores",
        "Means over subjects",
        columns,
        rows,
        "95 % bootstrap intervals over subjects; lesions by convention \"wmh\" (any voxel, 26-connected)",
    )
}

fn with_interval(d: &Distribution, signed: bool) -> String {
    let number = |v: f64| match signed {
        true => format!("{v:+.3}"),
        false => format!("{v:.3}"),
    };
    match &d.mean_interval {
        Some(i) => format!("{} [{}, {}]", number(d.mean), number(i.low), number(i.high)),
        None => number(d.mean),
    }
}

pub(super) fn subjects_table(evaluation: &Evaluation) -> Item {
    let columns = (["subject", "class"].map(Column::words).into_iter())
        .chain(
            [
                "DSC",
                "lesion recall",
                "lesion precision",
                "lesion F1",
                "reference mm³",
                "predicted mm³",
            ]
            .map(Column::numbers),
        )
        .collect();
    let rows = evaluation.rows().map(|(subject, s)| {
        vec![
            subject.to_owned(),
            s.class.clone(),
            format!("{:.3}", s.dsc),
            format!("{:.3}", s.lesion_recall),
            format!("{:.3}", s.lesion_precision),
            format!("{:.3}", s.lesion_f1),
            format!("{:.0}", s.reference_mm3),
            format!("{:.0}", s.prediction_mm3),
        ]
    });
    table(
        "subjects",
        "Each held-out subject, tuned",
        columns,
        rows.collect(),
        "",
    )
}

pub(super) fn rules_table(judged: &Judged) -> Item {
    let columns = (["class"].map(Column::words).into_iter())
        .chain(
            [
                "threshold",
                "least volume mm³",
                "least peak",
                "gain on the same subjects",
                "gain without each fold",
            ]
            .map(Column::numbers),
        )
        .collect();
    let optional = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| v.to_string());
    let row = |class: &TunedClass| {
        vec![
            class.class.clone(),
            optional(class.rule.threshold),
            optional(class.rule.min_volume_mm3),
            optional(class.rule.min_peak_probability),
            with_interval(&class.in_sample_gain, true),
            (class.held_out.as_ref()).map_or_else(
                || "not known: one fold".to_owned(),
                |h| with_interval(&h.gain, true),
            ),
        ]
    };
    table(
        "rules",
        "Thresholds, sizes and peaks",
        columns,
        judged.tuned.classes.iter().map(row).collect(),
        "gain: of the mean of DSC and lesion F1, a predicted lesion finding one at most; a dash asks for nothing",
    )
}

pub(super) fn calibration_table(calibration: &[ClassCalibration]) -> Item {
    let columns = (["class"].map(Column::words).into_iter())
        .chain(["before", "after"].into_iter().flat_map(|when| {
            ["ECE", "ECE above the lowest bin", "Brier", "log loss"]
                .map(|name| Column::numbers(name).under(when))
        }))
        .collect();
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.5}"));
    let row = |class: &ClassCalibration| {
        let mut row = vec![class.class.clone()];
        for c in [&class.before, &class.after] {
            row.extend([c.ece(), c.ece_above_lowest_bin(), c.brier(), c.nll()].map(number));
        }
        row
    };
    table(
        "calibration",
        "Calibration before and after the temperature",
        columns,
        calibration.iter().map(row).collect(),
        "voxels inside the mask, 20 bins",
    )
}

pub(super) fn agreement_table(judged: &Judged) -> Item {
    let columns = (["class", "of"].map(Column::words).into_iter())
        .chain(["typical ratio", "interval of the ratio", "level"].map(Column::numbers))
        .collect();
    let row = |class: &TunedClass, of: &str, a: &Agreement| {
        vec![
            class.class.clone(),
            of.to_owned(),
            format!("{:.2}", a.bias.exp()),
            format!("{:.2} to {:.2}", (-a.half_width).exp(), a.half_width.exp()),
            format!("{:.0} %", 100.0 * a.level),
        ]
    };
    let rows = (judged.tuned.classes.iter())
        .flat_map(|c| {
            [
                row(c, "volume", &c.volume_mm3),
                row(c, "number of lesions", &c.lesions),
            ]
        })
        .collect();
    table(
        "agreement",
        "Reference over predicted volume and count",
        columns,
        rows,
        "split-conformal interval over held-out subjects; few subjects support a lower level only",
    )
}
