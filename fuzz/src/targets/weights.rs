//! Weights of networks: safetensors, and what PyTorch and nnU-Net save.

use std::collections::BTreeMap;
use std::path::Path;

use lacuna_interop::{TorchFile, read_weights};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::{Outcome, golden, goldens};
use crate::input::Input;

pub fn safetensors() -> Vec<Input> {
    let bytes: Vec<u8> = (0..96).collect();
    let view = |kind, shape: &[usize], bytes| {
        TensorView::new(kind, shape.to_vec(), bytes).expect("as many bytes as it needs")
    };
    let tensors = BTreeMap::from([
        ("a.weight", view(Dtype::F32, &[2, 3, 4], &bytes)),
        ("a.bias", view(Dtype::F16, &[4], &bytes[..8])),
        ("b", view(Dtype::I64, &[], &bytes[..8])),
        ("c", view(Dtype::BOOL, &[0, 5], &[])),
    ]);
    let file = safetensors::serialize(&tensors, None).expect("names and bytes");
    vec![Input::new("a.safetensors", file)]
}

pub fn torch() -> Vec<Input> {
    let mut files = goldens("torch_file", &[".pth"]);
    // Of nnU-Net: a pickle with its plans in it.
    let path = golden("nnunet_models/thick/model/fold_0/checkpoint_final.pth");
    files.push((
        "nnunet.pth".to_owned(),
        std::fs::read(path).expect("a file of the corpus"),
    ));
    let inputs = files.into_iter();
    inputs
        .map(|(name, bytes)| Input::new(name, bytes))
        .collect()
}

pub fn read(folder: &Path, input: &Input) -> Outcome {
    let path = folder.join(input.name());
    if input.name().ends_with(".pth") {
        // What the import of nnU-Net's models reads beside the weights.
        if let Ok(file) = TorchFile::open(&path) {
            let _ = file.values().pointer("/init_args/configuration");
        }
    }
    match read_weights(&path) {
        Err(error) => Outcome::Refused(error.to_string()),
        Ok(weights) => {
            let fits = |(shape, values): &(Vec<usize>, Vec<f32>)| {
                shape
                    .iter()
                    .try_fold(1usize, |n, axis| n.checked_mul(*axis))
                    == Some(values.len())
            };
            match weights.iter().find(|(_, tensor)| !fits(tensor)) {
                None => Outcome::Decoded,
                Some((name, (shape, values))) => {
                    let values = values.len();
                    Outcome::Wrong(format!("{name} of shape {shape:?} has {values} values"))
                }
            }
        }
    }
}
