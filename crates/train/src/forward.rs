//! One forward pass with the spatial axes flattened, whatever the network's rank.

use burn::tensor::{Device, Tensor, TensorData};
use lacuna_nets::{Network, Precision};

/// Logits `[B, classes, N]` of `images` `[B, C, H, W]` or `[B, C, D, H, W]`.
///
/// With an autodiff `device` the graph is kept and batch norm uses batch
/// statistics; without, the network must be in evaluation mode.
pub fn forward_flat(
    network: &Network,
    images: TensorData,
    device: &Device,
    precision: Precision,
) -> Tensor<3> {
    if network.rank() == 2 {
        let logits = network.forward_2d(Tensor::from_data(images, device), precision);
        let [b, c, h, w] = logits.dims();
        return logits.reshape([b, c, h * w]);
    }
    let logits = network.forward_3d(Tensor::from_data(images, device), precision);
    let [b, c, d, h, w] = logits.dims();
    logits.reshape([b, c, d * h * w])
}
