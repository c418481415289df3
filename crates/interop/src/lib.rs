//! What other frameworks read and write, without a tensor library: weights of PyTorch,
//! ONNX models, event files of TensorBoard.

pub mod onnx;
mod protobuf;
mod tensorboard;
pub mod torch_file;
mod weights;

pub use tensorboard::TensorBoardWriter;
pub use torch_file::{TorchFile, TorchFileError, Weights};
pub use weights::{WeightsError, read_weights};
