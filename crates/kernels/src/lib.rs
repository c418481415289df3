//! Vector kernels for the processor, without a tensor library.

#![allow(unsafe_code, reason = "vector instructions work on addresses")]

mod adam;
mod add_widened;
mod columns;
mod convolve;
mod direct;
mod exponential;
mod few_voxels;
mod geometry;
mod instructions;
mod masked;
mod mean_pool;
mod moments;
#[cfg(test)]
mod noise;
mod norm;
mod phases;
mod pool;
mod precision;
mod product;
mod rearrange;
mod rectify;
mod scratch;
mod sigmoid;
mod softmax;
mod source;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tile;
mod vector;
mod weights;
mod winograd;

pub use adam::{Adam, AdamState};
pub use add_widened::{add_widened, widened_gradient};
pub use convolve::has_tiles;
pub use geometry::Convolution;
pub use instructions::Instructions;
pub use mean_pool::MeanPool;
pub use moments::{Moments, column_sums, moments, moments_of_images};
pub use norm::{Normalisation, NormalisationGradients, Statistics};
pub use pool::MaxPool;
pub use precision::Precision;
pub use rearrange::{VoxelShuffle, join_channels, split_channels};
pub use rectify::{activate, mask_rectified};
pub use sigmoid::{
    Inside, RegionReference, RegionSlopes, RegionSums, region_gradient, region_own, region_sums,
};
pub use softmax::{
    ReferenceClass, SOFTMAX_CLASSES_MAX, SoftmaxReference, SoftmaxSlopes, SoftmaxSums, Spread,
    SumsWanted, own_gradient, power, softmax_gradient, softmax_own, softmax_sums,
};
pub use source::{Rectifier, Source};
