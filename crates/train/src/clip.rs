//! Gradient clipping by the norm of all gradients together (Pascanu, Mikolov and
//! Bengio 2013, algorithm 1).

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use lacuna_nets::Network;

/// Added to the norm, as PyTorch's `clip_grad_norm_` does.
const EPSILON: f64 = 1e-6;

/// The gradients, scaled to the norm `most` where theirs is larger. Sums are taken in
/// 64 bits, in the order of the parameters.
pub(crate) fn clipped(gradients: GradientsParams, network: &Network, most: f64) -> GradientsParams {
    let mut squares = Squares {
        gradients: &gradients,
        sum: 0.0,
    };
    network.visit(&mut squares);
    let factor = most / (squares.sum.sqrt() + EPSILON);
    // A norm that is no number leaves the gradients to the check of the next output.
    if factor >= 1.0 || !factor.is_finite() {
        return gradients;
    }
    let mut scale = Scale { gradients, factor };
    network.visit(&mut scale);
    scale.gradients
}

struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: f64,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let data = gradient.into_data();
            let values: &[f32] = data.as_slice().expect("the device computes in f32");
            self.sum += values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        }
    }
}

struct Scale {
    gradients: GradientsParams,
    factor: f64,
}

impl ModuleVisitor for Scale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let scaled = gradient.mul_scalar(self.factor);
            self.gradients.register::<D>(param.id, scaled);
        }
    }
}
