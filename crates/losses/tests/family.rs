//! Every loss against its equation in PyTorch, and against MONAI and PyTorch
//! where they have it: tests/golden/loss_family.py in the workspace root.

mod inputs;

use inputs::name;
use lacuna_losses::{Input, Layout, Loss, LossConfig, NamedLoss, PatchGrid, Reference};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct Golden {
    inputs: Vec<Drawn>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Drawn {
    batch: usize,
    classes: usize,
    grid: [usize; 3],
    spacing: [f64; 3],
    logits: Vec<f64>,
    labels: Vec<u8>,
    weights: Vec<f32>,
    soft: Vec<f64>,
    regions: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    source: String,
    config: LossConfig,
    input: usize,
    dress: String,
    values: Vec<f64>,
    gradient: Vec<f64>,
}

impl Drawn {
    fn dressed(&self, dress: &str, mask: &'static [f32]) -> Input<'_, f64> {
        let layout = Layout {
            batch: self.batch,
            classes: self.classes,
            elements: self.grid.iter().product(),
        };
        let mut input = Input::new(layout, &self.logits, &self.labels);
        input.grid = Some(PatchGrid {
            shape: self.grid,
            spacing: self.spacing,
        });
        match dress {
            "weights" => input.weights = Some(&self.weights),
            "mask" => input.weights = Some(mask),
            "soft" => input.reference = Reference::Soft(&self.soft),
            "regions" => input.reference = Reference::Soft(&self.regions),
            _ => {}
        }
        input
    }
}

/// Largest deviation of a value, and of a gradient relative to its largest, by
/// loss and source. `cargo test --test family -- --nocapture` prints them.
#[test]
fn values_and_gradients_are_those_of_the_equations_and_of_the_peers() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/golden/losses/family.json"
    );
    let golden: Golden = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let masks: Vec<&'static [f32]> = golden
        .inputs
        .iter()
        .map(|input| {
            let mask: Vec<f32> = input.weights.iter().map(|w| w.min(1.0).ceil()).collect();
            &*Box::leak(mask.into_boxed_slice())
        })
        .collect();
    let mut furthest: BTreeMap<(String, String), [f64; 2]> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in &golden.cases {
        let input = golden.inputs[case.input].dressed(&case.dress, masks[case.input]);
        let mut gradient = vec![f64::NAN; input.logits.len()];
        let what = format!("{} {} {}", case.source, case.dress, name(&case.config));
        let found = match case.config.value_and_gradient(&input, &mut gradient) {
            Ok(found) => found,
            Err(error) => panic!("{what}: {error}"),
        };
        let values = match case.values.len() {
            1 => vec![found.value],
            _ => found.values,
        };
        let pairs = values.iter().zip(&case.values);
        let value = pairs.fold(0.0_f64, |m, (a, b)| m.max((a - b).abs()));
        let scale = case.gradient.iter().fold(1e-12_f64, |m, g| m.max(g.abs()));
        let pairs = gradient.iter().zip(&case.gradient);
        let slope = pairs.fold(0.0_f64, |m, (a, b)| m.max((a - b).abs() / scale));
        // MONAI computes its focal loss and its weights in f32; distances and
        // lesion weights are f32 here.
        let f32s = case.source == "monai"
            || ["boundary", "hausdorff", "distance", "size-reweighted"]
                .iter()
                .any(|word| name(&case.config).contains(word));
        let tolerance = if f32s { 2e-6 } else { 1e-9 };
        if value.is_nan() || slope.is_nan() || value > tolerance || slope > tolerance {
            wrong.push(format!("{what} input {}: {value:e} {slope:e}", case.input));
        }
        let key = (case.config.named.name().to_owned(), case.source.clone());
        let entry = furthest.entry(key).or_default();
        *entry = [entry[0].max(value), entry[1].max(slope)];
    }
    for ((loss, source), [value, slope]) in &furthest {
        println!("{loss:30} {source:10} value {value:.1e} gradient {slope:.1e}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // The losses of the paper have goldens of their own.
    let tested: BTreeSet<&str> = furthest.keys().map(|(loss, _)| loss.as_str()).collect();
    for named in NamedLoss::all() {
        let other = ["generalised-dice", "weighted-cross-entropy"];
        let loss = named.name();
        assert!(tested.contains(loss) || other.contains(&loss), "{loss}");
    }
}
