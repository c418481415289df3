//! Initial weights.
//!
//! Kernels are drawn from a normal distribution of mean 0 and standard
//! deviation `gain / sqrt(fan_in)` (He et al. 2015, eq. 10, with gain
//! `sqrt(2)` for layers that a rectifier follows); biases start at 0, batch
//! norm at scale 1 and shift 0.
//!
//! Every tensor has its own ChaCha8 stream, keyed by the seed and the tensor's
//! index in the network, so that the weights depend on nothing else: no global
//! state, thread or device. The index is also the tensor's `ParamId`, which
//! lets an optimiser's state be carried from one process to another.

use burn::module::{Module, ModuleMapper, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

/// Gain for layers followed by a rectifier (He et al. 2015).
pub(crate) const RECTIFIER_GAIN: f64 = std::f64::consts::SQRT_2;

/// Gain for maxout layers of two pieces: the larger of two independent values
/// of mean 0 has the mean square of one of them.
pub(crate) const MAXOUT_GAIN: f64 = 1.0;

/// Separates these random numbers from all others drawn with the same seed.
const DOMAIN: [u8; 16] = *b"initial weights\0";

/// Fills the kernels of a network whose layers were made with zeros, and
/// numbers its tensors.
pub(crate) fn fill<M: Module>(network: M, seed: u64, gain: f64) -> M {
    network.map(&mut Fill {
        seed,
        gain,
        next: 0,
        layers: Vec::new(),
    })
}

struct Fill {
    seed: u64,
    gain: f64,
    next: u64,
    layers: Vec<String>,
}

impl ModuleMapper for Fill {
    fn enter_module(&mut self, _name: &str, container: &str) {
        self.layers.push(container.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.layers.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let index = self.next;
        self.next += 1;
        let (_, mut tensor, mapper) = param.consume();
        // Kernels are the only tensors with axes beyond the channel.
        if D > 2 {
            let shape = tensor.dims();
            let std = self.gain / (self.fan_in(&shape) as f64).sqrt();
            let values = normal(self.seed, index, shape.iter().product(), std);
            tensor = Tensor::from_data(TensorData::new(values, shape), &tensor.device())
                .set_require_grad(tensor.is_require_grad());
        }
        Param::from_mapped_value(ParamId::from(index), tensor, mapper)
    }
}

impl Fill {
    /// Values that one output value of the layer is the weighted sum of.
    fn fan_in(&self, shape: &[usize]) -> usize {
        let transposed = self
            .layers
            .iter()
            .any(|layer| layer.contains("ConvTranspose"));
        if transposed {
            // Kernel [in, out, ...] with stride equal to its width: each output
            // voxel lies under a single tap.
            shape[0]
        } else {
            shape[1..].iter().product()
        }
    }
}

fn normal(seed: u64, index: u64, count: usize, std: f64) -> Vec<f32> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&index.to_le_bytes());
    key[16..].copy_from_slice(&DOMAIN);
    let mut rng = ChaCha8Rng::from_seed(key);
    (0..count)
        .map(|_| {
            let z: f64 = StandardNormal.sample(&mut rng);
            (z * std) as f32
        })
        .collect()
}
