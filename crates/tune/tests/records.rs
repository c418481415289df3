//! Scores from the records of components are those of cleaned label maps.

use lacuna_data::rng::{Domain, keyed_rng};
use lacuna_metrics::{Options, evaluate_pair};
use lacuna_tune::{Component, Maps, Observed, Rule, THRESHOLDS, TuneError};
use lacuna_volume::{Affine, Connectivity, LabelMap, Spacing, Volume, label_components};
use rand_chacha::rand_core::Rng;

const SHAPE: [usize; 3] = [11, 9, 7];

fn volume<T: Clone>(shape: [usize; 3], data: Vec<T>) -> Volume<T> {
    // A voxel has 1.2 * 0.9 * 2 = 2.16 mm³.
    Volume::new(shape, Affine::from_spacing(Spacing([1.2, 0.9, 2.0])), data).unwrap()
}

/// The map with a rule really applied, in the way of `predict --postprocess`.
fn applied(
    p: &Volume<f32>,
    untuned: &Volume<bool>,
    mask: Option<&Volume<bool>>,
    rule: &Rule,
) -> LabelMap {
    let inside = |at: usize| mask.is_none_or(|mask| mask.data()[at]);
    let of_voxel = |at: usize| match rule.threshold {
        Some(least) => inside(at) && p.data()[at] >= least as f32,
        None => inside(at) && untuned.data()[at],
    };
    let labels = volume(p.shape(), (0..p.len()).map(of_voxel).collect());
    let found = label_components(&labels, Connectivity::TwentySix);
    let mut peaks = vec![0.0f32; found.count];
    for (component, value) in found.labels.data().iter().zip(p.data()) {
        if let Some(at) = (*component as usize).checked_sub(1) {
            peaks[at] = peaks[at].max(*value);
        }
    }
    let mm3 = p.affine().voxel_mm3();
    let stays = |at: usize| {
        let volume = found.sizes[at] as f64 * mm3;
        let least = rule.min_volume_mm3.unwrap_or(0.0) * (1.0 - 1e-6);
        volume >= least && peaks[at] >= rule.min_peak_probability.unwrap_or(0.0) as f32
    };
    (found.labels).map(|component| u8::from(*component > 0 && stays(*component as usize - 1)))
}

/// A map of blobs with noise; some values are just a threshold.
fn random_subject(sample: u64) -> (Volume<f32>, LabelMap, Volume<bool>, Volume<bool>) {
    let mut rng = keyed_rng(7, Domain::Phantom, 0, sample);
    let mut unit = || (rng.next_u32() >> 8) as f32 / (1 << 24) as f32;
    let voxels = SHAPE.iter().product();
    let share = [0.0, 0.05, 0.2, 0.5][(sample % 4) as usize];
    let mut p = vec![0.0f32; voxels];
    for value in &mut p {
        *value = match unit() {
            draw if draw < 0.6 => 0.3 * unit(),
            draw if draw < 0.8 => THRESHOLDS[(unit() * 20.99) as usize] as f32,
            _ => unit(),
        };
    }
    let reference = (0..voxels).map(|_| u8::from(unit() < share)).collect();
    let untuned = p.iter().map(|p| *p > 0.4 + 0.2 * unit()).collect();
    let mask = (0..voxels).map(|_| unit() < 0.9).collect();
    (
        volume(SHAPE, p),
        volume(SHAPE, reference),
        volume(SHAPE, untuned),
        volume(SHAPE, mask),
    )
}

#[test]
fn records_score_as_cleaned_label_maps_do() {
    let classes = ["background", "lesion"].map(str::to_owned);
    let mut compared = 0;
    for sample in 0..24 {
        let (p, reference, untuned, mask) = random_subject(sample);
        let mask = (sample % 3 == 0).then_some(&mask);
        let observed = Observed::of(&Maps {
            probability: &p,
            reference: &reference.map(|label| *label > 0),
            untuned: Some(&untuned),
            mask,
        })
        .unwrap();
        let thresholds = std::iter::once(None).chain(THRESHOLDS.map(Some));
        for (at, threshold) in thresholds.enumerate() {
            let rules = [
                (None, None),
                (Some(4.32), None),
                (Some(5.0), Some(0.9)),
                (Some(30.0), Some(0.7)),
                (None, Some(THRESHOLDS[(at + 2).min(20)])),
            ];
            for (min_volume_mm3, min_peak_probability) in rules {
                let rule = Rule {
                    threshold,
                    min_volume_mm3,
                    min_peak_probability,
                };
                let labels = applied(&p, &untuned, mask, &rule);
                let rows =
                    evaluate_pair(&reference, &labels, &classes, &Options::default()).unwrap();
                let found = observed.score(&rule).unwrap();
                let lesions = rows[0].lesions.wmh();
                let expected = [
                    rows[0].dsc,
                    lesions.f1,
                    lesions.recall,
                    lesions.precision,
                    rows[0].lesions.prediction.len() as f64,
                ];
                let values = [
                    found.dsc,
                    found.lesion_f1,
                    found.lesion_recall,
                    found.lesion_precision,
                    found.predicted_lesions,
                ];
                assert_eq!(values, expected, "subject {sample}, {rule:?}");
                assert!((found.predicted_mm3 - rows[0].prediction_mm3).abs() < 1e-9);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 24 * 22 * 5);
}

/// Two rows of 8 voxels, not neighbours of each other: in the first a bridge of 0.3 joins
/// two peaks, over two reference lesions; in the second a false component.
#[test]
fn components_by_hand() {
    let mut p = vec![0.0f32; 24];
    p[..8].copy_from_slice(&[0.9, 0.8, 0.3, 0.3, 0.6, 0.7, 0.0, 0.0]);
    p[16..].copy_from_slice(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.4]);
    let mut reference = vec![false; 24];
    for at in [0, 1, 5, 6] {
        reference[at] = true;
    }
    let observed = Observed::of(&Maps {
        probability: &volume([8, 3, 1], p),
        reference: &volume([8, 3, 1], reference),
        untuned: None,
        mask: None,
    })
    .unwrap();
    let component = |voxels, peak, overlap_voxels, touched: &[u32]| Component {
        voxels,
        peak,
        overlap_voxels,
        touched: touched.to_vec(),
    };
    let second = component(2, 0.5, 0, &[]);
    assert_eq!(
        observed.components(Some(0.3)).unwrap(),
        [component(6, 0.9, 3, &[0, 1]), second]
    );
    assert_eq!(
        observed.components(Some(0.5)).unwrap(),
        [
            component(2, 0.9, 2, &[0]),
            component(2, 0.7, 1, &[1]),
            component(1, 0.5, 0, &[]),
        ]
    );
    // Without a threshold: above 1/2, so that 0.5 is not in.
    assert_eq!(observed.components(None).unwrap().len(), 2);
    assert_eq!(observed.components(Some(0.98)).unwrap(), []);
    assert_eq!(observed.components(Some(0.33)), None);
    let sizes: Vec<f64> = observed.reference_mm3().collect();
    assert!(sizes.iter().all(|mm3| (mm3 - 4.32).abs() < 1e-6) && sizes.len() == 2);
    // At 0.3: DSC 2 * 3 / (8 + 4), recall 2/2, precision 1/2.
    let at = |rule: Rule| observed.score(&rule).unwrap();
    let low = at(Rule {
        threshold: Some(0.3),
        ..Rule::default()
    });
    assert_eq!(
        (low.dsc, low.lesion_recall, low.lesion_precision),
        (0.5, 1.0, 0.5)
    );
    assert_eq!((low.false_lesions, low.lesion_f1), (1.0, 2.0 / 3.0));
    // One component touches both: by itself it finds one of two, F1 1/2.
    assert_eq!((low.separate_f1, low.objective()), (0.5, 0.5));
    // Nothing reaches 0.98 in a subject with lesions.
    let none = at(Rule {
        threshold: Some(0.98),
        ..Rule::default()
    });
    assert_eq!(
        (none.dsc, none.lesion_f1, none.predicted_mm3),
        (0.0, 0.0, 0.0)
    );
}

#[test]
fn nothing_predicted_where_nothing_is_is_right() {
    let empty = volume([4, 4, 4], vec![false; 64]);
    let mut p = vec![0.0f32; 64];
    p[5] = 0.6;
    let observed = Observed::of(&Maps {
        probability: &volume([4, 4, 4], p),
        reference: &empty,
        untuned: None,
        mask: None,
    })
    .unwrap();
    let objective = |threshold| {
        let rule = Rule {
            threshold: Some(threshold),
            ..Rule::default()
        };
        observed.score(&rule).unwrap().objective()
    };
    assert_eq!((objective(0.6), objective(0.65)), (0.0, 1.0));
}

#[test]
fn volumes_that_do_not_fit_are_refused() {
    let reference = volume([4, 4, 4], vec![false; 64]);
    let of = |p: Volume<f32>| {
        Observed::of(&Maps {
            probability: &p,
            reference: &reference,
            untuned: None,
            mask: None,
        })
    };
    let error = of(volume([4, 4, 2], vec![0.0; 32]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("probability map has shape [4, 4, 2]"),
        "{error}"
    );
    let mut p = vec![0.0f32; 64];
    p[9] = f32::NAN;
    let error = of(volume([4, 4, 4], p)).unwrap_err();
    assert!(matches!(error, TuneError::Probability { at: 9, .. }));
}
