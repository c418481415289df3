//! The training loop.
//!
//! `Preflight` refuses what can be refused, `Session` holds what a training
//! works with, and [`train`] is the loop.

mod divergence;
mod preflight;
mod session;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Device;
use lacuna_record::{Event, Summary};

use crate::config::RunConfig;
use crate::run::RunError;
use crate::validation::Validation;
use preflight::Preflight;
use session::Session;

/// What training tells its caller while it runs.
pub enum Progress<'a> {
    /// Something to read once, such as a subject that is skipped.
    Note(String),
    /// The loop is about to start at iteration `done` of `total`.
    Start {
        /// Iterations done before.
        done: u64,
        /// Iterations in all.
        total: u64,
    },
    /// An iteration is done.
    Iteration(&'a Event),
    /// Validation subjects were scored.
    Validation(Validation),
}

/// Trains as `config` says into the folder `out`.
///
/// `stop` ends the run after the current iteration, with a checkpoint.
///
/// # Errors
/// [`RunError`]; checkpoints written before the error stay.
pub fn train(
    config: &RunConfig,
    out: &Path,
    resume: bool,
    device: &Device,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Summary, RunError> {
    let preflight = Preflight::new(config, out, resume, device, progress)?;
    let mut session = Session::start(config, out, preflight)?;
    progress(Progress::Start {
        done: session.done(),
        total: config.train.iterations,
    });
    loop {
        if session.validation_is_due() {
            match session.validate(stop) {
                Ok(scored) => progress(Progress::Validation(scored)),
                Err(RunError::Stopped) => break,
                Err(error) => return Err(error),
            }
        }
        if session.is_complete() || stop.load(Ordering::Relaxed) {
            break;
        }
        let Some(batch) = session.next_batch()? else {
            break;
        };
        session = session.step(batch)?;
        if let Some(event) = session.last_event() {
            progress(Progress::Iteration(event));
        }
        if session.checkpoint_is_due() {
            session.save()?;
        }
    }
    session.finish()
}
