//! Vector kernels for the processor, without a tensor library.

mod convolve;
mod geometry;
mod instructions;
mod precision;
mod product;
mod source;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tile;
mod vector;

pub use geometry::Convolution;
pub use instructions::Instructions;
pub use precision::Precision;
pub use source::{Rectifier, Source};
