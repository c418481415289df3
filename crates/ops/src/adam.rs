//! The Adam optimiser (Kingma and Ba 2015) in one pass over a parameter.

use burn::optim::{
    Adam as Composed, AdamConfig, AdamState, AdaptiveMomentumState, LearningRate, ModuleOptimizer,
    Optimizer,
};
use burn::tensor::{Device, Tensor};
use burn_flex::{Flex, FlexTensor};
use lacuna_kernels as kernels;

use crate::extension::has_kernels;
use crate::flex::{into_values, tensor as tensor_of, values};

/// Decay of the mean of gradients.
const BETA_1: f32 = 0.9;
/// Decay of the mean of squared gradients.
const BETA_2: f32 = 0.999;

/// Adam with decays 0.9 and 0.999, `epsilon` added to the root of the corrected
/// mean of squared gradients. Each step first takes `weight_decay` times the rate of
/// each weight away (AdamW, Loshchilov and Hutter 2019, algorithm 2); 0 is Adam. Its
/// steps and its record are those of Burn's Adam, up to rounding.
pub fn adam(epsilon: f32, weight_decay: f64) -> ModuleOptimizer {
    let composed = AdamConfig::new()
        .with_beta_1(BETA_1)
        .with_beta_2(BETA_2)
        .with_epsilon(epsilon)
        .build();
    ModuleOptimizer::from(Adam {
        epsilon,
        weight_decay,
        composed,
    })
}

#[derive(Clone)]
struct Adam {
    epsilon: f32,
    weight_decay: f64,
    /// For devices without kernels.
    composed: Composed,
}

impl Optimizer for Adam {
    type State<const D: usize> = AdamState<D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamState<D>>,
    ) -> (Tensor<D>, Option<AdamState<D>>) {
        let parameter = match self.weight_decay > 0.0 {
            true => parameter.mul_scalar(1.0 - rate * self.weight_decay),
            false => parameter,
        };
        if !has_kernels(&parameter) {
            return self.composed.step(rate, parameter, gradient, state);
        }
        let shape = parameter.dims();
        let gradient = primitive(gradient).to_contiguous();
        let (steps, mut mean, mut squares) = match state {
            Some(AdamState { momentum }) => (
                momentum.time,
                into_values(primitive(momentum.moment_1)),
                into_values(primitive(momentum.moment_2)),
            ),
            None => {
                let zeros = || vec![0.0f32; shape.iter().product()];
                (0, zeros(), zeros())
            }
        };
        let mut moved = into_values(primitive(parameter));
        let step = kernels::Adam {
            rate,
            beta_1: f64::from(BETA_1),
            beta_2: f64::from(BETA_2),
            epsilon: f64::from(self.epsilon),
            step: u32::try_from(steps + 1).expect("fewer than 2^32 steps"),
        };
        let remembered = kernels::AdamState {
            parameter: &mut moved,
            mean: &mut mean,
            squares: &mut squares,
        };
        step.update(remembered, values(&gradient));
        let [moved, mean, squares] =
            [moved, mean, squares].map(|v| Tensor::from_primitive::<Flex>(tensor_of(v, shape)));
        let momentum = AdaptiveMomentumState::new(steps + 1, mean, squares);
        (moved, Some(AdamState::new(momentum)))
    }

    fn to_device<const D: usize>(state: AdamState<D>, device: &Device) -> AdamState<D> {
        Composed::to_device(state, device)
    }
}

/// The tensor of the processor's backend.
fn primitive<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    (tensor.try_into_primitive::<Flex>()).expect("optimisers step outside of autodiff")
}
