//! Every network as an ONNX file, and beside it what it makes of two images of different
//! lengths: what `tests/onnx/check.py` gives to another runtime.
//!
//! `cargo run -p lacuna-nets --example onnx_cases -- DIR`

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use lacuna_interop::onnx::{Graph, Model, Tensor as End};
use lacuna_nets::onnx::{append, shape};
use lacuna_nets::{
    ModelConfig, ModelName, Network, NormOf, Precision, Stages, TwoPathPreset, load_safetensors,
    to_safetensors,
};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

const MODALITIES: usize = 2;
const CLASSES: usize = 3;
const BATCH: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).ok_or("give the folder to write")?;
    for (name, config) in cases() {
        write(Path::new(&folder), &name, &config)?;
        println!("{name}");
    }
    Ok(())
}

/// Every network at an eighth of its width, in its presets, ranks, norms and shapes.
fn cases() -> Vec<(String, ModelConfig)> {
    let narrow = |name| ModelConfig {
        width: 0.125,
        ..ModelConfig::new(name)
    };
    let mut cases: Vec<(String, ModelConfig)> = (ModelName::ALL.into_iter())
        .filter(|name| !name.has_stages())
        .map(|name| (name.to_string(), narrow(name)))
        .collect();
    let text = ModelConfig {
        preset: Some(TwoPathPreset::SudreText),
        ..narrow(ModelName::TwoPathCnn)
    };
    cases.push(("two-path-cnn-text".to_owned(), text));
    for name in ModelName::ALL.into_iter().filter(|name| name.takes_norm()) {
        let norm = ModelConfig {
            norm: Some(NormOf::Batch),
            ..narrow(name)
        };
        cases.push((format!("{name}-norm"), norm));
    }
    // Thick slices: the first stage does nothing along z.
    let thick = Stages {
        kernels: vec![vec![3, 3, 1], vec![3, 3, 3], vec![5, 3, 3]],
        strides: vec![vec![1, 1, 1], vec![2, 2, 1], vec![2, 4, 2]],
        ..Stages::regular(3, 3, 4)
    };
    for name in [ModelName::PlainConvUnet, ModelName::ResidualEncoderUnet] {
        for (what, stages) in [
            ("2d", Stages::of(name, 2, 3, 4)),
            ("3d", Stages::of(name, 3, 3, 4)),
            ("thick", thick.clone()),
            (
                "batch",
                Stages {
                    norm: NormOf::Batch,
                    ..Stages::of(name, 3, 2, 4)
                },
            ),
        ] {
            let config = ModelConfig {
                stages: Some(stages),
                ..ModelConfig::new(name)
            };
            cases.push((format!("{name}-{what}"), config));
        }
    }
    cases
}

fn write(folder: &Path, name: &str, config: &ModelConfig) -> Result<(), Box<dyn Error>> {
    let device = Device::default();
    let network = Network::new(config, MODALITIES, CLASSES, 7, &device)?;
    let network = uneven(network)?.valid();
    let rank = network.rank();
    let mut graph = Graph {
        name: name.to_owned(),
        ..Graph::default()
    };
    let logits = append(&mut graph, &network, MODALITIES, "");
    graph.outputs.push(End {
        name: logits,
        shape: shape(rank, CLASSES, "output_"),
    });
    let model = Model {
        producer: "lacuna".to_owned(),
        graph,
        metadata: Vec::new(),
    };
    std::fs::write(folder.join(format!("{name}.onnx")), model.to_bytes())?;

    let mut written = Vec::new();
    let architecture = network.architecture();
    let (shortest, step) = (architecture.smallest_legal().0, architecture.alignment().0);
    for (number, steps) in [[1, 1, 1], [1, 3, 2]].into_iter().enumerate() {
        let lengths: Vec<usize> = (3 - rank..3)
            .map(|axis| shortest[axis] + steps[axis] * step[axis])
            .collect();
        let size = [&[BATCH, MODALITIES][..], &lengths].concat();
        let values: Vec<f32> = (0..size.iter().product()).map(noise).collect();
        let data = TensorData::new(values.clone(), size.clone());
        let output = match rank {
            2 => {
                let images = Tensor::<4>::from_data(data, &device);
                network.forward_2d(images, Precision::F32).into_data()
            }
            _ => {
                let images = Tensor::<5>::from_data(data, &device);
                network.forward_3d(images, Precision::F32).into_data()
            }
        };
        let of_output = output.shape().to_vec();
        let output: Vec<f32> = output.try_into_vec().expect("outputs are 32-bit floats");
        written.push((format!("images.{number}"), size, bytes(&values)));
        written.push((format!("logits.{number}"), of_output, bytes(&output)));
    }
    let views = written.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (
            name,
            view.expect("there are as many values as the shape says"),
        )
    });
    let file = folder.join(format!("{name}.safetensors"));
    std::fs::write(file, serialize(views, None)?)?;
    Ok(())
}

/// The network with biases, norms, slopes and running statistics that differ from channel to
/// channel.
fn uneven(network: Network) -> Result<Network, Box<dyn Error>> {
    let own = to_safetensors(&network)?;
    let own = SafeTensors::deserialize(&own)?;
    let mut changed: BTreeMap<String, (Vec<usize>, Vec<u8>)> = BTreeMap::new();
    for (name, view) in own.iter() {
        let shift = |i: usize| match view.shape().len() {
            1 => 0.5 * noise(i + name.len()),
            _ => 0.0,
        };
        let values: Vec<f32> = (view.data().as_chunks::<4>().0.iter().enumerate())
            .map(|(i, value)| f32::from_le_bytes(*value) + shift(i))
            .collect();
        changed.insert(name.to_owned(), (view.shape().to_vec(), bytes(&values)));
    }
    let views = changed.iter().map(|(name, (shape, bytes))| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (name, view.expect("there are as many values as before"))
    });
    Ok(load_safetensors(network, &serialize(views, None)?)?)
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

/// The `i`-th of some numbers that look random, in [-1, 1).
fn noise(i: usize) -> f32 {
    let bits = (i as u32).wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let bits = (bits ^ bits >> 15).wrapping_mul(2_246_822_519);
    (bits >> 8) as f32 / (1 << 23) as f32 - 1.0
}
