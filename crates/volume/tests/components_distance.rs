//! Connected components and distance transform against SciPy
//! (`tests/golden/metrics.py`).

use lacuna_volume::{
    Affine, Connectivity, Spacing, Volume, euclidean_distance_mm, label_components,
};
use serde_json::Value;
use std::path::Path;

fn golden(name: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/metrics");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let array = value.as_array().unwrap();
    array.iter().map(|v| v.as_f64().unwrap()).collect()
}

/// The mask of a row, from its run lengths.
fn mask(row: &Value) -> Volume<bool> {
    let runs = numbers(&row["mask"]);
    let data = runs
        .chunks_exact(2)
        .flat_map(|run| std::iter::repeat_n(run[0] > 0.0, run[1] as usize))
        .collect();
    let shape = numbers(&row["shape"]);
    let shape = [0, 1, 2].map(|axis| shape[axis] as usize);
    Volume::new(shape, Affine::identity(), data).unwrap()
}

#[test]
fn components_are_those_of_scipy() {
    for row in golden("components.json") {
        for (name, connectivity) in [
            ("6", Connectivity::Six),
            ("18", Connectivity::Eighteen),
            ("26", Connectivity::TwentySix),
        ] {
            let found = label_components(&mask(&row), connectivity);
            let sizes: Vec<f64> = found.sizes.iter().map(|&s| s as f64).collect();
            assert_eq!(sizes, numbers(&row["sizes"][name]));
            assert_eq!(found.count, sizes.len());
            for (number, &size) in found.sizes.iter().enumerate() {
                let labels = found.labels.data().iter();
                assert_eq!(labels.filter(|&&l| l as usize == number + 1).count(), size);
            }
        }
    }
}

#[test]
fn distances_are_those_of_scipy() {
    for row in golden("distance.json") {
        let spacing = numbers(&row["spacing"]);
        let spacing = Spacing([spacing[0], spacing[1], spacing[2]]);
        let mask = mask(&row);
        let affine = Affine::from_spacing(spacing);
        let mask = Volume::new(mask.shape(), affine, mask.into_data()).unwrap();
        let found = euclidean_distance_mm(&mask);
        let expected = numbers(&row["mm"]);
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.data().iter().zip(&expected) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
    }
}
