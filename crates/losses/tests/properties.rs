//! What holds for every loss with every option: finite differences, finiteness,
//! a perfect prediction, independence of the order of the elements, of the size
//! of the batch and of the number of threads.

mod inputs;

use inputs::{Batch, assert_differences, config, configs, draw, dressed, evaluate, name, spread};
use lacuna_losses::{Activation, Input, Layout, Loss, LossConfig, PatchGrid, Reduction, Reference};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Losses whose gradient leaves something out on purpose: a weight that is held
/// constant.
fn detached(config: &LossConfig) -> bool {
    matches!(name(config), n if n.contains("weighted-cross-entropy")
        && !n.contains("differentiate_weight = true"))
}

/// Losses that look at neighbours or distances.
fn reads_grid(config: &LossConfig) -> bool {
    let reads = config.named.reads();
    reads.distance || reads.lesion || reads.grid
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

fn one_hot(batch: &Batch) -> Vec<f64> {
    let Layout {
        classes, elements, ..
    } = batch.layout;
    let samples = batch.labels.chunks(elements);
    let planes = samples.flat_map(|labels| (0..classes).map(move |class| (labels, class)));
    planes
        .flat_map(|(labels, class)| {
            (labels.iter()).map(move |label| f64::from(u8::from(usize::from(*label) == class)))
        })
        .collect()
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
            shape,
            spacing: [1.0; 3],
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
    let unit = ["generalised-dice\"", "\"dice\"", "sensitivity"];
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
        let narrow: Vec<f32> = batch
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
                let mut input = Input::new(batch.layout, &narrow, &batch.labels);
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
