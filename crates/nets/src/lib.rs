//! The networks of Sudre et al. 2017 (DLMIA, Table 1), an unpadded UNet and
//! TwoPathCNN for 2-D slices, DeepMedic and HighRes3DNet for volumes; a padded
//! UNet; and the plain and residual UNets of nnU-Net, 2-D or 3-D.
//!
//! A network here is four things:
//! - [`ModelConfig`]: what a run file says about it (name, preset, stages, width);
//! - [`Plan`]: its layers, a value made from the configuration, of which all else
//!   follows;
//! - [`Architecture`]: what the layers do to the length of an axis, known
//!   without any weight: border, legal input lengths, effective length;
//! - [`Network`]: the layers with their weights, on a Burn device.
//!
//! Axis order: a 2-D network takes `[batch, channel, y, x]`, a 3-D network
//! `[batch, channel, z, y, x]`, and gives logits in the same order. Each axis has
//! its own border and legal lengths; lengths wear [`lacuna_volume::Zyx`], with one
//! voxel along the z of a 2-D network. The output lies centred in the input: half a
//! border is lost on either side.

pub mod architecture;
pub mod config;
pub mod deep_medic;
pub mod encoder_decoder;
pub mod error;
mod extent;
mod footprint;
mod forward;
pub mod high_res_3d_net;
pub mod network;
pub mod onnx;
mod parameters;
pub mod plan;
pub mod two_path_cnn;
pub mod unet;
pub mod weights;

pub use architecture::{Architecture, Axis};
pub use config::{ModelConfig, ModelName, TwoPathPreset};
pub use encoder_decoder::Stages;
pub use error::{NetError, TensorDifference};
pub use lacuna_ops::Precision;
pub use network::Network;
pub use plan::{Layer, NormOf, Plan};
pub use weights::{Taken, load_safetensors, take, to_safetensors};
