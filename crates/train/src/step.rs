//! One training step: forward, loss, backward, optimiser.

use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::{Tensor, TensorData};
use lacuna_losses::{Evaluation, Layout, Loss, LossError, Reduction, value_and_gradient};
use lacuna_nets::Network;

use crate::compute::Compute;

/// What a step needs besides the network and the batch.
pub struct Step<'a> {
    /// Where and in what precision, with gradients.
    pub compute: &'a Compute,
    /// What is minimised.
    pub loss: &'a dyn Loss,
    /// How the samples of a batch make one value of it.
    pub reduction: Reduction,
    /// Learning rate.
    pub rate: f64,
}

impl Step<'_> {
    /// The network after one step on `images` `[B, C, H, W]` or
    /// `[B, C, D, H, W]`, and the loss before it; `labels` are `[B, N]` with N
    /// the voxels of the effective patch.
    ///
    /// # Errors
    /// Those of [`value_and_gradient`]: [`LossError::NonFiniteLogit`] where the
    /// network's output is not finite.
    pub fn take(
        &self,
        network: Network,
        optimiser: &mut ModuleOptimizer,
        images: TensorData,
        labels: &[u8],
    ) -> Result<(Network, Evaluation), LossError> {
        let logits = self.compute.logits(&network, images);
        let (evaluation, gradient) = self.judge(&logits, labels)?;
        // d(sum(logits * g))/d(logits) is g: this hands the loss gradient to autodiff.
        let gradient = Tensor::<3>::from_data(gradient, &logits.device());
        let gradients = (logits * gradient).sum().backward();
        let gradients = GradientsParams::from_grads(gradients, &network);
        Ok((optimiser.step(self.rate, network, gradients), evaluation))
    }

    /// Loss and its gradient `[B, classes, N]` with respect to the logits. Both
    /// are finite when the logits are.
    fn judge(
        &self,
        logits: &Tensor<3>,
        labels: &[u8],
    ) -> Result<(Evaluation, TensorData), LossError> {
        let [batch, classes, elements] = logits.dims();
        let layout = Layout {
            batch,
            classes,
            elements,
        };
        let host = logits.to_data();
        let host: &[f32] = host.as_slice().expect("the device computes in f32");
        let mut gradient = vec![0.0f32; host.len()];
        let evaluation = value_and_gradient(
            self.loss,
            self.reduction,
            layout,
            host,
            labels,
            &mut gradient,
        )?;
        let gradient = TensorData::new(gradient, [batch, classes, elements]);
        Ok((evaluation, gradient))
    }
}
