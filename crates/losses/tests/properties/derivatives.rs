//! Gradients are those of the value, and point to the reference, where it is least.

use crate::inputs::{Batch, assert_differences, configs, draw, dressed, name, reads_grid, spread};
use lacuna_losses::{Loss, LossConfig};

/// Losses whose gradient leaves something out on purpose: a weight that is held
/// constant.
fn detached(config: &LossConfig) -> bool {
    matches!(name(config), n if n.contains("weighted-cross-entropy")
        && !n.contains("differentiate_weight = true"))
}

#[test]
fn gradients_are_finite_differences_of_the_value() {
    for config in configs().iter().filter(|c| !detached(c)) {
        for config in spread(config) {
            for (classes, seed) in [(2, 1), (3, 2), (5, 3)] {
                let plain = draw(2, classes, [1, 3, 3], 3.0, seed);
                let mut absent = plain.clone();
                absent.labels.iter_mut().for_each(|l| *l %= 2);
                absent.labels[..9].fill(0);
                for batch in [dressed(plain.clone(), &config, seed), absent, plain] {
                    let (_, gradient) = batch.evaluate(&config);
                    assert_differences(&config, &batch, &gradient);
                }
            }
        }
    }
}

/// The value at which a loss cannot be improved.
fn stated_minimum(config: &LossConfig, batch: &Batch) -> Option<f64> {
    let text = name(config);
    // Those whose least value is not 0: as-printed Dice, boundary (negative),
    // smoothed labels (an entropy).
    let other = ["as-printed\"", "boundary", "label_smoothing = 0.1"];
    let sensitivity = text.contains("sensitivity");
    if !sensitivity && other.iter().any(|word| text.contains(word)) {
        return None;
    }
    let _ = batch;
    Some(0.0)
}

#[test]
fn a_perfect_prediction_costs_nothing() {
    for config in configs() {
        for config in spread(&config) {
            for classes in 2..=4 {
                let mut batch = draw(2, classes, [1, 3, 5], 1.0, 90);
                for (i, z) in batch.logits.iter_mut().enumerate() {
                    let (sample, class, at) = (i / 15 / classes, i / 15 % classes, i % 15);
                    let own = usize::from(batch.labels[sample * 15 + at]) == class;
                    *z = if own { 800.0 } else { -800.0 };
                }
                let Some(minimum) = stated_minimum(&config, &batch) else {
                    continue;
                };
                let (value, gradient) = batch.evaluate(&config);
                assert!((value - minimum).abs() < 1e-12, "{} {value}", name(&config));
                let largest = gradient.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
                assert!(largest < 1e-12, "{} {largest}", name(&config));
            }
        }
    }
}

/// One step of probability toward the reference never raises a loss.
#[test]
fn moving_toward_the_reference_never_raises_a_loss() {
    for config in configs() {
        let text = name(&config);
        let claims_nothing = ["volume-sum", "label_smoothing = 0.1"];
        if detached(&config) || claims_nothing.iter().any(|word| text.contains(word)) {
            continue;
        }
        for config in spread(&config) {
            for seed in 0..8 {
                let classes = 2 + seed as usize % 3;
                let mut batch = draw(2, classes, [1, 3, 4], 2.0, 500 + seed);
                if config.named.reads().distance || reads_grid(&config) {
                    continue;
                }
                let mut last = batch.evaluate(&config).0;
                for _ in 0..6 {
                    for (i, z) in batch.logits.iter_mut().enumerate() {
                        let (sample, class, at) = (i / 12 / classes, i / 12 % classes, i % 12);
                        let own = usize::from(batch.labels[sample * 12 + at]) == class;
                        *z += if own { 0.5 } else { -0.5 };
                    }
                    let value = batch.evaluate(&config).0;
                    assert!(value <= last + 1e-12, "{} {value} {last}", name(&config));
                    last = value;
                }
            }
        }
    }
}
