//! Every loss against its equation in PyTorch, and against MONAI and PyTorch
//! where they have it (tests/golden/loss_family.py in the workspace root), or
//! another package (loss_peers.py).

mod inputs;

use inputs::name;
use lacuna_losses::{Input, Layout, Loss, LossConfig, NamedLoss, PatchGrid, Real, Reference};
use lacuna_volume::Zyx;
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
    distance: Option<Vec<f32>>,
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
    /// The input of a case, of these logits, soft labels and regions.
    fn dressed<'a, F: Real>(
        &'a self,
        dress: &str,
        mask: &'static [f32],
        [logits, soft, regions]: &'a [Vec<F>; 3],
    ) -> Input<'a, F> {
        let layout = Layout {
            batch: self.batch,
            classes: self.classes,
            elements: self.grid.iter().product(),
        };
        let mut input = Input::new(layout, logits, &self.labels);
        input.grid = Some(PatchGrid {
            shape: Zyx(self.grid),
            spacing: Zyx(self.spacing),
        });
        match dress {
            "weights" => input.weights = Some(&self.weights),
            "mask" => input.weights = Some(mask),
            "soft" => input.reference = Reference::Soft(soft),
            "regions" => input.reference = Reference::Soft(regions),
            "distance" => input.maps.distance = self.distance.as_deref(),
            _ => {}
        }
        input
    }

    fn arrays<F: Real>(&self) -> [Vec<F>; 3] {
        [&self.logits, &self.soft, &self.regions]
            .map(|values| values.iter().map(|v| F::from_f64(*v)).collect())
    }
}

impl Case {
    /// How far the values are off, and the gradient relative to its largest.
    fn deviation<F: Real>(&self, input: &Input<F>) -> [f64; 2] {
        let mut gradient = vec![F::from_f64(0.0); input.logits.len()];
        let found = match self.config.value_and_gradient(input, &mut gradient) {
            Ok(found) => found,
            Err(error) => panic!("{} {}: {error}", self.source, name(&self.config)),
        };
        let values = match self.values.len() {
            1 => vec![found.value],
            _ => found.values,
        };
        let furthest = |m: f64, off: f64| {
            if off.is_nan() {
                f64::INFINITY
            } else {
                m.max(off)
            }
        };
        let pairs = values.iter().zip(&self.values);
        let value = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, furthest);
        let scale = self.gradient.iter().fold(1e-12_f64, |m, g| m.max(g.abs()));
        let pairs = gradient.iter().zip(&self.gradient);
        let slope = pairs.map(|(a, b)| (a.to_f64() - b).abs() / scale);
        [value, slope.fold(0.0, furthest)]
    }
}

fn golden(file: &str) -> Golden {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/losses/");
    serde_json::from_str(&std::fs::read_to_string(format!("{path}{file}")).unwrap()).unwrap()
}

/// Largest deviation of a value, and of a gradient relative to its largest, by
/// loss and source. `cargo test --test family -- --nocapture` prints them.
fn furthest(golden: &Golden) -> BTreeMap<(String, String), [f64; 4]> {
    let masks: Vec<&'static [f32]> = golden
        .inputs
        .iter()
        .map(|input| {
            let mask: Vec<f32> = input.weights.iter().map(|w| w.min(1.0).ceil()).collect();
            &*Box::leak(mask.into_boxed_slice())
        })
        .collect();
    let mut furthest: BTreeMap<(String, String), [f64; 4]> = BTreeMap::new();
    let mut wrong = Vec::new();
    for case in &golden.cases {
        let (drawn, mask) = (&golden.inputs[case.input], masks[case.input]);
        let arrays = drawn.arrays();
        let [value, slope] = case.deviation::<f64>(&drawn.dressed(&case.dress, mask, &arrays));
        let arrays = drawn.arrays();
        let [single, steep] = case.deviation::<f32>(&drawn.dressed(&case.dress, mask, &arrays));
        let what = format!("{} {} {}", case.source, case.dress, name(&case.config));
        // MONAI computes its focal loss and its weights in f32; distances and
        // lesion weights are f32 here. The other package takes differences of
        // f32 near 1.
        let f32s = case.source == "monai"
            || ["boundary", "hausdorff", "distance", "size-reweighted"]
                .iter()
                .any(|word| name(&case.config).contains(word));
        let (double, of_singles) = match (&*case.source, f32s) {
            ("segmentation-models-pytorch", _) => (1e-5, 1e-5),
            (_, true) => (2e-6, 3e-6),
            (_, false) => (1e-9, 3e-6),
        };
        // The logits themselves are rounded to f32.
        if value.max(slope) > double || single.max(steep) > of_singles {
            let found = format!("{value:e} {slope:e}, f32 {single:e} {steep:e}");
            wrong.push(format!("{what} input {}: {found}", case.input));
        }
        let key = (case.config.named.name().to_owned(), case.source.clone());
        let entry = furthest.entry(key).or_default();
        for (most, found) in entry.iter_mut().zip([value, slope, single, steep]) {
            *most = most.max(found);
        }
    }
    for ((loss, source), [value, slope, single, steep]) in &furthest {
        println!(
            "{loss:30} {source:10} value {value:.1e} gradient {slope:.1e}, \
             f32 {single:.1e} {steep:.1e}"
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    furthest
}

#[test]
fn lovasz_top_k_and_boundary_loss_are_those_of_other_packages() {
    let compared = furthest(&golden("peers.json"));
    let compared: Vec<(&str, &str)> = compared.keys().map(|(l, s)| (&**l, &**s)).collect();
    let expected = [
        ("boundary", "mist-medical"),
        ("lovasz", "kornia"),
        ("lovasz", "segmentation-models-pytorch"),
        ("top-k-cross-entropy", "nnunetv2"),
    ];
    assert_eq!(compared, expected);
}

#[test]
fn values_and_gradients_are_those_of_the_equations_and_of_the_peers() {
    let furthest = furthest(&golden("family.json"));
    // The losses of the paper have goldens of their own.
    let tested: BTreeSet<&str> = furthest.keys().map(|(loss, _)| loss.as_str()).collect();
    for named in NamedLoss::all() {
        let other = ["generalised-dice", "weighted-cross-entropy"];
        let loss = named.name();
        assert!(tested.contains(loss) || other.contains(&loss), "{loss}");
    }
}
