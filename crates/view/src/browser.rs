//! The user's browser, started as a child.

use std::process::{Child, Command, Stdio};

/// Why no browser was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoBrowser {
    /// There is no screen to show it on.
    #[error("this session has no display")]
    NoDisplay,
    /// The program that opens addresses is missing or failed to start.
    #[error("{program}: {source}")]
    NotStarted {
        /// The program.
        program: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Starts the program that the system opens addresses with. It ends by itself; the browser
/// goes on without it.
///
/// # Errors
/// When there is no display or no such program. Whether a window appears is not known.
pub fn open_browser(url: &str) -> Result<Child, NoBrowser> {
    let (program, first): (_, &[&str]) = match std::env::consts::OS {
        "macos" => ("open", &[]),
        // The first word in quotes would be the title of a window.
        "windows" => ("cmd", &["/C", "start", ""]),
        _ => ("xdg-open", &[]),
    };
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY"]
        .into_iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    if program == "xdg-open" && !has_display {
        return Err(NoBrowser::NoDisplay);
    }
    Command::new(program)
        .args(first)
        .arg(url)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| NoBrowser::NotStarted { program, source })
}
