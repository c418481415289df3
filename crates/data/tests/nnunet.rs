//! Preparing subjects as nnU-Net does agrees with it; see `tests/golden/nnunet.py` in the
//! workspace root.

use lacuna_data::subject::{Resampling, Slices};
use lacuna_volume::{Affine, Spacing, Spline, Volume, fill_holes};
use serde::Deserialize;

fn golden<T: for<'de> Deserialize<'de>>(name: &str) -> T {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/nnunet");
    serde_json::from_str(&std::fs::read_to_string(format!("{folder}/{name}.json")).unwrap())
        .unwrap()
}

#[derive(Deserialize)]
struct Resampled {
    shape: [usize; 3],
    old: [f64; 3],
    new: [f64; 3],
    order: usize,
    order_z: usize,
    data: Vec<f32>,
    new_shape: [usize; 3],
    expected: Vec<f32>,
}

#[test]
fn resampling_agrees_with_nnunet() {
    let spline = |order: usize| [Spline::Nearest, Spline::Linear, Spline::Cubic][order.min(2)];
    for (number, case) in golden::<Vec<Resampled>>("resampled")
        .into_iter()
        .enumerate()
    {
        let resampling = Resampling {
            spline: spline(case.order),
            across: spline(case.order_z),
            slices: Slices::Auto,
        };
        let affine = Affine::from_spacing(Spacing(case.old));
        let image = Volume::new(case.shape, affine, case.data).unwrap();
        let found = (resampling.apply(&image, case.new_shape, case.old, case.new)).unwrap();
        assert_eq!(found.len(), case.expected.len());
        let distance = (found.data().iter().zip(&case.expected))
            .map(|(found, expected)| (found - expected).abs())
            .fold(0.0, f32::max);
        assert!(distance < 3e-6, "case {number}: {distance}");
    }
}

#[derive(Deserialize)]
struct Filled {
    shape: [usize; 3],
    images: [Vec<f32>; 2],
    expected: Vec<u8>,
}

#[test]
fn holes_are_those_of_nnunet() {
    let golden: Filled = golden("filled");
    let [first, second] = &golden.images;
    let mask = first
        .iter()
        .zip(second)
        .map(|(a, b)| *a != 0.0 || *b != 0.0);
    let mask = Volume::new(golden.shape, Affine::identity(), mask.collect()).unwrap();
    let found = fill_holes(&mask, [true; 3]);
    assert!(found != mask, "there are holes");
    let found: Vec<u8> = found.data().iter().map(|m| u8::from(*m)).collect();
    assert_eq!(found, golden.expected);
}
