//! The tables of an evaluation.

use lacuna_metrics::{ClassScores, LesionDetection, LesionPlace, LesionStratum};
use lacuna_record::Evaluation;

/// In the place of a subject: all of them, pooled.
const POOLED: &str = "all subjects";

/// One row per subject and class, conventions in the last column.
pub(crate) fn score_rows(evaluation: &Evaluation) -> Vec<Vec<String>> {
    let mut header = vec!["subject", "class"];
    header.extend(ClassScores::METRICS);
    header.extend(["reference_mm3", "prediction_mm3", "conventions"]);
    let mut out = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for (subject, scores) in evaluation.rows() {
        let mut row = vec![subject.to_owned(), scores.class.clone()];
        row.extend(scores.metrics().iter().map(f64::to_string));
        row.push(scores.reference_mm3.to_string());
        row.push(scores.prediction_mm3.to_string());
        row.push(serde_json::to_string(&scores.conventions).unwrap_or_default());
        out.push(row);
    }
    out
}

/// One row per lesion of the reference and of the prediction, missed and false ones
/// too. Places are voxels of the reference file, counted from 0, and world mm.
pub(crate) fn lesion_rows(evaluation: &Evaluation) -> Vec<Vec<String>> {
    let mut header = vec![
        "subject",
        "class",
        "mask",
        "voxels",
        "mm3",
        "overlap_voxels",
        "touching_voxels",
        "detected",
    ];
    header.extend(PLACE);
    let mut out = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for (subject, scores) in evaluation.rows() {
        let masks = [
            ("reference", &scores.lesions.reference),
            ("prediction", &scores.lesions.prediction),
        ];
        for (mask, lesions) in masks {
            out.extend(lesions.iter().map(|lesion| {
                let mut row = vec![
                    subject.to_owned(),
                    scores.class.clone(),
                    mask.to_owned(),
                    lesion.voxels.to_string(),
                    lesion.mm3.to_string(),
                    lesion.overlap_voxels.to_string(),
                    lesion.touching_voxels.to_string(),
                    lesion.detected.to_string(),
                ];
                row.extend(place_cells(lesion.place.as_ref()));
                row
            }));
        }
    }
    out
}

/// One row per subject, class and convention, then those of all subjects pooled.
pub(crate) fn convention_rows(evaluation: &Evaluation) -> Vec<Vec<String>> {
    let mut header = vec![
        "subject",
        "class",
        "convention",
        "connectivity",
        "overlap_rule",
        "size_floor",
        "reference_lesions",
        "found",
        "predicted",
        "false",
        "recall",
        "precision",
        "f1",
    ];
    header.extend(LesionDetection::VALUES);
    let of_subjects = evaluation
        .rows()
        .map(|(subject, scores)| (subject, &scores.class, &scores.lesion_detections));
    let pooled = (evaluation.summary.classes.iter())
        .map(|class| (POOLED, &class.class, &class.lesion_detections));
    let mut out = vec![header.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for (subject, class, detections) in of_subjects.chain(pooled) {
        out.extend(detections.iter().map(|found| {
            let mut row = vec![
                subject.to_owned(),
                class.clone(),
                found.convention.to_string(),
                found.connectivity.to_string(),
                found.overlap_rule.to_string(),
                found.size_floor.to_string(),
                found.reference.to_string(),
                found.found.to_string(),
                found.predicted.to_string(),
                found.false_positives.to_string(),
                found.recall.to_string(),
                found.precision.to_string(),
                found.f1.to_string(),
            ];
            let value = |name: &str| {
                found
                    .values
                    .get(name)
                    .map_or_else(String::new, f64::to_string)
            };
            row.extend(LesionDetection::VALUES.map(value));
            row
        }));
    }
    out
}

/// One row per subject, class and stratum of volume, then those of all subjects pooled.
/// Sensitivity is empty where there is no lesion, and the last stratum has no end.
pub(crate) fn stratum_rows(evaluation: &Evaluation) -> Vec<Vec<String>> {
    let header = [
        "subject",
        "class",
        "convention",
        "from_mm3",
        "below_mm3",
        "reference_lesions",
        "found",
        "sensitivity",
        "predicted",
        "false",
    ];
    let of_subjects = evaluation.rows().map(|(subject, scores)| {
        let strata = LesionStratum::of([&scores.lesions]).to_vec();
        (subject, &scores.class, strata)
    });
    let pooled = (evaluation.summary.classes.iter())
        .map(|class| (POOLED, &class.class, class.lesion_strata.clone()));
    let mut out = vec![header.map(str::to_owned).to_vec()];
    for (subject, class, strata) in of_subjects.chain(pooled) {
        let or_empty = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
        out.extend(strata.iter().map(|stratum| {
            vec![
                subject.to_owned(),
                class.clone(),
                "wmh".to_owned(),
                stratum.from_mm3.to_string(),
                or_empty(stratum.below_mm3),
                stratum.reference.to_string(),
                stratum.found.to_string(),
                or_empty(stratum.sensitivity()),
                stratum.predicted.to_string(),
                stratum.false_positives.to_string(),
            ]
        }));
    }
    out
}

/// One row per class and number of false positives per scan.
pub(crate) fn froc_rows(evaluation: &Evaluation) -> Vec<Vec<String>> {
    let header = [
        "class",
        "connectivity",
        "overlap_rule",
        "candidate_threshold",
        "subjects",
        "reference_lesions",
        "candidates",
        "false_positives_per_scan",
        "sensitivity",
        "score",
        "cpm",
    ];
    let mut out = vec![header.map(str::to_owned).to_vec()];
    for class in &evaluation.froc {
        let froc = &class.froc;
        out.extend(froc.points.iter().map(|point| {
            vec![
                class.class.clone(),
                class.connectivity.to_string(),
                "any voxel".to_owned(),
                format!("{:.3}", class.candidate_threshold),
                froc.subjects.to_string(),
                froc.reference_lesions.to_string(),
                froc.candidates.to_string(),
                point.false_positives_per_scan.to_string(),
                point.sensitivity.to_string(),
                point
                    .score
                    .map_or_else(String::new, |score| score.to_string()),
                froc.cpm.to_string(),
            ]
        }));
    }
    out
}

/// One row per subject and class, then those of all voxels of all subjects. The area is empty
/// where there is no foreground.
pub(crate) fn area_rows(evaluation: &Evaluation) -> Vec<Vec<String>> {
    let header = [
        "subject",
        "class",
        "voxels",
        "foreground",
        "average_precision",
    ];
    let mut out = vec![header.map(str::to_owned).to_vec()];
    for class in &evaluation.precision_recall {
        let ids = evaluation.subjects.iter().map(|s| s.subject.as_str());
        let rows = ids
            .chain([POOLED])
            .zip(class.subjects.iter().chain([&class.all]));
        out.extend(rows.map(|(subject, area)| {
            vec![
                subject.to_owned(),
                class.class.clone(),
                area.voxels.to_string(),
                area.foreground.to_string(),
                (area.average_precision).map_or_else(String::new, |value| value.to_string()),
            ]
        }));
    }
    out
}

/// One row per class and point of its curve, by ascending recall.
pub(crate) fn precision_recall_rows(evaluation: &Evaluation) -> Vec<Vec<String>> {
    let header = ["class", "recall", "precision", "probability"];
    let mut out = vec![header.map(str::to_owned).to_vec()];
    for class in &evaluation.precision_recall {
        out.extend(class.points.iter().map(|point| {
            vec![
                class.class.clone(),
                point.recall.to_string(),
                point.precision.to_string(),
                point.probability.to_string(),
            ]
        }));
    }
    out
}

/// Columns of the place of a lesion.
pub(crate) const PLACE: [&str; 12] = [
    "centre_x",
    "centre_y",
    "centre_z",
    "centre_mm_x",
    "centre_mm_y",
    "centre_mm_z",
    "inside_x",
    "inside_y",
    "inside_z",
    "inside_mm_x",
    "inside_mm_y",
    "inside_mm_z",
];

/// The cells of [`PLACE`]; empty where the place was not recorded.
pub(crate) fn place_cells(place: Option<&LesionPlace>) -> Vec<String> {
    let Some(place) = place else {
        return vec![String::new(); PLACE.len()];
    };
    let decimals = |at: [f64; 3]| at.map(|v| format!("{v:.2}"));
    let mut cells = Vec::with_capacity(PLACE.len());
    cells.extend(decimals(place.centre));
    cells.extend(decimals(place.centre_mm));
    cells.extend(place.inside.map(|v| v.to_string()));
    cells.extend(decimals(place.inside_mm));
    cells
}
