//! Values and gradients against PyTorch (the equations, by autograd) and MONAI:
//! tests/golden/losses.py in the workspace root.

use lacuna_losses::{Input, Layout, LossConfig};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    inputs: Vec<Drawn>,
    cases: Vec<Case>,
    monai_all_lesion_in_lesion_free_96: f64,
}

#[derive(Deserialize)]
struct Drawn {
    batch: usize,
    classes: usize,
    elements: usize,
    logits: Vec<f64>,
    labels: Vec<u8>,
}

#[derive(Deserialize)]
struct Case {
    source: String,
    config: LossConfig,
    inputs: usize,
    value: f64,
    gradient: Vec<f64>,
}

fn golden() -> Golden {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/losses/losses.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn values_and_gradients_are_those_of_pytorch_and_monai() {
    let golden = golden();
    let mut largest = [0.0_f64; 2];
    for case in &golden.cases {
        let Drawn {
            batch,
            classes,
            elements,
            ref logits,
            ref labels,
        } = golden.inputs[case.inputs];
        let layout = Layout {
            batch,
            classes,
            elements,
        };
        // MONAI takes its class weights to f32.
        let tolerance = match case.source.as_str() {
            "monai" => 1e-7,
            _ => 1e-12,
        };
        let mut gradient = vec![0.0_f64; logits.len()];
        let input = Input::new(layout, logits, labels);
        let evaluation = case
            .config
            .value_and_gradient(&input, &mut gradient)
            .unwrap();
        let what = format!("{} {:?} {layout:?}", case.source, case.config);
        assert!(
            (evaluation.value - case.value).abs() < tolerance,
            "{what}: {} for {}",
            evaluation.value,
            case.value
        );
        assert_eq!(gradient.len(), case.gradient.len());
        for (ours, theirs) in gradient.iter().zip(&case.gradient) {
            assert!(
                (ours - theirs).abs() < tolerance,
                "{what}: {ours} for {theirs}"
            );
        }
        let source = usize::from(case.source == "monai");
        largest[source] = largest[source].max(evaluation.value);

        // The f32 path: same sums, gradient rounded.
        let narrow: Vec<f32> = logits.iter().map(|&z| z as f32).collect();
        let mut narrow_gradient = vec![0.0_f32; logits.len()];
        let input = Input::new(layout, &narrow, labels);
        case.config
            .value_and_gradient(&input, &mut narrow_gradient)
            .unwrap();
        for (narrow, wide) in narrow_gradient.iter().zip(&gradient) {
            assert!(
                (f64::from(*narrow) - wide).abs() < 1e-6,
                "{what}: f32 {narrow} for {wide}"
            );
        }
    }
    assert!(largest.iter().all(|&value| value > 0.3), "both sources ran");
}

/// Everything called lesion in a lesion-free patch of 96^3: MONAI 1.5's added
/// epsilon makes it cheap. The loss is that of any lesion-free patch, F/N.
#[test]
fn all_false_positive_costs_one_here_and_little_in_monai() {
    let monai = golden().monai_all_lesion_in_lesion_free_96;
    assert!((monai - 0.184).abs() < 5e-4, "{monai}");
    let elements = 96 * 96 * 96;
    let layout = Layout {
        batch: 1,
        classes: 2,
        elements,
    };
    let logits: Vec<f32> = [0.0, 100.0]
        .into_iter()
        .flat_map(|z| std::iter::repeat_n(z, elements))
        .collect();
    let mut gradient = vec![0.0; logits.len()];
    let config = LossConfig::default();
    let labels = vec![0; elements];
    let input = Input::new(layout, &logits, &labels);
    let evaluation = config.value_and_gradient(&input, &mut gradient).unwrap();
    assert!((evaluation.value - 1.0).abs() < 1e-12);
    assert_eq!(evaluation.fp, elements as u64);
}
