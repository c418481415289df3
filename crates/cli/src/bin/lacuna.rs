//! The `lacuna` command as a program of its own.

use std::process::ExitCode;

/// The system's allocator gives large blocks back at every free and pays for
/// fresh pages at the next request, which costs more than the work on them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(code) = lacuna_train::device::answer_probe() {
        return code;
    }
    lacuna_cli::main(std::env::args_os(), std::env::current_exe().ok())
}
