//! Resampling between oblique grids agrees with SciPy; see
//! `tests/golden/resample.py` in the workspace root.

use lacuna_volume::{Affine, Grid, Volume, resample_labels, resample_linear};
use serde_json::Value;

fn golden(name: &str) -> Value {
    let path = format!(
        "{}/../../tests/golden/resample/{name}",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|v| v.as_f64().unwrap()).collect()
}

fn grid(value: &Value) -> Grid {
    let shape = numbers(&value["shape"]);
    let rows = value["affine"].as_array().unwrap();
    Grid {
        shape: [0, 1, 2].map(|a| shape[a] as usize),
        affine: Affine([0, 1, 2].map(|r| {
            let row = numbers(&rows[r]);
            [row[0], row[1], row[2], row[3]]
        })),
    }
}

#[test]
fn images_agree_with_scipy() {
    let case = golden("linear.json");
    let (old, new) = (grid(&case["old"]), grid(&case["new"]));
    let values = numbers(&case["values"]).iter().map(|&v| v as f32).collect();
    let image = Volume::new(old.shape, old.affine, values).unwrap();
    let out = resample_linear(&image, &new).unwrap();
    let expected = numbers(&case["expected"]);
    assert_eq!(out.len(), expected.len());
    for (i, (&found, expected)) in out.data().iter().zip(expected).enumerate() {
        // Half a unit in the last place of a 32-bit number near 100.
        assert!(
            (f64::from(found) - expected).abs() < 8e-6,
            "{i}: {found} {expected}"
        );
    }
}

#[test]
fn labels_agree_with_the_vote_of_scipys_indicators() {
    let case = golden("labels.json");
    let (old, new) = (grid(&case["old"]), grid(&case["new"]));
    let values = numbers(&case["values"]).iter().map(|&v| v as u8).collect();
    let labels = Volume::new(old.shape, old.affine, values).unwrap();
    let out = resample_labels(&labels, &new).unwrap();
    let expected: Vec<u8> = numbers(&case["expected"])
        .iter()
        .map(|&v| v as u8)
        .collect();
    assert_eq!(out.data(), expected);
}
