//! Where and in what precision a network is computed.

use burn::tensor::{Device, Tensor, TensorData};
use lacuna_nets::{Network, Precision};
use lacuna_volume::Zyx;

use crate::device::{DeviceError, PrecisionName};

/// A device and the precision of convolutions on it.
#[derive(Clone, Debug)]
pub struct Compute {
    device: Device,
    precision: Precision,
}

impl Compute {
    /// Computing on `device` in `precision`.
    ///
    /// # Errors
    /// [`DeviceError::Precision`] for another precision than f32 where the
    /// device is not the processor; [`DeviceError::NoTiles`] where the processor has no
    /// matrix tiles.
    pub fn new(device: &Device, precision: PrecisionName) -> Result<Self, DeviceError> {
        if precision != PrecisionName::F32 {
            if !lacuna_ops::is_processor(device) {
                return Err(DeviceError::Precision { precision });
            }
            if !lacuna_ops::has_tiles() {
                return Err(DeviceError::NoTiles { precision });
            }
        }
        Ok(Self {
            device: device.clone(),
            precision: match precision {
                PrecisionName::F32 => Precision::F32,
                PrecisionName::Bf16 => Precision::Bf16,
                PrecisionName::Bf16x3 => Precision::Bf16x3,
            },
        })
    }

    /// The same with gradients.
    pub fn autodiff(&self) -> Self {
        Self {
            device: self.device.clone().autodiff(),
            precision: self.precision,
        }
    }

    /// The device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Logits `[B, classes, N]` of `images` `[B, C, H, W]` or `[B, C, D, H, W]`,
    /// the spatial axes flattened whatever the network's rank.
    ///
    /// With autodiff the graph is kept and batch norm uses batch statistics;
    /// without, the network must be in evaluation mode.
    pub fn logits(&self, network: &Network, images: TensorData) -> Tensor<3> {
        self.outputs(network, images, false).swap_remove(0).0
    }

    /// The [`logits`](Self::logits) and, where `all` outputs are wanted, those of the
    /// stages below, each coarser than the one before: `[B, classes, N]` with their
    /// lengths along z, y and x.
    pub fn outputs(
        &self,
        network: &Network,
        images: TensorData,
        all: bool,
    ) -> Vec<(Tensor<3>, Zyx<usize>)> {
        if network.rank() == 2 {
            let images = Tensor::from_data(images, &self.device);
            let outputs = match all {
                true => network.outputs_2d(images, self.precision),
                false => vec![network.forward_2d(images, self.precision)],
            };
            let flat = |output: Tensor<4>| {
                let [b, c, h, w] = output.dims();
                (output.reshape([b, c, h * w]), Zyx([1, h, w]))
            };
            return outputs.into_iter().map(flat).collect();
        }
        let images = Tensor::from_data(images, &self.device);
        let outputs = match all {
            true => network.outputs_3d(images, self.precision),
            false => vec![network.forward_3d(images, self.precision)],
        };
        let flat = |output: Tensor<5>| {
            let [b, c, d, h, w] = output.dims();
            (output.reshape([b, c, d * h * w]), Zyx([d, h, w]))
        };
        outputs.into_iter().map(flat).collect()
    }
}
