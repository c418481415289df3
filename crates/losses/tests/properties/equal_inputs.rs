//! Inputs that say the same have the same value and gradient.

use crate::inputs::{config, configs, draw, dressed, name, reads_grid, spread};
use lacuna_losses::{Activation, Loss, Reduction};

/// Elements that are ignored, or masked, are as if they were not there.
#[test]
fn ignored_elements_count_nowhere() {
    for config in configs() {
        if reads_grid(&config) {
            continue;
        }
        for mut config in spread(&config) {
            let whole = draw(2, 3, [1, 2, 4], 3.0, 7);
            let mut short = draw(2, 3, [1, 2, 3], 3.0, 8);
            // The last two elements of each sample are cut off, or ignored.
            for plane in 0..6 {
                for at in 0..6 {
                    short.logits[plane * 6 + at] = whole.logits[plane * 8 + at];
                }
            }
            for sample in 0..2 {
                for at in 0..6 {
                    short.labels[sample * 6 + at] = whole.labels[sample * 8 + at];
                }
            }
            let (expected, expected_gradient) = short.evaluate(&config);

            let mut masked = whole.clone();
            let weight = |i: usize| if i % 8 < 6 { 1.0 } else { 0.0 };
            masked.weights = Some((0..16).map(weight).collect());
            let mut ignored = whole.clone();
            for i in (0..16).filter(|i| i % 8 >= 6) {
                ignored.labels[i] = 255;
            }
            let plain = config.clone();
            config.options.ignore_label = Some(255);
            for (config, batch) in [(&plain, &masked), (&config, &ignored)] {
                let (value, gradient) = batch.evaluate(config);
                assert!((value - expected).abs() < 1e-13, "{}", name(config));
                for (i, g) in gradient.iter().enumerate() {
                    let expected = match i % 8 < 6 {
                        true => expected_gradient[i / 8 * 6 + i % 8],
                        false => 0.0,
                    };
                    assert!((g - expected).abs() < 1e-13, "{} {g}", name(config));
                }
            }
        }
    }
}

/// A soft label names no class that could be ignored.
#[test]
fn an_ignored_label_beside_soft_labels_is_refused() {
    let mut config = config("name = 'dice'");
    let batch = dressed(draw(1, 3, [1, 2, 2], 1.0, 1), &config, 1);
    config.options.ignore_label = Some(2);
    let mut gradient = vec![0.0; 12];
    let error = config
        .value_and_gradient(&batch.input(), &mut gradient)
        .unwrap_err();
    assert!(
        error.to_string().contains("ignore_label with soft labels"),
        "{error}"
    );
}

/// Shares of 0 and 1 are hard labels.
#[test]
fn one_hot_soft_labels_are_labels() {
    for config in configs() {
        if !config.named.honours().soft_labels {
            continue;
        }
        for config in spread(&config) {
            // With soft labels every channel is a region, the first too.
            let regions = config.options.activation == Activation::Sigmoid;
            if regions && config.named.reads().lesion {
                continue;
            }
            let hard = draw(2, 4, [1, 2, 4], 3.0, 17);
            let mut soft = hard.clone();
            let share = |i: usize| {
                let (sample, class, at) = (i / 32, i / 8 % 4, i % 8);
                f64::from(u8::from(usize::from(hard.labels[sample * 8 + at]) == class))
            };
            soft.soft = Some((0..64).map(share).collect());
            let (value, gradient) = hard.evaluate(&config);
            let (soft_value, soft_gradient) = soft.evaluate(&config);
            assert!((value - soft_value).abs() < 1e-14, "{}", name(&config));
            for (a, b) in gradient.iter().zip(&soft_gradient) {
                assert!((a - b).abs() < 1e-14, "{}", name(&config));
            }
        }
    }
}

/// `none` gives the values that samples have alone, `sample` their mean.
#[test]
fn reductions_are_of_the_same_values() {
    for config in configs() {
        for config in spread(&config) {
            let batch = draw(3, 3, [1, 3, 3], 2.0, 33);
            let run = |reduction| {
                let mut config = config.clone();
                config.options.reduction = reduction;
                let mut gradient = vec![0.0; batch.logits.len()];
                let input = batch.input();
                let evaluation = config.value_and_gradient(&input, &mut gradient).unwrap();
                (evaluation, gradient)
            };
            let (none, none_gradient) = run(Reduction::None);
            let (sample, sample_gradient) = run(Reduction::Sample);
            assert_eq!(none.values.len(), 3);
            let mean = none.values.iter().sum::<f64>() / 3.0;
            assert!((sample.value - mean).abs() < 1e-14);
            for (a, b) in none_gradient.iter().zip(&sample_gradient) {
                assert!((a / 3.0 - b).abs() < 1e-14, "{}", name(&config));
            }
            for (i, value) in none.values.iter().enumerate() {
                let mut alone = batch.clone();
                alone.layout.batch = 1;
                alone.logits = batch.logits[i * 27..(i + 1) * 27].to_vec();
                alone.labels = batch.labels[i * 9..(i + 1) * 9].to_vec();
                let (expected, gradient) = alone.evaluate(&config);
                assert!((value - expected).abs() < 1e-13, "{}", name(&config));
                for (a, b) in gradient.iter().zip(&none_gradient[i * 27..]) {
                    assert!((a - b).abs() < 1e-13, "{}", name(&config));
                }
            }
        }
    }
}

/// One region alone: a channel of its own, on where the label is 1.
#[test]
fn a_single_sigmoid_channel_is_a_two_class_softmax() {
    for text in [
        "name = 'dice'",
        "name = 'dice'\nform = 'squared'",
        "name = 'cross-entropy'",
        "name = 'focal'",
        "name = 'weighted-cross-entropy'\ndifferentiate_weight = true",
    ] {
        let mut two = config(text);
        let one_channel = draw(1, 1, [1, 3, 4], 3.0, 3);
        let mut two_classes = one_channel.clone();
        two_classes.layout.classes = 2;
        two_classes.logits = vec![0.0; 12];
        two_classes.logits.extend(&one_channel.logits);
        if text.contains("dice") {
            two = config(&format!("{text}\nclasses = 'foreground'"));
        }
        let mut one = config(text);
        one.options.activation = Activation::Sigmoid;
        let (value, gradient) = one_channel.evaluate(&one);
        let (expected, expected_gradient) = two_classes.evaluate(&two);
        assert!(
            (value - expected).abs() < 1e-14,
            "{text} {value} {expected}"
        );
        for (g, e) in gradient.iter().zip(&expected_gradient[12..]) {
            assert!((g - e).abs() < 1e-14, "{text} {g} {e}");
        }
    }
}
