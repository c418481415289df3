//! What holds for every loss and every option: finite differences, finiteness,
//! independence of the order of the elements.

use lacuna_losses::{
    ClassWeight, Dice, DiceForm, EmptyClass, GeneralisedDice, Layout, Loss, Reduction,
    SensitivitySpecificity, SensitivitySpecificityForm, Statistics, StatisticsGradient,
    WeightedCrossEntropy, value_and_gradient,
};
use proptest::prelude::*;

/// Every loss in every form. `differentiable`: the gradient is that of the
/// value, without a weight held constant.
fn losses(differentiable: bool) -> Vec<Box<dyn Loss>> {
    let mut all: Vec<Box<dyn Loss>> = Vec::new();
    for empty_class in [EmptyClass::Max, EmptyClass::Zero, EmptyClass::OneVoxel] {
        for (weight, differentiate_weight) in [
            (ClassWeight::Square, false),
            (ClassWeight::Simple, false),
            (ClassWeight::Uniform, false),
            (ClassWeight::VolumeSum, true),
            (ClassWeight::VolumeSum, false),
        ] {
            if weight == ClassWeight::VolumeSum && !differentiate_weight && differentiable {
                continue;
            }
            all.push(Box::new(GeneralisedDice {
                weight,
                empty_class,
                differentiate_weight,
            }));
        }
    }
    for form in [DiceForm::FactorTwo, DiceForm::AsPrinted] {
        for epsilon in [1e-5, 1.0] {
            all.push(Box::new(Dice { form, epsilon }));
        }
    }
    for form in [
        SensitivitySpecificityForm::AsPrinted,
        SensitivitySpecificityForm::Symmetric,
    ] {
        for lambda in [0.0, 0.05, 1.0] {
            all.push(Box::new(SensitivitySpecificity {
                form,
                lambda,
                epsilon: 1e-5,
            }));
        }
    }
    all.push(Box::new(WeightedCrossEntropy {
        differentiate_weight: true,
    }));
    if !differentiable {
        all.push(Box::new(WeightedCrossEntropy::default()));
    }
    all
}

thread_local! {
    /// Keeps the many tiny evaluations of a test on its own thread.
    static HERE: rayon::ThreadPool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread()
        .build()
        .unwrap();
}

fn evaluate(
    loss: &dyn Loss,
    reduction: Reduction,
    layout: Layout,
    logits: &[f64],
    labels: &[u8],
) -> (f64, Vec<f64>) {
    HERE.with(|_| ());
    let mut gradient = vec![0.0; logits.len()];
    let evaluation =
        value_and_gradient(loss, reduction, layout, logits, labels, &mut gradient).unwrap();
    (evaluation.value, gradient)
}

/// Asserts `gradient` against central differences of the value of `loss`.
fn assert_differences(
    loss: &dyn Loss,
    reduction: Reduction,
    layout: Layout,
    logits: &[f64],
    labels: &[u8],
    gradient: &[f64],
) {
    let scale = gradient.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
    let step = 1e-4;
    let at = |i: usize, shift: f64| {
        let mut moved = logits.to_vec();
        moved[i] += shift;
        evaluate(loss, reduction, layout, &moved, labels).0
    };
    for (i, &g) in gradient.iter().enumerate() {
        // Fourth order: the error of the difference stays far below 1e-6.
        let near = at(i, step) - at(i, -step);
        let far = at(i, 2.0 * step) - at(i, -2.0 * step);
        let difference = (8.0 * near - far) / (12.0 * step);
        assert!(
            (g - difference).abs() <= 1e-6 * scale + 1e-11,
            "{} {reduction:?} {layout:?} at {i}: {g} for {difference}",
            loss.name()
        );
    }
}

/// Logits of moderate size and any labels, from a fixed linear congruence.
fn draw(layout: Layout, seed: u64, absent: Option<u8>) -> (Vec<f64>, Vec<u8>) {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut uniform = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let logits = (0..layout.batch * layout.classes * layout.elements)
        .map(|_| 6.0 * uniform() - 3.0)
        .collect();
    let labels = (0..layout.batch * layout.elements)
        .map(|_| (uniform() * layout.classes as f64) as u8)
        .map(|label| if Some(label) == absent { 0 } else { label })
        .collect();
    (logits, labels)
}

#[test]
fn gradients_are_finite_differences_of_the_value() {
    for classes in 2..=5 {
        let layout = Layout {
            batch: 2,
            classes,
            elements: 7,
        };
        for absent in [None, Some(1), Some(0)] {
            let (logits, labels) = draw(layout, classes as u64, absent);
            for loss in losses(true) {
                for reduction in [Reduction::Batch, Reduction::Sample] {
                    let (_, gradient) =
                        evaluate(loss.as_ref(), reduction, layout, &logits, &labels);
                    assert_differences(
                        loss.as_ref(),
                        reduction,
                        layout,
                        &logits,
                        &labels,
                        &gradient,
                    );
                }
            }
        }
    }
}

/// Every loss is 0, and hardly moves, where every element is right beyond
/// doubt; the Dice loss as printed is less by its epsilons.
#[test]
fn a_perfect_prediction_costs_nothing() {
    for classes in 2..=4 {
        let layout = Layout {
            batch: 2,
            classes,
            elements: 15,
        };
        let (_, labels) = draw(layout, 90, None);
        let mut logits = vec![-400.0; 30 * classes];
        for (i, &label) in labels.iter().enumerate() {
            logits[(i / 15 * classes + usize::from(label)) * 15 + i % 15] = 400.0;
        }
        let printed = Dice {
            form: DiceForm::AsPrinted,
            ..Dice::default()
        };
        let losses = losses(false).into_iter().filter(|l| l.name() != "dice");
        for loss in losses.chain([Box::new(Dice::default()) as Box<dyn Loss>]) {
            for reduction in [Reduction::Batch, Reduction::Sample] {
                let (value, gradient) =
                    evaluate(loss.as_ref(), reduction, layout, &logits, &labels);
                assert!((0.0..1e-300).contains(&value), "{} {value}", loss.name());
                assert!(gradient.iter().all(|g| g.abs() < 1e-300));
            }
        }
        let (value, _) = evaluate(&printed, Reduction::Batch, layout, &logits, &labels);
        assert!(value < 0.0 && value > -1e-5, "{value}");
    }
}

/// A loss with the weights of its class given: what a detached weight means.
enum Constant {
    CrossEntropy(Vec<f64>),
    GeneralisedDice(Vec<f64>),
}

impl Loss for Constant {
    fn name(&self) -> &'static str {
        "constant weights"
    }

    fn evaluate(&self, s: &Statistics) -> (f64, StatisticsGradient) {
        let sum = |w: &[f64], term: &dyn Fn(usize) -> f64| -> f64 {
            w.iter().enumerate().map(|(l, w)| w * term(l)).sum()
        };
        let value = match self {
            Self::CrossEntropy(w) => -sum(w, &|l| s.sum_log_p(l)) / s.elements(),
            Self::GeneralisedDice(w) => {
                let overlap = sum(w, &|l| s.sum_p(l, l));
                1.0 - 2.0 * overlap / sum(w, &|l| s.volume(l) + s.predicted(l))
            }
        };
        (value, StatisticsGradient::zeros(s.classes()))
    }
}

/// Predicted volume per class, by the definition of the softmax.
fn predicted_volumes(layout: Layout, logits: &[f64]) -> Vec<f64> {
    let mut volumes = vec![0.0; layout.classes];
    for i in 0..layout.elements {
        let exponential = |class: usize| logits[class * layout.elements + i].exp();
        let total: f64 = (0..layout.classes).map(exponential).sum();
        for (class, volume) in volumes.iter_mut().enumerate() {
            *volume += exponential(class) / total;
        }
    }
    volumes
}

#[test]
fn detached_weights_are_constants_of_the_gradient() {
    for classes in 2..=4 {
        let layout = Layout {
            batch: 1,
            classes,
            elements: 16,
        };
        let (logits, labels) = draw(layout, 40 + classes as u64, None);
        let predicted = predicted_volumes(layout, &logits);
        let count = |l: usize| {
            labels
                .iter()
                .filter(|&&label| usize::from(label) == l)
                .count()
        };
        assert!((0..classes).all(|l| count(l) > 0) && predicted.iter().all(|&p| p > 1.0));

        let mut entropy: Vec<f64> = predicted.iter().map(|p| (16.0 - p) / p).collect();
        entropy[0] = 1.0;
        let overlap = predicted.iter().enumerate();
        let overlap = overlap.map(|(l, p)| 1.0 / (count(l) as f64 + p)).collect();
        let volume_sum = GeneralisedDice {
            weight: ClassWeight::VolumeSum,
            ..GeneralisedDice::default()
        };
        let pairs: [(&dyn Loss, Constant); 2] = [
            (
                &WeightedCrossEntropy::default(),
                Constant::CrossEntropy(entropy),
            ),
            (&volume_sum, Constant::GeneralisedDice(overlap)),
        ];
        for (loss, constant) in pairs {
            let batch = Reduction::Batch;
            let (value, gradient) = evaluate(loss, batch, layout, &logits, &labels);
            let (expected, _) = evaluate(&constant, batch, layout, &logits, &labels);
            assert!((value - expected).abs() < 1e-13, "{}", loss.name());
            assert_differences(&constant, batch, layout, &logits, &labels, &gradient);
        }
    }
}

/// Below one predicted element the guard of the cross-entropy weight has the
/// derivative of `N - P`.
#[test]
fn the_guard_of_the_cross_entropy_weight_is_differentiated() {
    let layout = Layout {
        batch: 1,
        classes: 2,
        elements: 6,
    };
    let (mut logits, labels) = draw(layout, 3, None);
    for background in &mut logits[..6] {
        *background += 9.0;
    }
    assert!(predicted_volumes(layout, &logits)[1] < 0.5);
    let loss = WeightedCrossEntropy {
        differentiate_weight: true,
    };
    let (_, gradient) = evaluate(&loss, Reduction::Batch, layout, &logits, &labels);
    assert_differences(&loss, Reduction::Batch, layout, &logits, &labels, &gradient);
}

/// Arithmetic in f32 costs a gradient no relative precision, in saturated
/// elements neither. The weighted cross-entropy adds terms of both signs: where
/// they cancel, precision is relative to the terms, which are as large as the
/// largest gradient times what the softmax lets through.
#[test]
fn an_f32_gradient_is_the_f64_gradient_rounded() {
    for classes in 2..=4 {
        let layout = Layout {
            batch: 1,
            classes,
            elements: 50,
        };
        let (logits, labels) = draw(layout, 70 + classes as u64, None);
        let logits: Vec<f32> = logits.iter().map(|&z| 7.0 * z as f32).collect();
        let wide: Vec<f64> = logits.iter().map(|&z| f64::from(z)).collect();
        // |p - r| per logit: the share of the label's class that it misses,
        // of another class that it claims.
        let share = |i: usize| {
            let (class, element) = (i / 50, i % 50);
            let label = usize::from(labels[element]);
            let exponential = |c: usize| wide[c * 50 + element].exp();
            let all = 0..classes;
            let total: f64 = all.clone().map(exponential).sum();
            let wrong = |c: usize| {
                if class == label {
                    c != label
                } else {
                    c == class
                }
            };
            all.filter(|&c| wrong(c)).map(exponential).sum::<f64>() / total
        };
        for loss in losses(false) {
            let (_, expected) = evaluate(loss.as_ref(), Reduction::Batch, layout, &wide, &labels);
            let mut gradient = vec![0.0_f32; logits.len()];
            value_and_gradient(
                loss.as_ref(),
                Reduction::Batch,
                layout,
                &logits,
                &labels,
                &mut gradient,
            )
            .unwrap();
            let smallest = expected.iter().fold(f64::MAX, |m, g| m.min(g.abs()));
            assert!(smallest < 1e-14, "no saturated element");
            let largest = expected.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
            for (i, (g, expected)) in gradient.iter().zip(&expected).enumerate() {
                let error = (f64::from(*g) - expected).abs();
                let terms = match loss.name() {
                    "weighted-cross-entropy" => largest * share(i),
                    _ => 0.0,
                };
                assert!(
                    // Less than 1e-36 an f32 keeps fewer digits.
                    error <= 1e-5 * expected.abs() + 2e-7 * terms + 1e-41,
                    "{} {g} {expected}",
                    loss.name()
                );
            }
        }
    }
}

/// Logits of every magnitude an f32 has.
fn any_logit() -> impl Strategy<Value = f32> {
    prop_oneof![
        -10.0..10.0_f32,
        -2e4..2e4_f32,
        any::<f32>().prop_map(|z| if z.is_finite() { z } else { 0.0 }),
        prop::sample::select(vec![
            0.0,
            f32::MAX,
            f32::MIN,
            f32::MIN_POSITIVE,
            88.8,
            -104.0
        ]),
    ]
}

fn any_batch() -> impl Strategy<Value = (Layout, Vec<f32>, Vec<u8>)> {
    (1..3_usize, 2..6_usize, 1..9_usize).prop_flat_map(|(batch, classes, elements)| {
        let layout = Layout {
            batch,
            classes,
            elements,
        };
        (
            Just(layout),
            prop::collection::vec(any_logit(), batch * classes * elements),
            prop::collection::vec(0..classes as u8, batch * elements),
        )
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn value_and_gradient_are_finite((layout, logits, labels) in any_batch()) {
        let wide: Vec<f64> = logits
            .iter()
            .map(|&z| if z.abs() == f32::MAX { f64::from(z.signum()) * f64::MAX } else { z.into() })
            .collect();
        for loss in losses(false) {
            for reduction in [Reduction::Batch, Reduction::Sample] {
                let mut gradient = vec![f32::NAN; logits.len()];
                let evaluation = value_and_gradient(
                    loss.as_ref(), reduction, layout, &logits, &labels, &mut gradient,
                ).unwrap();
                prop_assert!(evaluation.value.is_finite(), "{} {evaluation:?}", loss.name());
                prop_assert!(gradient.iter().all(|g| g.is_finite()), "{} {gradient:?}", loss.name());

                let (value, gradient) = evaluate(loss.as_ref(), reduction, layout, &wide, &labels);
                prop_assert!(value.is_finite(), "{} {value}", loss.name());
                prop_assert!(gradient.iter().all(|g| g.is_finite()), "{} {gradient:?}", loss.name());
            }
        }
    }

    /// The softmax's gradient sums to zero over the classes of an element.
    #[test]
    fn a_constant_added_to_all_logits_changes_nothing((layout, logits, labels) in any_batch()) {
        let logits: Vec<f64> = logits.iter().map(|&z| f64::from(z.clamp(-20.0, 20.0))).collect();
        for loss in losses(false) {
            let (_, gradient) = evaluate(loss.as_ref(), Reduction::Batch, layout, &logits, &labels);
            let scale = gradient.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
            let sample = layout.classes * layout.elements;
            for start in (0..layout.batch).map(|b| b * sample) {
                for i in 0..layout.elements {
                    let sum: f64 = (0..layout.classes)
                        .map(|c| gradient[start + c * layout.elements + i])
                        .sum();
                    prop_assert!(sum.abs() <= 1e-12 * scale, "{} {sum}", loss.name());
                }
            }
        }
    }

    #[test]
    fn the_order_of_the_elements_does_not_matter((layout, logits, labels) in any_batch()) {
        let logits: Vec<f64> = logits.iter().map(|&z| f64::from(z.clamp(-20.0, 20.0))).collect();
        let mut turned_logits = logits.clone();
        turned_logits.chunks_mut(layout.elements).for_each(<[f64]>::reverse);
        let mut turned_labels = labels.clone();
        turned_labels.chunks_mut(layout.elements).for_each(<[u8]>::reverse);
        for loss in losses(false) {
            let of = |z: &[f64], l: &[u8]| evaluate(loss.as_ref(), Reduction::Sample, layout, z, l);
            let (value, gradient) = of(&logits, &labels);
            let (turned_value, mut turned) = of(&turned_logits, &turned_labels);
            turned.chunks_mut(layout.elements).for_each(<[f64]>::reverse);
            prop_assert!((value - turned_value).abs() <= 1e-12 * value.abs().max(1.0));
            let scale = gradient.iter().fold(0.0_f64, |m, g| m.max(g.abs()));
            for (a, b) in gradient.iter().zip(&turned) {
                prop_assert!((a - b).abs() <= 1e-9 * scale + 1e-14, "{} {a} {b}", loss.name());
            }
        }
    }
}
