//! The `lacuna` command, inside the interpreter.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use pyo3::prelude::*;

/// Runs the command that `arguments` name, the program's name first, and gives its exit code.
/// `program` is the file that runs it once more, where there is one.
#[pyfunction]
pub fn command(py: Python<'_>, arguments: Vec<OsString>, program: Option<PathBuf>) -> u8 {
    let code = py.detach(|| lacuna_cli::main(arguments, program));
    // An exit code tells its number by comparison alone.
    let number = (0..=u8::MAX).find(|number| ExitCode::from(*number) == code);
    number.unwrap_or(u8::MAX)
}
