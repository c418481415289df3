use lacuna_volume::{Affine, LabelMap, Spacing, Volume};

use super::*;

fn line(spacing: [f64; 3], reference: &[u8], prediction: &[u8]) -> MaskPair {
    let affine = Affine::from_spacing(Spacing(spacing));
    let [r, p] = [reference, prediction]
        .map(|line| Volume::new([line.len(), 1, 1], affine, line.to_vec()).unwrap());
    MaskPair::of_labels(&r, &p, |l| l > 0).unwrap()
}

/// [reference, found, predicted, false, true predictions].
fn counts(found: &LesionDetection) -> [usize; 5] {
    [
        found.reference,
        found.found,
        found.predicted,
        found.false_positives,
        found.true_predictions,
    ]
}

/// Runs of (reference, prediction, voxels), each followed by two voxels of nothing.
fn runs(parts: &[&[(u8, u8, usize)]]) -> MaskPair {
    let (mut reference, mut prediction) = (Vec::new(), Vec::new());
    for part in parts {
        for &(r, p, voxels) in part.iter().chain([&(0, 0, 2)]) {
            reference.extend(std::iter::repeat_n(r, voxels));
            prediction.extend(std::iter::repeat_n(p, voxels));
        }
    }
    line([1.0, 1.0, 1.0], &reference, &prediction)
}

#[test]
fn iou_of_halves_and_of_thresholds() {
    // Two halves of one lesion: 4 of 9 and 4 of 9 voxels, or IoU 0.5 in the second,
    // which is 3 of 6 alone. The third: 1 of 10. The fourth: 7 of 8.
    let pair = runs(&[
        &[(1, 1, 4), (1, 0, 1), (1, 1, 4)],
        &[(1, 1, 3), (1, 0, 3)],
        &[(1, 0, 5), (1, 1, 1), (0, 1, 4)],
        &[(1, 1, 7), (0, 1, 1)],
    ]);
    let detect = |iou| LesionConvention::OneToOne { iou }.detect(&pair);
    assert_eq!(counts(&detect(0.0)), [4, 4, 5, 1, 4]);
    assert_eq!(counts(&detect(0.1)), [4, 4, 5, 1, 4]);
    assert_eq!(counts(&detect(0.2)), [4, 3, 5, 2, 3]);
    let half = detect(0.5);
    assert_eq!(counts(&half), [4, 2, 5, 3, 2]);
    assert_eq!(half.missed(), 2);
    // RQ = 2 x 2 / (4 + 5), SQ = (1/2 + 7/8) / 2.
    let near = |name: &str, value: f64| assert!((half.values[name] - value).abs() < 1e-15);
    near("rq", 4.0 / 9.0);
    near("sq", 0.6875);
    near("pq", 0.6875 * 4.0 / 9.0);
    assert_eq!(half.convention, "one-to-one-iou-0.5");
}

/// Two lesions in one predicted bridge, 2 of 5 voxels each.
#[test]
fn a_bridge_pairs_once() {
    let pair = line([1.0; 3], &[1, 1, 0, 1, 1], &[1, 1, 1, 1, 1]);
    let found = LesionConvention::OneToOne { iou: 0.4 }.detect(&pair);
    assert_eq!(counts(&found), [2, 1, 1, 0, 1]);
    let half = LesionConvention::OneToOne { iou: 0.5 }.detect(&pair);
    assert_eq!((half.found, half.values["sq"]), (0, 0.0));
}

/// The rule's three limits, each met and just missed; 1 mm³ voxels.
#[test]
fn msseg_limits() {
    let found =
        |parts: &[&[(u8, u8, usize)]]| counts(&LesionConvention::Msseg.detect(&runs(parts)));
    // 3 voxels are dropped from either mask, 4 are not.
    assert_eq!(
        found(&[&[(1, 1, 3)], &[(1, 0, 3)], &[(0, 1, 3)]]),
        [0, 0, 0, 0, 0]
    );
    assert_eq!(found(&[&[(1, 1, 4)]]), [1, 1, 1, 0, 1]);
    // 4 of 40 voxels are 10 %, not more; the component lies inside, so it is not false.
    assert_eq!(found(&[&[(1, 1, 4), (1, 0, 36)]]), [1, 0, 1, 1, 0]);
    assert_eq!(found(&[&[(1, 1, 4), (1, 0, 35)]])[..2], [1, 1]);
    // A component of 20 voxels, 14 outside: 70 %. Seen from it, 6 of 20 are overlapped.
    assert_eq!(found(&[&[(1, 1, 6), (0, 1, 14)]]), [1, 1, 1, 0, 1]);
    // 15 of 21 outside are 71 %. It is itself overlapped by 6 of 21 by a lesion wholly in.
    assert_eq!(found(&[&[(1, 1, 6), (0, 1, 15)]]), [1, 0, 1, 0, 1]);
}

#[test]
fn msseg_explains_65_percent_of_the_overlap_and_no_more() {
    let found = |parts: &[&[(u8, u8, usize)]]| LesionConvention::Msseg.detect(&runs(parts)).found;
    // Overlaps 13 (inside) and 7 (of 70, 63 outside: 90 %): 13 of 20 are 65 %, enough.
    assert_eq!(found(&[&[(1, 1, 13), (1, 0, 1), (1, 1, 7), (0, 1, 63)]]), 1);
    // 12 and 8 of 80: 60 % is too little, and the next lies 90 % outside.
    assert_eq!(found(&[&[(1, 1, 12), (1, 0, 1), (1, 1, 8), (0, 1, 72)]]), 0);
    // A bridge over two lesions lies outside of neither alone: 20 of 22 voxels are inside.
    assert_eq!(found(&[&[(1, 1, 10), (0, 1, 2), (1, 1, 10)]]), 2);
}

#[test]
fn atlas_is_six_connected_and_counts_by_found_lesions() {
    // Two voxels that share an edge: one lesion of 26, two of 6.
    let mut reference: LabelMap = Volume::filled([4, 4, 1], Affine::identity(), 0).unwrap();
    for voxel in [[1, 1, 0], [2, 2, 0]] {
        let at = reference.index(voxel);
        reference.data_mut()[at] = 1;
    }
    let pair = MaskPair::of_labels(&reference, &reference, |l| l > 0).unwrap();
    assert_eq!(
        counts(&LesionConvention::Wmh.detect(&pair)),
        [1, 1, 1, 0, 1]
    );
    assert_eq!(
        counts(&LesionConvention::Atlas.detect(&pair)),
        [2, 2, 2, 0, 2]
    );
    // One lesion found by two components, one false: precision 1 of 2 in place of 2 of 3.
    let pair = line([1.0; 3], &[1, 1, 1, 0, 0, 0], &[1, 0, 1, 0, 0, 1]);
    let atlas = LesionConvention::Atlas.detect(&pair);
    assert_eq!(counts(&atlas), [1, 1, 3, 1, 1]);
    assert_eq!((atlas.recall, atlas.precision), (1.0, 0.5));
    assert!((atlas.f1 - 1.0 / (1.0 + 0.5)).abs() < 1e-15);
}

/// 3 mm³ voxels in a line, one dilation, floor 2 mm³. Lesions at 0 and 3 to 4 are one, as
/// their dilations touch; that at 10 is hit from beside it; that at 16 is missed; the
/// prediction at 20 is false. DSC: 2 x 2 / (3 + 2), 0, 0 and 0 of the false one.
#[test]
fn brats_joins_by_dilation_and_counts_false_ones() {
    let mut reference = vec![0; 24];
    let mut prediction = vec![0; 24];
    [0, 3, 4, 10, 16].iter().for_each(|&i| reference[i] = 1);
    [3, 4, 11, 20].iter().for_each(|&i| prediction[i] = 1);
    let pair = line([3.0, 1.0, 1.0], &reference, &prediction);
    let met = LesionConvention::Brats(BratsTask::Met).detect(&pair);
    assert_eq!(counts(&met), [3, 2, 3, 1, 2]);
    assert!((met.values["lesion_wise_dsc"] - 0.8 / 4.0).abs() < 1e-15);
    // From the lesion at 0, 3, 4 to 3, 4: 9, 0, 0 mm, 95th percentile 8.1; the one beside
    // is 3 mm away.
    let hd95 = (8.1 + 3.0 + 2.0 * 374.0) / 4.0;
    assert!((met.values["lesion_wise_hd95_mm"] - hd95).abs() < 1e-9);
    // With a floor of 50 mm³ no lesion counts, and with three dilations all but the one
    // at 20 touch one (16 + 3 = 19, and 20 is none of it).
    let gli = LesionConvention::Brats(BratsTask::Gli).detect(&pair);
    assert_eq!(counts(&gli), [0, 0, 3, 1, 0]);
    assert_eq!(gli.values["lesion_wise_dsc"], 0.0);
    assert_eq!(gli.values["lesion_wise_hd95_mm"], 374.0);
}

#[test]
fn empty_masks_by_all() {
    let all =
        |r: &[u8], p: &[u8]| LesionDetection::of_all(&line([9.0; 3], r, p), &LesionConvention::ALL);
    for found in all(&[0; 4], &[0; 4]) {
        assert_eq!((found.recall, found.precision, found.f1), (1.0, 1.0, 1.0));
        for (name, value) in &found.values {
            let best = if name == "lesion_wise_hd95_mm" {
                0.0
            } else {
                1.0
            };
            assert_eq!(*value, best, "{name}");
        }
    }
    for (r, p) in [([0; 4], [0, 1, 1, 0]), ([0, 1, 1, 0], [0; 4])] {
        for found in all(&r, &p) {
            assert_eq!(found.f1, 0.0, "{}", found.convention);
            for (name, value) in &found.values {
                let worst = if name == "lesion_wise_hd95_mm" {
                    374.0
                } else {
                    0.0
                };
                assert_eq!(*value, worst, "{name}");
            }
        }
    }
}

#[test]
fn pooled_counts_make_the_shares() {
    let one = runs(&[&[(1, 1, 2), (0, 1, 2)], &[(1, 0, 5)]]);
    let two = runs(&[&[(1, 1, 7), (0, 1, 1)], &[(0, 1, 3)]]);
    let rows = [&one, &two].map(|pair| LesionDetection::of_all(pair, &LesionConvention::ALL));
    let pooled = |i: usize| LesionDetection::pooled(&[&rows[0][i], &rows[1][i]]).unwrap();
    let half = pooled(3);
    assert_eq!(counts(&half), [3, 2, 3, 1, 2]);
    assert_eq!((half.recall, half.precision), (2.0 / 3.0, 2.0 / 3.0));
    assert_eq!(half.values["sq"], 0.6875);
    // BraTS: the mean of 0, where the lesion of 2 mm³ does not count nor what touches it,
    // and of (14/15 + 0) / 2.
    let met = pooled(7);
    let dsc = 7.0 / 15.0 / 2.0;
    assert!((met.values["lesion_wise_dsc"] - dsc).abs() < 1e-15);
    assert_eq!(LesionDetection::pooled(&[]), None);
}

#[test]
fn names_are_of_one_convention_each() {
    let names: std::collections::BTreeSet<_> = LesionConvention::ALL.map(|c| c.name()).into();
    assert_eq!(names.len(), LesionConvention::ALL.len());
}
