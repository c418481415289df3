//! Vector kernels for the processor, without a tensor library.

mod convolve;
mod direct;
mod geometry;
mod instructions;
mod narrow;
mod precision;
mod product;
mod scratch;
mod source;
mod vector;
mod weights;
mod winograd;

pub use geometry::Convolution;
pub use instructions::Instructions;
pub use precision::Precision;
pub use source::{Rectifier, Source};
