//! Values of NiftyNet's loss tests for inputs without weight maps, asserted to
//! the digits given there (`*`: recomputed from NiftyNet's definition, because
//! its own tolerance says nothing). Logits are written per element here.
//!
//! NiftyNet's losses are means over samples, its Dice losses have epsilon 1e-5
//! as ours; its generalised Dice has no epsilon but `max(sum p + sum r, 1)` in
//! the denominator.

use lacuna_losses::{ClassWeight, Statistics, StatisticsGradient};
use lacuna_losses::{
    Dice, Evaluation, GeneralisedDice, Layout, Loss, Reduction, SensitivitySpecificity,
    SensitivitySpecificityForm, WeightedCrossEntropy, value_and_gradient,
};

fn evaluate<const C: usize>(loss: &dyn Loss, logits: &[[f64; C]], labels: &[u8]) -> Evaluation {
    let layout = Layout {
        batch: 1,
        classes: C,
        elements: labels.len(),
    };
    let planar: Vec<f64> = (0..C)
        .flat_map(|class| logits.iter().map(move |element| element[class]))
        .collect();
    let mut gradient = vec![0.0; planar.len()];
    let evaluation = value_and_gradient(
        loss,
        Reduction::Sample,
        layout,
        &planar,
        labels,
        &mut gradient,
    )
    .unwrap();
    assert!(gradient.iter().all(|g| g.is_finite()));
    evaluation
}

fn value<const C: usize>(loss: &dyn Loss, logits: &[[f64; C]], labels: &[u8]) -> f64 {
    evaluate(loss, logits, labels).value
}

fn close(value: f64, expected: f64, tolerance: f64) {
    assert!(
        (value - expected).abs() <= tolerance,
        "{value} for {expected}"
    );
}

/// NiftyNet's Dice_NS: the default form, 1 - mean (2 sum rp + eps) / (sum p + sum r + eps).
fn dice() -> Dice {
    Dice::default()
}

fn symmetric(lambda: f64) -> SensitivitySpecificity {
    SensitivitySpecificity {
        form: SensitivitySpecificityForm::Symmetric,
        lambda,
        ..SensitivitySpecificity::default()
    }
}

const A: [[f64; 2]; 4] = [[0.0, 10.0], [10.0, 0.0], [10.0, 0.0], [10.0, 0.0]];
const A_LABELS: [u8; 4] = [1, 0, 0, 0];

#[test]
fn case_a_nearly_perfect() {
    // *: exactly E/B with weights 1 and 1/9 and q = 1/(1 + e^10):
    // mismatch 4q of both, volumes 2 + 2q and 6 - 2q.
    close(
        value(&GeneralisedDice::default(), &A, &A_LABELS),
        7.566e-5,
        5e-9,
    );
    close(value(&dice(), &A, &A_LABELS), 0.0, 1e-4);
    close(value(&symmetric(0.05), &A, &A_LABELS), 4.1219e-9, 5e-14);
    // Weights 1, 1, 0, 0 there: the first two elements here.
    close(value(&dice(), &A[..2], &A_LABELS[..2]), 0.0, 1e-4);
}

/// Weights 1, 0, 0, 0 and uniform class weights give .333354 in NiftyNet: the
/// background's `sum p + sum r = 4.5e-5` is lifted to 1. Without that clamp the
/// loss of one rightly predicted element is nearly 0.
#[test]
fn case_a_one_element_uniform() {
    let uniform = GeneralisedDice {
        weight: ClassWeight::Uniform,
        ..GeneralisedDice::default()
    };
    let q = 1.0 / (1.0 + 10.0_f64.exp());
    close(value(&uniform, &A[..1], &A_LABELS[..1]), q, 1e-15);
    let clamped = 1.0 - 2.0 * (1.0 - q) / ((2.0 - q) + 1.0);
    close(clamped, 0.333354, 5e-6);
}

#[test]
fn sensitivity_specificity_three_classes() {
    let logits = [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    // To 6 digits: the asserted value was computed in f32 with other epsilons.
    close(
        value(&symmetric(0.05), &logits, &[1, 2]),
        0.145_986_23,
        1e-6,
    );
}

#[test]
fn everything_missed_and_mild_predictions() {
    // Foreground at probability 1 where the label is background. With one
    // element, eps leaves 1 - 1e-5/(1 + 1e-5).
    close(value(&dice(), &[[0.0, 100.0]], &[0]), 1.0, 2e-5);
    let logits = [[2.0, 3.0], [9.0, 8.0], [0.0, 0.0], [1.0, 0.0]];
    close(value(&dice(), &logits, &A_LABELS), 0.360888, 5e-7);
}

#[test]
fn classes_that_are_absent_and_unpredicted_score_one() {
    let logits = [[0.0, 0.0, 999.0], [999.0, 0.0, 0.0]];
    close(value(&dice(), &logits, &[2, 0]), 0.0, 1e-12);
    close(
        value(&GeneralisedDice::default(), &logits, &[2, 0]),
        0.0,
        0.0,
    );
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
    let score = 1.0 - value(&dice(), &logits, &labels);
    // A sum of 2 in the denominators: eps moves the score by 1e-6 or so.
    close(score, 2.0 / 3.0, 2e-6);
    let entropy = value(&CrossEntropy, &logits, &labels);
    close(entropy, 0.5 * 2.0_f64.ln(), 1e-15);
    close(entropy - score, -0.320093, 2e-6);
}

/// Plain cross-entropy, to check the log-probabilities by themselves.
struct CrossEntropy;

impl Loss for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn evaluate(&self, s: &Statistics) -> (f64, StatisticsGradient) {
        let mut gradient = StatisticsGradient::zeros(s.classes());
        let mut value = 0.0;
        for l in 0..s.classes() {
            value -= s.sum_log_p(l) / s.elements();
            *gradient.sum_log_p_mut(l) = -1.0 / s.elements();
        }
        (value, gradient)
    }
}

#[test]
fn cross_entropy() {
    let logits = [[0.0, 1.0], [2.0, 0.0]];
    let labels = [1, 0];
    close(value(&CrossEntropy, &logits, &labels), 0.220095, 5e-7);
    // Elements weighted 1, 2.
    let of = |i: usize| value(&CrossEntropy, &logits[i..=i], &labels[i..=i]);
    close((of(0) + 2.0 * of(1)) / 3.0, 0.189039, 5e-7);
    // The paper's weight: P = s(1) + s(-2), w = (2 - P)/P.
    let s = |z: f64| 1.0 / (1.0 + (-z).exp());
    let predicted = s(1.0) + s(-2.0);
    // P is below one element, which is what the weight divides by then.
    assert!(predicted < 1.0);
    let expected = -((2.0 - predicted) * s(1.0).ln() + s(2.0).ln()) / 2.0;
    close(
        value(&WeightedCrossEntropy::default(), &logits, &labels),
        expected,
        1e-15,
    );
}
