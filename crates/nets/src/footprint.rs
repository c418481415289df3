//! How many values a network has, and how many its layers make of a patch: what a training
//! step keeps, to know the gradients, is in proportion to these.

use lacuna_volume::Zyx;

use crate::extent::{Walk, along};
use crate::parameters::{Kind, declared};
use crate::plan::{Layer, Plan};

impl Plan {
    /// Values that the layers make of one patch of these lengths; `None` where a layer refuses
    /// them. Norms, rectifiers and crops make none: they are read through.
    pub fn values(&self, lengths: Zyx<usize>) -> Option<f64> {
        let mut at = Tensor {
            lengths,
            // What the first layer reads; nothing before it knows its channels.
            channels: 0,
        };
        walk(&self.layers, &mut at)
    }
}

impl Plan {
    /// Number of trained values: kernels, biases, slopes, norms' scales and shifts,
    /// not their running statistics.
    pub fn parameter_count(&self) -> usize {
        let count = |kind: &Kind| match kind {
            Kind::Kernel { shape, .. } => shape.iter().product(),
            Kind::Row { channels, .. } => *channels,
            Kind::Running { .. } => 0,
        };
        (declared(self).iter())
            .map(|tensor| count(&tensor.kind))
            .sum()
    }
}

#[derive(Clone, Copy)]
struct Tensor {
    lengths: Zyx<usize>,
    channels: usize,
}

impl Tensor {
    fn values(&self) -> f64 {
        let voxels: f64 = self.lengths.0.iter().map(|n| *n as f64).product();
        voxels * self.channels as f64
    }
}

/// Values that `layers` make of `at`, which becomes what the last of them makes.
fn walk(layers: &[Layer], at: &mut Tensor) -> Option<f64> {
    let mut sum = 0.0;
    for layer in layers {
        sum += step(layer, at)?;
    }
    Some(sum)
}

fn step(layer: &Layer, at: &mut Tensor) -> Option<f64> {
    let from = *at;
    let lengths = |axis: usize| {
        let start = Walk {
            length: from.lengths.0[axis],
            padded: 0,
        };
        let end = start.through(&along(std::slice::from_ref(layer), axis));
        end.ok().map(|end| end.length)
    };
    at.lengths = Zyx([lengths(0)?, lengths(1)?, lengths(2)?]);
    let branch = |layers: &[Layer]| {
        let mut end = from;
        walk(layers, &mut end).map(|made| (made, end))
    };
    Some(match layer {
        Layer::Conv(conv) => {
            at.channels = conv.channels[1];
            at.values()
        }
        Layer::Transposed(transposed) => {
            at.channels = transposed.channels[1];
            at.values()
        }
        Layer::MaxPool { .. } | Layer::MeanPool(_) | Layer::Centres(_) | Layer::Replicate(_) => {
            at.values()
        }
        Layer::Maxout(parts) => {
            at.channels /= parts;
            at.values()
        }
        Layer::Join(branches) => {
            let ends: Option<Vec<_>> = branches.iter().map(|b| branch(b)).collect();
            let ends = ends?;
            at.channels = ends.iter().map(|(_, end)| end.channels).sum();
            ends.iter().map(|(made, _)| made).sum::<f64>() + at.values()
        }
        Layer::Skip { detour, .. } => {
            let (made, end) = branch(detour)?;
            at.channels += end.channels;
            made + at.values()
        }
        Layer::Residual { change, shortcut } => {
            let (made, end) = branch(change)?;
            let (also, _) = branch(shortcut)?;
            at.channels = end.channels;
            made + also + at.values()
        }
        Layer::Output(layers) => {
            *at = from;
            branch(layers)?.0
        }
        Layer::Norm(_) | Layer::Rectify(_) | Layer::Crop { .. } | Layer::Odd => 0.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ModelName;
    use crate::plan::{Conv, Faces, First, Transposed, cube};

    #[test]
    fn a_small_network_by_hand() {
        let conv =
            |channels| Layer::from(Conv::new("a", channels, cube(2, 3)).with_faces(Faces::Padded));
        let plan = Plan {
            network: ModelName::Unet,
            rank: 2,
            gain: 1.0,
            layers: vec![
                conv([1, 4]),
                Layer::Skip {
                    detour: vec![
                        Layer::MaxPool {
                            window: cube(2, 2),
                            stride: cube(2, 2),
                        },
                        conv([4, 8]),
                        Layer::Transposed(Transposed {
                            name: "b".into(),
                            channels: [8, 4],
                            factor: cube(2, 2),
                            bias: true,
                        }),
                    ],
                    first: First::Input,
                },
                conv([8, 2]),
            ],
        };
        // 8 x 8: 4 channels; halved 4, 8 channels; 4 whole again; joined 8; 2.
        let expected = 64 * 4 + 16 * 4 + 16 * 8 + 64 * 4 + 64 * 8 + 64 * 2;
        assert_eq!(plan.values(Zyx([1, 8, 8])), Some(f64::from(expected)));
        // An odd length cannot be halved.
        assert_eq!(plan.values(Zyx([1, 7, 8])), None);
    }
}
