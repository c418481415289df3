//! Defects that losses of other tools have or had, each with a test that it is
//! not here. Numbers in brackets are issues of that tool.

mod inputs;

use inputs::{Batch, assert_differences, config, draw};
use lacuna_losses::{Activation, Input, Layout, LossConfig, LossError, PatchGrid};

fn sigmoid(text: &str) -> LossConfig {
    let mut config = config(text);
    config.options.activation = Activation::Sigmoid;
    config
}

/// `n` elements of two classes; the first `volume` are lesion, and the first
/// `claimed` from `from` on are called lesion.
fn hard(n: usize, volume: usize, claimed: std::ops::Range<usize>) -> Batch {
    let mut batch = draw(1, 2, [1, 1, n], 0.0, 1);
    batch.labels.fill(0);
    batch.labels[..volume].fill(1);
    batch.logits[..n].fill(20.0);
    batch.logits[claimed.clone()].fill(0.0);
    batch.logits[n + claimed.start..n + claimed.end].fill(20.0);
    batch
}

/// One channel of `n` elements with these logits, the first `volume` in the region.
fn channel(n: usize, volume: usize, logit: f64) -> Batch {
    let mut batch = draw(1, 1, [1, 1, n], 0.0, 1);
    batch.labels.fill(0);
    batch.labels[..volume].fill(1);
    batch.logits.fill(logit);
    batch
}

// NiftyNet

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

// MONAI

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
    let (doubled, _) = inputs::evaluate(&config, &input);
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
