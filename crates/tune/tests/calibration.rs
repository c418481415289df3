//! Temperatures and calibration against SciPy and scikit-learn (`tests/golden/tune.py`),
//! and against probabilities whose temperature is known.

use std::path::Path;

use lacuna_tune::{Calibration, LogOdds, Temperature, TuneError};
use serde_json::Value;

fn golden() -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/tune");
    let text = std::fs::read_to_string(folder.join("temperature.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    (value.as_array().unwrap().iter())
        .map(|v| v.as_f64().unwrap())
        .collect()
}

fn maps(case: &Value) -> Vec<Vec<f32>> {
    let of = |map: &Value| numbers(map).iter().map(|p| *p as f32).collect();
    case["probabilities"]
        .as_array()
        .unwrap()
        .iter()
        .map(of)
        .collect()
}

#[test]
fn temperatures_are_those_of_scipy() {
    for case in golden()["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let mut maps = maps(case);
        let labels: Vec<u8> = numbers(&case["labels"]).iter().map(|l| *l as u8).collect();
        let mut odds = LogOdds::default();
        let slices: Vec<&[f32]> = maps.iter().map(|map| &map[..]).collect();
        odds.add_classes(&slices, &labels, None).unwrap();
        let found = Temperature::fit(&odds).unwrap();
        let expected = case["temperature"].as_f64().unwrap();
        assert!(
            (found.value / expected - 1.0).abs() < 2e-3,
            "{name}: {found:?}, {expected}"
        );
        for (key, temperature) in [("nll", Temperature { value: 1.0 }), ("nll_after", found)] {
            let nll = temperature.nll(&odds).unwrap();
            let expected = case[key].as_f64().unwrap();
            assert!(
                (nll - expected).abs() < 5e-4,
                "{name}, {key}: {nll}, {expected}"
            );
        }
        // The last class against the others, as scikit-learn scores it.
        let last = maps.len() - 1;
        let reference: Vec<bool> = labels.iter().map(|l| usize::from(*l) == last).collect();
        let mut slices: Vec<&mut [f32]> = maps.iter_mut().map(|map| &mut map[..]).collect();
        for key in ["before", "after"] {
            let mut calibration = Calibration::default();
            calibration.add(slices[last], &reference, None).unwrap();
            for (metric, value) in [
                ("brier", calibration.brier()),
                ("log_loss", calibration.nll()),
                ("ece", calibration.ece()),
            ] {
                let expected = case[key][metric].as_f64().unwrap();
                let difference = (value.unwrap() - expected).abs();
                // The temperature found differs by rounding.
                let tolerance = if key == "before" { 1e-6 } else { 2e-3 };
                assert!(
                    difference < tolerance,
                    "{name}, {key}, {metric}: {value:?}, {expected}"
                );
            }
            found.apply_classes(&mut slices).unwrap();
        }
    }
}

/// Voxels by the odds of logits `l`, each logit as often right as it says; a network that
/// says 2 `l` has T = 2.
#[test]
fn a_known_temperature_is_found() {
    let (mut p, mut inside) = (Vec::new(), Vec::new());
    for step in -60..=60 {
        let logit = f64::from(step) / 10.0;
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        let positives = (2000.0 * sigmoid(logit)).round() as usize;
        p.extend(vec![sigmoid(2.0 * logit) as f32; 2000]);
        inside.extend((0..2000).map(|voxel| voxel < positives));
    }
    let mut region = LogOdds::default();
    region.add_region(&p, &inside, None).unwrap();
    assert_eq!(region.voxels(), 121 * 2000);
    let found = Temperature::fit(&region).unwrap();
    assert!((found.value - 2.0).abs() < 1e-2, "{found:?}");
    // The same as two exclusive classes, in two parts.
    let rest: Vec<f32> = p.iter().map(|p| 1.0 - p).collect();
    let labels: Vec<u8> = inside.iter().map(|i| u8::from(*i)).collect();
    let mut classes = LogOdds::default();
    for part in [0..100_000, 100_000..p.len()] {
        let mut counted = LogOdds::default();
        let maps = [&rest[part.clone()], &p[part.clone()]];
        counted.add_classes(&maps, &labels[part], None).unwrap();
        classes.merge(&counted);
    }
    let of_classes = Temperature::fit(&classes).unwrap();
    assert!((of_classes.value - found.value).abs() < 1e-9);
    // Tempered, the error of calibration is gone.
    let [before, after] = [false, true].map(|tempered| {
        let mut p = p.clone();
        if tempered {
            found.apply_region(&mut p).unwrap();
        }
        let mut calibration = Calibration::default();
        calibration.add(&p, &inside, None).unwrap();
        (calibration.ece().unwrap(), calibration.nll().unwrap())
    });
    assert!(before.0 > 0.05 && after.0 < 1e-3, "{before:?}, {after:?}");
    assert!(after.1 < before.1);
}

#[test]
fn a_known_temperature_of_three_classes_is_found() {
    let mut maps = vec![Vec::new(); 3];
    let mut labels = Vec::new();
    for step in 0..31 * 31 {
        let logits = [
            0.0,
            f64::from(step % 31 - 15) / 4.0,
            f64::from(step / 31 - 15) / 4.0,
        ];
        let softmax = |scale: f64| {
            let e = logits.map(|l| (scale * l).exp());
            let sum: f64 = e.iter().sum();
            e.map(|e| e / sum)
        };
        let (truth, said) = (softmax(1.0), softmax(2.0));
        let first = (400.0 * truth[0]).round() as usize;
        let second = first + (400.0 * truth[1]).round() as usize;
        labels.extend((0..400).map(|v| u8::from(v >= first) + u8::from(v >= second)));
        for (map, p) in maps.iter_mut().zip(said) {
            map.extend(vec![p as f32; 400]);
        }
    }
    let slices: Vec<&[f32]> = maps.iter().map(|map| &map[..]).collect();
    let mut odds = LogOdds::default();
    odds.add_classes(&slices, &labels, None).unwrap();
    let found = Temperature::fit(&odds).unwrap();
    assert!((found.value - 2.0).abs() < 1e-2, "{found:?}");
}

#[test]
fn what_is_outside_is_not_counted() {
    let mut odds = LogOdds::default();
    let (rest, class) = ([1.0, 0.5, 0.2], [0.0, 0.5, 0.8]);
    odds.add_classes(&[&rest, &class], &[0, 1, 1], None)
        .unwrap();
    assert_eq!(odds.voxels(), 2);
    let mask = [true, false, true];
    let mut masked = LogOdds::default();
    masked
        .add_classes(&[&rest, &class], &[0, 1, 1], Some(&mask))
        .unwrap();
    assert_eq!(masked.voxels(), 2);
    // Labels, lengths and numbers without meaning.
    let add = |maps: &[&[f32]], labels: &[u8]| LogOdds::default().add_classes(maps, labels, None);
    assert!(matches!(
        add(&[&rest, &class], &[0, 2, 1]),
        Err(TuneError::Label {
            at: 1,
            label: 2,
            ..
        })
    ));
    assert!(matches!(
        add(&[&rest], &[0, 0, 0]),
        Err(TuneError::Classes { found: 1, .. })
    ));
    assert!(matches!(
        add(&[&rest, &class[1..]], &[0, 0, 0]),
        Err(TuneError::Length { .. })
    ));
    assert!(matches!(
        add(&[&[f32::NAN], &[0.5]], &[0]),
        Err(TuneError::Probability { at: 0, .. })
    ));
}
