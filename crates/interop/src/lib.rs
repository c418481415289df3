//! What other frameworks read and write, without a tensor library: checkpoints of
//! PyTorch.

pub mod torch_file;

pub use torch_file::{TorchFile, TorchFileError, Weights};
