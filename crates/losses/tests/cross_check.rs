//! Values of NiftyNet's loss tests, asserted to
//! the digits given there (`*`: recomputed from NiftyNet's definition, because
//! its own tolerance says nothing). Logits are written per element here.
//!
//! NiftyNet's losses are means over samples, its Dice losses have epsilon 1e-5
//! as ours; its generalised Dice has no epsilon but `max(sum p + sum r, 1)` in
//! the denominator.

mod inputs;

use inputs::config;
use lacuna_losses::{Input, Layout, LossConfig, Reduction};

/// Value of the loss, of logits written per element and with voxel weights.
fn weighted<const C: usize>(
    config: &LossConfig,
    logits: &[[f64; C]],
    labels: &[u8],
    weights: &[f32],
) -> f64 {
    let layout = Layout {
        batch: 1,
        classes: C,
        elements: labels.len(),
    };
    let planar: Vec<f64> = (0..C)
        .flat_map(|class| logits.iter().map(move |element| element[class]))
        .collect();
    let mut gradient = vec![0.0; planar.len()];
    let mut input = Input::new(layout, &planar, labels);
    input.weights = Some(weights);
    let evaluation = config.value_and_gradient(&input, &mut gradient).unwrap();
    assert!(gradient.iter().all(|g| g.is_finite()));
    evaluation.value
}

fn value<const C: usize>(config: &LossConfig, logits: &[[f64; C]], labels: &[u8]) -> f64 {
    weighted(config, logits, labels, &vec![1.0; labels.len()])
}

fn close(value: f64, expected: f64, tolerance: f64) {
    assert!(
        (value - expected).abs() <= tolerance,
        "{value} for {expected}"
    );
}

/// The loss as NiftyNet had it.
fn niftynet(text: &str) -> LossConfig {
    config(&format!(
        "{text}\ncompatibility = 'niftynet'\nreduction = 'sample'"
    ))
}

const A: [[f64; 2]; 4] = [[0.0, 10.0], [10.0, 0.0], [10.0, 0.0], [10.0, 0.0]];
const A_LABELS: [u8; 4] = [1, 0, 0, 0];

const DICE: &str = "name = 'dice'\nform = 'squared'";
const DICE_NS: &str = "name = 'dice'";
const GDSC: &str = "name = 'generalised-dice'";
const TVERSKY: &str = "name = 'tversky'\nalpha = 0.5\nbeta = 0.5";
const SENS_SPEC: &str = "name = 'sensitivity-specificity'";
const DICE_PLUS_XENT: &str = "name = 'sum'\nterms = [{ loss = { name = 'dice' } }, \
                              { loss = { name = 'cross-entropy' } }]";

#[test]
fn case_a_nearly_perfect() {
    // *: exactly E/B with weights 1 and 1/9 and q = 1/(1 + e^10):
    // mismatch 4q of both, volumes 2 + 2q and 6 - 2q.
    close(value(&config(""), &A, &A_LABELS), 7.566e-5, 5e-9);
    for dice in [DICE, DICE_NS] {
        close(value(&niftynet(dice), &A, &A_LABELS), 0.0, 1e-4);
        let weights = [1.0, 1.0, 0.0, 0.0];
        close(
            weighted(&niftynet(dice), &A, &A_LABELS, &weights),
            0.0,
            1e-4,
        );
    }
    close(value(&niftynet(SENS_SPEC), &A, &A_LABELS), 4.1219e-9, 5e-14);
    close(value(&niftynet(GDSC), &A, &A_LABELS), 7.566e-5, 5e-9);
    close(value(&niftynet(TVERSKY), &A, &A_LABELS), 0.0, 1e-4);
}

/// Weights 1, 0, 0, 0 with uniform class weights: the background's
/// `sum p + sum r = 4.5e-5` is lifted to 1. Here, without that clamp, the loss of
/// one rightly predicted element is what it misses.
#[test]
fn case_a_one_element_uniform() {
    let weights = [1.0, 0.0, 0.0, 0.0];
    let uniform = "weight = 'uniform'";
    let lifted = weighted(&niftynet(uniform), &A, &A_LABELS, &weights);
    close(lifted, 0.333354, 5e-7);
    let q = 1.0 / (1.0 + 10.0_f64.exp());
    close(
        weighted(&config(uniform), &A, &A_LABELS, &weights),
        q,
        1e-15,
    );
}

#[test]
fn tversky_with_weights() {
    let labels = [1, 0, 1, 0];
    let weights = [1.0, 1.0, 0.0, 0.0];
    close(
        weighted(&niftynet(TVERSKY), &A, &labels, &weights),
        0.0,
        1e-4,
    );
}

#[test]
fn sensitivity_specificity_three_classes() {
    let logits = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    // To 6 digits: the asserted value was computed in f32.
    close(
        value(&niftynet(SENS_SPEC), &logits, &[1, 2]),
        0.145_986_23,
        1e-6,
    );
}

#[test]
fn everything_missed_and_mild_predictions() {
    // Foreground at probability 1 where the label is background. With one
    // element, eps leaves 1 - 1e-5/(1 + 1e-5).
    for dice in [DICE, DICE_NS] {
        close(value(&niftynet(dice), &[[0.0, 100.0]], &[0]), 1.0, 2e-5);
    }
    close(value(&niftynet(TVERSKY), &[[0.0, 100.0]], &[0]), 1.0, 1e-9);
    let logits = [[2.0, 3.0], [9.0, 8.0], [0.0, 0.0], [1.0, 0.0]];
    close(value(&niftynet(DICE), &logits, &A_LABELS), 0.174210, 5e-7);
    close(
        value(&niftynet(DICE_NS), &logits, &A_LABELS),
        0.360888,
        5e-7,
    );
}

/// Two samples of two elements; the loss is the mean of theirs.
#[test]
fn dice_of_a_batch_of_two() {
    let layout = Layout {
        batch: 2,
        classes: 3,
        elements: 2,
    };
    let samples = [
        [[10.0, 0.0, 0.0], [0.0, 0.0, 10.0]],
        [[-10.0, 0.0, 0.0], [0.0, 0.0, 0.0]],
    ];
    let planar: Vec<f64> = samples
        .iter()
        .flat_map(|sample| (0..3).flat_map(move |class| sample.iter().map(move |e| e[class])))
        .collect();
    let mut gradient = vec![0.0; 12];
    let input = Input::new(layout, &planar, &[0, 2, 0, 1]);
    let mut config = niftynet(DICE);
    let found = config.value_and_gradient(&input, &mut gradient).unwrap();
    close(found.value, 1.0 - 0.5816, 5e-5);
    config.options.reduction = Reduction::None;
    let found = config.value_and_gradient(&input, &mut gradient).unwrap();
    close(found.values[0], 0.00014, 5e-6);
    close(found.values[1], 0.83671, 5e-6);
}

#[test]
fn classes_that_are_absent_and_unpredicted_score_one() {
    let logits = [[0.0, 0.0, 999.0], [999.0, 0.0, 0.0]];
    for text in [DICE, DICE_NS] {
        close(value(&niftynet(text), &logits, &[2, 0]), 0.0, 1e-12);
    }
    close(value(&config(""), &logits, &[2, 0]), 0.0, 0.0);
    // NiftyNet's sum is of cross-entropy and of minus the score.
    let sum = value(&niftynet(DICE_PLUS_XENT), &logits, &[2, 0]);
    close(sum - 1.0, -1.0, 1e-12);
}

/// Dice plus cross-entropy is -.320093 = 1/2 ln 2 - 2/3 there: Dice scores 1,
/// 1/2, 1/2, and two of four elements undecided between two classes.
#[test]
fn ties_at_large_logits() {
    let logits = [
        [0.0, 9999.0, 9999.0],
        [9999.0, 0.0, 0.0],
        [0.0, 9999.0, 9999.0],
        [9999.0, 0.0, 0.0],
    ];
    let labels = [2, 0, 1, 0];
    let sum = niftynet(DICE_PLUS_XENT);
    // A sum of 2 in the denominators: eps moves the score by 1e-6 or so.
    close(value(&sum, &logits, &labels) - 1.0, -0.320093, 2e-6);
    let weights = [0.0, 1.0, 0.0, 0.0];
    close(weighted(&sum, &logits, &labels, &weights) - 1.0, -1.0, 1e-9);
    let entropy = value(&config("name = 'cross-entropy'"), &logits, &labels);
    close(entropy, 0.5 * 2.0_f64.ln(), 1e-15);
}

#[test]
fn cross_entropy() {
    let logits = [[0.0, 1.0], [2.0, 0.0]];
    let labels = [1, 0];
    let plain = niftynet("name = 'cross-entropy'");
    close(value(&plain, &logits, &labels), 0.220095, 5e-7);
    close(
        weighted(&plain, &logits, &labels, &[1.0, 2.0]),
        0.189039,
        5e-7,
    );
    // The paper's weight: P = s(1) + s(-2), w = (2 - P)/P.
    let s = |z: f64| 1.0 / (1.0 + (-z).exp());
    let predicted = s(1.0) + s(-2.0);
    // P is below one element, which is what the weight divides by then.
    assert!(predicted < 1.0);
    let expected = -((2.0 - predicted) * s(1.0).ln() + s(2.0).ln()) / 2.0;
    let paper = config("name = 'weighted-cross-entropy'");
    close(value(&paper, &logits, &labels), expected, 1e-15);
}
