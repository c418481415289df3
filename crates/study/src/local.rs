//! Runs as processes of this machine.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lacuna_record::{RecordError, State, Status, StudyFolder};
use serde::Deserialize;

use crate::StudyError;

/// How often ended processes are looked for.
const POLL: Duration = Duration::from_millis(100);

/// `[executor]` with `kind = "local"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LocalSettings {
    /// Runs at a time.
    pub jobs: usize,
    /// Threads of each; 0 shares the cores out.
    pub threads: usize,
}

impl Default for LocalSettings {
    fn default() -> Self {
        Self {
            jobs: 1,
            threads: 0,
        }
    }
}

impl LocalSettings {
    pub(crate) fn check(&self) -> Result<(), String> {
        let range = |key, found, low, high| match (low..=high).contains(&found) {
            true => Ok(()),
            false => Err(format!(
                "`executor.{key}` is {found}, expected {low} to {high}"
            )),
        };
        range("jobs", self.jobs, 1, 256)?;
        range("threads", self.threads, 0, 1024)
    }

    /// Threads of each run on this machine.
    pub fn threads_each(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        match self.threads {
            0 => (cores / self.jobs).max(1),
            threads => threads,
        }
    }
}

struct Running {
    name: String,
    child: Child,
    since: Instant,
}

/// Works through the runs `names` of the study, each as a process
/// `BINARY study-run FOLDER NAME`, and tells of every change of state.
///
/// When `stop` is set no further run begins, and those that are under way are
/// asked to write a checkpoint and end. A run that fails does not stop the rest.
///
/// # Errors
/// When a process cannot be started or the folder cannot be written.
pub fn execute(
    folder: &StudyFolder,
    names: &[String],
    settings: &LocalSettings,
    binary: &Path,
    stop: &AtomicBool,
    on_change: &mut dyn FnMut(&str, &Status),
) -> Result<(), StudyError> {
    let mut waiting: VecDeque<&String> = names.iter().collect();
    let mut running: Vec<Running> = Vec::new();
    loop {
        if stop.load(Ordering::Relaxed) {
            waiting.clear();
            // A run that sees its standard input end stops after its step.
            running.iter_mut().for_each(|r| drop(r.child.stdin.take()));
        }
        while running.len() < settings.jobs
            && let Some(name) = waiting.pop_front()
        {
            let child = start(folder, name, settings.threads_each(), binary)?;
            let state = State::Running;
            on_change(
                name,
                &Status {
                    state,
                    ..folder.status(name)?
                },
            );
            running.push(Running {
                name: name.clone(),
                child,
                since: Instant::now(),
            });
        }
        let mut still = Vec::with_capacity(running.len());
        for mut run in running {
            match run
                .child
                .try_wait()
                .map_err(RecordError::io(folder.path()))?
            {
                None => still.push(run),
                Some(exit) => {
                    let status = settle(folder, &run.name, exit, run.since.elapsed())?;
                    on_change(&run.name, &status);
                }
            }
        }
        running = still;
        if running.is_empty() && waiting.is_empty() {
            return Ok(());
        }
        std::thread::sleep(POLL);
    }
}

fn start(
    folder: &StudyFolder,
    name: &str,
    threads: usize,
    binary: &Path,
) -> Result<Child, StudyError> {
    let path = folder.log(name);
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(RecordError::io(&path))?;
    let second: File = log.try_clone().map_err(RecordError::io(&path))?;
    let mut command = Command::new(binary);
    command
        .args(["--threads", &threads.to_string(), "study-run"])
        .arg("--attended")
        .arg(folder.path())
        .arg(name)
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(second);
    // Ctrl-C on the terminal is for the sweep, which passes it on once.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().map_err(|source| StudyError::Start {
        binary: binary.to_owned(),
        source,
    })
}

/// The state of a run whose process has ended. It writes its own, unless the
/// system ended it.
fn settle(
    folder: &StudyFolder,
    name: &str,
    exit: ExitStatus,
    lasted: Duration,
) -> Result<Status, StudyError> {
    let mut status = folder.status(name)?;
    if status.state != State::Running {
        return Ok(status);
    }
    status.seconds += lasted.as_secs_f64();
    let (state, message) = match signal(exit) {
        Some(9) => (
            State::Killed,
            "killed by signal 9, often because memory ran out: see the system's log; lower \
             `executor.jobs`, the patch or the batch"
                .to_owned(),
        ),
        Some(signal) => (State::Killed, format!("killed by signal {signal}")),
        None => (
            State::Failed,
            format!("ended with {exit}; see {}", folder.log(name).display()),
        ),
    };
    status.state = state;
    status.message = Some(message);
    folder.write_status(name, &status)?;
    Ok(status)
}

#[cfg(unix)]
fn signal(exit: ExitStatus) -> Option<i32> {
    std::os::unix::process::ExitStatusExt::signal(&exit)
}

#[cfg(not(unix))]
fn signal(_: ExitStatus) -> Option<i32> {
    None
}
