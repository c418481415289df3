//! Records of real lesions score as SciPy does (`tests/golden/metrics.py`); `LACUNA_DATA`
//! names the data folder.

use lacuna_tune::{Maps, Observed, Rule};
use lacuna_volume::LabelMap;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The data folder, known when `LACUNA_DATA` was set while building.
const DATA: Option<&str> = option_env!("LACUNA_DATA_FOLDER");

fn lesions(patient: &str) -> LabelMap {
    let folder = DATA.expect("LACUNA_DATA is the data folder");
    let path = PathBuf::from(folder).join("ms_lesion").join(patient);
    let labels = lacuna_io::read_labels(path.join("lesion.nii.gz")).unwrap();
    labels.map(|&label| u8::try_from(label).unwrap())
}

/// The lesions of one patient, with probability 0.6, as the prediction of another's.
#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_lesions_score_as_scipy_scores_them() {
    let path = "../../tests/golden/metrics/real.json";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let golden = &golden["pair"];
    let [reference, prediction] = ["patient19", "patient07"].map(lesions);
    let observed = Observed::of(&Maps {
        probability: &prediction.map(|label| if *label > 0 { 0.6 } else { 0.01 }),
        reference: &reference.map(|label| *label > 0),
        untuned: None,
        mask: None,
    })
    .unwrap();
    let [tp, fp, missed] = ["tp", "fp", "fn"].map(|key| golden[key].as_f64().unwrap());
    let shares = [0, 1, 2].map(|at| golden["lesion"][at].as_f64().unwrap());
    for threshold in [None, Some(0.02), Some(0.6)] {
        let rule = Rule {
            threshold,
            ..Rule::default()
        };
        let found = observed.score(&rule).unwrap();
        for (found, expected) in [
            (found.dsc, 2.0 * tp / (2.0 * tp + fp + missed)),
            (found.lesion_recall, shares[0]),
            (found.lesion_precision, shares[1]),
            (found.lesion_f1, shares[2]),
        ] {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}
