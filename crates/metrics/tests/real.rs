//! Components and metrics on real lesions against SciPy and MONAI
//! (`tests/golden/metrics.py`); `LACUNA_DATA` names the data folder.

use lacuna_metrics::{LesionConvention, LesionStratum, Lesions, MaskPair, Options, evaluate_pair};
use lacuna_volume::{Connectivity, LabelMap, label_components};
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

fn golden() -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/metrics");
    let text = std::fs::read_to_string(folder.join("real.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_lesion_components_are_those_of_scipy() {
    let golden = golden();
    for patient in ["patient07", "patient19"] {
        let mask = lesions(patient).map(|&label| label > 0);
        for (name, connectivity) in [
            ("6", Connectivity::Six),
            ("18", Connectivity::Eighteen),
            ("26", Connectivity::TwentySix),
        ] {
            let found = label_components(&mask, connectivity);
            let found = serde_json::to_value(&found.sizes).unwrap();
            assert_eq!(
                found, golden["components"][patient][name],
                "{patient}, {name}"
            );
        }
    }
}

/// Two patients on one grid, so the masks disagree far more than a prediction would.
#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_lesions_scored_against_those_of_another_patient() {
    let golden = &golden()["pair"];
    let [reference, prediction] = ["patient19", "patient07"].map(lesions);
    let classes = ["background", "lesion"].map(String::from);
    let rows = evaluate_pair(&reference, &prediction, &classes, &Options::default()).unwrap();
    let [row] = &rows[..] else {
        panic!("{} rows", rows.len());
    };
    let count = |name: &str| golden[name].as_u64().unwrap();
    assert_eq!(row.counts.true_positive, count("tp"));
    assert_eq!(row.counts.false_positive, count("fp"));
    assert_eq!(row.counts.false_negative, count("fn"));
    assert_eq!(row.counts.true_negative, count("tn"));
    for (found, expected, tolerance) in [
        (row.hd95_mm, &golden["hd95"], 1e-9),
        (row.hd95_mm, &golden["monai_hd95"], 1e-5),
        // The tolerance of 1 mm is the second.
        (row.nsd, &golden["nsd"][1], 1e-12),
        (row.lesion_recall, &golden["lesion"][0], 1e-12),
        (row.lesion_precision, &golden["lesion"][1], 1e-12),
        (row.lesion_f1, &golden["lesion"][2], 1e-12),
    ] {
        let expected = expected.as_f64().unwrap();
        assert!((found - expected).abs() < tolerance, "{found} {expected}");
    }
}

/// The same two by each convention: what must hold of any pair.
#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_lesions_by_each_convention() {
    let [reference, prediction] = ["patient19", "patient07"].map(lesions);
    let pair = MaskPair::of_labels(&reference, &prediction, |l| l > 0).unwrap();
    let lesions = Lesions::find(&pair);
    let all = LesionConvention::ALL.map(|convention| convention.detect(&pair));
    let [wmh, any, tenth, half, msseg, atlas, gli, met] = &all;
    let shares = lesions.wmh();
    assert_eq!((wmh.recall, wmh.f1), (shares.recall, shares.f1));
    assert_eq!(any.f1, lesions.one_to_one().unwrap().f1);
    // A stricter rule finds no more, and dilation joins lesions.
    let found = [wmh, any, tenth, half].map(|detection| detection.found);
    assert!(found.is_sorted_by(|a, b| a >= b), "{found:?}");
    assert!(msseg.reference <= atlas.reference && atlas.reference >= wmh.reference);
    assert!(gli.reference <= met.reference && met.reference <= wmh.reference);
    let golden = golden();
    let six = golden["components"]["patient19"]["6"].as_array().unwrap();
    assert_eq!(atlas.reference, six.len());
    let large = six.iter().filter(|voxels| voxels.as_u64().unwrap() > 3);
    assert_eq!(msseg.reference, large.count());
    let strata = LesionStratum::of([&lesions]);
    assert_eq!(strata.iter().map(|s| s.found).sum::<usize>(), wmh.found);
}
