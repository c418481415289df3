//! Weights of other programs, taken by name and shape.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use lacuna_interop::{Weights, read_weights};
use lacuna_nets::{
    ModelConfig, ModelName, Network, NormOf, Precision, Stages, TensorDifference, load_safetensors,
    take, to_safetensors,
};

fn network(name: ModelName, classes: usize) -> Network {
    let config = ModelConfig {
        width: 0.125,
        ..ModelConfig::new(name)
    };
    Network::new(&config, 2, classes, 5, &Device::default()).unwrap()
}

fn weights_of(network: &Network) -> Weights {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    std::fs::write(&path, to_safetensors(network).unwrap()).unwrap();
    read_weights(&path).unwrap()
}

/// Norms under PyTorch's names, with its counter of batches; one tensor of another shape,
/// one missing, one unknown.
#[test]
fn tensors_are_taken_by_name_and_shape() {
    let own = network(ModelName::HighRes3dNet, 3);
    let mut theirs: Weights = Weights::new();
    for (name, (shape, values)) in weights_of(&own) {
        let name = match name.rsplit_once('.') {
            Some((place, "gamma")) => format!("{place}.weight"),
            Some((place, "beta")) => format!("{place}.bias"),
            _ => name,
        };
        theirs.insert(name, (shape, values.iter().map(|v| v + 0.5).collect()));
    }
    let whole = theirs.len();
    theirs.insert("stem_norm.num_batches_tracked".into(), (vec![], vec![7.0]));
    theirs.insert("extra.weight".into(), (vec![1], vec![0.0]));
    theirs.insert("classifier.bias".into(), (vec![9], vec![0.0; 9]));
    theirs.remove("stem.weight");

    let before = weights_of(&own);
    let (changed, taken) = take(own, theirs);
    assert_eq!(taken.tensors, whole - 2);
    let named = |name: &str, shape: &[usize]| (name.to_owned(), shape.to_vec());
    let (name, found) = named("extra.weight", &[1]);
    let unknown = TensorDifference::Unknown { name, found };
    let (name, expected) = named("classifier.bias", &[3]);
    let found = vec![9];
    let shape = TensorDifference::Shape {
        name,
        found,
        expected,
    };
    let (name, expected) = named("stem.weight", &before["stem.weight"].0);
    let missing = TensorDifference::Missing { name, expected };
    assert_eq!(taken.differences, [shape, unknown, missing]);
    for (name, (shape, values)) in weights_of(&changed) {
        let (shape_before, values_before) = &before[&name];
        let kept = matches!(name.as_str(), "classifier.bias" | "stem.weight");
        let shift = if kept { 0.0 } else { 0.5 };
        let expected = values_before.iter().map(|v| v + shift);
        assert_eq!(&shape, shape_before);
        assert!(values.into_iter().eq(expected), "{name}");
    }
}

/// The golden weights of PyTorch's modules: all are taken, and the network says what it says
/// with them loaded whole.
#[test]
fn golden_weights_are_taken_whole() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/nets");
    let path = golden.join("plain_conv_unet_2d.safetensors");
    let config = ModelConfig {
        stages: Some(Stages {
            features: vec![4, 6, 8],
            up: vec![1, 1],
            norm: NormOf::Batch,
            ..Stages::regular(2, 3, 4)
        }),
        ..ModelConfig::new(ModelName::PlainConvUnet)
    };
    let device = Device::default();
    let new = || Network::new(&config, 2, 3, 1, &device).unwrap();
    let (taken, told) = take(new(), read_weights(&path).unwrap());
    assert_eq!(told.differences, []);
    let loaded = load_safetensors(new(), &std::fs::read(&path).unwrap()).unwrap();
    let images = || Tensor::<4>::ones([1, 2, 32, 32], &device);
    let [a, b] = [&taken, &loaded].map(|n| n.forward_2d(images(), Precision::F32).into_data());
    assert_eq!(a, b);
}
