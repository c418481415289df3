//! A network with its weights.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use lacuna_ops::Precision;
use lacuna_volume::Zyx;

use crate::architecture::Architecture;
use crate::config::{ModelConfig, ModelName};
use crate::deep_medic::{self, DeepMedic};
use crate::error::NetError;
use crate::high_res_3d_net::{self, HighRes3dNet};
use crate::two_path_cnn::{self, TwoPathCnn};
use crate::unet::{self, Unet};
use crate::weights::shapes;

/// The most input channels a network is built for.
pub const INPUT_CHANNELS_MAX: usize = 256;
/// The most classes: labels are bytes.
pub const CLASSES_MAX: usize = 256;

/// One of the networks with its weights.
///
/// A network made on an autodiff device trains: batch norm uses and records the
/// statistics of each batch. [`Module::valid`] gives the same network on the
/// plain device, where batch norm uses the recorded statistics and a forward
/// pass changes nothing. Train from one thread: Burn averages running
/// statistics over the threads that made forward passes.
#[derive(Module, Debug)]
// The largest variant has some 1.4 kB of handles; a program holds few networks.
#[allow(clippy::large_enum_variant)]
pub enum Network {
    /// 2-D UNet.
    Unet(Unet),
    /// 2-D UNet of five levels whose output is as large as its input.
    PaddedUnet(Unet),
    /// 2-D two-path network.
    TwoPathCnn(TwoPathCnn),
    /// 3-D DeepMedic.
    DeepMedic(DeepMedic),
    /// 3-D HighRes3DNet.
    HighRes3dNet(HighRes3dNet),
}

impl Network {
    /// A network with initial weights that depend on `seed` alone.
    ///
    /// # Errors
    /// Those of [`ModelConfig::validate`]; [`NetError::Channels`] for no or
    /// more than [`INPUT_CHANNELS_MAX`] input channels, no or more than
    /// [`CLASSES_MAX`] classes. One class is a single sigmoid channel.
    pub fn new(
        config: &ModelConfig,
        input_channels: usize,
        classes: usize,
        seed: u64,
        device: &Device,
    ) -> Result<Self, NetError> {
        config.validate()?;
        let within = |what, found, least, most| {
            if (least..=most).contains(&found) {
                return Ok(());
            }
            Err(NetError::Channels {
                network: config.name,
                what,
                found,
                least,
                most,
            })
        };
        within("input channels", input_channels, 1, INPUT_CHANNELS_MAX)?;
        within("classes", classes, 1, CLASSES_MAX)?;
        let unet = |plan| Unet::new(plan, config, input_channels, classes, seed, device);
        Ok(match config.name {
            ModelName::Unet => Self::Unet(unet(&unet::UNPADDED)),
            ModelName::PaddedUnet => Self::PaddedUnet(unet(&unet::PADDED)),
            ModelName::TwoPathCnn => Self::TwoPathCnn(TwoPathCnn::new(
                config,
                input_channels,
                classes,
                seed,
                device,
            )),
            ModelName::DeepMedic => Self::DeepMedic(DeepMedic::new(
                config,
                input_channels,
                classes,
                seed,
                device,
            )),
            ModelName::HighRes3dNet => Self::HighRes3dNet(HighRes3dNet::new(
                config,
                input_channels,
                classes,
                seed,
                device,
            )),
        })
    }

    /// The spatial arithmetic of this network: border, legal lengths.
    pub fn architecture(&self) -> Architecture {
        match self {
            Self::Unet(_) => Architecture::new(ModelName::Unet, 2, unet::extents(&unet::UNPADDED)),
            Self::PaddedUnet(_) => {
                Architecture::new(ModelName::PaddedUnet, 2, unet::extents(&unet::PADDED))
            }
            Self::TwoPathCnn(net) => Architecture::new(
                ModelName::TwoPathCnn,
                2,
                two_path_cnn::extents(net.preset()),
            ),
            Self::DeepMedic(_) => Architecture::new(ModelName::DeepMedic, 3, deep_medic::extents()),
            Self::HighRes3dNet(_) => {
                Architecture::new(ModelName::HighRes3dNet, 3, high_res_3d_net::extents())
            }
        }
    }

    /// Number of spatial axes: 2 or 3. See [`Architecture::rank`].
    pub fn rank(&self) -> usize {
        self.architecture().rank()
    }

    /// Input minus output along each axis, in voxels. See
    /// [`Architecture::border`].
    pub fn border(&self) -> Zyx<usize> {
        self.architecture().border()
    }

    /// Lengths of the output for those of a legal input. See
    /// [`Architecture::effective_size`].
    ///
    /// # Errors
    /// [`NetError::IllegalSize`], with the nearest legal lengths.
    pub fn effective_size(&self, size: Zyx<usize>) -> Result<Zyx<usize>, NetError> {
        self.architecture().effective_size(size)
    }

    /// Logits of a 2-D network: `[batch, channel, y, x]` to
    /// `[batch, class, y - border, x - border]`, the convolutions' products in
    /// `precision`.
    ///
    /// # Panics
    /// If the network is 3-D ([`Self::rank`]), a length is not legal
    /// ([`Self::effective_size`]), the number of channels is not the
    /// network's, or the device is not the processor and the precision not
    /// [`Precision::F32`].
    pub fn forward_2d(&self, input: Tensor<4>, precision: Precision) -> Tensor<4> {
        let [_, _, y, x] = input.dims();
        self.assert_legal(Zyx([1, y, x]));
        match self {
            Self::Unet(net) | Self::PaddedUnet(net) => net.forward(input, precision),
            Self::TwoPathCnn(net) => net.forward(input, precision),
            Self::DeepMedic(_) | Self::HighRes3dNet(_) => {
                panic!("a 3-D network was given a 2-D patch")
            }
        }
    }

    /// Logits of a 3-D network: `[batch, channel, z, y, x]` to
    /// `[batch, class, z - border, y - border, x - border]`.
    ///
    /// # Panics
    /// As [`Self::forward_2d`], if the network is 2-D.
    pub fn forward_3d(&self, input: Tensor<5>, precision: Precision) -> Tensor<5> {
        let [_, _, z, y, x] = input.dims();
        self.assert_legal(Zyx([z, y, x]));
        match self {
            Self::DeepMedic(net) => net.forward(input, precision),
            Self::HighRes3dNet(net) => net.forward(input, precision),
            Self::Unet(_) | Self::PaddedUnet(_) | Self::TwoPathCnn(_) => {
                panic!("a 2-D network was given a 3-D patch")
            }
        }
    }

    fn assert_legal(&self, lengths: Zyx<usize>) {
        if let Err(error) = self.architecture().effective_size(lengths) {
            panic!("{error}");
        }
    }

    /// Number of trained values: kernels, biases, slopes, batch norm's scales
    /// and shifts, not its running statistics.
    pub fn parameter_count(&self) -> usize {
        shapes(self)
            .iter()
            .filter(|(name, _)| !name.contains("running_"))
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum()
    }
}
