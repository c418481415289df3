//! Bits do not depend on the number of threads, and f32 logits have the values of
//! the same f64 logits.

use crate::inputs::{Batch, config, configs, draw, evaluate, name, one_hot, spread};
use lacuna_losses::{Input, Layout, Loss, PatchGrid, Reference};

fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(work)
}

/// Three chunks of work, f32 and f64.
#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    let batch = draw(2, 3, [3, 90, 91], 4.0, 5);
    let narrow: Vec<f32> = batch.logits.iter().map(|&z| z as f32).collect();
    for config in configs() {
        let run = |threads| {
            in_pool(threads, || {
                let mut input = Input::new(batch.layout, &narrow, &batch.labels);
                input.grid = batch.input().grid;
                (batch.evaluate(&config), evaluate(&config, &input))
            })
        };
        let ((a, a_gradient), (b, b_gradient)) = run(1);
        let ((c, c_gradient), (d, d_gradient)) = run(3);
        assert_eq!(
            (a.to_bits(), b.to_bits()),
            (c.to_bits(), d.to_bits()),
            "{}",
            name(&config)
        );
        assert!(a_gradient == c_gradient && b_gradient == d_gradient);
    }
}

/// What a batch is given beside logits and labels.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dress {
    Plain,
    Ignored,
    Mask,
    Weights,
    WeightsAndIgnored,
    Soft,
    WeightsAndSoft,
    OneHot,
}

/// f32 logits give the value and the gradient of the same f64 logits, rounded:
/// by other code, for weights, ignored and soft labels, regions and plain batches.
#[test]
fn an_f32_gradient_is_the_f64_gradient_rounded() {
    use Dress::*;
    let mask: Vec<f32> = (0..100).map(|i| f32::from(i % 3 != 0)).collect();
    let fractions: Vec<f32> = (0..100).map(|i| (i % 5) as f32 / 3.0).collect();
    for config in configs() {
        for mut config in spread(&config) {
            let honours = config.named.honours();
            for classes in 2..=4 {
                let mut batch = draw(2, classes, [2, 5, 5], 7.0, 70 + classes as u64);
                let narrow: Vec<f32> = batch.logits.iter().map(|&z| z as f32).collect();
                batch.logits = narrow.iter().map(|&z| f64::from(z)).collect();
                // Shares that f32 has too; a quarter goes to the neighbour in the batch.
                let one_hot = one_hot(&batch);
                let neighbours = one_hot.iter().cycle().skip(batch.layout.elements * classes);
                let soft: Vec<f64> = (one_hot.iter().zip(neighbours))
                    .map(|(own, other)| 0.75 * own + 0.25 * other)
                    .collect();
                for dress in [
                    Plain,
                    Ignored,
                    Mask,
                    Weights,
                    WeightsAndIgnored,
                    Soft,
                    WeightsAndSoft,
                    OneHot,
                ] {
                    let is_soft = matches!(dress, Soft | WeightsAndSoft);
                    let weighted = matches!(dress, Weights | WeightsAndIgnored | WeightsAndSoft);
                    if is_soft && !honours.soft_labels || weighted && !honours.weights {
                        continue;
                    }
                    let ignored = matches!(dress, Ignored | WeightsAndIgnored);
                    config.options.ignore_label = ignored.then_some(1);
                    batch.weights = match dress {
                        Mask => Some(mask.clone()),
                        _ => weighted.then(|| fractions.clone()),
                    };
                    batch.soft = match dress {
                        OneHot => Some(one_hot.clone()),
                        _ => is_soft.then(|| soft.clone()),
                    };
                    let shares: Option<Vec<f32>> =
                        (batch.soft.as_ref()).map(|soft| soft.iter().map(|s| *s as f32).collect());
                    let mut input = Input::new(batch.layout, &narrow, &batch.labels);
                    if let Some(shares) = &shares {
                        input.reference = Reference::Soft(shares);
                    }
                    input.grid = batch.input().grid;
                    input.weights = batch.weights.as_deref();
                    let what = format!("{} {classes} {dress:?}", name(&config));
                    let mut gradient = vec![f32::NAN; narrow.len()];
                    let found = config.value_and_gradient(&input, &mut gradient).unwrap();
                    let mut expected_gradient = vec![f64::NAN; narrow.len()];
                    let expected = config
                        .value_and_gradient(&batch.input(), &mut expected_gradient)
                        .unwrap();
                    let off = (found.value - expected.value).abs();
                    let scale = expected.value.abs().max(1e-3);
                    assert!(off <= 2e-6 * scale, "{what} {found:?} {expected:?}");
                    let counts = |e: &lacuna_losses::Evaluation| (e.tp, e.fp, e.fn_);
                    assert_eq!(counts(&found), counts(&expected), "{what}");
                    let largest = expected_gradient
                        .iter()
                        .fold(0.0_f64, |m, g| m.max(g.abs()));
                    for (g, e) in gradient.iter().zip(&expected_gradient) {
                        // A few roundings of f32 in losses of single elements.
                        let off = (f64::from(*g) - e).abs();
                        assert!(off <= 4e-6 * largest, "{what} {g} {e}");
                    }
                }
            }
        }
    }
}

/// 2^24 + 1 = 97 * 257 * 673 elements, more than an f32 can count, all alike:
/// the loss is that of one of them, and an element's gradient its share.
#[test]
fn more_elements_than_an_f32_can_count() {
    assert_eq!(16_777_216.0_f32 + 1.0, 16_777_216.0_f32);
    let shape = [97, 257, 673];
    let elements = 16_777_217;
    let layout = Layout {
        batch: 1,
        classes: 2,
        elements,
    };
    let mut logits = vec![0.0_f32; 2 * elements];
    logits[elements..].fill(1.0);
    let labels = vec![0; elements];
    let mut gradient = vec![0.0_f32; 2 * elements];
    for text in [
        "",
        "name = 'dice'\nform = 'squared'",
        "name = 'cross-entropy'",
        "name = 'weighted-cross-entropy'\ndifferentiate_weight = true",
        "name = 'sensitivity-specificity'\nform = 'symmetric'",
        "name = 'focal'",
        "name = 'cross-entropy'\nlabel_smoothing = 0.1",
    ] {
        let config = config(text);
        let mut input = Input::new(layout, &logits, &labels);
        input.grid = Some(PatchGrid {
            shape: lacuna_volume::Zyx(shape),
            spacing: lacuna_volume::Zyx([1.0; 3]),
        });
        let evaluation = config.value_and_gradient(&input, &mut gradient).unwrap();
        let one = draw(1, 2, [1, 1, 1], 0.0, 1);
        let one = Batch {
            logits: vec![0.0, 1.0],
            labels: vec![0],
            ..one
        };
        let (value, slopes) = one.evaluate(&config);
        assert!((evaluation.value / value - 1.0).abs() < 1e-6, "{text}");
        assert_eq!(evaluation.fp, 16_777_217);
        for at in [0, elements / 2, elements - 1] {
            let expected = slopes[0] / elements as f64;
            let found = f64::from(gradient[at]);
            assert!(
                (found / expected - 1.0).abs() < 1e-4,
                "{text} {found} {expected}"
            );
        }
    }
}
