//! The network that a training begins with.

use std::collections::BTreeMap;

use burn::tensor::Device;
use lacuna_nets::{Network, take};

use crate::config::RunConfig;
use crate::outputs::Outputs;
use crate::run::RunError;

/// The network of `config` for so many images, its weights drawn by `seed`, the biases of its
/// outputs by `train.prior`: the initialisation of the RetinaNet (Lin, Goyal, Girshick, He and
/// Dollár 2017, section 4.1). Without it a network first learns that nearly all is background,
/// and rare foreground has to be found again from there.
///
/// # Errors
/// Those of [`Network::new`].
pub(super) fn untrained(
    config: &RunConfig,
    inputs: usize,
    outputs: &Outputs,
    seed: u64,
    device: &Device,
) -> Result<Network, RunError> {
    let network = Network::new(&config.model, inputs, outputs.count(), seed, device)?;
    if config.train.prior == 0.0 {
        return Ok(network);
    }
    let logits = outputs.prior_logits(config.train.prior);
    let heads = config.model.heads(inputs, outputs.count())?;
    let biases = heads.into_iter().filter(|name| name.ends_with(".bias"));
    let biases = biases.map(|name| (name, (vec![logits.len()], logits.clone())));
    let biases: BTreeMap<_, _> = biases.collect();
    Ok(take(network, biases).0)
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::Tensor;
    use lacuna_nets::ModelName;

    use super::*;

    /// The numbers of every tensor, in the network's order.
    #[derive(Default)]
    struct Tensors(Vec<Vec<f32>>);

    impl ModuleVisitor for Tensors {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let values = param.val().into_data();
            self.0.push(values.iter::<f32>().collect());
        }
    }

    #[test]
    fn the_biases_of_every_output_and_nothing_else_are_by_the_prior() {
        let device = Device::flex();
        let classes = ["background", "a", "b"].map(str::to_owned);
        for model in ModelName::ALL {
            let text = format!("dataset = \"d\"\nmodel.name = \"{model}\"\nmodel.width = 0.1\n");
            let config = |prior: &str| {
                let sets = [format!("train.prior={prior}")];
                RunConfig::parse(&text, &sets, "run.toml", "".as_ref()).unwrap()
            };
            let outputs = Outputs::new(&config("0"), &classes).unwrap();
            let tensors = |prior: &str| {
                let network = untrained(&config(prior), 2, &outputs, 3, &device).unwrap();
                let mut tensors = Tensors::default();
                network.visit(&mut tensors);
                tensors.0
            };
            // ln of .99, .005 and .005 about their mean.
            let expected = [3.525_5_f32, -1.762_8, -1.762_8];
            let (drawn, by_prior) = (tensors("0"), tensors("0.01"));
            let changed = drawn.iter().zip(&by_prior).filter(|(a, b)| a != b);
            let changed: Vec<_> = changed.collect();
            assert!(!changed.is_empty(), "{model}");
            for (before, after) in changed {
                assert!(
                    before.iter().all(|bias| *bias == 0.0),
                    "{model}: {before:?}"
                );
                assert_eq!(after.len(), 3, "{model}");
                let near = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-3;
                assert!(after.iter().zip(&expected).all(near), "{model}: {after:?}");
            }
        }
    }
}
