//! The networks against independent PyTorch modules with the same weights
//! (`tests/golden/nets.py`): logits in evaluation and in training mode, running
//! statistics, gradients and parameter counts.

use std::collections::BTreeMap;
use std::path::PathBuf;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use lacuna_nets::{
    ModelConfig, ModelName, Network, NormOf, Precision, Stages, TwoPathPreset, load_safetensors,
    to_safetensors,
};
use lacuna_volume::Zyx;
use safetensors::SafeTensors;

/// Largest error of logits and statistics, relative to the largest expected
/// value of the tensor.
const TOLERANCE: f32 = 1e-4;
/// The same for gradients. A value near the bend of a ReLU may fall on either
/// side in 32 bits, as the order of summation has it: one such value moves a
/// gradient of HighRes3DNet by 1e-3 here (all agree to 1e-5 where sums are taken
/// in 64 bits), and PyTorch's own move by 2e-4 between 32 and 64 bits.
const GRADIENT_TOLERANCE: f32 = 5e-3;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/nets")
}

fn bytes(file: &str) -> Vec<u8> {
    let path = folder().join(file);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A safetensors file as `name -> values`.
fn values(bytes: &[u8]) -> BTreeMap<String, Vec<f32>> {
    let file = SafeTensors::deserialize(bytes).unwrap();
    file.iter()
        .map(|(name, view)| {
            let numbers = view.data().as_chunks::<4>().0.iter();
            (
                name.to_owned(),
                numbers.map(|b| f32::from_le_bytes(*b)).collect(),
            )
        })
        .collect()
}

/// The same values as `pattern` in the script, from the `start`-th on.
fn pattern_values(start: usize, count: usize) -> impl Iterator<Item = f32> {
    (start as u64..(start + count) as u64).map(|i| {
        let bits = (i * 2_654_435_761 + 12_345) % (1 << 32);
        let bits = ((bits ^ (bits >> 15)) * 2_246_822_519) % (1 << 32);
        (bits >> 8) as f32 / (1 << 24) as f32 - 0.5
    })
}

fn pattern<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = pattern_values(0, shape.iter().product()).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The network with the weights of `patterned` in the script, which need no file.
fn patterned(network: Network) -> Network {
    let own = to_safetensors(&network).unwrap();
    let own = SafeTensors::deserialize(&own).unwrap();
    let mut tensors: Vec<(String, Vec<usize>)> = own
        .iter()
        .map(|(name, view)| (name.to_owned(), view.shape().to_vec()))
        .collect();
    tensors.sort();
    let mut start = 0;
    let bytes: Vec<Vec<u8>> = tensors
        .iter()
        .map(|(_, shape)| {
            let count: usize = shape.iter().product();
            let factor = match shape.len() {
                1 => 0.2,
                _ => (24.0 / shape[1..].iter().product::<usize>() as f64).sqrt(),
            };
            let values = pattern_values(start, count).map(|v| (f64::from(v) * factor) as f32);
            start += count;
            values.flat_map(f32::to_le_bytes).collect()
        })
        .collect();
    let views = tensors
        .into_iter()
        .zip(&bytes)
        .map(|((name, shape), data)| {
            let kind = safetensors::Dtype::F32;
            let view = safetensors::tensor::TensorView::new(kind, shape, data).unwrap();
            (name, view)
        });
    load_safetensors(network, &safetensors::serialize(views, None).unwrap()).unwrap()
}

fn assert_close(what: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0f32, |m, v| m.max(v.abs()));
    assert!(scale > 0.0, "{what}: nothing to compare");
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        assert!(
            (f - e).abs() <= tolerance * scale,
            "{what}[{i}]: {f}, expected {e}"
        );
    }
}

fn flat<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_to_vec().unwrap()
}

/// Gradients of all parameters by name.
struct NamedGradients<'a> {
    gradients: &'a Gradients,
    path: Vec<String>,
    found: BTreeMap<String, Vec<f32>>,
}

impl ModuleVisitor for NamedGradients<'_> {
    fn enter_module(&mut self, name: &str, container: &str) {
        let variant = container.starts_with("Enum:");
        self.path.push(if variant {
            String::new()
        } else {
            name.to_owned()
        });
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.gradients) {
            let parts: Vec<&str> = self.path.iter().map(String::as_str).collect();
            let name = parts.join(".").trim_start_matches('.').to_owned();
            self.found.insert(name, flat(gradient));
        }
    }
}

/// One golden network: `shape` is batch, channels, then the spatial axes.
struct Golden {
    file: &'static str,
    config: ModelConfig,
    shape: &'static [usize],
    classes: usize,
}

impl Golden {
    fn network(&self, device: &Device) -> Network {
        let made = Network::new(&self.config, self.shape[1], self.classes, 0, device).unwrap();
        load_safetensors(made, &bytes(&format!("{}.safetensors", self.file))).unwrap()
    }

    /// Logits of the patterned input and, on an autodiff device, the sum of
    /// their products with the pattern.
    fn run(&self, network: &Network, device: &Device) -> (Vec<f32>, Tensor<1>) {
        match *self.shape {
            [b, c, y, x] => {
                let logits = network.forward_2d(pattern([b, c, y, x], device), Precision::F32);
                let Zyx([_, oy, ox]) = network.effective_size(Zyx([1, y, x])).unwrap();
                assert_eq!(logits.dims(), [b, self.classes, oy, ox]);
                let weight = pattern(logits.dims(), device);
                (flat(logits.clone()), (logits * weight).sum())
            }
            [b, c, z, y, x] => {
                let logits = network.forward_3d(pattern([b, c, z, y, x], device), Precision::F32);
                let Zyx([oz, oy, ox]) = network.effective_size(Zyx([z, y, x])).unwrap();
                assert_eq!(logits.dims(), [b, self.classes, oz, oy, ox]);
                let weight = pattern(logits.dims(), device);
                (flat(logits.clone()), (logits * weight).sum())
            }
            _ => unreachable!("goldens have two or three spatial axes"),
        }
    }

    fn check(&self) {
        let expected = values(&bytes(&format!("{}.expected.safetensors", self.file)));
        let plain = Device::flex();
        let (logits, _) = self.run(&self.network(&plain), &plain);
        assert_close("output", &logits, &expected["output"], TOLERANCE);

        let autodiff = plain.autodiff();
        let network = self.network(&autodiff);
        let (logits, sum) = self.run(&network, &autodiff);
        assert_close(
            "train.output",
            &logits,
            &expected["train.output"],
            TOLERANCE,
        );

        check_after(&network, sum, &expected);
    }
}

/// The gradients of `sum`, and the running statistics behind the pass that gave it.
fn check_after(network: &Network, sum: Tensor<1>, expected: &BTreeMap<String, Vec<f32>>) {
    let gradients = sum.backward();
    let mut visitor = NamedGradients {
        gradients: &gradients,
        path: Vec::new(),
        found: BTreeMap::new(),
    };
    network.visit(&mut visitor);
    let after = values(&to_safetensors(network).unwrap());
    for (name, value) in expected {
        if let Some(parameter) = name.strip_prefix("grad.") {
            assert_close(name, &visitor.found[parameter], value, GRADIENT_TOLERANCE);
        } else if let Some(statistic) = name.strip_prefix("running.") {
            assert_close(name, &after[statistic], value, TOLERANCE);
        }
    }
}

fn config(name: ModelName, width: f64) -> ModelConfig {
    let mut config = ModelConfig::new(name);
    config.width = width;
    config
}

#[test]
fn unet_agrees_with_pytorch() {
    Golden {
        file: "unet",
        config: config(ModelName::Unet, 0.04),
        shape: &[2, 2, 44, 52],
        classes: 3,
    }
    .check();
}

#[test]
fn padded_unet_agrees_with_pytorch() {
    Golden {
        file: "padded_unet",
        config: config(ModelName::PaddedUnet, 0.02),
        shape: &[2, 2, 32, 48],
        classes: 3,
    }
    .check();
}

#[test]
fn two_path_cnn_agrees_with_pytorch() {
    for (file, preset) in [
        ("two_path_cnn_havaei", TwoPathPreset::Havaei),
        ("two_path_cnn_sudre_text", TwoPathPreset::SudreText),
    ] {
        let mut config = config(ModelName::TwoPathCnn, 0.03);
        config.preset = Some(preset);
        Golden {
            file,
            config,
            shape: &[2, 2, 34, 37],
            classes: 2,
        }
        .check();
    }
}

#[test]
fn deep_medic_agrees_with_pytorch() {
    Golden {
        file: "deep_medic",
        config: config(ModelName::DeepMedic, 0.05),
        shape: &[2, 2, 51, 57, 51],
        classes: 2,
    }
    .check();
}

#[test]
fn high_res_3d_net_agrees_with_pytorch() {
    Golden {
        file: "high_res_3d_net",
        config: config(ModelName::HighRes3dNet, 0.1),
        shape: &[2, 2, 38, 40, 39],
        classes: 3,
    }
    .check();
}

/// A network with stages, against the package `dynamic-network-architectures`
/// (`tests/golden/dynamic_networks.py`): all outputs and their gradients.
fn check_stages(file: &str, name: ModelName, stages: Stages, shape: &[usize]) {
    let mut config = ModelConfig::new(name);
    config.stages = Some(stages);
    let golden = |suffix: &str| bytes(&format!("{file}{suffix}.safetensors"));
    let network = |device: &Device| {
        let made = Network::new(&config, shape[1], 3, 0, device).unwrap();
        load_safetensors(made, &golden("")).unwrap()
    };
    let expected = values(&golden(".expected"));
    let outputs = |network: &Network, device: &Device| -> (Vec<Vec<f32>>, Tensor<1>) {
        let mut found = Vec::new();
        let mut sum = Tensor::zeros([1], device);
        match *shape {
            [b, c, y, x] => {
                for y in network.outputs_2d(pattern([b, c, y, x], device), Precision::F32) {
                    found.push(flat(y.clone()));
                    sum = sum + (y.clone() * pattern(y.dims(), device)).sum();
                }
            }
            [b, c, z, y, x] => {
                for y in network.outputs_3d(pattern([b, c, z, y, x], device), Precision::F32) {
                    found.push(flat(y.clone()));
                    sum = sum + (y.clone() * pattern(y.dims(), device)).sum();
                }
            }
            _ => unreachable!("goldens have two or three spatial axes"),
        }
        (found, sum)
    };
    let plain = Device::flex();
    let (found, _) = outputs(&network(&plain), &plain);
    assert_close("output", &found[0], &expected["output"], TOLERANCE);

    let autodiff = plain.autodiff();
    let network = network(&autodiff);
    let (found, sum) = outputs(&network, &autodiff);
    let wanted = expected.keys().filter(|k| k.starts_with("train.output"));
    assert_eq!(found.len(), wanted.count());
    for (i, found) in found.iter().enumerate() {
        let name = format!("train.output.{i}");
        assert_close(&name, found, &expected[&name], TOLERANCE);
    }
    check_after(&network, sum, &expected);
}

#[test]
fn plain_conv_unets_agree_with_dynamic_network_architectures() {
    let anisotropic = Stages {
        axes: 3,
        features: vec![4, 6, 8],
        kernels: vec![vec![3, 3, 1], vec![3, 3, 3], vec![3, 3, 3]],
        strides: vec![vec![1, 1, 1], vec![2, 2, 1], vec![2, 2, 2]],
        down: vec![2, 1, 2],
        up: vec![1, 2],
        norm: NormOf::Instance,
    };
    let name = ModelName::PlainConvUnet;
    check_stages("plain_conv_unet_3d", name, anisotropic, &[2, 2, 4, 16, 12]);
    let plane = Stages {
        features: vec![4, 6, 8],
        up: vec![1, 1],
        norm: NormOf::Batch,
        ..Stages::regular(2, 3, 4)
    };
    check_stages("plain_conv_unet_2d", name, plane, &[2, 2, 16, 20]);
}

#[test]
fn residual_encoder_unets_agree_with_dynamic_network_architectures() {
    let anisotropic = Stages {
        axes: 3,
        features: vec![4, 6, 6],
        kernels: vec![vec![1, 3, 3], vec![3, 3, 3], vec![3, 3, 3]],
        strides: vec![vec![1, 1, 1], vec![1, 2, 2], vec![2, 2, 2]],
        down: vec![1, 2, 2],
        up: vec![1, 1],
        norm: NormOf::Instance,
    };
    let name = ModelName::ResidualEncoderUnet;
    check_stages(
        "residual_encoder_unet_3d",
        name,
        anisotropic,
        &[2, 2, 8, 12, 6],
    );
    let plane = Stages {
        features: vec![4, 6, 8],
        down: vec![2, 1, 1],
        up: vec![1, 1],
        ..Stages::regular(2, 3, 4)
    };
    check_stages("residual_encoder_unet_2d", name, plane, &[2, 2, 12, 16]);
}

#[test]
fn a_full_width_unet_agrees_with_pytorch() {
    let device = Device::flex();
    let made = Network::new(&config(ModelName::Unet, 1.0), 3, 2, 0, &device).unwrap();
    let network = patterned(made);
    let logits = network.forward_2d(pattern([2, 3, 44, 52], &device), Precision::F32);
    let expected = values(&bytes("unet_full_width.expected.safetensors"));
    assert_close("output", &flat(logits), &expected["output"], TOLERANCE);
}

#[test]
fn full_width_parameter_counts_agree_with_pytorch() {
    let counts: BTreeMap<String, usize> =
        serde_json::from_slice(&bytes("parameter_counts.json")).unwrap();
    for (file, count) in counts {
        let mut config = config(ModelName::Unet, 1.0);
        config.name = match file.as_str() {
            "unet" => ModelName::Unet,
            "padded_unet" => ModelName::PaddedUnet,
            "deep_medic" => ModelName::DeepMedic,
            "high_res_3d_net" => ModelName::HighRes3dNet,
            _ => ModelName::TwoPathCnn,
        };
        if file == "two_path_cnn_sudre_text" {
            config.preset = Some(TwoPathPreset::SudreText);
        }
        let network = Network::new(&config, 3, 2, 0, &Device::flex()).unwrap();
        assert_eq!(network.parameter_count(), count, "{file}");
    }
}
