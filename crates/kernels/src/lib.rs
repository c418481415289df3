//! Vector kernels for the processor, without a tensor library.

mod convolve;
mod exponential;
mod geometry;
mod instructions;
mod masked;
mod precision;
mod product;
mod softmax;
mod source;
mod vector;

pub use geometry::Convolution;
pub use instructions::Instructions;
pub use precision::Precision;
pub use softmax::{
    SOFTMAX_CLASSES_MAX, SoftmaxSlopes, SoftmaxSums, SumsWanted, softmax_gradient, softmax_sums,
};
pub use source::{Rectifier, Source};
