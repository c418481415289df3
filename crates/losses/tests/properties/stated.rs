//! What the files of the Tversky and the Lovász loss state of them.

use crate::inputs::{Batch, config, draw};
use lacuna_losses::LossConfig;

/// Two classes of which element n is in the class 1 where bit n of `reference` is
/// set, and is called so, with certainty, where bit n of `called` is.
fn certain(elements: usize, reference: u32, called: u32) -> Batch {
    let mut batch = draw(1, 2, [1, 1, elements], 0.0, 1);
    for n in 0..elements {
        let bit = |bits: u32| (bits >> n & 1) as usize;
        batch.labels[n] = bit(reference) as u8;
        // exp(-1600) is 0, also in f64.
        batch.logits[n] = [800.0, -800.0][bit(called)];
        batch.logits[elements + n] = -batch.logits[n];
    }
    batch
}

fn value(text: &str, batch: &Batch) -> f64 {
    batch.evaluate(&config(text)).0
}

fn assert_same(a: &LossConfig, b: &LossConfig, batch: &Batch) {
    let ((a, by_a), (b, by_b)) = (batch.evaluate(a), batch.evaluate(b));
    assert!((a - b).abs() < 1e-14, "{a} {b}");
    for (a, b) in by_a.iter().zip(&by_b) {
        assert!((a - b).abs() < 1e-14, "{a} {b}");
    }
}

/// Both 1/2 is Dice, whose equation has twice the smoothing; both 1 is Jaccard.
#[test]
fn tversky_is_dice_and_jaccard() {
    for seed in 0..8 {
        let batch = draw(2, 3, [2, 3, 4], 4.0, seed);
        let tversky = config("name = 'tversky'\nalpha = 0.5\nbeta = 0.5\nsmoothing = 0.01");
        let dice = config("name = 'dice'\nsmoothing = 0.02");
        assert_same(&tversky, &dice, &batch);
        let tversky = config("name = 'tversky'\nalpha = 1.0\nbeta = 1.0\nsmoothing = 0.01");
        let jaccard = config("name = 'dice'\nform = 'jaccard'\nsmoothing = 0.01");
        assert_same(&tversky, &jaccard, &batch);
    }
}

/// Elements 0 to 4 are lesion and 3 to 5 are called so: TP 2, FP 1, FN 3.
#[test]
fn tversky_weighs_false_positives_and_what_is_missed() {
    let batch = certain(8, 0b0001_1111, 0b0011_1000);
    for (alpha, beta, score) in [
        // 2 / (2 + 1 alpha + 3 beta)
        (0.3, 0.7, 2.0 / 4.4),
        (0.7, 0.3, 2.0 / 3.6),
        // Precision and recall.
        (1.0, 0.0, 2.0 / 3.0),
        (0.0, 1.0, 2.0 / 5.0),
    ] {
        let text = format!(
            "name = 'tversky'\nalpha = {alpha:?}\nbeta = {beta:?}\nclasses = [1]\nsmoothing = 1e-30"
        );
        let found = value(&text, &batch);
        assert!((found - (1.0 - score)).abs() < 1e-12, "{text}: {found}");
    }
}

/// From 0, of the reference alone, to 1, of all that share nothing with it.
#[test]
fn tversky_is_zero_for_the_reference_alone() {
    let tversky = "name = 'tversky'\nclasses = [1]\nsmoothing = 1e-30";
    for reference in 1..16 {
        for called in 0..16 {
            let found = value(tversky, &certain(4, reference, called));
            assert_eq!(
                found == 0.0,
                reference == called,
                "{reference:b} {called:b}"
            );
            assert_eq!(
                found == 1.0,
                reference & called == 0,
                "{reference:b} {called:b}"
            );
            assert!((0.0..=1.0).contains(&found), "{found}");
        }
    }
}

/// Every reference of four elements against every prediction: one minus the
/// elements in both over those in either, of both classes.
#[test]
fn the_lovasz_loss_of_a_hard_prediction_is_the_jaccard_loss() {
    let jaccard =
        |a: u32, b: u32| 1.0 - f64::from((a & b).count_ones()) / f64::from((a | b).count_ones());
    for reference in 1..15_u32 {
        for called in 0..16 {
            let (background, found) = (!reference & 15, !called & 15);
            let of_classes = [jaccard(background, found), jaccard(reference, called)];
            let expected = (of_classes[0] + of_classes[1]) / 2.0;
            let found = value("name = 'lovasz'", &certain(4, reference, called));
            assert!(
                (found - expected).abs() < 1e-14,
                "{reference:b} {called:b}: {found}"
            );
        }
    }
}

/// The probabilities of class 1, as logits.
fn probable(labels: &[u8], p: &[f64]) -> Batch {
    let mut batch = draw(1, 2, [1, 1, p.len()], 0.0, 1);
    batch.labels.copy_from_slice(labels);
    for (n, p) in p.iter().enumerate() {
        batch.logits[n] = (1.0 - p).ln();
        batch.logits[labels.len() + n] = p.ln();
    }
    batch
}

/// An extension is linear while the order of the errors stays: between a wrong
/// prediction and one that is right half-way, half the loss. It is convex, as the
/// Jaccard loss is submodular: between two predictions at most the mean.
#[test]
fn the_lovasz_loss_is_convex_in_the_probabilities_and_scales_with_the_errors() {
    let lovasz = "name = 'lovasz'\nclasses = [1]";
    let labels = [1, 0, 0, 1, 0, 1];
    for seed in 0..50 {
        let draws = draw(2, 2, [1, 1, 6], 0.49, seed).logits;
        let p = |part: usize| -> Vec<f64> {
            draws[6 * part..6 * part + 6]
                .iter()
                .map(|z| 0.5 + z)
                .collect()
        };
        let mean: Vec<f64> = p(0).iter().zip(p(1)).map(|(a, b)| (a + b) / 2.0).collect();
        let at = |p: &[f64]| value(lovasz, &probable(&labels, p));
        let (a, b) = (at(&p(0)), at(&p(1)));
        assert!(at(&mean) <= (a + b) / 2.0 + 1e-12, "{a} {b} {}", at(&mean));

        let closer: Vec<f64> = p(0)
            .iter()
            .zip(labels)
            .map(|(p, label)| (p + f64::from(label)) / 2.0)
            .collect();
        assert!((at(&closer) - a / 2.0).abs() < 1e-12);
    }
}
