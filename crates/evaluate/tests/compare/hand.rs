//! Two subjects by hand, and identities on them.

use super::*;

#[test]
fn two_subjects_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let case = case(folder.path(), &["a", "b"]);
    let found = case.compare(&["b"]).unwrap();
    assert_eq!(found.subjects, ["s1", "s2"]);
    let left_out: Vec<_> = found
        .left_out
        .iter()
        .map(|l| (&l.subject[..], &l.why[..]))
        .collect();
    assert_eq!(left_out, [("s3", "not in b"), ("s4", "no label")]);

    let metrics = &found.pairs[0].metrics;
    // s1: 14 of 15 and 16 voxels, 11 of 15 and 16. s2: 11 of 11 and 11, 10 of 11 and 10.
    let dsc = metric(metrics, "lesion", "dsc");
    let difference = &dsc.comparison.difference;
    assert!(
        near(dsc.means[0], (28.0 / 31.0 + 1.0) / 2.0),
        "{:?}",
        dsc.means
    );
    assert!(near(difference.mean, -(6.0 / 31.0 + 1.0 / 21.0) / 2.0));
    assert!(near(difference.quartiles.median, difference.mean));
    assert_eq!(dsc.better_worse_equal, [0, 2, 0]);
    // Two differences of one sign: 2 / 2^2, and ten tests.
    assert_eq!(
        (dsc.comparison.test.p, dsc.holm_p, dsc.tests),
        (0.5, 1.0, 10)
    );
    // s1: 2/3 of both kinds, 2/3 and 2/4. s2: all, and 1/2 and 1.
    let f1 = metric(metrics, "lesion", "lesion_f1");
    assert!(near(f1.means[0], (2.0 / 3.0 + 1.0) / 2.0));
    assert!(near(f1.means[1], (4.0 / 7.0 + 2.0 / 3.0) / 2.0));
    // s1: one voxel of 2 mm³ too many in both. s2: none, and one too few.
    let volume = metric(metrics, "lesion", "absolute_volume_difference_mm3");
    assert_eq!(
        (volume.means, volume.better_worse_equal),
        ([1.0, 2.0], [0, 1, 1])
    );
    assert!(
        found
            .notes
            .iter()
            .any(|n| n.contains("no signed-rank p below 0.500"))
    );

    let strata = |s: &Stratum| (s.lesions, s.found(), s.both, [s.only_first, s.only_second]);
    let of: Vec<_> = found.pairs[0].strata.iter().map(strata).collect();
    assert_eq!(
        of,
        [
            (2, [1, 1, 0], 0, [1, 1]),
            (1, [1, 0, 0], 0, [1, 0]),
            (2, [2, 2, 0], 2, [0, 0]),
            (0, [0, 0, 0], 0, [0, 0]),
            (0, [0, 0, 0], 0, [0, 0]),
            (5, [4, 3, 0], 2, [2, 1]),
        ]
    );
    assert!(found.pairs[0].strata.iter().all(|s| s.mcnemar_p == 1.0));

    let lesions: Vec<_> = (found.pairs[0].lesions.iter())
        .map(|l| {
            (
                &l.subject[..],
                l.kind,
                &l.only[..],
                l.mm3,
                l.place.unwrap().inside,
            )
        })
        .collect();
    let (reference, false_one) = (DisputeKind::ReferenceLesion, DisputeKind::FalseComponent);
    assert_eq!(
        lesions,
        [
            ("s1", reference, "b", 2.0, [2, 2, 1]),
            ("s1", reference, "a", 8.0, [3, 6, 1]),
            ("s1", false_one, "b", 6.0, [16, 6, 1]),
            ("s2", reference, "a", 2.0, [2, 2, 1]),
        ]
    );
    // The slice of the lesion, and the place in mm.
    let caption = &found.pictures[0].caption;
    assert!(
        found.pictures.iter().any(|p| p
            .caption
            .contains("only a finds, of 8.0 mm³ at voxel (3, 6, 1), (3.0, 6.0, 2.0) mm (z = 1")),
        "{caption}"
    );
    for name in [
        "compare.json",
        "differences.csv",
        "summary.csv",
        "strata.csv",
        "lesions.csv",
        "compare.md",
        "compare.html",
        "pictures/s1.png",
        "pictures/s2.png",
    ] {
        assert!(case.out.join(name).exists(), "{name}");
    }
    assert_eq!(
        ComparedPredictions::read(&case.out).unwrap().unwrap(),
        found
    );
    let rows = std::fs::read_to_string(case.out.join("differences.csv")).unwrap();
    assert_eq!(rows.lines().count(), 1 + 2 * 10);
    let markdown = std::fs::read_to_string(case.out.join("compare.md")).unwrap();
    assert!(markdown.contains("(<pictures/s1.png>)"));
}

#[test]
fn exchanged_predictions_change_signs_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut case = case(folder.path(), &["a", "b"]);
    let one = case.compare(&["b"]).unwrap();
    case.folders.reverse();
    case.out = folder.path().join("other");
    let other = case.compare(&["b"]).unwrap();
    exchanged(&one, &other);
}

pub fn exchanged(one: &ComparedPredictions, other: &ComparedPredictions) {
    let (one, other) = (&one.pairs[0], &other.pairs[0]);
    for (a, b) in one.metrics.iter().zip(&other.metrics) {
        let (d, e) = (&a.comparison.difference, &b.comparison.difference);
        assert_eq!((d.mean, d.quartiles.median), (-e.mean, -e.quartiles.median));
        assert_eq!(
            (a.comparison.test.p, a.holm_p),
            (b.comparison.test.p, b.holm_p)
        );
        let [better, worse, equal] = a.better_worse_equal;
        assert_eq!([worse, better, equal], b.better_worse_equal);
    }
    for (a, b) in one.strata.iter().zip(&other.strata) {
        assert_eq!((a.only_first, a.only_second), (b.only_second, b.only_first));
        assert_eq!((a.both, a.mcnemar_p), (b.both, b.mcnemar_p));
    }
    assert_eq!(one.lesions.len(), other.lesions.len());
}

#[test]
fn a_prediction_equals_itself() {
    let folder = tempfile::tempdir().unwrap();
    let case = case(folder.path(), &["a", "a"]);
    let found = case.compare(&[]).unwrap();
    let names: Vec<_> = found.predictions.iter().map(|p| &p.name[..]).collect();
    assert_eq!(names, ["a (1)", "a (2)"]);
    assert_eq!(found.subjects, ["s1", "s2", "s3"]);
    equal(&found);
    assert!(found.pictures.is_empty());
}

pub fn equal(found: &ComparedPredictions) {
    let pair = &found.pairs[0];
    for m in &pair.metrics {
        let d = &m.comparison.difference;
        assert_eq!(
            (d.mean, d.iqr, m.comparison.test.p, m.holm_p),
            (0.0, 0.0, 1.0, 1.0)
        );
        assert_eq!(m.better_worse_equal, [0, 0, found.subjects.len()]);
    }
    assert!(
        pair.strata
            .iter()
            .all(|s| s.only_first + s.only_second == 0 && s.mcnemar_p == 1.0)
    );
    assert!(pair.lesions.is_empty());
}
