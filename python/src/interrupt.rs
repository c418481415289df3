//! Long work that Ctrl-C ends, and errors as Python has them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::prelude::*;

/// How often signals are looked for.
const LOOK: Duration = Duration::from_millis(50);

/// What work on a thread of its own gives: an error is its text.
pub type Outcome<T> = Result<T, String>;

/// The text of an error.
pub fn told(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// An error as an OSError with its text.
pub fn failed(error: impl std::fmt::Display) -> PyErr {
    PyOSError::new_err(error.to_string())
}

/// What `work` gives. It is done on a thread of its own, so that signals are looked
/// for here; a signal raises `stop`, which `work` heeds, and is given back.
pub fn interruptible<T: Send>(
    py: Python<'_>,
    stop: &AtomicBool,
    work: impl FnOnce() -> T + Send,
) -> PyResult<T> {
    std::thread::scope(|scope| {
        let worker = scope.spawn(work);
        let mut interrupted = None;
        while !worker.is_finished() {
            py.detach(|| std::thread::sleep(LOOK));
            if let Err(signal) = py.check_signals() {
                stop.store(true, Ordering::Relaxed);
                interrupted = Some(signal);
            }
        }
        match (interrupted, worker.join()) {
            (Some(signal), _) => Err(signal),
            (None, Ok(result)) => Ok(result),
            (None, Err(_)) => Err(PyRuntimeError::new_err(
                "the work ended without a result; this is a fault of lacuna",
            )),
        }
    })
}
