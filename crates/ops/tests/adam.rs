//! The optimiser's steps and record are those of Burn's Adam.

use burn::module::{Module, Param};
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer, OptimizerRecord};
use burn::tensor::{Device, Tensor, TensorData};

#[derive(Module, Debug)]
struct Weights {
    kernel: Param<Tensor<3>>,
    bias: Param<Tensor<1>>,
}

fn weights() -> Weights {
    let device = Device::flex().autodiff();
    let values = |count| -> Vec<f32> { (0..count).map(|i| (i as f32 * 0.7).sin()).collect() };
    let kernel = Tensor::from_data(TensorData::new(values(105), [5, 3, 7]), &device);
    let bias = Tensor::from_data(TensorData::new(values(3), [3]), &device);
    Weights {
        kernel: Param::from_tensor(kernel.require_grad()),
        bias: Param::from_tensor(bias.require_grad()),
    }
}

/// One step down a bowl whose sides differ in slope.
fn step(optimiser: &mut ModuleOptimizer, weights: Weights, at: usize) -> Weights {
    let kernel = weights.kernel.val().powf_scalar(4.0).sum() * (at as f32 + 0.5);
    let loss = kernel + (weights.bias.val() * 1e-3).sin().sum();
    let gradients = GradientsParams::from_grads(loss.backward(), &weights);
    optimiser.step(1e-2, weights, gradients)
}

fn values(weights: &Weights) -> Vec<f32> {
    let kernel = weights.kernel.val().into_data().try_to_vec::<f32>();
    let bias = weights.bias.val().into_data().try_to_vec::<f32>();
    [kernel.unwrap(), bias.unwrap()].concat()
}

fn assert_close(found: &Weights, expected: &Weights) {
    for (found, expected) in values(found).iter().zip(values(expected)) {
        assert!((found - expected).abs() < 2e-6, "{found}, not {expected}");
    }
}

#[test]
fn steps_and_records_are_those_of_burn() {
    let mut own = lacuna_ops::adam(1e-8, 0.0);
    let mut burn = AdamConfig::new().with_epsilon(1e-8).init();
    let (mut ours, mut theirs) = (weights(), weights());
    // One identity for both, as the record names tensors by it.
    theirs.kernel = Param::initialized(ours.kernel.id, theirs.kernel.val());
    theirs.bias = Param::initialized(ours.bias.id, theirs.bias.val());
    for at in 0..20 {
        ours = step(&mut own, ours, at);
        theirs = step(&mut burn, theirs, at);
        assert_close(&ours, &theirs);
    }

    let record = OptimizerRecord::from_bytes(own.into_bytes().unwrap()).unwrap();
    let mut burn = AdamConfig::new()
        .with_epsilon(1e-8)
        .init()
        .load_record(record);
    let record = OptimizerRecord::from_bytes(burn.into_bytes().unwrap()).unwrap();
    let mut own = lacuna_ops::adam(1e-8, 0.0).load_record(record);
    for at in 20..25 {
        ours = step(&mut own, ours, at);
        theirs = step(&mut burn, theirs, at);
        assert_close(&ours, &theirs);
    }
}
