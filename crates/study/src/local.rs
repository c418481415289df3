//! Runs as processes of this machine.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use lacuna_record::{RecordError, State, Status, StudyFolder};
use serde::Deserialize;

use crate::StudyError;
use crate::folder::hold_run;

/// How often ended processes are looked for.
const POLL: Duration = Duration::from_millis(100);

/// Said of a run that cannot begin yet.
const HELD: &str = "another lacuna process is at work on it, which is waited for";

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
    /// Attempts before this one.
    attempts: u32,
}

/// Works through the runs `names` of the study, each as a process
/// `BINARY study-run -- FOLDER NAME`, and tells of every change of state. How each
/// ended is in its [`Status`].
///
/// A run that another process is at work on, such as one that a killed sweep left,
/// is waited for while the others go on. When `stop` is set no further run begins,
/// and those that are under way are asked to write a checkpoint and end. A run that
/// fails does not stop the rest.
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
    let mut held = BTreeSet::new();
    let mut running: Vec<Running> = Vec::new();
    loop {
        if stop.load(Ordering::Relaxed) {
            waiting.clear();
            // A run that sees its standard input end stops after its step.
            running.iter_mut().for_each(|r| drop(r.child.stdin.take()));
        }
        for _ in 0..waiting.len() {
            if running.len() == settings.jobs {
                break;
            }
            let Some(name) = waiting.pop_front() else {
                break;
            };
            if hold_run(folder, name)?.is_none() {
                if held.insert(name) {
                    let mut status = folder.status(name)?;
                    status.message = Some(HELD.to_owned());
                    on_change(name, &status);
                }
                waiting.push_back(name);
                continue;
            }
            // Whoever held it may have ended it.
            let mut status = folder.status(name)?;
            if status.state == State::Done {
                on_change(name, &status);
                continue;
            }
            let run = Running {
                name: name.clone(),
                child: start(folder, name, settings.threads_each(), binary)?,
                since: Instant::now(),
                attempts: status.attempts,
            };
            running.push(run);
            status.state = State::Running;
            status.attempts += 1;
            status.message = None;
            on_change(name, &status);
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
                    let asked = stop.load(Ordering::Relaxed);
                    let status = settle(folder, &run, exit, asked)?;
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
        .args(["--attended", "--"])
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
/// system ended it or it did not get so far; `asked` when it was asked to stop.
fn settle(
    folder: &StudyFolder,
    run: &Running,
    exit: ExitStatus,
    asked: bool,
) -> Result<Status, StudyError> {
    let mut status = folder.status(&run.name)?;
    let began = status.attempts > run.attempts;
    let log = folder.log(&run.name);
    let (state, message) = match (status.state, signal(exit)) {
        (State::Done, _) => return Ok(status),
        (State::Failed, _) if began => return Ok(status),
        (State::Interrupted, _) if began && asked => return Ok(status),
        (State::Interrupted, _) if began => (
            State::Interrupted,
            "asked to stop by a signal (SIGTERM or SIGINT), not by the sweep".to_owned(),
        ),
        (_, Some(9)) => (
            State::Killed,
            "killed by signal 9, often because memory ran out: see the system's log; lower \
             `executor.jobs`, the patch or the batch"
                .to_owned(),
        ),
        (_, Some(signal)) => (State::Killed, format!("killed by signal {signal}")),
        _ if began => (
            State::Failed,
            format!("ended with {exit}; see {}", log.display()),
        ),
        _ => (
            State::Failed,
            format!("ended with {exit} before it began; see {}", log.display()),
        ),
    };
    if !began || state != State::Interrupted {
        status.seconds += run.since.elapsed().as_secs_f64();
    }
    status.state = state;
    status.message = Some(message);
    // Another process that took the run first writes its state itself.
    if began || hold_run(folder, &run.name)?.is_some() {
        folder.write_status(&run.name, &status)?;
    }
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

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// How a run stands whose process is this shell script.
    fn ended(script: &str, stop: bool) -> Status {
        let place = tempfile::tempdir().unwrap();
        let folder = StudyFolder(place.path().to_owned());
        for below in ["states", "logs", "runs"] {
            std::fs::create_dir(place.path().join(below)).unwrap();
        }
        let binary = place.path().join("binary");
        std::fs::write(&binary, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&binary, PermissionsExt::from_mode(0o755)).unwrap();
        let (settings, stop) = (LocalSettings::default(), AtomicBool::new(stop));
        let names = ["-1".to_owned()];
        execute(&folder, &names, &settings, &binary, &stop, &mut |_, _| {}).unwrap();
        folder.status("-1").unwrap()
    }

    #[test]
    fn a_process_that_never_began_its_run_has_failed() {
        for (script, state, words) in [
            ("exit 2", State::Failed, "exit status: 2 before it began"),
            ("exit 0", State::Failed, "exit status: 0 before it began"),
            ("kill -TERM $$", State::Killed, "signal 15"),
            ("kill -KILL $$", State::Killed, "memory"),
            // Options end before the folder and the name.
            (
                "[ \"$4 $5 $7\" = \"--attended -- -1\" ] || exit 3; exit 4",
                State::Failed,
                "status: 4",
            ),
        ] {
            let status = ended(script, false);
            let message = status.message.unwrap();
            assert_eq!(status.state, state, "{script}: {message}");
            assert!(message.contains(words), "{script}: {message}");
            assert_eq!(status.attempts, 0);
        }
        assert_eq!(ended("exit 2", true), Status::default());
    }

    #[test]
    fn the_words_of_a_run_are_kept_and_a_stop_of_its_own_is_told() {
        let say = |state: &str| {
            let status = format!(r#"{{"state":"{state}","attempts":1,"seconds":1.0}}"#);
            format!("printf '%s' '{status}' > \"$6/states/-1.json\"; exit 130")
        };
        let failed = ended(&say("failed"), false);
        assert_eq!((failed.state, failed.message), (State::Failed, None));
        let stopped = ended(&say("interrupted"), false);
        assert_eq!(stopped.state, State::Interrupted);
        assert!(stopped.message.unwrap().contains("SIGTERM"));
        let gone = ended(&say("running"), false);
        assert_eq!(gone.state, State::Failed);
        assert!(gone.message.unwrap().contains("exit status: 130"));
    }
}
