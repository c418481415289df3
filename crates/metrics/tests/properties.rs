//! What must hold for every pair of masks, and of the whole evaluation.

use lacuna_metrics::{
    Bootstrap, ClassScores, Lesion, LesionPlace, Lesions, MetricsError, Options, SignedRank,
    Summary, SurfaceConvention, evaluate_pair, holm, smallest_p,
};
use lacuna_volume::{Affine, LabelMap, Spacing, Volume};
use proptest::prelude::*;

fn names(classes: &[&str]) -> Vec<String> {
    classes.iter().map(ToString::to_string).collect()
}

fn evaluate(reference: &LabelMap, prediction: &LabelMap) -> Vec<ClassScores> {
    let classes = names(&["background", "core", "rim"]);
    evaluate_pair(reference, prediction, &classes, &Options::default()).unwrap()
}

/// Two label maps with three classes on one grid, the prediction in part right.
fn pair() -> impl Strategy<Value = (LabelMap, LabelMap)> {
    let grid = (
        prop::array::uniform3(1usize..7),
        prop::array::uniform3(0.3f64..4.0),
    );
    grid.prop_flat_map(|(shape, spacing)| {
        let count: usize = shape.iter().product();
        let label = prop_oneof![5 => Just(0u8), 1 => Just(1), 1 => Just(2)];
        let labels = prop::collection::vec(label, count);
        (
            labels.clone(),
            labels,
            prop::collection::vec(any::<bool>(), count),
        )
            .prop_map(move |(r, mut p, right)| {
                let copied = right.iter().zip(&r).zip(&mut p);
                copied.for_each(|((right, r), p)| *p = if *right { *r } else { *p });
                let affine = Affine::from_spacing(Spacing(spacing));
                [r, p]
                    .map(|data| Volume::new(shape, affine, data).unwrap())
                    .into()
            })
    })
}

proptest! {
    #[test]
    fn swapping_the_images_swaps_sensitivity_and_precision((r, p) in pair()) {
        for (a, b) in evaluate(&r, &p).iter().zip(evaluate(&p, &r)) {
            prop_assert_eq!(a.sensitivity, b.precision);
            prop_assert_eq!(a.precision, b.sensitivity);
            prop_assert_eq!(a.lesion_recall, b.lesion_precision);
            prop_assert_eq!(a.lesion_precision, b.lesion_recall);
            prop_assert_eq!(a.volume_difference_mm3, -b.volume_difference_mm3);
            prop_assert_eq!([a.dsc, a.hd95_mm, a.nsd], [b.dsc, b.hd95_mm, b.nsd]);
        }
    }

    #[test]
    fn identical_images_are_perfect((r, _) in pair()) {
        for row in evaluate(&r, &r) {
            prop_assert_eq!(
                row.metrics(),
                [
                    1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0
                ]
            );
        }
    }

    #[test]
    fn every_value_is_finite_and_in_its_range((r, p) in pair()) {
        let [nx, ny, nz] = r.shape().map(|n| n as f64);
        let [dx, dy, dz] = r.spacing().0;
        let diagonal = (nx * dx).hypot(ny * dy).hypot(nz * dz) * (1.0 + 1e-12);
        for row in evaluate(&r, &p) {
            prop_assert!((0.0..=diagonal).contains(&row.hd95_mm));
            prop_assert!(row.metrics().iter().all(|v| v.is_finite()));
            prop_assert!(row.avd_percent >= 0.0);
            for share in [row.dsc, row.generalised_dice, row.nsd, row.lesion_f1] {
                prop_assert!((0.0..=1.0).contains(&share));
            }
        }
    }

    /// The masks are cropped before anything is measured; more image around
    /// them changes only what speaks of the whole image.
    #[test]
    fn background_around_the_image_changes_no_distance((r, p) in pair()) {
        prop_assume!(r.shape().iter().all(|&n| n > 1));
        let pad = |image: &LabelMap| {
            let shape = image.shape().map(|n| n + 5);
            let mut padded = Volume::filled(shape, *image.affine(), 0u8).unwrap();
            let [nx, ny, nz] = image.shape();
            for (z, y) in (0..nz).flat_map(|z| (0..ny).map(move |y| (z, y))) {
                let (from, to) = (image.index([0, y, z]), padded.index([2, y + 2, z + 2]));
                padded.data_mut()[to..to + nx].copy_from_slice(&image.data()[from..from + nx]);
            }
            padded
        };
        for (a, b) in evaluate(&r, &p).iter().zip(evaluate(&pad(&r), &pad(&p))) {
            prop_assert_eq!(a.nsd, b.nsd);
            if a.counts.reference() > 0 && a.counts.prediction() > 0 {
                prop_assert_eq!(a.hd95_mm, b.hd95_mm);
            }
            // The image begins two voxels earlier, and so do all places.
            let (mut here, mut there) = (a.lesions.clone(), b.lesions);
            let lesions = |of: &mut Lesions| -> Vec<Option<LesionPlace>> {
                let all = of.reference.iter_mut().chain(&mut of.prediction);
                all.map(|lesion| lesion.place.take()).collect()
            };
            for (a, b) in lesions(&mut here).iter().zip(lesions(&mut there)) {
                let (a, b) = (a.unwrap(), b.unwrap());
                for axis in 0..3 {
                    prop_assert!((a.centre[axis] + 2.0 - b.centre[axis]).abs() < 1e-9);
                }
            }
            prop_assert_eq!(here, there);
        }
    }
}

proptest! {
    #[test]
    fn holm_keeps_the_order_and_lowers_nothing(p in prop::collection::vec(0.0f64..=1.0, 0..12)) {
        let adjusted = holm(&p).unwrap();
        for (i, a) in adjusted.iter().enumerate() {
            prop_assert!((p[i]..=1.0).contains(a) && *a <= p[i] * p.len() as f64);
            for (j, b) in adjusted.iter().enumerate() {
                prop_assert!(p[i] > p[j] || a <= b);
            }
        }
    }

    #[test]
    fn swapping_the_methods_swaps_the_ranks(d in prop::collection::vec(-4i8..=4, 0..40)) {
        let d: Vec<f64> = d.into_iter().map(f64::from).collect();
        let swapped: Vec<f64> = d.iter().map(|d| -d).collect();
        let [a, b] = [d, swapped].map(|d| SignedRank::of(&d).unwrap());
        prop_assert_eq!(a.p, b.p);
        prop_assert_eq!(a.positive_ranks, b.negative_ranks);
        let n = a.pairs as f64;
        prop_assert_eq!(a.positive_ranks + a.negative_ranks, n * (n + 1.0) / 2.0);
        prop_assert!((smallest_p(a.pairs)..=1.0).contains(&a.p));
    }

    #[test]
    fn the_dsc_of_a_lesion_is_a_share((r, p) in pair()) {
        for row in evaluate(&r, &p) {
            for lesion in row.lesions.reference.iter().chain(&row.lesions.prediction) {
                prop_assert!((0.0..=1.0).contains(&lesion.dsc()));
                prop_assert_eq!(lesion.dsc() > 0.0, lesion.detected);
            }
            // One lesion on each side: its DSC is that of the masks.
            let [r, p] = [&row.lesions.reference, &row.lesions.prediction];
            if r.len() == 1 && p.len() == 1 {
                prop_assert_eq!([&r[0], &p[0]].map(Lesion::dsc), [row.dsc; 2]);
            }
        }
    }
}

fn line(labels: &[u8]) -> LabelMap {
    Volume::new([labels.len(), 1, 1], Affine::identity(), labels.to_vec()).unwrap()
}

#[test]
fn classes_are_scored_alone_and_together() {
    let rows = evaluate(&line(&[0, 1, 1, 2, 0]), &line(&[0, 1, 2, 1, 0]));
    let found: Vec<_> = rows.iter().map(|r| (r.class.as_str(), r.dsc)).collect();
    assert_eq!(found, [("core", 0.5), ("rim", 0.0), ("foreground", 1.0)]);
    let two = names(&["background", "lesion"]);
    let (r, p) = (line(&[0, 1, 1]), line(&[1, 1, 0]));
    let rows = evaluate_pair(&r, &p, &two, &Options::default()).unwrap();
    assert_eq!(rows.len(), 1);
}

/// A row for each region that is neither one class nor all of them, once.
#[test]
fn regions_are_scored_as_one() {
    let classes = names(&["background", "rim", "core", "enhancing"]);
    let (r, p) = (line(&[0, 1, 2, 3, 3]), line(&[0, 0, 3, 2, 1]));
    let regions = |sets: &[&[&str]]| Options {
        regions: sets.iter().map(|set| names(set).into()).collect(),
        ..Options::default()
    };
    let options = regions(&[
        &["rim", "core", "enhancing"],
        &["core", "enhancing"],
        &["enhancing", "core"],
        &["enhancing"],
    ]);
    let rows = evaluate_pair(&r, &p, &classes, &options).unwrap();
    let found: Vec<_> = rows.iter().map(|r| (r.class.as_str(), r.dsc)).collect();
    // Of three core or enhancing voxels two are found; of four lesion voxels three.
    let expected = [
        ("rim", 0.0),
        ("core", 0.0),
        ("enhancing", 0.0),
        ("core+enhancing", 4.0 / 5.0),
        ("foreground", 6.0 / 7.0),
    ];
    assert_eq!(found, expected);
    let error = evaluate_pair(&r, &p, &classes, &regions(&[&["oedema"]])).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("`oedema`") && error.contains("rim, core"),
        "{error}"
    );
}

#[test]
fn every_row_names_its_conventions() {
    let rows = evaluate(&line(&[0, 1, 2]), &line(&[0, 1, 2]));
    let json = serde_json::to_value(&rows[0]).unwrap();
    assert_eq!(json["conventions"]["surface"], "voxel-surface-3d");
    assert_eq!(json["conventions"]["nsd_tolerance_mm"], 1.0);
    assert_eq!(json["conventions"]["lesion"], "wmh");
    for metric in ClassScores::METRICS {
        assert!(json[metric].is_number(), "{metric}");
    }
    for (name, value) in ClassScores::METRICS.iter().zip(rows[0].metrics()) {
        assert_eq!(json[name], value, "{name}");
    }
}

#[test]
fn a_missed_structure_stays_in_the_mean() {
    let classes = names(&["background", "lesion"]);
    let reference = line(&[0, 1, 1, 0]);
    let score = |prediction: &[u8]| {
        evaluate_pair(&reference, &line(prediction), &classes, &Options::default()).unwrap()
    };
    let subjects = [score(&[0, 1, 1, 0]), score(&[0; 4])];
    let summary = Summary::of(&subjects, &Bootstrap::default()).unwrap();
    let mean = |metric: &str| {
        let metrics = &summary.classes[0].metrics;
        let found = metrics.iter().find(|m| m.metric == metric).unwrap();
        assert_eq!(found.distribution.subjects, 2);
        found.distribution.mean
    };
    assert_eq!(
        (mean("dsc"), mean("nsd"), mean("precision")),
        (0.5, 0.5, 0.5)
    );
    // (0 + sqrt(4^2 + 1 + 1)) / 2
    assert!((mean("hd95_mm") - 18f64.sqrt() / 2.0).abs() < 1e-15);
    assert_eq!(mean("avd_percent"), 50.0);
}

#[test]
fn input_without_meaning_is_refused() {
    let two = names(&["background", "lesion"]);
    let (a, b) = (line(&[0, 1]), line(&[0, 1, 2]));
    let options = Options::default();
    let check = |r, p, classes: &[String], options: &Options| {
        evaluate_pair(r, p, classes, options).unwrap_err()
    };
    assert!(matches!(
        check(&a, &b, &two, &options),
        MetricsError::Shape { .. }
    ));
    assert!(matches!(
        check(&b, &b, &two, &options),
        MetricsError::Label {
            label: 2,
            classes: 2,
            ..
        }
    ));
    assert!(matches!(
        check(&a, &a, &two[..1], &options),
        MetricsError::ClassCount { found: 1 }
    ));
    let reserved = names(&["background", "lesion", "foreground"]);
    assert!(matches!(
        check(&a, &a, &reserved, &options),
        MetricsError::ReservedClass { .. }
    ));
    for nsd_tolerance_mm in [-1.0, f64::NAN, f64::INFINITY] {
        let options = Options {
            nsd_tolerance_mm,
            ..options.clone()
        };
        let error = check(&a, &a, &two, &options);
        assert!(matches!(error, MetricsError::Tolerance { .. }));
    }

    let rows = |options: &Options| evaluate_pair(&a, &a, &two, options).unwrap();
    let wmh = Options {
        surface: SurfaceConvention::WmhInPlane,
        ..options.clone()
    };
    let bootstrap = Bootstrap::default();
    let mixed = Summary::of(&[rows(&options), rows(&wmh)], &bootstrap).unwrap_err();
    assert!(matches!(mixed, MetricsError::MixedSubjects { subject: 1 }));
    let none = Summary::of(&[], &bootstrap).unwrap_err();
    assert!(matches!(none, MetricsError::NoSubjects));
}
