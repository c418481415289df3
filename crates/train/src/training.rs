//! The training loop.
//!
//! `Preflight` refuses what can be refused, `Session` holds what a training
//! works with, and [`train`] is the loop.

mod divergence;
mod earlier;
mod preflight;
mod session;
mod untrained;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

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
    /// A whole subject is about to be predicted.
    Subject {
        /// What for.
        purpose: &'static str,
        /// From 1.
        number: usize,
        /// Subjects in all.
        total: usize,
    },
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
    let started = Instant::now();
    let preflight = Preflight::new(config, out, resume, device, progress)?;
    let measured = preflight.config.train.measured();
    let mut session = Session::start(out, preflight, started)?;
    let start = |session: &Session| Progress::Start {
        done: session.done(),
        // As long as a budget has not chosen, the iterations that it will choose by.
        total: session.length().unwrap_or(measured),
    };
    progress(start(&session));
    loop {
        session.check_folder()?;
        if session.length_is_due() {
            let Some(told) = unless_stopped(session.choose_length(stop))? else {
                break;
            };
            progress(Progress::Note(told));
            progress(start(&session));
        }
        if session.validation_is_due() {
            let Some(scored) = unless_stopped(session.validate(stop, progress))? else {
                break;
            };
            progress(Progress::Validation(scored));
        }
        if session.is_complete() || stop.load(Ordering::Relaxed) {
            break;
        }
        if session.errors_are_due() {
            let Some(told) = unless_stopped(session.find_errors(stop, progress))? else {
                break;
            };
            progress(Progress::Note(told));
        }
        let Some(batch) = session.next_batch()? else {
            break;
        };
        session = session.step(batch)?;
        if let Some(event) = session.last_event() {
            progress(Progress::Iteration(event));
        }
        if let Some(told) = session.collapse() {
            progress(Progress::Note(told));
            if session.may_restart() {
                session = session.restart()?;
                progress(Progress::Note("the training begins again".to_owned()));
                progress(start(&session));
                continue;
            }
        }
        if session.checkpoint_is_due() {
            session.save()?;
        }
    }
    session.finish()
}

/// `None` for what a `stop` cut off.
fn unless_stopped<T>(done: Result<T, RunError>) -> Result<Option<T>, RunError> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(RunError::Stopped) => Ok(None),
        Err(error) => Err(error),
    }
}
