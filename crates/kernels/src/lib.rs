//! Vector kernels for the processor, without a tensor library.

mod instructions;
mod product;
mod vector;

pub use instructions::Instructions;
