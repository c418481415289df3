//! Fingerprints of real images against nibabel, NumPy and SciPy
//! (`tests/golden/fingerprint.py`); `LACUNA_DATA` names the data folder.

use std::path::{Path, PathBuf};

use lacuna_data::discover::{Search, by_patterns};
use lacuna_data::fingerprint;
use lacuna_record::Fingerprint;
use lacuna_record::fingerprint::{Intensities, Quantiles};
use serde_json::Value;

/// The data folder, known when `LACUNA_DATA` was set while building.
const DATA: Option<&str> = option_env!("LACUNA_DATA_FOLDER");

fn compare(folder: &str, modalities: &[&str], label: &str, mask: Option<&str>) {
    let data = PathBuf::from(DATA.expect("LACUNA_DATA names the data folder"));
    let search = Search {
        images: (modalities.iter())
            .map(|m| ((*m).to_owned(), format!("*/{m}.nii.gz")))
            .collect(),
        label: Some(format!("*/{label}.nii.gz")),
        mask: mask.map(|m| format!("*/{m}.nii.gz")),
        foreground: vec!["lesion".to_owned()],
        ..Search::default()
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let out = elsewhere.path().join("dataset.toml");
    let manifest = by_patterns(&data.join(folder), &search, &out).unwrap();
    let found = fingerprint::of(&manifest, &[], &mut |_, _| {}).unwrap();
    assert!(found.faults.is_empty());
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/fingerprint/real.json");
    let golden: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    subjects(&found, &golden[folder]);
    together(&found, &golden[folder]);
}

/// Every figure of `expected` is that of `found`, to within `relative`.
fn same(found: impl serde::Serialize, expected: &Value, relative: f64) {
    let found = serde_json::to_value(found).unwrap();
    within(&found, expected, relative);
}

fn within(found: &Value, expected: &Value, relative: f64) {
    match expected {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, value)| within(&found[name], value, relative)),
        Value::Array(values) => {
            assert_eq!(found.as_array().unwrap().len(), values.len());
            for (found, expected) in found.as_array().unwrap().iter().zip(values) {
                within(found, expected, relative);
            }
        }
        Value::Number(number) if number.is_f64() => {
            let (found, expected) = (found.as_f64().unwrap(), number.as_f64().unwrap());
            let apart = (found - expected).abs();
            assert!(apart <= relative * expected.abs(), "{found} {expected}");
        }
        other => assert_eq!(found, other),
    }
}

fn subjects(found: &Fingerprint, golden: &Value) {
    let expected = golden["subjects"].as_object().unwrap();
    assert_eq!(found.subjects.len(), expected.len());
    for subject in &found.subjects {
        let expected = &expected[&subject.id];
        let class = &subject.foreground[0];
        for key in [
            "shape",
            "spacing_mm",
            "orientation",
            "inside_voxels",
            "nonzero_box_share",
            "crop_shape",
            "voxel_mm3",
        ] {
            same(
                &serde_json::to_value(subject).unwrap()[key],
                &expected[key],
                1e-6,
            );
        }
        for key in ["voxels", "share_of_grid", "share_inside", "edge"] {
            same(
                &serde_json::to_value(class).unwrap()[key],
                &expected[key],
                1e-6,
            );
        }
        let count = expected["component_count"].as_u64().unwrap();
        assert_eq!(class.components.len() as u64, count);
        // The largest, which SciPy has in the same order.
        let mut components = class.components.clone();
        components.sort_by_key(|c| (c.voxels, c.extent_voxels));
        let largest = &components[components.len().saturating_sub(5)..];
        same(largest, &expected["components"], 1e-6);
    }
}

fn together(found: &Fingerprint, golden: &Value) {
    same(found.spacing_mm.median, &golden["spacing_mm"], 1e-6);
    same(found.shape.median, &golden["shape"], 0.0);
    same(found.off_median_spacing, &golden["off_median_spacing"], 0.0);
    same(found.anisotropy, &golden["anisotropy"], 1e-6);
    let class = &found.foreground[0];
    let spread: [(Quantiles, &str); 4] = [
        (class.share_of_grid, "share_of_grid"),
        (class.share_inside, "share_inside"),
        (class.components_per_subject, "components_per_subject"),
        (class.component_mm3.unwrap(), "component_mm3"),
    ];
    for (quantiles, key) in spread {
        same(quantiles, &golden[key], 1e-6);
    }
    same(class.extents, &golden["extents"], 1e-6);
    for smaller in &class.smaller {
        same(
            smaller.share,
            &golden["smaller"][smaller.mm3.to_string()],
            1e-9,
        );
    }
    for modality in &found.intensities {
        let expected = &golden["intensities"][&modality.modality];
        intensities(modality.foreground.unwrap(), &expected["foreground"]);
        intensities(modality.inside.unwrap(), &expected["inside"]);
        same(
            modality.contrast,
            &golden["contrast"][&modality.modality],
            1e-6,
        );
    }
}

/// Percentiles of many voxels are approximate: half a hundredth of the standard deviation
/// in the middle, a fiftieth in the tails.
fn intensities(found: Intensities, expected: &Value) {
    let of = |name: &str| expected[name].as_f64().unwrap();
    assert_eq!(Some(found.voxels), expected["voxels"].as_u64());
    for (value, name) in [
        (found.mean, "mean"),
        (found.sd, "sd"),
        (found.min, "min"),
        (found.max, "max"),
    ] {
        let apart = (value - of(name)).abs();
        assert!(
            apart <= 1e-6 * of(name).abs().max(found.sd),
            "{name} {value}"
        );
    }
    for (value, name, share) in [
        (found.p0_5, "p0_5", 0.02),
        (found.p50, "p50", 0.005),
        (found.p99_5, "p99_5", 0.02),
    ] {
        let apart = (value - of(name)).abs();
        assert!(apart <= share * found.sd, "{name} {value} {}", of(name));
    }
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_brats_has_the_fingerprint_that_scipy_finds() {
    compare("brats2015", &["FLAIR", "T1c"], "tumour", Some("brain_mask"));
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_ms_has_the_fingerprint_that_scipy_finds() {
    compare("ms_lesion", &["T1", "T2", "FLAIR"], "lesion", None);
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_spinal_cords_have_the_fingerprint_that_scipy_finds() {
    let mask = "T2starw_seg-manual";
    compare(
        "spinal_gm",
        &["T2starw"],
        "T2starw_gmseg-manual",
        Some(mask),
    );
}
