//! segmentation_models.pytorch, SegLossOdyssey, and what several tools share.

use crate::inputs::{assert_differences, config, draw, evaluate};
use crate::{channel, hard, sigmoid};
use lacuna_losses::{Input, Layout, LossError, PatchGrid};

// segmentation_models.pytorch

/// Its focal loss of exclusive classes is a sigmoid for each (#671).
#[test]
fn focal_of_exclusive_classes_is_a_softmax() {
    let mut batch = draw(1, 3, [1, 1, 1], 0.0, 1);
    batch.labels[0] = 2;
    // p = 1/3: (2/3)^2 ln 3.
    let (value, _) = batch.evaluate(&config("name = 'focal'"));
    assert!((value - 4.0 / 9.0 * 3.0_f64.ln()).abs() < 1e-14);
}

// SegLossOdyssey

/// It computes the weighted loss and returns the other.
#[test]
fn distance_weights_the_cross_entropy() {
    let batch = draw(1, 2, [1, 4, 5], 2.0, 31);
    let plain = batch.evaluate(&config("name = 'cross-entropy'")).0;
    let weighted = batch.evaluate(&config("name = 'distance-cross-entropy'")).0;
    assert!(weighted > 1.1 * plain);
}

/// Its class weights are .2 and .8 whatever is given, and then not used.
#[test]
fn class_weights_are_those_given() {
    let batch = draw(1, 2, [1, 4, 5], 2.0, 37);
    let of = |w: &str| {
        batch
            .evaluate(&config(&format!(
                "name = 'cross-entropy'\nclass_weight = {w}"
            )))
            .0
    };
    assert!((of("[1.0, 1.0]") - of("[1.0, 9.0]")).abs() > 1e-3);
    assert!((of("[1.0, 9.0]") - of("[2.0, 18.0]")).abs() < 1e-14);
}

/// Its erosion form is NumPy, without a gradient; its distances are in voxels.
#[test]
fn hausdorff_has_a_gradient_and_measures_in_mm() {
    let batch = draw(1, 2, [1, 4, 5], 2.0, 41);
    let config = config("name = 'hausdorff'");
    let (value, gradient) = batch.evaluate(&config);
    assert!(gradient.iter().any(|g| *g != 0.0));
    let mut input = batch.input();
    let PatchGrid { shape, spacing } = input.grid.unwrap();
    input.grid = Some(PatchGrid {
        shape,
        spacing: spacing.map(|mm| 2.0 * mm),
    });
    let (doubled, _) = evaluate(&config, &input);
    assert!((doubled / value - 4.0).abs() < 1e-6);
}

/// Sums in half precision overflow, and in f32 they stop at 2^24 (#463 and
/// NiftyNet); 256^3 voxels with one lesion voxel keep its weight.
#[test]
fn one_voxel_in_two_hundred_and_fifty_six_cubed_counts() {
    let elements = 256 * 256 * 256;
    let layout = Layout {
        batch: 1,
        classes: 2,
        elements,
    };
    let mut logits = vec![0.0_f32; 2 * elements];
    logits[..elements].fill(30.0);
    let mut labels = vec![0; elements];
    labels[12_345_678] = 1;
    let mut gradient = vec![0.0; 2 * elements];
    let input = Input::new(layout, &logits, &labels);
    let missed = config("")
        .value_and_gradient(&input, &mut gradient)
        .unwrap();
    assert!(missed.value > 0.99, "{}", missed.value);
    assert_eq!(missed.fn_, 1);
}

// Several tools

/// A clamp in place had no derivative (MONAI #3618), then no effect (#4656).
#[test]
fn weights_of_an_absent_class_have_the_gradient_of_the_value() {
    let mut batch = draw(1, 3, [1, 3, 4], 2.0, 17);
    batch.labels.iter_mut().for_each(|label| *label %= 2);
    for policy in ["max", "zero", "one-voxel"] {
        let loss = config(&format!("empty_class = '{policy}'"));
        let (_, gradient) = batch.evaluate(&loss);
        assert_differences(&loss, &batch, &gradient);
    }
}

/// Of a pooled batch without a reduction the shapes did not fit (MONAI #5466), and
/// what a tool pools decides what it trains (#807). Two samples with 10 lesion
/// voxels in 100, found and missed.
#[test]
fn samples_and_the_pooled_batch_have_the_values_of_the_equation() {
    let (found, missed) = (hard(100, 10, 0..10), hard(100, 10, 0..0));
    let mut batch = found.twice();
    batch.logits[200..].copy_from_slice(&missed.logits);
    let values = |reduction: &str| {
        let loss = config(&format!("reduction = '{reduction}'"));
        let mut gradient = vec![0.0; 400];
        let evaluation = loss.value_and_gradient(&batch.input(), &mut gradient);
        evaluation.unwrap().values
    };
    // Missed: w = 1/90^2 and 1/10^2, 1 - 2 (90 w_0) / (190 w_0 + 10 w_1) = .82.
    // Pooled: w = 1/180^2 and 1/20^2.
    let pooled = 1.0 - 2.0 * (180.0 / 32400.0 + 10.0 / 400.0) / (370.0 / 32400.0 + 30.0 / 400.0);
    for (reduction, expected) in [
        ("none", vec![0.0, 0.82]),
        ("sample", vec![0.0, 0.82]),
        ("batch", vec![pooled]),
    ] {
        let found = values(reduction);
        assert_eq!(found.len(), expected.len(), "{reduction}");
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{reduction} {found}");
        }
    }
}

/// nnU-Net's Dice is returned with the opposite sign, and losses below 0 were seen
/// with generalised Dice (wolny/pytorch-3dunet #6).
#[test]
fn a_loss_runs_from_zero_to_one() {
    for text in ["", "name = 'dice'", "name = 'tversky'"] {
        let loss = config(&format!("{text}\nclasses = 'foreground'"));
        let (right, _) = hard(100, 10, 0..10).evaluate(&loss);
        let (wrong, _) = hard(100, 10, 10..100).evaluate(&loss);
        assert!((0.0..1e-6).contains(&right), "{text} {right}");
        assert!((1.0 - 1e-6..=1.0).contains(&wrong), "{text} {wrong}");
    }
}

/// SegLossOdyssey's alpha, beta and lambda are constants in its code.
#[test]
fn weights_of_false_positives_and_negatives_are_options() {
    // 10 lesion voxels: all found with as many claimed falsely, and half of them.
    let (more, fewer) = (hard(100, 10, 0..20), hard(100, 10, 0..5));
    for weight in [0.3, 0.5, 2.0] {
        let text = format!("name = 'tversky'\nalpha = {weight:?}\nclasses = 'foreground'");
        let (value, _) = more.evaluate(&config(&text));
        assert!((value - (1.0 - 10.0 / (10.0 + weight * 10.0))).abs() < 1e-6);
        let text = format!("name = 'tversky'\nbeta = {weight:?}\nclasses = 'foreground'");
        let (value, _) = fewer.evaluate(&config(&text));
        assert!((value - (1.0 - 5.0 / (5.0 + weight * 5.0))).abs() < 1e-6);
    }
}

/// nnU-Net's smoothing is another trainer class, and a number of voxels.
#[test]
fn smoothing_is_an_option_and_a_share() {
    for n in [100, 400] {
        let claimed = hard(n, 0, 0..n / 10);
        for smoothing in [1e-2, 1e-1] {
            let text = format!(
                "name = 'dice'\nclasses = 'foreground'\nempty_class = 'smooth'\n\
                 smoothing = {smoothing:?}"
            );
            // s / (P + s), both as shares of the elements.
            let expected = 1.0 - smoothing / (0.1 + smoothing);
            let (value, _) = claimed.evaluate(&config(&text));
            assert!((value - expected).abs() < 1e-6, "{n} {smoothing} {value}");
        }
    }
}

/// SegLossOdyssey's generalised Dice multiplies arrays of three axes only.
#[test]
fn planes_and_volumes_are_the_same_elements() {
    let plane = draw(2, 3, [1, 4, 6], 2.0, 23);
    let mut volume = plane.clone();
    volume.shape = [2, 3, 4];
    for text in ["", "name = 'dice'", "name = 'focal'"] {
        let loss = config(text);
        assert_eq!(plane.evaluate(&loss), volume.evaluate(&loss));
    }
    for text in [
        "name = 'hausdorff'",
        "name = 'boundary'",
        "name = 'cl-dice'",
    ] {
        let (value, gradient) = plane.evaluate(&config(text));
        assert!(value.is_finite() && gradient.iter().any(|g| *g != 0.0));
    }
}

/// MONAI's unified focal loss makes one-hot codes of the predictions where there is
/// one channel, which have no gradient.
#[test]
fn unified_focal_of_one_channel_is_refused() {
    let mut gradient = vec![0.0; 20];
    let found = sigmoid("name = 'unified-focal'")
        .value_and_gradient(&channel(20, 3, 0.0).input(), &mut gradient);
    assert!(matches!(found, Err(LossError::Unsupported { .. })));
}
