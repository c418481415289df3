//! `scores.csv` and `lesions.csv`.

use std::path::Path;

use lacuna_metrics::{ClassScores, LesionPlace};
use lacuna_record::Evaluation;

use crate::EvaluateError;

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

/// Writes rows of cells, atomically.
pub(crate) fn write_csv(path: &Path, rows: &[Vec<String>]) -> Result<(), EvaluateError> {
    lacuna_io::atomic::write_atomic(path, |w| {
        let mut writer = csv::Writer::from_writer(w);
        for row in rows {
            writer.write_record(row)?;
        }
        writer.flush()
    })?;
    Ok(())
}
