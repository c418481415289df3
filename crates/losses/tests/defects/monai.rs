//! MONAI.

use crate::inputs::{config, draw};
use crate::{channel, hard, sigmoid};

/// 1e-5 after weighting is not small beside 1/V: predicting nothing cost .99 for
/// a region of 1e3 voxels and .5 for 1e5.
#[test]
fn predicting_nothing_costs_one_whatever_the_size_of_the_region() {
    for volume in [1_000, 100_000] {
        let (value, _) = channel(200_000, volume, -40.0).evaluate(&sigmoid(""));
        assert!((value - 1.0).abs() < 1e-9, "{volume} {value}");
    }
    // And calling a lesion-free patch lesion costs 1; .184 there.
    let (value, _) = hard(10_000, 0, 0..10_000).evaluate(&config(""));
    assert!((value - 1.0).abs() < 1e-6);
}

/// With every class empty all weights are 0, and so are loss and gradient;
/// segmentation_models.pytorch multiplies absent classes by 0.
#[test]
fn false_positives_cost_where_every_region_is_empty() {
    for text in ["", "name = 'dice'", "name = 'tversky'"] {
        let (value, gradient) = channel(100, 0, 0.0).evaluate(&sigmoid(text));
        assert!((value - 0.5).abs() < 1e-9, "{text} {value}");
        assert!(gradient.iter().all(|g| *g > 0.0), "{text}");
    }
    for classes in ["'foreground'", "[1]"] {
        let text = format!("classes = {classes}");
        let (value, _) = hard(100, 0, 0..30).evaluate(&config(&text));
        assert!((value - 0.3).abs() < 1e-6, "{value}");
    }
}

/// The weights cancelled (#369), and with a pooled batch again (#6765).
#[test]
fn class_weights_do_not_cancel() {
    let batch = draw(2, 3, [1, 3, 4], 2.0, 11);
    for reduction in ["batch", "sample"] {
        let of = |weight: &str| {
            let text = format!("weight = '{weight}'\nreduction = '{reduction}'");
            batch.evaluate(&config(&text)).0
        };
        assert!((of("square") - of("uniform")).abs() > 1e-3, "{reduction}");
    }
}

/// SegLossOdyssey's 1e20 for an absent class: 1e-3 voxel of mass on it saturates
/// the loss of a prediction that is otherwise perfect.
#[test]
fn a_trace_on_an_absent_class_costs_a_trace() {
    let mut batch = draw(1, 3, [1, 1, 1000], 0.0, 1);
    batch.labels.fill(0);
    batch.labels[..100].fill(1);
    for i in 0..1000 {
        let own = usize::from(batch.labels[i]);
        batch.logits[own * 1000 + i] = 30.0;
        // 1e-6 of probability in each of a thousand elements.
        batch.logits[2000 + i] = 30.0 + 1e-6_f64.ln();
    }
    for text in ["", "name = 'dice'", "name = 'tversky'"] {
        let (value, _) = batch.evaluate(&config(text));
        assert!(value < 1e-4, "{text} {value}");
    }
}

/// Dice with a softmax, the focal loss beside it with a sigmoid (#8242).
#[test]
fn all_terms_of_a_sum_have_one_activation() {
    let batch = draw(1, 3, [1, 3, 3], 2.0, 13);
    let terms =
        "name = 'sum'\nterms = [{ loss = { name = 'dice' } }, { loss = { name = 'focal' } }]";
    for make in [config, sigmoid] {
        let (value, _) = batch.evaluate(&make(terms));
        let parts = ["name = 'dice'", "name = 'focal'"].map(|t| batch.evaluate(&make(t)).0);
        assert!((value - parts[0] - parts[1]).abs() < 1e-14);
    }
}

/// The background went before the softmax, which then saw the rest only (#5413).
#[test]
fn the_background_is_left_out_after_the_softmax() {
    let mut batch = draw(1, 2, [1, 1, 4], 0.0, 1);
    batch.labels.copy_from_slice(&[1, 1, 0, 0]);
    batch.logits.fill(0.0);
    // p = 1/2 everywhere: TP 1, V + P = 4. A softmax of one class gives p = 1.
    let (value, _) = batch.evaluate(&config("name = 'dice'\nclasses = 'foreground'"));
    assert!((value - 0.5).abs() < 1e-7, "{value}");
}

/// Masked before the activation, a voxel became half foreground (#657).
#[test]
fn masked_voxels_are_not_half_foreground() {
    let mut batch = channel(10, 2, -40.0);
    batch.logits[..2].fill(40.0);
    batch.logits[2..].fill(0.0);
    let mut mask = vec![0.0; 10];
    mask[..2].fill(1.0);
    batch.weights = Some(mask);
    let (value, gradient) = batch.evaluate(&sigmoid("name = 'dice'"));
    assert!(value < 1e-7, "{value}");
    assert!(gradient[2..].iter().all(|g| *g == 0.0));
}

/// Wrong for more than one sample (#4650).
#[test]
fn the_wasserstein_loss_of_a_batch_is_the_mean_of_its_samples() {
    let batch = draw(3, 3, [1, 3, 4], 2.0, 17);
    let of = config("name = 'generalised-wasserstein-dice'\nreduction = 'sample'");
    let (value, _) = batch.evaluate(&of);
    let alone = |sample: usize| {
        let mut one = batch.clone();
        one.layout.batch = 1;
        one.logits = batch.logits[sample * 36..(sample + 1) * 36].to_vec();
        one.labels = batch.labels[sample * 12..(sample + 1) * 12].to_vec();
        one.evaluate(&of).0
    };
    let mean = (alone(0) + alone(1) + alone(2)) / 3.0;
    assert!((value - mean).abs() < 1e-14);
}

/// No activation, two classes only (#8603).
#[test]
fn unified_focal_takes_logits_and_many_classes() {
    let config = config("name = 'unified-focal'");
    let mut batch = draw(1, 5, [1, 4, 5], 3.0, 19);
    let (value, gradient) = batch.evaluate(&config);
    assert!(gradient.iter().any(|g| *g != 0.0));
    batch.logits.iter_mut().for_each(|z| *z += 7.0);
    assert!((batch.evaluate(&config).0 - value).abs() < 1e-12);
}

/// The background was cut from the only channel, and the loss was 0 (#8239).
#[test]
fn cl_dice_of_one_channel_is_not_zero() {
    let mut batch = draw(1, 1, [1, 5, 7], 1.0, 23);
    batch.labels.fill(0);
    batch.labels[15..20].fill(1);
    let (value, gradient) = batch.evaluate(&sigmoid("name = 'cl-dice'"));
    assert!(value > 0.05 && gradient.iter().any(|g| *g != 0.0));
}

/// Class weights of a subset were those of other classes (#7729).
#[test]
fn class_weights_are_those_of_the_subset() {
    let batch = draw(1, 3, [1, 3, 4], 2.0, 29);
    let weighted = "name = 'dice'\nclasses = 'foreground'\nclass_weight = [9.0, 1.0, 3.0]";
    let (value, _) = batch.evaluate(&config(weighted));
    let of = |class: usize| {
        batch
            .evaluate(&config(&format!("name = 'dice'\nclasses = [{class}]")))
            .0
    };
    assert!((value - (of(1) + 3.0 * of(2)) / 4.0).abs() < 1e-14);
}

/// Of one channel the cross-entropy was left out (1.0.1).
#[test]
fn dice_and_cross_entropy_of_one_channel_are_both_there() {
    let batch = channel(10, 2, 0.0);
    let dice = batch.evaluate(&sigmoid("name = 'dice'")).0;
    let (value, _) = batch.evaluate(&sigmoid("name = 'sum'"));
    assert!((value - dice - 2.0_f64.ln()).abs() < 1e-14);
}
