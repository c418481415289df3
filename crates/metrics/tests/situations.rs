//! Situations that a study of lesions meets: many lesions in one, one in many, and
//! subjects without any.

use lacuna_metrics::{Bootstrap, ClassScores, Options, Summary, evaluate_pair};
use lacuna_volume::{Affine, LabelMap, Spacing, Volume};
use std::ops::Range;

const SHAPE: [usize; 3] = [36, 36, 10];

type Box3 = [Range<usize>; 3];

/// A label map with 1 in these boxes.
fn boxes(boxes: &[Box3]) -> LabelMap {
    let affine = Affine::from_spacing(Spacing([1.0, 1.0, 3.0]));
    let mut map = Volume::new(SHAPE, affine, vec![0_u8; SHAPE.iter().product()]).unwrap();
    let [nx, ny, _] = SHAPE;
    for [xs, ys, zs] in boxes {
        for z in zs.clone() {
            for y in ys.clone() {
                for x in xs.clone() {
                    map.data_mut()[(z * ny + y) * nx + x] = 1;
                }
            }
        }
    }
    map
}

fn score(reference: &LabelMap, prediction: &LabelMap) -> Vec<ClassScores> {
    let classes = ["background", "lesion"].map(str::to_owned);
    evaluate_pair(reference, prediction, &classes, &Options::default()).unwrap()
}

/// One predicted lesion bridges two, three lie in one, one is missed and one false:
/// three of four reference lesions are found, four of five predicted ones are true,
/// each side counted on its own as the WMH challenge does.
#[test]
fn bridges_and_fragments_are_counted_from_both_sides() {
    let reference = boxes(&[
        [5..8, 5..8, 3..4],
        [12..15, 5..8, 3..4],
        [5..20, 20..23, 5..6],
        [30..33, 30..33, 7..8],
    ]);
    let prediction = boxes(&[
        [5..15, 6..7, 3..4],
        [5..7, 20..21, 5..6],
        [10..12, 21..22, 5..6],
        [17..19, 22..23, 5..6],
        [30..33, 10..13, 7..8],
    ]);
    let row = &score(&reference, &prediction)[0];
    assert_eq!((row.lesion_recall, row.lesion_precision), (0.75, 0.8));
    // 2 x .75 x .8 / 1.55
    assert!((row.lesion_f1 - 1.2 / 1.55).abs() < 1e-15);
}

/// Two patients and three healthy controls, whose predictions are empty, one voxel
/// and a thousand: every subject is in every mean, and every mean is a number.
#[test]
fn healthy_controls_are_in_every_mean() {
    let lesion = || boxes(&[[8..12, 8..12, 3..6]]);
    let none = || boxes(&[]);
    let subjects = [
        score(&none(), &none()),
        score(&none(), &boxes(&[[20..21, 20..21, 5..6]])),
        score(&none(), &boxes(&[[10..20, 10..20, 0..10]])),
        score(&lesion(), &none()),
        score(&lesion(), &lesion()),
    ];
    let summary = Summary::of(&subjects, &Bootstrap::default()).unwrap();
    let metrics = &summary.classes[0].metrics;
    assert_eq!(metrics.len(), ClassScores::METRICS.len());
    for metric in metrics {
        let found = &metric.distribution;
        assert_eq!(found.subjects, 5, "{}", metric.metric);
        assert!(found.mean.is_finite(), "{}", metric.metric);
    }
    // Nothing there and nothing found is right; a false or a missed lesion has no overlap.
    let dsc: Vec<f64> = subjects.iter().map(|rows| rows[0].dsc).collect();
    assert_eq!(dsc, [1.0, 0.0, 0.0, 0.0, 1.0]);
    let mean = metrics
        .iter()
        .find(|metric| metric.metric == "dsc")
        .unwrap();
    assert_eq!(mean.distribution.mean, 2.0 / 5.0);
}
