//! One file per subcommand.

pub mod check;
pub mod dataset;
pub mod demo;
pub mod evaluate;
pub mod predict;
pub mod train;

use std::io::Write;
use std::process::ExitCode;

/// Prints to stdout; a reader that has gone is an error the caller recognises.
pub fn print(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
