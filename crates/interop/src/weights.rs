//! Weights of a network from a file of another program.

use std::io;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::torch_file::{TorchFile, TorchFileError, Weights};

/// The tensors of a file: of `.safetensors`, or else of a checkpoint of PyTorch, of which
/// [`TorchFile::weights`] says which they are. Numbers of other types are rounded to 32-bit
/// floats.
///
/// # Errors
/// When the file cannot be read or is neither.
pub fn read_weights(path: &Path) -> Result<Weights, WeightsError> {
    let ending = path.extension();
    if !ending.is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors")) {
        return Ok(TorchFile::open(path)?.weights()?);
    }
    let unreadable = |reason: String| WeightsError::Safetensors {
        path: path.to_owned(),
        reason,
    };
    let bytes = only_file(path).and_then(|()| std::fs::read(path));
    let bytes = bytes.map_err(|error| unreadable(error.to_string()))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| unreadable(error.to_string()))?;
    let tensors = file.iter().map(|(name, view)| {
        let values = floats(&view)
            .ok_or_else(|| unreadable(format!("{name} holds {:?}, no numbers", view.dtype())))?;
        Ok((name.to_owned(), (view.shape().to_vec(), values)))
    });
    tensors.collect()
}

/// Refuses a folder, and a pipe or a device, which need not end, before it is opened.
pub(crate) fn only_file(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path)?.is_file() {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a folder, a pipe or a device, expected a file",
        )),
    }
}

/// The number that each `N` bytes stand for.
pub(crate) fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    let (numbers, _) = bytes.as_chunks::<N>();
    numbers.iter().map(|&b| number(b)).collect()
}

/// The elements, which lie in the file's order of bytes; `None` for other than numbers.
fn floats(view: &TensorView) -> Option<Vec<f32>> {
    let bytes = view.data();
    Some(match view.dtype() {
        Dtype::F64 => each(bytes, |b| f64::from_le_bytes(b) as f32),
        Dtype::F32 => each(bytes, f32::from_le_bytes),
        Dtype::F16 => each(bytes, |b| f16::from_le_bytes(b).to_f32()),
        Dtype::BF16 => each(bytes, |b| bf16::from_le_bytes(b).to_f32()),
        Dtype::I64 => each(bytes, |b| i64::from_le_bytes(b) as f32),
        Dtype::I32 => each(bytes, |b| i32::from_le_bytes(b) as f32),
        Dtype::U8 | Dtype::BOOL => each(bytes, |[b]| b.into()),
        _ => return None,
    })
}

/// Why a file gives no weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A checkpoint of PyTorch.
    #[error(transparent)]
    Torch(#[from] TorchFileError),
    /// A safetensors file.
    #[error("{path} cannot be read as safetensors: {reason}; write it again")]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}
