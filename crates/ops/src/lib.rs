//! Operations that Burn lacks or computes slowly, each with its own gradient.
//!
//! On the processor (Burn's `flex` backend) they run the kernels of
//! `lacuna-kernels`; on every other device they are composed of Burn's own
//! operations. Both give the same values up to rounding.
//!
//! Values are channels-last, `[batch, z, y, x, channel]`; a 2-D image has one
//! voxel along z. Weights are in PyTorch's order,
//! `[channels_out, channels_in, z, y, x]`.

mod adam;
#[cfg(test)]
mod agreement;
mod composed;
mod convolve;
mod extension;
mod flex;
mod gradient;
mod normalise;
mod pool;
mod rearrange;
mod residual;

pub use adam::adam;
pub use convolve::{Filter, convolve, convolve_rectify};
pub use extension::is_processor;
pub use lacuna_kernels::{Precision, has_tiles};
pub use normalise::{
    Normalisation, Statistics, normalise_rectify, normalise_rectify_convolve, rectify,
};
pub use pool::{max_pool, mean_pool};
pub use rearrange::{join_channels, shuffle_voxels};
pub use residual::{add_widened, residual};
