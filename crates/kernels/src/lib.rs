//! Vector kernels for the processor, without a tensor library.

mod instructions;

pub use instructions::Instructions;
