//! All metrics against SciPy, MONAI, SimpleITK and google-deepmind
//! surface-distance, scikit-learn (`tests/golden/metrics.py`, `comparison.py` and
//! `precision_recall.py` beside it).

use lacuna_metrics::{
    Bootstrap, ClassScores, Distribution, Lesion, Options, PrecisionRecall, SignedRank,
    SurfaceConvention, evaluate_pair, mcnemar, quantile,
};
use lacuna_volume::{Affine, LabelMap, Spacing, Volume};
use serde_json::Value;
use std::path::Path;

fn golden(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/metrics");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let array = value.as_array().unwrap();
    array.iter().map(|v| v.as_f64().unwrap()).collect()
}

fn label_map(pair: &Value, image: &str) -> LabelMap {
    let runs = numbers(&pair[image]);
    let data = runs
        .chunks_exact(2)
        .flat_map(|run| std::iter::repeat_n(run[0] as u8, run[1] as usize))
        .collect();
    let (shape, spacing) = (numbers(&pair["shape"]), numbers(&pair["spacing"]));
    let affine = Affine::from_spacing(Spacing([spacing[0], spacing[1], spacing[2]]));
    Volume::new([0, 1, 2].map(|axis| shape[axis] as usize), affine, data).unwrap()
}

fn scores(pair: &Value, nsd_tolerance_mm: f64, surface: SurfaceConvention) -> Vec<ClassScores> {
    let count = pair["classes"].as_u64().unwrap();
    let classes: Vec<String> = (0..count).map(|c| format!("class {c}")).collect();
    let options = Options {
        nsd_tolerance_mm,
        surface,
        ..Options::default()
    };
    let [reference, prediction] = ["reference", "prediction"].map(|i| label_map(pair, i));
    let rows = evaluate_pair(&reference, &prediction, &classes, &options).unwrap();
    assert_eq!(rows.len(), pair["rows"].as_array().unwrap().len());
    rows
}

/// Calls `check` with each row of scores and what the golden says of it.
fn each_row(
    tolerance: f64,
    surface: SurfaceConvention,
    mut check: impl FnMut(&str, &ClassScores, &Value),
) {
    let golden = golden("pairs.json");
    for pair in golden["pairs"].as_array().unwrap() {
        let rows = scores(pair, tolerance, surface);
        for (row, expected) in rows.iter().zip(pair["rows"].as_array().unwrap()) {
            let name = format!("{}, {}", pair["name"], row.class);
            check(&name, row, expected);
        }
    }
}

fn assert_near(name: &str, found: f64, expected: &Value, tolerance: f64) {
    let expected = expected.as_f64().unwrap();
    assert!(
        (found - expected).abs() <= tolerance,
        "{name}: {found} {expected}"
    );
}

#[test]
fn counts_and_generalised_dice() {
    each_row(1.0, SurfaceConvention::default(), |name, row, expected| {
        let c = row.counts;
        let found = [
            c.true_positive,
            c.false_positive,
            c.false_negative,
            c.true_negative,
        ];
        let expected = ["tp", "fp", "fn", "tn"].map(|k| expected[k].as_u64().unwrap());
        assert_eq!(found, expected, "{name}");
    });
    for pair in golden("pairs.json")["pairs"].as_array().unwrap() {
        for row in scores(pair, 1.0, SurfaceConvention::default()) {
            // MONAI's weights are single precision.
            let found = row.generalised_dice;
            assert_near(&row.class, found, &pair["generalised_dice"], 1e-6);
        }
    }
}

#[test]
fn surfaces_as_scipy_and_monai() {
    let tolerances = numbers(&golden("pairs.json")["tolerances_mm"]);
    for (t, &tolerance) in tolerances.iter().enumerate() {
        let mut compared = 0;
        each_row(
            tolerance,
            SurfaceConvention::VoxelSurface3d,
            |name, row, e| {
                if e["hd95"].is_null() {
                    return; // An empty mask, see `empty_masks_have_the_worst_value`.
                }
                assert_near(name, row.hd95_mm, &e["hd95"], 1e-9);
                assert_near(name, row.nsd, &e["nsd"][t], 1e-12);
                // Single precision there.
                assert_near(name, row.hd95_mm, &e["monai_hd95"], 1e-5);
                assert_near(name, row.nsd, &e["monai_nsd"][t], 1e-6);
                compared += 1;
            },
        );
        assert_eq!(compared, 15);
    }
}

#[test]
fn hd95_as_the_wmh_challenge() {
    let mut other_than_default = 0;
    each_row(1.0, SurfaceConvention::WmhInPlane, |name, row, expected| {
        if !expected["wmh_hd95"].is_null() {
            assert_near(name, row.hd95_mm, &expected["wmh_hd95"], 1e-9);
            other_than_default += usize::from(expected["wmh_hd95"] != expected["hd95"]);
            assert_eq!(row.conventions.surface, "wmh-in-plane");
        }
    });
    assert!(other_than_default >= 4);
}

/// google-deepmind surface-distance puts the surface between the voxels and
/// weights it by area, so its values are near ours and, by definition, others.
#[test]
fn surfaces_near_those_of_surface_distance() {
    let mut others = 0;
    each_row(1.0, SurfaceConvention::default(), |name, row, e| {
        if e["deepmind_hd95"].is_null() {
            return;
        }
        // Each of the two surfaces is at most half a voxel diagonal away.
        let diagonal = e["voxel_diagonal_mm"].as_f64().unwrap();
        assert_near(name, row.hd95_mm, &e["deepmind_hd95"], diagonal);
        let tolerance = if row.nsd == 1.0 { 0.0 } else { 0.16 };
        assert_near(name, row.nsd, &e["deepmind_nsd"][1], tolerance);
        others += usize::from(row.hd95_mm != e["deepmind_hd95"].as_f64().unwrap());
    });
    assert!(others >= 6, "{others}");
}

#[test]
fn lesions_as_the_wmh_challenge() {
    each_row(1.0, SurfaceConvention::default(), |name, row, expected| {
        let found = [row.lesion_recall, row.lesion_precision, row.lesion_f1];
        for (f, e) in found.iter().zip(expected["lesion"].as_array().unwrap()) {
            assert_near(name, *f, e, 1e-12);
        }
        let table = |lesions: &[Lesion]| {
            let mut rows: Vec<_> = lesions.iter().map(|l| (l.voxels, l.detected)).collect();
            rows.sort_unstable();
            serde_json::to_value(rows).unwrap()
        };
        assert_eq!(table(&row.lesions.reference), expected["reference_lesions"]);
        assert_eq!(
            table(&row.lesions.prediction),
            expected["prediction_lesions"]
        );
    });
}

#[test]
fn lesions_touch_as_scipy_labels_them() {
    let pairs = golden("pairs.json");
    let expected = golden("touching.json");
    let pairs = pairs["pairs"].as_array().unwrap().iter();
    for (pair, expected) in pairs.zip(expected.as_array().unwrap()) {
        let rows = scores(pair, 1.0, SurfaceConvention::default());
        let lesions = &rows.last().unwrap().lesions; // All classes as one.
        let table = |lesions: &[Lesion]| {
            let row = |l: &Lesion| [l.voxels, l.overlap_voxels, l.touching_voxels];
            let mut rows: Vec<_> = lesions.iter().map(row).collect();
            rows.sort_unstable();
            serde_json::to_value(rows).unwrap()
        };
        let name = &pair["name"];
        assert_eq!(name, &expected["name"]);
        assert_eq!(table(&lesions.reference), expected["reference"], "{name}");
        assert_eq!(table(&lesions.prediction), expected["prediction"], "{name}");
    }
}

#[test]
fn signed_ranks_as_scipy() {
    for case in golden("wilcoxon.json").as_array().unwrap() {
        let test = SignedRank::of(&numbers(&case["differences"])).unwrap();
        let name = case["name"].as_str().unwrap();
        assert_eq!(test.pairs as u64, case["pairs"].as_u64().unwrap(), "{name}");
        assert_eq!(test.exact, case["exact"].as_bool().unwrap(), "{name}");
        assert_near(name, test.positive_ranks, &case["positive_ranks"], 0.0);
        assert_near(name, test.negative_ranks, &case["negative_ranks"], 0.0);
        assert_near(name, test.p, &case["p"], 1e-12);
    }
}

#[test]
fn mcnemar_as_scipy() {
    for case in golden("mcnemar.json").as_array().unwrap() {
        let [first, second] = ["only_first", "only_second"].map(|key| {
            let count = case[key].as_u64().unwrap();
            usize::try_from(count).unwrap()
        });
        let (found, expected) = (mcnemar(first, second), case["p"].as_f64().unwrap());
        assert!(
            (found / expected - 1.0).abs() < 1e-9,
            "{first}, {second}: {found} {expected}"
        );
    }
}

#[test]
fn empty_masks_have_the_worst_value() {
    let mut seen = [0; 2];
    each_row(1.0, SurfaceConvention::default(), |name, row, e| {
        match (row.counts.reference(), row.counts.prediction()) {
            (0, 0) => {
                assert_eq!([row.dsc, row.nsd, row.hd95_mm], [1.0, 1.0, 0.0], "{name}");
                seen[0] += 1;
            }
            (0, _) | (_, 0) => {
                assert_eq!([row.dsc, row.nsd], [0.0; 2], "{name}");
                assert_near(name, row.hd95_mm, &e["image_diagonal_mm"], 1e-12);
                seen[1] += 1;
            }
            _ => {}
        }
        assert!(row.metrics().iter().all(|v| v.is_finite()), "{name}");
    });
    assert_eq!(seen, [1, 3]);
}

#[test]
fn summaries_as_numpy_and_scipy() {
    let golden = golden("summary.json");
    let mut values = numbers(&golden["values"]);
    let d = Distribution::of(&values, &Bootstrap::default()).unwrap();
    assert_near("mean", d.mean, &golden["mean"], 1e-12);
    let quartiles = [d.quartiles.q1, d.quartiles.median, d.quartiles.q3];
    for (found, expected) in quartiles.iter().zip(numbers(&golden["quartiles"])) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
    // Other random numbers: the ends agree up to the noise of 10,000 resamples.
    for (name, interval) in [
        ("mean_interval", d.mean_interval),
        ("median_interval", d.median_interval),
    ] {
        let interval = interval.unwrap();
        assert_near(name, interval.low, &golden[name][0], 3e-3);
        assert_near(name, interval.high, &golden[name][1], 3e-3);
    }
    values.sort_unstable_by(f64::total_cmp);
    let found = quantile(&values, 0.95);
    assert_near("95th", found, &golden["percentile_95"], 1e-12);
}

#[test]
fn area_under_precision_and_recall_as_scikit_learn() {
    for case in golden("precision_recall.json").as_array().unwrap() {
        let probability = numbers(&case["probability"]);
        let foreground = numbers(&case["foreground"]);
        let voxels = probability.iter().zip(&foreground);
        let mut counted = PrecisionRecall::default();
        counted
            .add(voxels.map(|(p, f)| (*p as f32, *f > 0.0)))
            .unwrap();
        let found = counted.average_precision().average_precision.unwrap();
        let expected = case["average_precision"].as_f64().unwrap();
        // Of other probabilities, two within .05 % may change places.
        let tolerance = match case["of_few_bits"].as_bool().unwrap() {
            true => 1e-12,
            false => 1e-3,
        };
        assert!((found - expected).abs() < tolerance, "{found} {expected}");
    }
}
