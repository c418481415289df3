//! Checkpoints of PyTorch: `.pth` and `.pt` files as `torch.save` writes them, of any age.
//!
//! Such a file is a program (a pickle) that makes values. It is read by `pytorch-reader`,
//! which runs none of it: it interprets the calls that rebuild tensors and dictionaries,
//! and keeps the name of any other. A file that makes more than tensors, texts, numbers
//! and NumPy's scalars is refused here by the name of what it calls.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use half::{bf16, f16};
use pytorch_reader::{DType, PickleValue, PytorchError, PytorchReader, Tensor};
use serde_json::{Map, Value};

use crate::weights::{each, only_file};

/// Where programs keep the weights of a network among other things: PyTorch Lightning and
/// MONAI, nnU-Net, and what is usual elsewhere.
const KEYS: [&str; 4] = ["state_dict", "network_weights", "model_state_dict", "model"];

/// What `DataParallel` and `torch.compile` put before every name.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// What a checkpoint may hold beside weights, texts and numbers, though it is not read.
const KNOWN: [&str; 11] = [
    "_codecs.encode",
    "int",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    "numpy.ndarray",
    "torch.Size",
    "torch.Tensor",
    "torch.device",
];

/// Tensors by name: the shape, outermost axis first, and the values in that order.
pub type Weights = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A checkpoint, whose tensors are read when they are asked for.
pub struct TorchFile {
    path: PathBuf,
    tensors: BTreeMap<String, Tensor>,
    values: Value,
}

impl TorchFile {
    /// Opens a checkpoint and reads all of it but the values of its tensors.
    ///
    /// # Errors
    /// When the file cannot be read, is no checkpoint, or makes objects that no checkpoint
    /// of weights needs.
    pub fn open(path: &Path) -> Result<Self, TorchFileError> {
        let unreadable = |source: PytorchError| TorchFileError::Unreadable {
            path: path.to_owned(),
            source,
        };
        only_file(path).map_err(|source| unreadable(PytorchError::Io(source)))?;
        let found = PytorchReader::read_pickle_data(path, None).map_err(unreadable)?;
        let values = plain(found).map_err(|found| TorchFileError::Code {
            path: path.to_owned(),
            found,
        })?;
        let reader = PytorchReader::new(path).map_err(unreadable)?;
        Ok(Self {
            path: path.to_owned(),
            tensors: reader.into_tensors().into_iter().collect(),
            values: values.unwrap_or_default(),
        })
    }

    /// Texts, numbers, lists and dictionaries of the file, without its tensors and the
    /// scalars of NumPy: `values()["init_args"]["configuration"]` of nnU-Net's. A number
    /// that is not finite is null.
    pub fn values(&self) -> &Value {
        &self.values
    }

    /// The network's weights: the tensors under `state_dict`, `network_weights`,
    /// `model_state_dict` or `model`, the first of them that there is, else all tensors of
    /// the file. Numbers of other types are rounded to 32-bit floats. What `DataParallel`
    /// and `torch.compile` put before every name (`module.`) is taken off.
    ///
    /// # Errors
    /// When there is none, and when the file ends early or is damaged.
    pub fn weights(&self) -> Result<Weights, TorchFileError> {
        let under = |key: &&str| {
            let prefix = format!("{key}.");
            (self.tensors.keys().any(|name| name.starts_with(&prefix))).then_some(prefix)
        };
        let mut prefix = KEYS.iter().find_map(under).unwrap_or_default();
        for wrapper in WRAPPERS {
            let longer = format!("{prefix}{wrapper}");
            let mut inside = self.tensors.keys().filter(|name| name.starts_with(&prefix));
            if inside.all(|name| name.starts_with(&longer)) {
                prefix = longer;
            }
        }
        let weights: Weights = (self.tensors.iter())
            .filter_map(|(name, tensor)| Some((name.strip_prefix(&prefix)?, tensor)))
            .map(|(name, tensor)| {
                let bytes = tensor.read().map_err(|source| TorchFileError::Damaged {
                    path: self.path.clone(),
                    source,
                })?;
                let values = floats(tensor.dtype(), &bytes);
                Ok((name.to_owned(), (tensor.shape().to_vec(), values)))
            })
            .collect::<Result<_, _>>()?;
        match weights.is_empty() {
            true => Err(TorchFileError::Empty {
                path: self.path.clone(),
            }),
            false => Ok(weights),
        }
    }
}

/// The value without what cannot be told in JSON; the name of the Python object in it that
/// no checkpoint of weights needs.
fn plain(value: PickleValue) -> Result<Option<Value>, String> {
    Ok(Some(match value {
        PickleValue::None => Value::Null,
        PickleValue::Bool(value) => value.into(),
        PickleValue::Int(value) => value.into(),
        PickleValue::Float(value) => value.into(),
        PickleValue::String(value) => value.into(),
        PickleValue::Bytes(_) => return Ok(None),
        PickleValue::List(items) => {
            let items: Result<Vec<_>, _> = items.into_iter().map(plain).collect();
            Value::Array(items?.into_iter().flatten().collect())
        }
        PickleValue::Dict(entries) => {
            let mut kept = Map::new();
            for (key, entry) in entries {
                if let Some(entry) = plain(entry)? {
                    kept.insert(key, entry);
                }
            }
            Value::Object(kept)
        }
        PickleValue::Unsupported(name) if is_harmless(&name) => return Ok(None),
        PickleValue::Unsupported(name) => return Err(name),
    }))
}

/// Whether a Python name is of a number type of PyTorch, or in [`KNOWN`].
fn is_harmless(name: &str) -> bool {
    let number_type = |name: &str| {
        let letters = name.trim_end_matches(|c: char| c.is_ascii_digit());
        matches!(letters, "float" | "bfloat" | "int" | "uint" | "bool")
    };
    KNOWN.contains(&name) || name.strip_prefix("torch.").is_some_and(number_type)
}

/// The elements of a tensor, which `pytorch-reader` gives in the machine's own byte order.
fn floats(of: DType, bytes: &[u8]) -> Vec<f32> {
    match of {
        DType::F64 => each(bytes, |b| f64::from_ne_bytes(b) as f32),
        DType::F32 => each(bytes, f32::from_ne_bytes),
        DType::F16 => each(bytes, |b| f16::from_ne_bytes(b).to_f32()),
        DType::BF16 => each(bytes, |b| bf16::from_ne_bytes(b).to_f32()),
        DType::I64 => each(bytes, |b| i64::from_ne_bytes(b) as f32),
        DType::I32 => each(bytes, |b| i32::from_ne_bytes(b) as f32),
        DType::I16 => each(bytes, |b| i16::from_ne_bytes(b).into()),
        DType::I8 => each(bytes, |b| i8::from_ne_bytes(b).into()),
        DType::U64 => each(bytes, |b| u64::from_ne_bytes(b) as f32),
        DType::U32 => each(bytes, |b| u32::from_ne_bytes(b) as f32),
        DType::U16 => each(bytes, |b| u16::from_ne_bytes(b).into()),
        DType::U8 | DType::Bool => each(bytes, |[b]| b.into()),
    }
}

/// Why a checkpoint of PyTorch gives no weights.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TorchFileError {
    /// It cannot be read, or is none.
    #[error(
        "{path} cannot be read as a checkpoint of PyTorch: {source}; expected what \
         `torch.save(network.state_dict(), ...)` writes"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the reader says.
        source: PytorchError,
    },
    /// It calls what no checkpoint of weights needs.
    #[error(
        "{path} holds a Python object, {found}, beside tensors, texts and numbers: such files \
         can run any program when Python loads them, so this one is not read; save the weights \
         alone, by `torch.save(network.state_dict(), ...)`"
    )]
    Code {
        /// The file.
        path: PathBuf,
        /// The object's name in Python.
        found: String,
    },
    /// A tensor is not there as the file says.
    #[error("{path} is damaged: {source}; copy it again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
    /// No tensor.
    #[error("{path} holds no tensors; expected the weights of a network")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}
