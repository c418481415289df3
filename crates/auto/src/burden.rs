//! How many lesions of which volume were predicted, and between which bounds the truth is
//! expected.

use std::path::Path;

use lacuna_record::{BURDEN, Predictions, prediction_path};
use lacuna_train::predictor::Predictor;
use lacuna_tune::Tuned;
use lacuna_volume::{Connectivity, label_components};

use crate::error::AutoError;

/// Writes `burden.csv` into a folder of predictions: of each subject on its list and each
/// class the predicted volume and number of lesions (26-connected), each with the interval
/// that held-out subjects support and its level. Where the runs have regions, the volume of a
/// class is that of the region of which it is the last.
///
/// # Errors
/// When a prediction cannot be read or the table not be written.
pub fn write_burden(tuned: &Tuned, predictor: &Predictor, folder: &Path) -> Result<(), AutoError> {
    let Some(list) = Predictions::read(folder)? else {
        return Ok(());
    };
    let header = [
        "subject",
        "class",
        "volume_mm3",
        "low_mm3",
        "high_mm3",
        "level",
        "lesions",
        "low_lesions",
        "high_lesions",
        "level_lesions",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for id in list.files.iter().flat_map(|files| files.keys()) {
        let labels = lacuna_io::read_labels(prediction_path(folder, id, list.ending()))?;
        for (index, class) in predictor.first().facts.classes.iter().enumerate().skip(1) {
            let Some(tuned) = tuned.classes.iter().find(|c| c.class == *class) else {
                continue;
            };
            let of_class = labels.map(|value| {
                let label = match &list.values {
                    Some(values) => values.iter().position(|v| i32::from(*v) == *value),
                    None => usize::try_from(*value).ok(),
                };
                label.is_some_and(|label| predictor.outputs().holds(index as u8, label as u8))
            });
            let found = label_components(&of_class, Connectivity::TwentySix);
            let voxels: usize = found.sizes.iter().sum();
            let mm3 = voxels as f64 * labels.affine().voxel_mm3();
            let [volume, count] = [
                tuned.volume_mm3.interval(mm3),
                tuned.lesions.interval(found.count as f64),
            ];
            let number = |v: f64| format!("{v:.1}");
            rows.push(vec![
                id.clone(),
                class.clone(),
                number(mm3),
                number(volume.low),
                number(volume.high),
                format!("{:.2}", volume.level),
                found.count.to_string(),
                number(count.low),
                number(count.high),
                format!("{:.2}", count.level),
            ]);
        }
    }
    Ok(lacuna_record::table::write_table(
        &folder.join(BURDEN),
        rows,
    )?)
}
