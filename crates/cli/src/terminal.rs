//! What a terminal shows: colours, tables that fit it, and progress: a bar with the time left on
//! a terminal, plain lines elsewhere, or nothing.

use std::fmt::Arguments;
use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use comfy_table::{ContentArrangement, Table};
use console::{Style, Term};
use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

/// Whether progress is not shown.
static QUIET: AtomicBool = AtomicBool::new(false);

/// A line on standard error: what the user should know.
macro_rules! tell {
    ($($words:tt)*) => { $crate::terminal::line(format_args!($($words)*)) };
}

/// A line on standard error: how far the work is. None with `--quiet`.
macro_rules! step {
    ($($words:tt)*) => {
        if !$crate::terminal::is_quiet() {
            $crate::terminal::line(format_args!($($words)*));
        }
    };
}

/// Writes a line to standard error. That nobody can read it, as when its reader has gone or a
/// disk is full, ends no computation.
pub fn line(words: Arguments<'_>) {
    let _ = stderr().write_all(format!("{}\n", coloured(&words.to_string())).as_bytes());
}

/// A line whose first word says how grave it is, that word coloured where colours are shown.
fn coloured(line: &str) -> String {
    let styles = [
        ("error:", Style::new().red().bold()),
        ("warning:", Style::new().yellow().bold()),
        ("note:", Style::new().cyan().bold()),
    ];
    for (word, style) in styles {
        if let Some(rest) = line.strip_prefix(word) {
            return format!("{}{rest}", style.for_stderr().apply_to(word));
        }
    }
    line.to_owned()
}

/// When to colour what is told; `--color`. Without it, NO_COLOR and CLICOLOR_FORCE say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Colour {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

impl Colour {
    /// What the words of a command ask for, before they are read: help and errors of the
    /// command line are coloured too.
    pub fn asked(words: impl Iterator<Item = std::ffi::OsString>) -> Self {
        let words: Vec<String> = words.map(|w| w.to_string_lossy().into_owned()).collect();
        let values = words.iter().enumerate().filter_map(|(place, word)| {
            match word.strip_prefix("--color")? {
                "" => words.get(place + 1).map(String::as_str),
                value => value.strip_prefix('='),
            }
        });
        let known = |value: &str| <Self as clap::ValueEnum>::from_str(value, false).ok();
        values.filter_map(known).next_back().unwrap_or_default()
    }

    /// Colours what is told, or not.
    pub fn set(self) {
        match self {
            Self::Auto => {}
            Self::Always => console::set_colors_enabled_stderr(true),
            Self::Never => console::set_colors_enabled_stderr(false),
        }
    }
}

impl From<Colour> for clap::ColorChoice {
    fn from(colour: Colour) -> Self {
        match colour {
            Colour::Auto => Self::Auto,
            Colour::Always => Self::Always,
            Colour::Never => Self::Never,
        }
    }
}

/// A table with this header, as wide as the terminal at most; in a file, as wide as it is.
pub fn table<T: Into<comfy_table::Cell>>(header: impl IntoIterator<Item = T>) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::UTF8_HORIZONTAL_ONLY);
    if let Some((_, width)) = Term::stdout().size_checked() {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width);
    }
    let header: Vec<comfy_table::Cell> = header.into_iter().map(Into::into).collect();
    if !header.is_empty() {
        table.set_header(header);
    }
    table
}

/// Shows progress, or not.
pub fn set_quiet(quiet: bool) {
    QUIET.store(quiet, Ordering::Relaxed);
}

/// Tells what the crates of Lacuna say of their work, from now on.
pub fn tell_all() {
    struct Told;
    impl log::Log for Told {
        fn enabled(&self, metadata: &log::Metadata) -> bool {
            metadata.target().starts_with("lacuna")
        }

        fn log(&self, record: &log::Record) {
            if self.enabled(record.metadata()) {
                line(*record.args());
            }
        }

        fn flush(&self) {}
    }
    // Another program that the command was started in may have a logger of its own.
    if log::set_logger(&Told).is_ok() {
        log::set_max_level(log::LevelFilter::Debug);
    }
}

pub fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Seconds between plain lines when stderr is not a terminal.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Progress of one piece of work with a known number of steps.
pub struct Progress {
    bar: Option<ProgressBar>,
    label: String,
    started: Instant,
    last_line: Instant,
    first: u64,
    total: u64,
    /// Whether the time left follows from the steps.
    estimates: bool,
    /// Whether the number of steps says something.
    counts: bool,
}

impl Progress {
    /// Starts at step `first` of `total`.
    pub fn new(label: &str, first: u64, total: u64) -> Self {
        Self::with_template(
            "{prefix} {wide_bar} {pos}/{len} {elapsed} (left {eta}) {msg}",
            label,
            first,
            total,
        )
    }

    /// For steps of unlike cost: the messages say what is left.
    pub fn estimated(label: &str, total: u64) -> Self {
        let template = "{prefix} {wide_bar} {pos}/{len} {elapsed} {msg}";
        Self {
            estimates: false,
            ..Self::with_template(template, label, 0, total)
        }
    }

    /// For steps that only move the bar: the messages say how far the work is.
    pub fn told(label: &str, total: u64) -> Self {
        let template = "{prefix} {wide_bar} {msg} {elapsed} (left {eta})";
        Self {
            counts: false,
            ..Self::with_template(template, label, 0, total)
        }
    }

    fn with_template(template: &str, label: &str, first: u64, total: u64) -> Self {
        let bar = (stderr().is_terminal() && !is_quiet()).then(|| {
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(total).with_style(style);
            bar.set_prefix(label.to_owned());
            bar.set_position(first);
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        Self {
            bar,
            label: label.to_owned(),
            started: now,
            last_line: now,
            first,
            total,
            estimates: true,
            counts: true,
        }
    }

    /// Shows that `done` steps are done; `message` is the state of the work.
    pub fn at(&mut self, done: u64, message: &str) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
            bar.set_message(message.to_owned());
            return;
        }
        let now = Instant::now();
        if done < self.total && now - self.last_line < PLAIN_EVERY {
            return;
        }
        self.last_line = now;
        let elapsed = now - self.started;
        let (elapsed_text, label, total) = (HumanDuration(elapsed), &self.label, self.total);
        if !self.estimates {
            step!("{label} {done}/{total} elapsed {elapsed_text} {message}");
            return;
        }
        let fresh = done.saturating_sub(self.first).max(1) as f64;
        let left = elapsed.mul_f64((total.saturating_sub(done)) as f64 / fresh);
        let left = HumanDuration(left);
        match self.counts {
            true => step!("{label} {done}/{total} elapsed {elapsed_text} left {left} {message}"),
            false => step!("{label} {message} elapsed {elapsed_text} left {left}"),
        }
    }

    /// Shows what is done between two steps.
    pub fn between(&mut self, message: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(message.to_owned()),
            None if self.last_line.elapsed() >= PLAIN_EVERY => {
                self.last_line = Instant::now();
                step!("{} {message}", self.label);
            }
            None => {}
        }
    }

    /// A line that stays above the bar.
    pub fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => tell!("{text}"),
        }
    }

    /// Removes the bar.
    pub fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A bar that begins when the number of steps is known, and is gone with the value.
pub struct Counted {
    label: &'static str,
    bar: Option<Progress>,
}

impl Counted {
    /// Not yet begun.
    pub fn new(label: &'static str) -> Self {
        Self { label, bar: None }
    }

    /// Shows that so many steps are done.
    pub fn at(&mut self, done: usize, total: usize) {
        let begin = || Progress::new(self.label, 0, total as u64);
        self.bar.get_or_insert_with(begin).at(done as u64, "");
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish();
        }
    }
}

/// A flag that Ctrl-C and SIGTERM set; a second signal ends the process at once.
pub fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&flag);
    ctrlc::set_handler(move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        tell!("stopping after this step; press Ctrl-C again to stop at once");
    })?;
    Ok(flag)
}

/// True when the reader of our output has gone, as in `lacuna config | head`.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
