//! Vector kernels for the processor, without a tensor library.

mod columns;
mod convolve;
mod geometry;
mod instructions;
mod moments;
#[cfg(test)]
mod noise;
mod norm;
mod precision;
mod product;
mod rectify;
mod source;
mod vector;

pub use geometry::Convolution;
pub use instructions::Instructions;
pub use moments::{Moments, column_sums, moments};
pub use norm::{Normalisation, NormalisationGradients, Statistics};
pub use precision::Precision;
pub use rectify::{activate, mask_rectified};
pub use source::{Rectifier, Source};
