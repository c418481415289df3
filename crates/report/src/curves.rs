//! The curves of an evaluation that had probabilities.

use lacuna_record::Evaluation;

use crate::chart::{Decades, LineChart, Look, Scale, Series};
use crate::study::Chart;

/// Precision against recall of voxels, and sensitivity to lesions against false positives per
/// scan; each with a line for each foreground class. None without probabilities.
pub fn curves(evaluation: &Evaluation) -> Vec<Chart> {
    precision_recall(evaluation)
        .into_iter()
        .chain(froc(evaluation))
        .collect()
}

fn precision_recall(evaluation: &Evaluation) -> Option<Chart> {
    let classes = evaluation.precision_recall.iter().enumerate();
    let series = classes.filter_map(|(index, class)| {
        let area = class.all.average_precision?;
        // From a recall of 0, where the first threshold's precision holds.
        let start = class.points.first().map(|p| [0.0, p.precision]);
        let points = class.points.iter().map(|p| [p.recall, p.precision]);
        Some(Series::strong(
            format!("{}: area {area:.3}", class.class),
            start.into_iter().chain(points).collect(),
            // A hundred points need no marks.
            Look {
                marker: None,
                ..Look::nth(index)
            },
        ))
    });
    chart(
        "Recall",
        "Precision",
        Scale::Linear,
        series.collect(),
        (
            "precision-recall",
            "Precision and recall of voxels",
            "Over all thresholds of the probability, the voxels of all subjects together. The area is the \
             average precision: the mean of the precision at each voxel of the reference. That of each \
             subject is in average_precision.csv.",
        ),
    )
}

fn froc(evaluation: &Evaluation) -> Option<Chart> {
    let threshold = evaluation.froc.first()?.candidate_threshold;
    let classes = evaluation.froc.iter().enumerate();
    let with_lesions = classes.filter(|(_, class)| class.froc.reference_lesions > 0);
    let series = with_lesions.map(|(index, class)| {
        let points = class.froc.points.iter();
        Series::strong(
            format!("{}: mean {:.3}", class.class, class.froc.cpm),
            points
                .map(|p| [p.false_positives_per_scan, p.sensitivity])
                .collect(),
            Look::nth(index),
        )
    });
    chart(
        "False positives per scan",
        "Sensitivity",
        Scale::Log(Decades::Power),
        series.collect(),
        (
            "froc",
            "Lesions found by false positives",
            &format!(
                "A candidate is a component of the voxels of probability {threshold:.2} and more, with \
                 its largest as score; a lesion is found when a candidate touches it. The mean is that \
                 of the points, 1/8 to 8 false positives per scan."
            ),
        ),
    )
}

/// The chart of `series`, if any, with its id, title and caption.
fn chart(
    x_label: &str,
    y_label: &str,
    x_scale: Scale,
    series: Vec<Series>,
    (id, title, caption): (&str, &str, &str),
) -> Option<Chart> {
    let chart = LineChart {
        title: title.to_owned(),
        x_label: x_label.to_owned(),
        y_label: y_label.to_owned(),
        x_scale,
        y_range: Some([0.0, 1.0]),
        legend: true,
        series,
    };
    let drawn = !chart.series.is_empty();
    drawn.then(|| Chart::single(id, title, caption, &chart.drawing()))
}
