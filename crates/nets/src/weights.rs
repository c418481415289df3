//! Weights as safetensors: every kernel, bias, slope and batch norm tensor,
//! running statistics included, as 32-bit floats, bit for bit.
//!
//! Tensors are named by their place in the network (`down.0.convs.1.weight`),
//! in PyTorch's axis order: kernels `[out, in, (z,) y, x]`, transposed ones
//! `[in, out, (z,) y, x]`. The metadata entry `network` names the network.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::store::{ModuleSnapshot, ModuleStore, SafetensorsStore};
use burn::tensor::DType;
use lacuna_interop::Weights;

use crate::error::{NetError, TensorDifference};
use crate::network::Network;

/// How many differences an error lists.
const LISTED: usize = 5;

/// The weights of a network as the bytes of a safetensors file. Equal weights
/// give equal bytes.
///
/// # Errors
/// [`NetError::Safetensors`] if the weights cannot be read from their device.
pub fn to_safetensors(network: &Network) -> Result<Vec<u8>, NetError> {
    let written = |error: burn::store::SafetensorsStoreError| NetError::Safetensors {
        action: "written",
        reason: error.to_string(),
    };
    let name = network.architecture().name();
    let mut store = SafetensorsStore::from_bytes(None)
        .skip_enum_variants(true)
        .clear_metadata()
        .metadata("network", name.to_string());
    // `valid` brings the running statistics up to the last forward pass.
    network.valid().save_into(&mut store).map_err(written)?;
    store.get_bytes().map_err(written)
}

/// The network with its weights replaced by those of a safetensors file; it
/// stays on its device and keeps its tensors' identities.
///
/// # Errors
/// [`NetError::Safetensors`] for bytes that are not safetensors;
/// [`NetError::WeightsMismatch`] for weights of another network, width, number
/// of channels or classes, or of another number type than 32-bit floats.
pub fn load_safetensors(network: Network, bytes: &[u8]) -> Result<Network, NetError> {
    let unreadable = |reason: String| NetError::Safetensors {
        action: "read",
        reason,
    };
    let mut store = SafetensorsStore::from_bytes(Some(bytes.to_vec()));
    let mut found = store
        .get_all_tensors()
        .map_err(|error| unreadable(error.to_string()))?
        .clone();
    if network.architecture().name().has_stages() {
        found.retain(|name, _| !is_repeated(name));
    }

    let training = network.devices().iter().any(|device| device.is_autodiff());
    // `valid` detaches the running statistics from those that clones of this
    // network share, and from forward passes not yet accounted for.
    let mut network = network.valid();
    let differences = differences(&network, &found);
    none(differences)?;
    let tensors = found.into_values().collect();
    let applied = network.apply(tensors, None, None, true);
    if let Some(error) = applied.errors.first() {
        return Err(unreadable(error.to_string()));
    }
    Ok(if training { network.train() } else { network })
}

/// Refuses weights that differ.
fn none(differences: Vec<TensorDifference>) -> Result<(), NetError> {
    match differences.len() {
        0 => Ok(()),
        total => Err(NetError::WeightsMismatch {
            total,
            differences: differences.into_iter().take(LISTED).collect(),
        }),
    }
}

/// PyTorch's names for what its norms and slopes hold, and those of the networks here.
const ALIASES: [(&str, &str); 3] = [("weight", "gamma"), ("bias", "beta"), ("weight", "alpha")];

/// What a network took of the weights of another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Tensors that it took.
    pub tensors: usize,
    /// Tensors that it keeps as they were, and tensors that it has no use for.
    pub differences: Vec<TensorDifference>,
}

impl Taken {
    /// Refuses weights of which any tensor was not taken, or that lack one of the network's.
    ///
    /// # Errors
    /// [`NetError::WeightsMismatch`]
    pub fn whole(self) -> Result<(), NetError> {
        none(self.differences)
    }
}

/// The network with the tensors of `weights` that it has by name and shape. What PyTorch's
/// norms call `weight` and `bias` and its slopes `weight` is taken for the
/// network's `gamma`, `beta` and `alpha` of that place. It stays on its device.
pub fn take(network: Network, weights: Weights) -> (Network, Taken) {
    let mut expected = shapes(&network);
    let mut taken = BTreeMap::new();
    let mut differences = Vec::new();
    for (name, (found, values)) in weights {
        let own = match expected.contains_key(&name) {
            true => Some(name.clone()),
            false => alias(&name, &expected),
        };
        match own.as_ref().and_then(|own| expected.remove(own)) {
            Some(shape) if shape == found => {
                taken.extend(own.map(|own| (own, values)));
            }
            Some(expected) => differences.push(TensorDifference::Shape {
                name: own.unwrap_or(name),
                found,
                expected,
            }),
            None if is_repeated(&name) => {}
            None => differences.push(TensorDifference::Unknown { name, found }),
        }
    }
    let missing = expected.into_iter();
    differences
        .extend(missing.map(|(name, expected)| TensorDifference::Missing { name, expected }));
    let training = network.devices().iter().any(|device| device.is_autodiff());
    let network = network.valid().holding(&taken);
    let network = if training { network.train() } else { network };
    let taken = Taken {
        tensors: taken.len(),
        differences,
    };
    (network, taken)
}

/// What a network calls a tensor of PyTorch's, where it has it by another name.
fn alias(name: &str, expected: &BTreeMap<String, Vec<usize>>) -> Option<String> {
    let (place, last) = name.rsplit_once('.')?;
    let of_last = ALIASES.iter().filter(|(theirs, _)| *theirs == last);
    (of_last.map(|(_, own)| format!("{place}.{own}"))).find(|own| expected.contains_key(own))
}

/// Whether the package `dynamic-network-architectures` saves a tensor of that name
/// only beside another of the same values, or counts batches in it.
fn is_repeated(name: &str) -> bool {
    name.starts_with("decoder.encoder.")
        || name.contains(".all_modules.")
        || name.ends_with(".num_batches_tracked")
}

/// Name and shape of every tensor of a network, by name.
pub(crate) fn shapes(network: &Network) -> BTreeMap<String, Vec<usize>> {
    network
        .collect(None, None, true)
        .into_iter()
        .map(|tensor| (tensor.name, tensor.shape.to_vec()))
        .collect()
}

fn differences(
    network: &Network,
    found: &BTreeMap<String, burn::store::burn_pack::Tensor>,
) -> Vec<TensorDifference> {
    let mut expected = shapes(network);
    let mut differences: BTreeMap<String, TensorDifference> = BTreeMap::new();
    for (name, tensor) in found {
        let name = name.clone();
        let shape = tensor.shape.to_vec();
        let difference = match expected.remove(&name) {
            None => TensorDifference::Unknown {
                name: name.clone(),
                found: shape,
            },
            Some(expected) if expected != shape => TensorDifference::Shape {
                name: name.clone(),
                found: shape,
                expected,
            },
            Some(_) if tensor.dtype != DType::F32 => TensorDifference::NumberType {
                name: name.clone(),
                found: format!("{:?}", tensor.dtype),
            },
            Some(_) => continue,
        };
        differences.insert(name, difference);
    }
    for (name, expected) in expected {
        let missing = TensorDifference::Missing {
            name: name.clone(),
            expected,
        };
        differences.insert(name, missing);
    }
    differences.into_values().collect()
}
