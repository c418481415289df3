//! Lesion-wise conventions and FROC against panoptica, SciPy, cc3d and the steps of the
//! challenges' code (`tests/golden/lesion_conventions.py`).

use std::path::Path;

use lacuna_metrics::{
    BratsTask, Froc, LesionConvention, LesionDetection, MaskPair, SubjectCandidates,
};
use lacuna_volume::{Affine, Connectivity, LabelMap, Spacing, Volume};
use serde_json::Value;

fn golden() -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/metrics");
    let text = std::fs::read_to_string(folder.join("lesion_conventions.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let array = value.as_array().unwrap();
    array.iter().map(|v| v.as_f64().unwrap()).collect()
}

fn volume(shape: &Value, spacing: [f64; 3], runs: &Value) -> LabelMap {
    let data = (numbers(runs).chunks_exact(2))
        .flat_map(|run| std::iter::repeat_n(run[0] as u8, run[1] as usize))
        .collect();
    let shape = numbers(shape);
    let affine = Affine::from_spacing(Spacing(spacing));
    Volume::new([0, 1, 2].map(|a| shape[a] as usize), affine, data).unwrap()
}

/// Each pair of the golden with its name.
fn each_pair(mut check: impl FnMut(&str, &MaskPair, &Value)) {
    let golden = golden();
    for row in golden["pairs"].as_array().unwrap() {
        let spacing = numbers(&row["spacing"]).try_into().unwrap();
        let [reference, prediction] =
            ["reference", "prediction"].map(|mask| volume(&row["shape"], spacing, &row[mask]));
        let pair = MaskPair::of_labels(&reference, &prediction, |l| l > 0).unwrap();
        check(row["name"].as_str().unwrap(), &pair, row);
    }
}

fn assert_counts(name: &str, found: &LesionDetection, expected: &Value) {
    let counts = [
        found.reference,
        found.found,
        found.predicted,
        found.false_positives,
    ];
    let expected: Vec<usize> = serde_json::from_value(expected.clone()).unwrap();
    assert_eq!(counts[..], expected, "{name}, {}", found.convention);
}

fn assert_near(name: &str, found: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    assert!(
        (found - expected).abs() <= tolerance,
        "{name}: {found} {expected}"
    );
}

#[test]
fn one_to_one_is_scipys_matching_and_panopticas_quality() {
    each_pair(|name, pair, row| {
        for (least, iou) in [("0.0", 0.0), ("0.1", 0.1), ("0.5", 0.5)] {
            let found = LesionConvention::OneToOne { iou }.detect(pair);
            assert_counts(name, &found, &row["one_to_one"][least]);
        }
        let found = LesionConvention::OneToOne { iou: 0.5 }.detect(pair);
        let panoptica = &row["panoptica"];
        assert_eq!(found.found as u64, panoptica["tp"].as_u64().unwrap());
        for quality in ["rq", "sq", "pq"] {
            assert_near(name, found.values[quality], &panoptica[quality], 1e-12);
        }
    });
}

#[test]
fn msseg_and_atlas() {
    each_pair(|name, pair, row| {
        assert_counts(name, &LesionConvention::Msseg.detect(pair), &row["msseg"]);
        let atlas = LesionConvention::Atlas.detect(pair);
        assert_counts(name, &atlas, &row["atlas"]["counts"]);
        assert_near(name, atlas.f1, &row["atlas"]["f1"], 1e-12);
    });
}

#[test]
fn brats_as_by_dilating_each_lesion_of_the_whole_image() {
    let mut lesions = 0;
    each_pair(|name, pair, row| {
        for task in [BratsTask::Gli, BratsTask::Met] {
            let found = LesionConvention::Brats(task).detect(pair);
            let expected = &row[task.name()];
            assert_counts(name, &found, &expected["counts"]);
            let (dsc, hd95) = ("lesion_wise_dsc", "lesion_wise_hd95_mm");
            assert_near(name, found.values[dsc], &expected["dsc"], 1e-12);
            assert_near(name, found.values[hd95], &expected["hd95"], 1e-9);
            // The challenge's surfaces run between voxels: near, not the same.
            assert_near(name, found.values[hd95], &expected["deepmind_hd95"], 0.7);
            lesions += found.reference;
        }
    });
    assert!(lesions > 50, "{lesions}");
}

#[test]
fn froc_as_by_trying_every_threshold() {
    let golden = golden();
    let golden = &golden["froc"];
    let subjects: Vec<SubjectCandidates> = (golden["subjects"].as_array().unwrap().iter())
        .map(|subject| {
            let read = |name: &str| volume(&golden["shape"], [1.0; 3], &subject[name]);
            let reference = read("reference").map(|l| *l > 0);
            let probability = read("twentieths").map(|l| f32::from(*l) / 20.0);
            let connectivity = Connectivity::TwentySix;
            SubjectCandidates::find(&reference, &probability, 0.1, connectivity).unwrap()
        })
        .collect();
    let found = Froc::of(&subjects).unwrap();
    assert_eq!(
        found.reference_lesions as u64,
        golden["lesions"].as_u64().unwrap()
    );
    for (point, expected) in found
        .points
        .iter()
        .zip(golden["sensitivities"].as_array().unwrap())
    {
        assert_near("froc", point.sensitivity, expected, 1e-12);
    }
    assert_near("cpm", found.cpm, &golden["cpm"], 1e-12);
}
