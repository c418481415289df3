//! Checkpoints: everything that the next iteration depends on.
//!
//! A checkpoint is a folder `checkpoint-NNNNNN` that appears whole or not at
//! all: it is filled under another name, synced and renamed. The two newest are
//! kept. Random numbers need no state: they are keyed by (seed, iteration,
//! sample), so the seed and the iteration say it all.
//!
//! `state.json` has the hash of every other file and names the run, so that a part that is
//! damaged, or of another checkpoint or run, is refused by whoever opens it (`parts`).
//!
//! Beside them `best-NNNNNN` has the weights that scored best on the validation subjects:
//! those that are predicted with, without what a training would go on with.

mod optimiser;
mod parts;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use burn::module::{Module, Param};
use burn::optim::ModuleOptimizer;
use burn::tensor::Tensor;
use lacuna_data::sampler::{Realised, SubjectComponents};
use lacuna_io::atomic::{self, remove_folder, replace_folder};
use lacuna_nets::{NetError, Network, weights};
use serde::{Deserialize, Serialize};

use lacuna_record::RecordError;

use crate::run::RunError;
pub use optimiser::load_optimiser;
use parts::{Parts, damaged};

/// Checkpoints kept in a run folder.
const KEPT: usize = 2;
const NEWEST: &str = "checkpoint-";
const BEST: &str = "best-";
const WEIGHTS: &str = "weights.safetensors";
const AVERAGE: &str = "average.safetensors";
const OPTIMISER: &str = "optimiser.bin";
const ERRORS: &str = "errors.json";
const STATE: &str = "state.json";
/// Extension of a checkpoint that earlier versions were filling.
const PARTIAL: &str = "partial";

/// The counters of a checkpoint; `state.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// Iterations done.
    pub iteration: u64,
    /// Key of the random numbers.
    pub seed: u64,
    /// Times that the training has begun again.
    #[serde(default)]
    pub restarts: u64,
    /// Iterations in all, where a budget of time chose them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Mean of DSC and lesion F1 of the validation subjects, of the best weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What the sampler has drawn so far.
    pub realised: Realised,
}

impl State {
    /// Before the first iteration.
    pub fn new(seed: u64) -> Self {
        Self {
            iteration: 0,
            seed,
            restarts: 0,
            length: None,
            score: None,
            realised: Realised::default(),
        }
    }
}

/// What a training goes on with.
pub struct Saved<'a> {
    /// The counters.
    pub state: &'a State,
    /// With gradients.
    pub network: &'a Network,
    /// The average of its weights, where there is one.
    pub average: Option<&'a Network>,
    /// Of `network`.
    pub optimiser: &'a ModuleOptimizer,
    /// What the network got wrong on each training subject when it was last asked.
    pub errors: Option<&'a [SubjectComponents]>,
}

/// Which checkpoint of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The newest.
    #[default]
    Last,
    /// The one that scored best on the validation subjects.
    Best,
    /// The one of this iteration.
    Iteration(u64),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "last" => Ok(Self::Last),
            "best" => Ok(Self::Best),
            number => number.parse().map(Self::Iteration).map_err(|_| {
                "expected \"best\", \"last\" or the iteration of a checkpoint".to_owned()
            }),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Last => f.write_str("last"),
            Self::Best => f.write_str("best"),
            Self::Iteration(iteration) => iteration.fmt(f),
        }
    }
}

/// Writes a checkpoint into `run` and removes those older than the two newest.
///
/// # Errors
/// When the folder cannot be written; the older checkpoints are then still there.
pub fn save(run: &Path, saved: &Saved) -> Result<(), RunError> {
    place(run, NEWEST, saved.state, KEPT, &|parts| {
        parts.write(WEIGHTS, &weights::to_safetensors(saved.network)?)?;
        if let Some(average) = saved.average {
            parts.write(AVERAGE, &weights::to_safetensors(average)?)?;
        }
        if let Some(errors) = saved.errors {
            parts.write_json(ERRORS, &errors)?;
        }
        let bytes = (saved.optimiser.into_bytes()).map_err(|e| RecordError::Corrupt {
            path: run.join(OPTIMISER),
            found: format!("the optimiser state cannot be serialised: {e}"),
        })?;
        parts.write(OPTIMISER, &bytes)
    })
}

/// Writes the weights that are predicted with as the best of `run` so far.
///
/// # Errors
/// When the folder cannot be written; the best before are then still there.
pub fn save_best(run: &Path, state: &State, network: &Network) -> Result<(), RunError> {
    save_weights(run, BEST, state, network)
}

/// Writes weights that were trained elsewhere as the only checkpoint of `run`, without what a
/// training would go on with.
///
/// # Errors
/// When the folder cannot be written.
pub fn save_imported(run: &Path, state: &State, network: &Network) -> Result<(), RunError> {
    save_weights(run, NEWEST, state, network)
}

fn save_weights(
    run: &Path,
    prefix: &str,
    state: &State,
    network: &Network,
) -> Result<(), RunError> {
    place(run, prefix, state, 1, &|parts| {
        parts.write(WEIGHTS, &weights::to_safetensors(network)?)
    })
}

/// Makes the folder `{prefix}NNNNNN` of `run` by `fill`, and removes all of that prefix
/// but the `kept` newest.
fn place(
    run: &Path,
    prefix: &str,
    state: &State,
    kept: usize,
    fill: &dyn Fn(&mut Parts) -> Result<(), RunError>,
) -> Result<(), RunError> {
    let target = run.join(format!("{prefix}{:06}", state.iteration));
    replace_folder(&target, |folder| {
        let mut parts = Parts::new(folder);
        fill(&mut parts)?;
        parts.finish(run, state)
    })?;
    for (_, old) in list(run, prefix)?.into_iter().rev().skip(kept) {
        remove_folder(&old)?;
    }
    Ok(())
}

/// Removes what killed processes were writing or removing in a run that is held.
///
/// # Errors
/// When a folder cannot be removed.
pub(crate) fn tidy(run: &Path) -> Result<(), RunError> {
    atomic::tidy(run);
    // Where earlier versions filled a checkpoint.
    for entry in std::fs::read_dir(run).map_err(RunError::io(run))? {
        let path = entry.map_err(RunError::io(run))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ours = [NEWEST, BEST].iter().any(|prefix| name.starts_with(prefix));
        if ours && path.extension().is_some_and(|e| e == PARTIAL) {
            std::fs::remove_dir_all(&path).map_err(RunError::io(&path))?;
        }
    }
    Ok(())
}

/// The newest checkpoint of `run`: its folder and counters. `None` before the first.
///
/// # Errors
/// When its `state.json` cannot be read.
pub fn latest(run: &Path) -> Result<Option<(PathBuf, State)>, RunError> {
    newest(run, NEWEST)
}

/// The best checkpoint of `run`: its folder and counters. `None` before a validation.
///
/// # Errors
/// When its `state.json` cannot be read.
pub fn best(run: &Path) -> Result<Option<(PathBuf, State)>, RunError> {
    newest(run, BEST)
}

fn newest(run: &Path, prefix: &str) -> Result<Option<(PathBuf, State)>, RunError> {
    let newest = list(run, prefix)?.pop();
    newest.map(|newest| with_state(run, newest)).transpose()
}

/// The checkpoint or the best weights after that iteration.
fn of_iteration(run: &Path, iteration: u64) -> Result<Option<(PathBuf, State)>, RunError> {
    let mut all = list(run, NEWEST)?.into_iter().chain(list(run, BEST)?);
    let found = all.find(|(there, _)| *there == iteration);
    found.map(|found| with_state(run, found)).transpose()
}

/// A checkpoint folder with its counters, where it is of `run` and of the iteration that its
/// name says.
fn with_state(
    run: &Path,
    (iteration, folder): (u64, PathBuf),
) -> Result<(PathBuf, State), RunError> {
    let state = parts::state(run, &folder)?;
    if state.iteration != iteration {
        let found = format!("it is of iteration {}, unlike its folder", state.iteration);
        return Err(damaged(&folder.join(STATE), &found));
    }
    Ok((folder, state))
}

/// The file of the weights that `run` is predicted with, and the counters beside it.
///
/// # Errors
/// [`RunError::NoCheckpoint`] when there is none of that choice, and when its
/// `state.json` cannot be read.
pub fn chosen(run: &Path, choice: Choice) -> Result<(PathBuf, State), RunError> {
    let found = match choice {
        Choice::Last => latest(run)?,
        Choice::Best => best(run)?,
        Choice::Iteration(iteration) => of_iteration(run, iteration)?,
    };
    let Some((folder, state)) = found else {
        return Err(not_there(run, choice)?);
    };
    let weights = match parts::has(&folder, AVERAGE)? {
        true => folder.join(AVERAGE),
        false => folder.join(WEIGHTS),
    };
    Ok((weights, state))
}

/// The error that names what there is instead.
fn not_there(run: &Path, choice: Choice) -> Result<RunError, RunError> {
    if choice == Choice::Last {
        return Ok(RunError::not_a_run(run, "checkpoint-NNNNNN"));
    }
    let mut kept: Vec<String> = (list(run, NEWEST)?.iter())
        .map(|(iteration, _)| iteration.to_string())
        .collect();
    if let Some((_, best)) = best(run)? {
        kept.push(format!("best ({})", best.iteration));
    }
    Ok(RunError::NoCheckpoint {
        run: run.to_owned(),
        choice,
        kept: kept.join(", "),
    })
}

/// Removes the best weights of `run` where they are of an iteration after this one, which a
/// training that goes on from here may never come to as it did; the score of those that
/// stay.
///
/// # Errors
/// When a folder cannot be removed, and when a `state.json` cannot be read.
pub fn best_until(run: &Path, iteration: u64) -> Result<Option<f64>, RunError> {
    match best(run)? {
        Some((folder, state)) if state.iteration > iteration => {
            remove_folder(&folder)?;
            Ok(None)
        }
        found => Ok(found.and_then(|(_, state)| state.score)),
    }
}

/// Removes every checkpoint of `run`.
///
/// # Errors
/// When a folder cannot be removed.
pub fn clear(run: &Path) -> Result<(), RunError> {
    for prefix in [NEWEST, BEST] {
        for (_, folder) in list(run, prefix)? {
            remove_folder(&folder)?;
        }
    }
    Ok(())
}

/// The network and the average that a checkpoint folder holds, each in the shape of
/// `network`.
///
/// # Errors
/// As [`load_weights`].
pub fn load_both(folder: &Path, network: Network) -> Result<(Network, Option<Network>), RunError> {
    let average = match parts::has(folder, AVERAGE)? {
        true => Some(load_weights(&folder.join(AVERAGE), network.valid())?),
        false => None,
    };
    Ok((load_weights(&folder.join(WEIGHTS), network)?, average))
}

/// The wrong places that a checkpoint folder holds.
///
/// # Errors
/// When the file is damaged.
pub fn load_errors(folder: &Path) -> Result<Option<Vec<SubjectComponents>>, RunError> {
    let path = folder.join(ERRORS);
    if !parts::has(folder, ERRORS)? {
        return Ok(None);
    }
    let errors = serde_json::from_slice(&parts::read(&path)?);
    Ok(Some(errors.map_err(|e| damaged(&path, &e))?))
}

/// Loads a file of weights into a network of the same shape.
///
/// # Errors
/// When the file is missing, truncated, of another network, or holds a weight that is
/// not finite.
pub fn load_weights(path: &Path, network: Network) -> Result<Network, RunError> {
    let bytes = parts::read(path)?;
    let loaded = weights::load_safetensors(network, &bytes);
    let network = loaded.map_err(|source| match source {
        NetError::WeightsMismatch { .. } => RunError::OtherNetwork {
            path: path.to_owned(),
            source,
        },
        other => damaged(path, &other),
    })?;
    match weights_are_finite(&network) {
        true => Ok(network),
        false => Err(damaged(path, &"a weight is NaN or infinite")),
    }
}

/// The folders `{prefix}NNNNNN` of `run` with their iterations, oldest first.
fn list(run: &Path, prefix: &str) -> Result<Vec<(u64, PathBuf)>, RunError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(run).map_err(RunError::io(run))? {
        let entry = entry.map_err(RunError::io(run))?;
        let name = entry.file_name();
        let iteration = name
            .to_str()
            .and_then(|n| n.strip_prefix(prefix))
            .and_then(|n| n.parse().ok());
        if let Some(iteration) = iteration {
            found.push((iteration, entry.path()));
        }
    }
    found.sort();
    Ok(found)
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
