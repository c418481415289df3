//! A network as an ONNX graph, made of its plan.
//!
//! Values are `[batch, channel, (z,) y, x]`, of any legal lengths. Each layer becomes one
//! or two operators; constants have the names of the network's tensors. Further outputs,
//! which only deep supervision asks for, are left out.

use burn::tensor::Tensor;
use lacuna_interop::onnx::{self, Attribute, Constant, Graph, Length, Values};

use crate::extent::{Walk, along};
use crate::forward::NORM_EPSILON;
use crate::network::Network;
use crate::parameters::Parameters;
use crate::plan::{Conv, First, Layer, Norm, NormOf, Rectify, Transposed};

/// Name of the images in a graph.
pub const IMAGES: &str = "images";

/// An end behind every voxel of an axis.
const TO_THE_END: i64 = i64::MAX;

/// Adds `network` in evaluation mode, which reads `channels` of [`IMAGES`], and returns the
/// name of its logits. `place` is put before the names of its tensors and values. The first
/// network that is added makes the images an input of the graph.
pub fn append(graph: &mut Graph, network: &Network, channels: usize, place: &str) -> String {
    let (rank, smallest) = (network.rank(), network.architecture().smallest_legal());
    if graph.inputs.is_empty() {
        graph.inputs.push(onnx::Tensor {
            name: IMAGES.to_owned(),
            shape: shape(rank, channels, ""),
        });
    }
    let images = Flow {
        name: IMAGES.to_owned(),
        channels,
        lengths: smallest.0,
    };
    let mut pass = Pass {
        graph,
        parameters: network.parameters(),
        rank,
        place,
    };
    pass.through(&network.plan().layers, images).name
}

/// Axes of a value of a network of that rank: any batch, these channels, any lengths called
/// `prefix` and the axis.
pub fn shape(rank: usize, channels: usize, prefix: &str) -> Vec<Length> {
    let any = |axis: &&str| Length::Any(format!("{prefix}{axis}"));
    let lengths = ["z", "y", "x"];
    [Length::Any("batch".to_owned()), Length::Fixed(channels)]
        .into_iter()
        .chain(lengths[3 - rank..].iter().map(any))
        .collect()
}

/// A value on its way through the layers.
#[derive(Debug, Clone)]
struct Flow {
    name: String,
    channels: usize,
    /// Along z, y and x, of one legal input: what is cropped is the same for all.
    lengths: [usize; 3],
}

struct Pass<'a> {
    graph: &'a mut Graph,
    parameters: &'a Parameters,
    rank: usize,
    place: &'a str,
}

impl Pass<'_> {
    fn through(&mut self, layers: &[Layer], x: Flow) -> Flow {
        layers.iter().fold(x, |x, layer| self.layer(layer, x))
    }

    fn layer(&mut self, layer: &Layer, x: Flow) -> Flow {
        let lengths = [0, 1, 2].map(|axis| {
            let start = Walk {
                length: x.lengths[axis],
                padded: 0,
            };
            let end = start.through(&along(std::slice::from_ref(layer), axis));
            end.expect("a legal length goes through every layer").length
        });
        let mut channels = x.channels;
        let name = match layer {
            Layer::Conv(conv) => {
                channels = conv.channels[1];
                self.conv(conv, x)
            }
            Layer::Transposed(transposed) => {
                channels = transposed.channels[1];
                self.transposed(transposed, x)
            }
            Layer::Norm(norm) => self.norm(norm, x),
            Layer::Rectify(rectifier) => self.rectify(rectifier, x),
            Layer::MaxPool { window, stride } => {
                let options = vec![
                    ("kernel_shape", self.spatial(window.0)),
                    ("strides", self.spatial(stride.0)),
                ];
                self.apply("MaxPool", vec![x.name], options)
            }
            Layer::MeanPool(block) => {
                let block = self.spatial(block.0);
                let options = vec![("kernel_shape", block.clone()), ("strides", block)];
                self.apply("AveragePool", vec![x.name], options)
            }
            Layer::Maxout(pieces) => {
                channels /= pieces;
                self.maxout(*pieces, x)
            }
            Layer::Centres(block) => {
                let centre = block.0.map(|n| n as i64 / 2);
                self.slice(x, centre, [TO_THE_END; 3], block.0.map(|n| n as i64))
            }
            Layer::Replicate(factor) => self.replicate(factor.0, x),
            Layer::Crop { before, after } => self.crop(x, before.0, after.0),
            Layer::Odd | Layer::Output(_) => x.name,
            Layer::Join(branches) => {
                let ends: Vec<Flow> = (branches.iter())
                    .map(|branch| self.through(branch, x.clone()))
                    .collect();
                channels = ends.iter().map(|end| end.channels).sum();
                self.join(ends)
            }
            Layer::Skip { detour, first } => {
                let detour = self.through(detour, x.clone());
                let half = [0, 1, 2].map(|axis| (x.lengths[axis] - detour.lengths[axis]) / 2);
                let input = Flow {
                    name: self.crop(x.clone(), half, half),
                    ..x
                };
                channels = input.channels + detour.channels;
                self.join(match first {
                    First::Input => vec![input, detour],
                    First::Detour => vec![detour, input],
                })
            }
            Layer::Residual { change, shortcut } => {
                let change = self.through(change, x.clone());
                channels = change.channels;
                let shortcut = self.through(shortcut, x);
                let shortcut = self.widened(shortcut, channels);
                self.apply("Add", vec![shortcut, change.name], vec![])
            }
        };
        Flow {
            name,
            channels,
            lengths,
        }
    }

    fn conv(&mut self, conv: &Conv, x: Flow) -> String {
        let padding = self.spatial_numbers(conv.padding());
        let options = vec![
            ("kernel_shape", self.spatial(conv.kernel.0)),
            ("strides", self.spatial(conv.stride.0)),
            ("dilations", self.spatial(conv.dilation.0)),
            // All at the start of an axis, then all at its end.
            ("pads", Attribute::Integers(padding.repeat(2))),
        ];
        let inputs = self.with_terms(x.name, &conv.name, conv.bias);
        self.apply("Conv", inputs, options)
    }

    fn transposed(&mut self, transposed: &Transposed, x: Flow) -> String {
        let factor = self.spatial(transposed.factor.0);
        let options = vec![("kernel_shape", factor.clone()), ("strides", factor)];
        let inputs = self.with_terms(x.name, &transposed.name, transposed.bias);
        self.apply("ConvTranspose", inputs, options)
    }

    /// What a convolution reads: a value, its kernel, and its bias where it has one.
    fn with_terms(&mut self, x: String, name: &str, bias: bool) -> Vec<String> {
        let kernel = self.parameters.kernel(name);
        let [a, b, z, y, x_taps] = kernel.dims();
        let shape = [&[a, b][..], &[z, y, x_taps][3 - self.rank..]].concat();
        let mut inputs = vec![x, self.floats(&format!("{name}.weight"), shape, kernel)];
        if bias {
            inputs.push(self.row(name, "bias"));
        }
        inputs
    }

    fn norm(&mut self, norm: &Norm, x: Flow) -> String {
        let epsilon = vec![("epsilon", Attribute::Float(NORM_EPSILON as f32))];
        let [scale, shift] = norm.terms.map(|term| self.row(&norm.name, term));
        let mut inputs = vec![x.name, scale, shift];
        match norm.of {
            NormOf::Instance => self.apply("InstanceNormalization", inputs, epsilon),
            NormOf::Batch => {
                for running in ["running_mean", "running_var"] {
                    let values = self.parameters.running(&norm.name, running).value_sync();
                    let name = format!("{}.{running}", norm.name);
                    inputs.push(self.floats(&name, vec![norm.channels], values));
                }
                self.apply("BatchNormalization", inputs, epsilon)
            }
        }
    }

    fn rectify(&mut self, rectifier: &Rectify, x: Flow) -> String {
        match rectifier {
            Rectify::Zero => self.apply("Relu", vec![x.name], vec![]),
            Rectify::Leaky(slope) => {
                let slope = vec![("alpha", Attribute::Float(*slope as f32))];
                self.apply("LeakyRelu", vec![x.name], slope)
            }
            Rectify::Slopes { name, channels, .. } => {
                // One for each channel, the same along all axes behind it.
                let shape = [vec![*channels], vec![1; self.rank]].concat();
                let slopes = self.parameters.row(name, "alpha");
                let slopes = self.floats(&format!("{name}.alpha"), shape, slopes);
                self.apply("PRelu", vec![x.name, slopes], vec![])
            }
        }
    }

    fn maxout(&mut self, pieces: usize, x: Flow) -> String {
        let parts: Vec<String> = (0..pieces)
            .map(|piece| format!("{}.part{piece}", self.free("Split")))
            .collect();
        self.graph.nodes.push(onnx::Node {
            operator: "Split",
            inputs: vec![x.name],
            outputs: parts.clone(),
            attributes: vec![
                ("axis", Attribute::Integer(1)),
                ("num_outputs", Attribute::Integer(pieces as i64)),
            ],
        });
        self.apply("Max", parts, vec![])
    }

    /// Each voxel repeated to a block.
    fn replicate(&mut self, factor: [usize; 3], x: Flow) -> String {
        let factors = factor[3 - self.rank..].iter().map(|&n| n as f32);
        let scales: Vec<f32> = [1.0, 1.0].into_iter().chain(factors).collect();
        let name = format!("{}.scales", self.free("Resize"));
        self.constant(&name, vec![scales.len()], Values::Floats(scales));
        let options = vec![
            ("mode", Attribute::Text("nearest")),
            (
                "coordinate_transformation_mode",
                Attribute::Text("asymmetric"),
            ),
            ("nearest_mode", Attribute::Text("floor")),
        ];
        // The second input, a region, is of other modes.
        self.apply("Resize", vec![x.name, String::new(), name], options)
    }

    /// Drops so many voxels at the two ends of each axis.
    fn crop(&mut self, x: Flow, before: [usize; 3], after: [usize; 3]) -> String {
        if before == [0; 3] && after == [0; 3] {
            return x.name;
        }
        let ends = after.map(|n| if n == 0 { TO_THE_END } else { -(n as i64) });
        self.slice(x, before.map(|n| n as i64), ends, [1; 3])
    }

    /// Every `steps`-th voxel from `starts` to before `ends`, which count from behind where
    /// they are negative.
    fn slice(&mut self, x: Flow, starts: [i64; 3], ends: [i64; 3], steps: [i64; 3]) -> String {
        let place = self.free("Slice");
        let axes = [0, 1, 2].map(|axis: i64| axis + self.rank as i64 - 1);
        let mut inputs = vec![x.name];
        // In the order in which the operator reads them.
        for (what, values) in [
            ("starts", starts),
            ("ends", ends),
            ("axes", axes),
            ("steps", steps),
        ] {
            let name = format!("{place}.{what}");
            let values = values[3 - self.rank..].to_vec();
            self.constant(&name, vec![self.rank], Values::Integers(values));
            inputs.push(name);
        }
        self.apply("Slice", inputs, vec![])
    }

    /// `x` with zeros half before and half behind its channels, `channels` in all.
    fn widened(&mut self, x: Flow, channels: usize) -> String {
        if x.channels == channels {
            return x.name;
        }
        let before = (channels - x.channels) / 2;
        let behind = channels - x.channels - before;
        let place = self.free("Pad");
        let [pads, axes] = ["pads", "axes"].map(|what| format!("{place}.{what}"));
        let widths = vec![before as i64, behind as i64];
        self.constant(&pads, vec![2], Values::Integers(widths));
        self.constant(&axes, vec![1], Values::Integers(vec![1]));
        // The third input, what is put there, is 0 where it is left out.
        self.apply("Pad", vec![x.name, pads, String::new(), axes], vec![])
    }

    fn join(&mut self, parts: Vec<Flow>) -> String {
        let names = parts.into_iter().map(|part| part.name).collect();
        self.apply("Concat", names, vec![("axis", Attribute::Integer(1))])
    }

    fn apply(
        &mut self,
        operator: &'static str,
        inputs: Vec<String>,
        attributes: Vec<(&'static str, Attribute)>,
    ) -> String {
        let name = self.free(operator);
        self.graph.nodes.push(onnx::Node {
            operator,
            inputs,
            outputs: vec![name.clone()],
            attributes,
        });
        name
    }

    /// A name that no value has.
    fn free(&self, operator: &str) -> String {
        format!("{}{operator}.{}", self.place, self.graph.nodes.len())
    }

    /// A row of the network's as a constant.
    fn row(&mut self, place: &str, name: &str) -> String {
        let row = self.parameters.row(place, name);
        self.floats(&format!("{place}.{name}"), row.dims().to_vec(), row)
    }

    fn floats<const D: usize>(
        &mut self,
        name: &str,
        shape: Vec<usize>,
        tensor: Tensor<D>,
    ) -> String {
        let values = tensor.into_data().try_into_vec();
        let name = format!("{}{name}", self.place);
        let values = Values::Floats(values.expect("weights are 32-bit floats"));
        self.constant(&name, shape, values);
        name
    }

    fn constant(&mut self, name: &str, shape: Vec<usize>, values: Values) {
        self.graph.constants.push(Constant {
            name: name.to_owned(),
            shape,
            values,
        });
    }

    /// What is said along z, y and x, along the network's axes.
    fn spatial(&self, along: [usize; 3]) -> Attribute {
        Attribute::Integers(self.spatial_numbers(along))
    }

    fn spatial_numbers(&self, along: [usize; 3]) -> Vec<i64> {
        along[3 - self.rank..].iter().map(|&n| n as i64).collect()
    }
}
