//! One tiny run of each network against what it gave at commit 61a2bb0, which
//! `tests/golden/runs/` holds: weights after three steps, and the prediction of
//! a held-out subject.
//!
//! On the instruction set that the figures were recorded with, every bit is
//! compared; on others, sums within the rounding of three steps. A change that is
//! meant to change numbers records them anew (`LACUNA_RECORD=1 cargo test --test
//! unchanged`) and says in the changelog which numbers changed and why.

mod harness;

use std::collections::BTreeMap;

use harness::{Place, phantoms};
use serde::{Deserialize, Serialize};

/// Sums may differ by this share of the sum of absolute values between
/// instruction sets: Adam moves by the whole rate where a gradient is near 0.
const TOLERANCE: f64 = 5e-3;

/// What a run gave.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Figures {
    /// By instruction set: the CRC-32C of weights, labels and probabilities.
    bits: BTreeMap<String, [u32; 3]>,
    /// Sum and sum of absolute values of each tensor.
    tensors: BTreeMap<String, [f64; 2]>,
    /// Voxels of each class.
    labels: Vec<u64>,
    /// Sum of each class's probabilities.
    probabilities: Vec<f64>,
}

/// Name and values of each tensor of a safetensors file.
fn tensors(file: &[u8]) -> BTreeMap<String, Vec<f32>> {
    let (length, rest) = file.split_at(8);
    let length = u64::from_le_bytes(length.try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&rest[..length]).unwrap();
    let data = &rest[length..];
    let entries = header.as_object().unwrap().iter();
    let tensors = entries.filter(|(name, _)| *name != "__metadata__");
    tensors
        .map(|(name, entry)| {
            assert_eq!(entry["dtype"], "F32", "{name}");
            let at = |i: usize| entry["data_offsets"][i].as_u64().unwrap() as usize;
            let values = data[at(0)..at(1)].as_chunks().0.iter();
            (
                name.clone(),
                values.map(|b| f32::from_le_bytes(*b)).collect(),
            )
        })
        .collect()
}

fn crc(values: impl IntoIterator<Item = u32>) -> u32 {
    let bytes: Vec<u8> = (values.into_iter().flat_map(u32::to_le_bytes)).collect();
    crc32c::crc32c(&bytes)
}

/// Trains and predicts with `model` on patches of `patch` voxels.
fn figures(model: &str, patch: usize) -> Figures {
    let run = format!(
        "dataset = \"cohort/dataset.toml\"\n[split]\ntrain = [\"sub-01\"]\ntest = [\"sub-02\"]\n\
         [normalise]\nmethod = \"z-score\"\n[model]\nname = \"{model}\"\nwidth = 0.125\n\
         [patch]\nsize = {patch}\n[train]\niterations = 3\nbatch = 2\nlearning_rate = 1e-3\n"
    );
    let place = Place::with(&phantoms([40, 44, 10]), &run);
    place.ok("train run.toml --out run");
    place.ok("predict run --dataset cohort/dataset.toml --split test --out p --probabilities");
    let weights = tensors(&place.read("run/checkpoint-000003/weights.safetensors"));
    let labels = lacuna_io::read_labels(place.path("p/sub-02.nii.gz")).unwrap();
    let file = place.path("p/sub-02.probabilities.nii.gz");
    let probabilities = lacuna_io::read(file).unwrap().volumes;

    let all = probabilities.iter().flat_map(|volume| volume.data());
    let bits = [
        crc(weights.values().flatten().map(|v| v.to_bits())),
        crc(labels.data().iter().map(|v| v.cast_unsigned())),
        crc(all.map(|v| v.to_bits())),
    ];
    let sums = |values: &Vec<f32>| {
        let values = values.iter().map(|v| f64::from(*v));
        [values.clone().sum(), values.map(f64::abs).sum()]
    };
    let sum = |values: &[f32]| values.iter().map(|v| f64::from(*v)).sum();
    let classes = 0..probabilities.len() as i32;
    Figures {
        bits: [(lacuna_kernels::Instructions::detected().to_string(), bits)].into(),
        tensors: weights.iter().map(|(k, v)| (k.clone(), sums(v))).collect(),
        labels: classes
            .map(|class| labels.data().iter().filter(|v| **v == class).count() as u64)
            .collect(),
        probabilities: probabilities.iter().map(|p| sum(p.data())).collect(),
    }
}

fn compare(model: &str, patch: usize) {
    let path = format!(
        "{}/../../tests/golden/runs/{model}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut found = figures(model, patch);
    let expected = std::fs::read_to_string(&path).map(|text| serde_json::from_str(&text).unwrap());
    if std::env::var_os("LACUNA_RECORD").is_some() {
        let before: Option<Figures> = expected.ok();
        let same = before.filter(|b| b.tensors == found.tensors);
        found.bits.extend(same.map(|b| b.bits).unwrap_or_default());
        std::fs::write(&path, serde_json::to_string_pretty(&found).unwrap() + "\n").unwrap();
        return;
    }
    let expected: Figures = expected.unwrap();
    let (instructions, bits) = found.bits.first_key_value().unwrap();
    if let Some(expected) = expected.bits.get(instructions) {
        assert_eq!(bits, expected, "{model}: weights, labels, probabilities");
    }
    assert_eq!(
        found.tensors.keys().collect::<Vec<_>>(),
        expected.tensors.keys().collect::<Vec<_>>()
    );
    for (name, [sum, absolute]) in &expected.tensors {
        let off = (found.tensors[name][0] - sum).abs();
        // A bias is near 0: it moves by at most the rate in each step.
        assert!(
            off <= TOLERANCE * (absolute + 1.0),
            "{model} {name}: off by {off}"
        );
    }
    let voxels: f64 = expected.probabilities.iter().sum();
    for (found, expected) in found.probabilities.iter().zip(&expected.probabilities) {
        let off = (found - expected).abs();
        assert!(
            off <= TOLERANCE * voxels,
            "{model}: probabilities off by {off}"
        );
    }
}

#[test]
fn unet() {
    compare("unet", 56);
}

#[test]
fn padded_unet() {
    compare("padded-unet", 32);
}

#[test]
fn two_path_cnn() {
    compare("two-path-cnn", 41);
}

#[test]
fn deep_medic() {
    compare("deep-medic", 51);
}

#[test]
fn high_res_3d_net() {
    compare("high-res-3d-net", 43);
}
