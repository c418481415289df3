//! NiftyNet.

use crate::hard;
use crate::inputs::{config, draw};
use lacuna_losses::LossError;

/// Its sum over both classes cancels r.
#[test]
fn lambda_matters_for_two_classes() {
    let batch = draw(1, 2, [1, 4, 5], 2.0, 3);
    let of = |lambda: f64| {
        let text = format!("name = 'sensitivity-specificity'\nlambda = {lambda:?}");
        batch.evaluate(&config(&text)).0
    };
    assert!((of(0.05) - of(0.5)).abs() > 1e-3);
}

/// Its "specificity part" is the sensitivity (SegLossOdyssey swaps them as well).
#[test]
fn lambda_weighs_what_is_missed() {
    let all_missed = hard(100, 10, 0..0);
    let all_claimed = hard(100, 10, 0..100);
    for (lambda, batch) in [(1.0, &all_missed), (0.0, &all_claimed)] {
        let text = format!("name = 'sensitivity-specificity'\nlambda = {lambda:?}");
        let (value, _) = batch.evaluate(&config(&text));
        assert!((value - 1.0).abs() < 1e-6, "{lambda} {value}");
    }
}

/// Its `max(sum p + sum r, 1)` leaves weights of less than one voxel no gradient.
#[test]
fn fractional_voxel_weights_keep_their_gradient() {
    let mut batch = draw(1, 2, [1, 2, 3], 1.0, 5);
    let (value, gradient) = batch.evaluate(&config(""));
    batch.weights = Some(vec![1e-4; 6]);
    let (light, light_gradient) = batch.evaluate(&config(""));
    assert!((value - light).abs() < 1e-6);
    for (a, b) in gradient.iter().zip(&light_gradient) {
        assert!((a - b).abs() < 1e-6);
    }
}

/// An infinite weight that is masked in the forward pass is NaN in the backward.
#[test]
fn no_gradient_is_nan_where_a_class_is_empty() {
    for text in [
        "",
        "weight = 'simple'",
        "weight = 'volume-sum'",
        "name = 'exponential-logarithmic'",
    ] {
        let (value, gradient) = hard(50, 0, 0..5).evaluate(&config(text));
        assert!(
            value.is_finite() && gradient.iter().all(|g| g.is_finite()),
            "{text}"
        );
    }
}

/// Out of its range a label corrupts the one-hot coding.
#[test]
fn a_label_outside_the_classes_is_an_error() {
    let mut batch = draw(1, 3, [1, 2, 2], 1.0, 1);
    batch.labels[3] = 3;
    let mut gradient = vec![0.0; 12];
    let error = config("")
        .value_and_gradient(&batch.input(), &mut gradient)
        .unwrap_err();
    assert!(matches!(
        error,
        LossError::LabelOutOfRange {
            label: 3,
            element: 3,
            ..
        }
    ));
}

/// Its Wasserstein matrix is that of BRATS, five by five.
#[test]
fn any_distance_matrix_and_number_of_classes() {
    let near =
        "name = 'generalised-wasserstein-dice'\ndistance = [[0, 2, 2], [2, 0, 1], [2, 1, 0]]";
    let mut batch = draw(1, 3, [1, 1, 4], 0.0, 1);
    batch.labels.copy_from_slice(&[0, 0, 1, 2]);
    batch.logits = vec![
        20.0, 20.0, 0.0, 0.0, /* class 1 */ 0.0, 0.0, 0.0, 0.0, /* 2 */ 0.0, 0.0, 20.0,
        20.0,
    ];
    // One label taken for its neighbour at half the distance: T = 1.5, error .5.
    let (value, _) = batch.evaluate(&config(near));
    assert!((value - 0.5 / 3.5).abs() < 1e-7, "{value}");
    assert!(config(near).check(4).is_err());
}

/// An absent class scores 1 or 0, and falls from one to the other within a
/// fraction of a voxel (#23); nnU-Net's has no false-positive gradient (#1159).
#[test]
fn an_absent_class_costs_by_its_volume_and_has_a_gradient() {
    for text in [
        "name = 'dice'",
        "name = 'tversky'",
        "name = 'log-dice'",
        "name = 'lovasz'",
        "",
    ] {
        let config = config(text);
        let values: Vec<f64> = [1, 10, 50]
            .map(|claimed| hard(100, 0, 0..claimed).evaluate(&config).0)
            .into();
        assert!(values[0] < 0.03, "{text} {values:?}");
        assert!(
            values[0] < values[1] && values[1] < values[2],
            "{text} {values:?}"
        );
        let mut batch = hard(100, 0, 0..50);
        batch.logits.iter_mut().for_each(|z| *z *= 0.05);
        let (_, gradient) = batch.evaluate(&config);
        let pull: f64 = gradient[100..150].iter().sum();
        assert!(pull > 1e-3, "{text} {pull}");
    }
}

/// Tiled weights were in another order than the voxels.
#[test]
fn weights_belong_to_their_voxels_and_samples() {
    let mut batch = draw(2, 3, [1, 2, 3], 2.0, 7);
    let mut weights = vec![0.0; 12];
    weights[7] = 3.0;
    batch.weights = Some(weights);
    let (_, gradient) = batch.evaluate(&config("name = 'cross-entropy'"));
    for (i, g) in gradient.iter().enumerate() {
        let own = i / 18 == 1 && i % 6 == 1;
        assert_eq!(*g != 0.0, own, "{i}");
    }
}

/// Softmax of what has been through a softmax: losses take logits only, and
/// logarithms of probabilities are logits.
#[test]
fn logits_go_through_one_softmax() {
    let mut batch = draw(1, 2, [1, 1, 2], 0.0, 1);
    batch.labels.copy_from_slice(&[1, 0]);
    batch.logits = [0.2_f64, 0.6, 0.8, 0.4].map(f64::ln).to_vec();
    let (value, _) = batch.evaluate(&config("name = 'cross-entropy'"));
    assert!((value + (0.8_f64.ln() + 0.6_f64.ln()) / 2.0).abs() < 1e-15);
}
