//! The state of the optimiser. Burn takes it as it is, and panics in a later step on what does
//! not fit the network: that is refused here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::ModuleOptimizer;
use burn::tensor::{Bytes, DType, Tensor};
use burn_pack::Reader;
use lacuna_nets::Network;

use super::{OPTIMISER, parts};
use crate::run::RunError;

/// What Burn calls the number of axes of a parameter.
const RANK: &str = ".__rank";

/// Loads the optimiser state of a checkpoint folder, that of `network`.
///
/// # Errors
/// When the file is missing, is no optimiser's, or holds what is not of the network.
pub fn load_optimiser(
    folder: &Path,
    optimiser: ModuleOptimizer,
    network: &Network,
) -> Result<ModuleOptimizer, RunError> {
    let path = folder.join(OPTIMISER);
    // Shared, or each reader would have a copy.
    let bytes = Bytes::from_bytes_vec(parts::read(&path)?).shared();
    let damaged = |found: String| parts::damaged(&path, &found);
    check(bytes.clone(), network).map_err(damaged)?;
    load(bytes, optimiser).map_err(damaged)
}

/// Loads a state, and says what of it the optimiser would pass over: Burn looks entries up by name.
fn load(bytes: Bytes, optimiser: ModuleOptimizer) -> Result<ModuleOptimizer, String> {
    let names = |bytes: Bytes| -> Result<BTreeSet<String>, String> {
        let reader = Reader::from_bytes(bytes).map_err(unread)?;
        let tensors = reader.tensor_names().into_iter().map(str::to_owned);
        Ok(tensors.chain(reader.scalars().keys().cloned()).collect())
    };
    let loaded = optimiser.from_bytes(bytes.clone()).map_err(unread)?;
    let taken = names(loaded.into_bytes().map_err(unread)?)?;
    match names(bytes)?.difference(&taken).next() {
        Some(name) => Err(format!(
            "an optimiser state with {name}, which is none of this optimiser's"
        )),
        None => Ok(loaded),
    }
}

/// What the error of a state says that Burn cannot read.
fn unread(error: impl Display) -> String {
    format!("not an optimiser state: {error}")
}

/// Says what of a state is not of the network.
fn check(bytes: Bytes, network: &Network) -> Result<(), String> {
    let reader = Reader::from_bytes(bytes).map_err(unread)?;
    let shapes = shapes(network);
    for (name, rank) in reader.scalars() {
        let Some(id) = name.strip_suffix(RANK) else {
            continue;
        };
        let expected = id.parse().ok().and_then(|id: u64| shapes.get(&id));
        let found = usize::try_from(*rank).ok();
        if expected.is_none() || found != expected.map(Vec::len) {
            return Err(format!(
                "an optimiser state whose {name} is {rank:?}, unlike the network's"
            ));
        }
    }
    for tensor in reader.into_tensors().map_err(unread)? {
        let (name, dtype, shape, id, _) = tensor.into_parts().map_err(unread)?;
        let expected = id.and_then(|id| shapes.get(&id));
        if dtype != DType::F32 || Some(&shape.to_vec()) != expected {
            return Err(format!(
                "an optimiser state with {name} of {shape:?} numbers ({dtype:?}), and the \
                 network's parameter has {expected:?} (F32)"
            ));
        }
    }
    Ok(())
}

/// Shapes of the parameters by their ids.
fn shapes(network: &Network) -> BTreeMap<u64, Vec<usize>> {
    struct Shapes(BTreeMap<u64, Vec<usize>>);
    impl ModuleVisitor for Shapes {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.insert(param.id.val(), param.dims().to_vec());
        }
    }
    let mut shapes = Shapes(BTreeMap::new());
    network.visit(&mut shapes);
    shapes.0
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Shape};
    use burn_pack::{Scalar, Tensor, Writer};
    use lacuna_nets::{ModelConfig, ModelName};

    use super::*;

    /// A state of one tensor.
    fn state(id: Option<u64>, shape: &[usize], rank: usize) -> Vec<u8> {
        let bytes = Bytes::from_bytes_vec(vec![0; 4 * shape.iter().product::<usize>()]);
        let id_text = id.unwrap_or_default();
        let name = format!("{id_text}.moment_1");
        let tensor = Tensor::new(name, DType::F32, Shape::from(shape.to_vec()), id, bytes);
        let writer = Writer::new(vec![tensor]);
        let writer = writer.with_scalar(&format!("{id_text}{RANK}"), Scalar::from(rank));
        writer.into_bytes().unwrap().to_vec()
    }

    #[test]
    fn what_is_not_of_the_network_is_refused() {
        let model = ModelConfig {
            name: ModelName::Unet,
            width: 0.05,
            ..ModelConfig::default()
        };
        let network = Network::new(&model, 1, 2, 0, &Device::default()).unwrap();
        let (id, shape) = shapes(&network).pop_first().unwrap();
        let rank = shape.len();
        let check = |bytes: &[u8]| check(Bytes::from_bytes_vec(bytes.to_vec()), &network);
        check(&state(Some(id), &shape, rank)).unwrap();
        let refused = |bytes: &[u8], part: &str| {
            let found = check(bytes).unwrap_err();
            assert!(found.contains(part), "{found}");
        };
        refused(&state(Some(id), &[7], rank), "moment_1");
        refused(&state(None, &shape, rank), "moment_1");
        refused(&state(Some(id), &shape, rank + 1), "__rank");
        refused(&state(Some(1_000_000), &shape, rank), "__rank");
        let cut = state(Some(id), &shape, rank);
        refused(&cut[..cut.len() / 2], "not an optimiser state");
        refused(b"", "not an optimiser state");
    }

    /// One moment alone has all that [`check`] asks for, and Burn would begin both at 0 again.
    #[test]
    fn what_the_optimiser_would_pass_over_is_refused() {
        let adam = || lacuna_ops::adam(1e-8, 0.0);
        let state = Bytes::from_bytes_vec(state(Some(7), &[2, 3], 2));
        let found = load(state, adam()).err().unwrap();
        assert!(found.contains("none of this optimiser's"), "{found}");
        load(adam().into_bytes().unwrap(), adam()).unwrap();
    }
}
