//! The kernels against the passes in f64.

use super::*;
use crate::layout::CHUNK;
use crate::passes::outcome::Outcome;
use crate::passes::statistics::{StatisticsSum, of_classes};
use crate::{Layout, Loss, LossConfig, Reduction};

/// Logits within `size`, and labels of which higher ones are rarer.
fn draw(layout: Layout, size: f32) -> (Vec<f32>, Vec<u8>) {
    let mut state = (layout.classes * 1000 + layout.elements) as u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let logits = (0..layout.batch * layout.classes * layout.elements)
        .map(|_| size * (2.0 * uniform() - 1.0))
        .collect();
    let labels = (0..layout.batch * layout.elements)
        .map(|_| (uniform().powi(4) * layout.classes as f32) as u8)
        .collect();
    (logits, labels)
}

fn losses() -> Vec<LossConfig> {
    [
        "",
        "weight = 'volume-sum'\ndifferentiate_weight = true",
        "name = 'dice'",
        "name = 'dice'\nform = 'squared'",
        "name = 'sensitivity-specificity'\nform = 'symmetric'",
        "name = 'weighted-cross-entropy'\ndifferentiate_weight = true",
        "name = 'sum'",
    ]
    .map(|text| {
        let mut config: LossConfig = toml::from_str(text).unwrap();
        config.options.reduction = Reduction::Sample;
        config
    })
    .into()
}

/// Largest difference from the f64 path: of the value, relative, and of the
/// gradient, relative to the largest. Where the loss hardly moves, to a
/// hundredth of the change that one element of the sample can make: a
/// gradient that is a small difference of large terms has their error.
fn differences(
    instructions: Instructions,
    config: &LossConfig,
    layout: Layout,
    size: f32,
) -> [f64; 2] {
    let (logits, labels) = draw(layout, size);
    let doubles: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
    let mut expected = vec![0.0f64; doubles.len()];
    let input = Input::new(layout, &doubles, &labels);
    let by_doubles = config.value_and_gradient(&input, &mut expected).unwrap();
    let mut gradient = vec![f32::NAN; logits.len()];
    let mut chunks = Chunk::all(layout, &mut gradient);
    let form = config.named.form();
    let sum = StatisticsSum::of(&form, 0).unwrap();
    let input = Input::new(layout, &logits, &labels);
    let options = &config.options;
    let Outcome { values, counts } =
        of_classes(instructions, &sum, options, &input, &mut chunks).unwrap();
    drop(chunks);
    let value = values.iter().sum::<f64>() / values.len() as f64;
    assert_eq!(
        (counts.tp, counts.fp, counts.fn_),
        (by_doubles.tp, by_doubles.fp, by_doubles.fn_)
    );
    let least = 0.01 / layout.elements as f64;
    let largest = expected.iter().fold(least, |m, g| m.max(g.abs()));
    let furthest = gradient.iter().zip(&expected).fold(0.0f64, |m, (g, e)| {
        assert!(g.is_finite());
        m.max((f64::from(*g) - e).abs())
    });
    [
        (value - by_doubles.value).abs() / by_doubles.value.abs().max(1e-30),
        furthest / largest,
    ]
}

#[test]
fn every_path_agrees_with_f64() {
    let lengths = [1, 7, 8, 9, 15, 16, 17, 33, 257, CHUNK + 13];
    for instructions in Instructions::available() {
        for classes in [2, 3, 4, 5, 6, 7, 8, 16] {
            for elements in lengths {
                for size in [1.0, 20.0, 1e4] {
                    let layout = Layout {
                        batch: 2,
                        classes,
                        elements,
                    };
                    for loss in losses() {
                        let [value, gradient] = differences(instructions, &loss, layout, size);
                        assert!(
                            value < 1e-6 && gradient < 2e-6,
                            "{instructions} {} {layout:?} +-{size}: {value:e} {gradient:e}",
                            loss.named.name()
                        );
                    }
                }
            }
        }
    }
}

/// More classes than the vector kernels take go through f64.
#[test]
fn seventeen_classes_are_computed_too() {
    let layout = Layout {
        batch: 1,
        classes: 17,
        elements: 40,
    };
    let (logits, labels) = draw(layout, 3.0);
    let doubles: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
    let config = LossConfig::default();
    let mut expected = vec![0.0f64; doubles.len()];
    let input = Input::new(layout, &doubles, &labels);
    let by_doubles = config.value_and_gradient(&input, &mut expected);
    let mut gradient = vec![0.0f32; logits.len()];
    let input = Input::new(layout, &logits, &labels);
    let found = config.value_and_gradient(&input, &mut gradient);
    assert_eq!(found, by_doubles);
    let largest = expected.iter().fold(0.0f64, |m, g| m.max(g.abs()));
    for (g, e) in gradient.iter().zip(&expected) {
        assert!((f64::from(*g) - e).abs() <= 1e-6 * largest);
    }
}
