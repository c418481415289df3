//! Graphs that networks become; what they compute is compared in another runtime by
//! `tests/onnx/check.py`.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::Device;
use lacuna_interop::onnx::{Attribute, Constant, Graph, Length, Node, Values};
use lacuna_nets::onnx::{IMAGES, append};
use lacuna_nets::plan::{Conv, Faces, Layer, Rectify};
use lacuna_nets::{ModelConfig, ModelName, Network, Plan, Stages, to_safetensors};
use lacuna_volume::Zyx;
use safetensors::SafeTensors;

fn graph_of(network: &Network, channels: usize) -> (Graph, String) {
    let mut graph = Graph::default();
    let logits = append(&mut graph, network, channels, "");
    (graph, logits)
}

fn integers(values: &[i64]) -> Attribute {
    Attribute::Integers(values.to_vec())
}

/// A convolution of 3 x 5 taps in a plane, padded, of stride 2 along y and dilation 2; a
/// leaky rectifier; 1 row dropped before, 2 columns behind: by hand.
#[test]
fn a_plan_becomes_the_operators_it_says() {
    let conv = Conv::new("c", [2, 4], Zyx([1, 3, 5]))
        .with_faces(Faces::Padded)
        .with_stride(Zyx([1, 2, 1]))
        .with_dilation(2)
        .without_bias();
    let plan = Plan {
        network: ModelName::Unet,
        rank: 2,
        layers: vec![
            conv.into(),
            Layer::Rectify(Rectify::Leaky(0.25)),
            Layer::Crop {
                before: Zyx([0, 1, 0]),
                after: Zyx([0, 0, 2]),
            },
        ],
        gain: 1.0,
    };
    let network = Network::of_plan(plan, 1, &Device::default());
    let (graph, logits) = graph_of(&network, 2);
    let node = |operator, inputs: &[&str], output: &str, attributes| Node {
        operator,
        inputs: inputs.iter().map(|name| (*name).to_owned()).collect(),
        outputs: vec![output.to_owned()],
        attributes,
    };
    let slices = ["starts", "ends", "axes", "steps"].map(|what| format!("Slice.2.{what}"));
    let [starts, ends, axes, steps] = slices.each_ref().map(String::as_str);
    let expected = [
        node(
            "Conv",
            &[IMAGES, "c.weight"],
            "Conv.0",
            vec![
                ("kernel_shape", integers(&[3, 5])),
                ("strides", integers(&[2, 1])),
                ("dilations", integers(&[2, 2])),
                // (3 - 1) * 2 / 2 and (5 - 1) * 2 / 2 at either end.
                ("pads", integers(&[2, 4, 2, 4])),
            ],
        ),
        node(
            "LeakyRelu",
            &["Conv.0"],
            "LeakyRelu.1",
            vec![("alpha", Attribute::Float(0.25))],
        ),
        node(
            "Slice",
            &["LeakyRelu.1", starts, ends, axes, steps],
            "Slice.2",
            vec![],
        ),
    ];
    assert_eq!(graph.nodes, expected);
    assert_eq!(logits, "Slice.2");
    let constant = |name: &str| graph.constants.iter().find(|c| c.name == name).unwrap();
    assert_eq!(constant("c.weight").shape, [4, 2, 3, 5]);
    let whole = |name| match &constant(name).values {
        Values::Integers(values) => values.clone(),
        Values::Floats(_) => panic!("{name} holds floats"),
    };
    assert_eq!(whole(starts), [1, 0]);
    assert_eq!(whole(ends), [i64::MAX, -2]);
    assert_eq!(whole(axes), [2, 3]);
    assert_eq!(whole(steps), [1, 1]);
    let [images] = &graph.inputs[..] else {
        panic!("{:?}", graph.inputs)
    };
    let any = |name: &str| Length::Any(name.to_owned());
    let axes = [any("batch"), Length::Fixed(2), any("y"), any("x")];
    assert_eq!(images.shape, axes);
}

/// Every network, in 2-D and 3-D: each value is made once and before it is read, and the
/// constants are the tensors of the weights file, but for the coarser heads.
#[test]
fn every_network_is_a_graph_of_all_its_weights() {
    for name in ModelName::ALL {
        for axes in [2, 3] {
            let config = ModelConfig {
                width: 0.125,
                stages: (name.has_stages()).then(|| Stages::of(name, axes, 3, 16)),
                ..ModelConfig::new(name)
            };
            let network = Network::new(&config, 2, 3, 1, &Device::default()).unwrap();
            let (graph, logits) = graph_of(&network, 2);
            check_order(&graph, &logits);
            check_weights(&graph, &network);
        }
    }
}

fn check_order(graph: &Graph, logits: &str) {
    let constants = graph.constants.iter().map(|c| c.name.as_str());
    let mut known: BTreeSet<&str> = constants.chain([IMAGES, ""]).collect();
    assert_eq!(known.len(), graph.constants.len() + 2, "a name twice");
    for node in &graph.nodes {
        for name in &node.inputs {
            assert!(known.contains(name.as_str()), "{node:?} reads {name}");
        }
        for name in &node.outputs {
            assert!(known.insert(name), "{name} is made twice");
        }
    }
    assert!(known.contains(logits));
}

fn check_weights(graph: &Graph, network: &Network) {
    let bytes = to_safetensors(network).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let floats = |constant: &Constant| match &constant.values {
        Values::Floats(values) => Some(values.clone()),
        Values::Integers(_) => None,
    };
    let in_graph: BTreeMap<&str, Vec<f32>> = (graph.constants.iter())
        .filter_map(|constant| Some((constant.name.as_str(), floats(constant)?)))
        .filter(|(name, _)| !name.ends_with(".scales"))
        .collect();
    let heads = (file.names().into_iter())
        .filter(|name| name.starts_with("decoder.seg_layers."))
        .count();
    let coarser = if heads == 0 { 0 } else { heads - 2 };
    assert_eq!(in_graph.len() + coarser, file.len());
    for (name, values) in in_graph {
        let written = file.tensor(name).unwrap();
        let same = written.data().as_chunks::<4>().0.iter();
        assert!(same.map(|b| f32::from_le_bytes(*b)).eq(values), "{name}");
    }
}
