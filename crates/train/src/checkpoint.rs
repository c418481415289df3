//! Checkpoints: everything that the next iteration depends on.
//!
//! A checkpoint is a folder `checkpoint-NNNNNN` that appears whole or not at
//! all: it is filled under another name, synced and renamed. The two newest are
//! kept. Random numbers need no state: they are keyed by (seed, iteration,
//! sample), so the seed and the iteration say it all.

use std::path::{Path, PathBuf};

use burn::module::{Module, Param};
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;
use lacuna_data::sampler::Realised;
use lacuna_nets::{NetError, Network, weights};
use serde::{Deserialize, Serialize};

use lacuna_record::{RecordError, read_json, write_json};

use crate::run::RunError;

/// Checkpoints kept in a run folder.
const KEPT: usize = 2;

/// The counters of a checkpoint; `state.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Iterations done.
    pub iteration: u64,
    /// Key of the random numbers.
    pub seed: u64,
    /// What the sampler has drawn so far.
    pub realised: Realised,
}

/// Writes a checkpoint into `run` and removes those older than the two newest.
///
/// # Errors
/// When the folder cannot be written; the older checkpoints are then still there.
pub fn save(
    run: &Path,
    state: &State,
    network: &Network,
    optimiser: &ModuleOptimizer,
) -> Result<(), RunError> {
    let target = run.join(format!("checkpoint-{:06}", state.iteration));
    let partial = run.join(format!("checkpoint-{:06}.partial", state.iteration));
    for leftover in [&partial, &target] {
        if leftover.exists() {
            std::fs::remove_dir_all(leftover).map_err(RunError::io(leftover))?;
        }
    }
    if let Err(error) = fill(&partial, state, network, optimiser) {
        // What cannot be finished, on a full disk for example, is not left behind.
        let _ = std::fs::remove_dir_all(&partial);
        return Err(error);
    }
    std::fs::rename(&partial, &target).map_err(RunError::io(&target))?;
    sync_folder(run)?;
    for (_, old) in list(run)?.into_iter().rev().skip(KEPT) {
        std::fs::remove_dir_all(&old).map_err(RunError::io(&old))?;
    }
    Ok(())
}

/// Writes the three files of a checkpoint into the new folder `partial`.
fn fill(
    partial: &Path,
    state: &State,
    network: &Network,
    optimiser: &ModuleOptimizer,
) -> Result<(), RunError> {
    std::fs::create_dir_all(partial).map_err(RunError::io(partial))?;
    let weights = weights::to_safetensors(network)?;
    lacuna_io::atomic::write_bytes(partial.join("weights.safetensors"), &weights)?;
    let path = partial.join("optimiser.bin");
    let bytes = optimiser.into_bytes().map_err(|e| RecordError::Corrupt {
        path: path.clone(),
        found: format!("the optimiser state cannot be serialised: {e}"),
    })?;
    lacuna_io::atomic::write_bytes(&path, &bytes)?;
    write_json(&partial.join("state.json"), state)?;
    Ok(())
}

/// The newest checkpoint of `run`: its folder and counters. `None` before the first.
///
/// # Errors
/// When its `state.json` cannot be read.
pub fn latest(run: &Path) -> Result<Option<(PathBuf, State)>, RunError> {
    let Some((_, folder)) = list(run)?.pop() else {
        return Ok(None);
    };
    let state = read_json(&folder, "state.json")?;
    Ok(Some((folder, state)))
}

/// Loads the weights of a checkpoint folder into a network of the same shape.
///
/// # Errors
/// When the file is missing, truncated, of another network, or holds a weight that is
/// not finite.
pub fn load_weights(folder: &Path, network: Network) -> Result<Network, RunError> {
    let path = folder.join("weights.safetensors");
    let bytes = std::fs::read(&path).map_err(|e| damaged(&path, &e))?;
    let loaded = weights::load_safetensors(network, &bytes);
    let network = loaded.map_err(|source| match source {
        NetError::WeightsMismatch { .. } => RunError::OtherNetwork {
            path: path.clone(),
            source,
        },
        other => damaged(&path, &other),
    })?;
    match weights_are_finite(&network) {
        true => Ok(network),
        false => Err(damaged(&path, &"a weight is NaN or infinite")),
    }
}

/// Loads the optimiser state of a checkpoint folder.
///
/// # Errors
/// When the file is missing or truncated.
pub fn load_optimiser(
    folder: &Path,
    optimiser: ModuleOptimizer,
) -> Result<ModuleOptimizer, RunError> {
    let path = folder.join("optimiser.bin");
    let bytes = std::fs::read(&path).map_err(|e| damaged(&path, &e))?;
    optimiser
        .from_bytes(burn::tensor::Bytes::from_bytes_vec(bytes))
        .map_err(|e| damaged(&path, &format!("not an optimiser state: {e}")))
}

fn damaged(path: &Path, found: &dyn std::fmt::Display) -> RunError {
    RunError::Checkpoint {
        path: path.to_owned(),
        found: found.to_string(),
        folder: path.parent().unwrap_or(path).to_owned(),
    }
}

/// Checkpoint folders with their iterations, oldest first.
fn list(run: &Path) -> Result<Vec<(u64, PathBuf)>, RunError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(run).map_err(RunError::io(run))? {
        let entry = entry.map_err(RunError::io(run))?;
        let name = entry.file_name();
        let iteration = name
            .to_str()
            .and_then(|n| n.strip_prefix("checkpoint-"))
            .and_then(|n| n.parse().ok());
        if let Some(iteration) = iteration {
            found.push((iteration, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

fn sync_folder(path: &Path) -> Result<(), RunError> {
    #[cfg(unix)]
    std::fs::File::open(path)
        .and_then(|f| f.sync_all())
        .map_err(RunError::io(path))?;
    Ok(())
}

/// True when no weight is NaN or infinite.
pub fn weights_are_finite(network: &Network) -> bool {
    struct Finite(bool);
    impl burn::module::ModuleVisitor for Finite {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let data = param.val().into_data();
            self.0 &= data.iter::<f32>().all(f32::is_finite);
        }
    }
    let mut visitor = Finite(true);
    network.visit(&mut visitor);
    visitor.0
}
