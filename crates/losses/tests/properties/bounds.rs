//! Any logits and reference have a finite value within what is stated, whatever
//! their order and number.

use crate::inputs::{Batch, configs, draw, evaluate, name, reads_grid, spread};
use lacuna_losses::{Input, Layout, Loss, LossConfig};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Logits of every magnitude.
fn any_logit() -> impl Strategy<Value = f64> {
    prop_oneof![
        -10.0..10.0_f64,
        -2e4..2e4_f64,
        prop::sample::select(vec![0.0, 1e4, -1e4, 1e300, -1e300, 88.8, -104.0, f64::MAX]),
    ]
}

/// Up to eight classes, some of them absent, the reference perhaps empty or full.
fn any_batch() -> impl Strategy<Value = Batch> {
    let shapes = prop::sample::select(vec![[1, 1, 1], [1, 1, 3], [1, 2, 3], [2, 2, 2]]);
    (1..3_usize, 2..9_usize, shapes).prop_flat_map(|(batch, classes, shape)| {
        let elements: usize = shape.iter().product();
        let label = prop_oneof![Just(0), 0..classes as u8];
        (
            prop::collection::vec(any_logit(), batch * classes * elements),
            prop::collection::vec(label, batch * elements),
            prop::option::of(prop::collection::vec(
                prop::sample::select(vec![0.0_f32, 1.0]),
                batch * elements,
            )),
        )
            .prop_map(move |(logits, labels, weights)| Batch {
                logits,
                labels,
                weights,
                ..draw(batch, classes, shape, 0.0, 1)
            })
    })
}

/// Losses that the theory bounds from below by 0 and, where it does, from above.
fn bounds(config: &LossConfig) -> (f64, f64) {
    let text = name(config);
    let unit = [
        "generalised-dice\"",
        "\"dice\"",
        "sensitivity",
        "tversky\"",
        "generalised-wasserstein-dice",
        "lovasz",
        "cl-dice",
    ];
    let composed = ["sum\"", "blob", "size-reweighted", "as-printed\""];
    let sensitivity = text.contains("symmetric");
    if text.contains("boundary") || text.contains("name = \"dice\" form = \"as-printed\"") {
        (f64::NEG_INFINITY, f64::INFINITY)
    } else if !sensitivity
        && unit.iter().any(|word| text.contains(word))
        && !composed[..3].iter().any(|word| text.contains(word))
    {
        (0.0, 1.0)
    } else {
        (0.0, f64::INFINITY)
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0),
        ..ProptestConfig::default()
    })]

    #[test]
    fn value_and_gradient_are_finite_and_bounded(batch in any_batch()) {
        let singles: Vec<f32> = batch
            .logits
            .iter()
            .map(|z| z.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32)
            .collect();
        for config in configs() {
            for config in spread(&config) {
                let (value, gradient) = batch.evaluate(&config);
                let (least, most) = bounds(&config);
                prop_assert!(value.is_finite(), "{} {value}", name(&config));
                prop_assert!(
                    value >= least - 1e-12 && value <= most + 1e-12,
                    "{} {value}", name(&config)
                );
                prop_assert!(gradient.iter().all(|g| g.is_finite()), "{}", name(&config));
                let mut input = Input::new(batch.layout, &singles, &batch.labels);
                input.grid = batch.input().grid;
                input.weights = batch.weights.as_deref();
                let (value, gradient) = evaluate(&config, &input);
                prop_assert!(value.is_finite(), "{} {value}", name(&config));
                prop_assert!(gradient.iter().all(|g| g.is_finite()), "{}", name(&config));
            }
        }
    }

    /// The softmax's gradient sums to zero over the classes of an element.
    #[test]
    fn a_constant_added_to_all_logits_changes_nothing(batch in any_batch()) {
        let mut batch = batch;
        batch.logits.iter_mut().for_each(|z| *z = z.clamp(-20.0, 20.0));
        let Layout { classes, elements, .. } = batch.layout;
        for config in configs() {
            let (_, gradient) = batch.evaluate(&config);
            let scale = gradient.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
            for sample in gradient.chunks(classes * elements) {
                for i in 0..elements {
                    let sum: f64 = (0..classes).map(|c| sample[c * elements + i]).sum();
                    prop_assert!(sum.abs() <= 1e-12 * scale, "{} {sum}", name(&config));
                }
            }
        }
    }

    #[test]
    fn neither_order_nor_copies_matter(batch in any_batch()) {
        let mut batch = batch;
        // What a region claims is taken from the number of elements, which costs
        // digits where it claims nearly all.
        batch.logits.iter_mut().for_each(|z| *z = z.clamp(-12.0, 12.0));
        for config in configs() {
            for config in spread(&config) {
                let (value, gradient) = batch.evaluate(&config);
                let scale = gradient.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
                let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * scale + 1e-13;

                // One voxel is one voxel, and a paper's epsilon is of elements too.
                let text = name(&config);
                if !text.contains("one-voxel") && !text.contains("as-printed\"")
                    && !text.contains("weighted-cross-entropy")
                {
                    let (twice, doubled) = batch.twice().evaluate(&config);
                    // Weights of lesions are rounded to f32.
                    let rounding = if config.named.reads().lesion { 1e-6 } else { 1e-12 };
                    let off = (value - twice).abs();
                    prop_assert!(off <= rounding * value.abs().max(1.0), "{text}");
                    for (a, b) in gradient.iter().zip(&doubled) {
                        let off = (a - 2.0 * b).abs();
                        prop_assert!(off <= 1e-9f64.max(rounding) * scale + 1e-13, "{text}");
                    }
                }
                if reads_grid(&config) {
                    continue;
                }
                let (turned_value, mut turned) = batch.reversed().evaluate(&config);
                turned.chunks_mut(batch.layout.elements).for_each(<[f64]>::reverse);
                prop_assert!((value - turned_value).abs() <= 1e-12 * value.abs().max(1.0), "{text}");
                for (a, b) in gradient.iter().zip(&turned) {
                    prop_assert!(close(*a, *b), "{text} {a} {b}");
                }
            }
        }
    }
}
