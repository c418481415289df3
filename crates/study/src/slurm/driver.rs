//! Submits runs, follows their jobs and submits again what can go on.

mod submit;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lacuna_record::{RecordError, State, Status, StudyFolder};

use super::cluster::{Cluster, cancel};
use super::jobs::Jobs;
use super::parse::{End, Ended, Phase, Row};
use super::script::{job_name, plain};
use super::settings::SlurmSettings;
use super::verdict::{Verdict, judge, never, waits_for};
use crate::StudyError;

/// How long Slurm may fail to answer before the sweep gives up on it.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// How long a node's last files may take to be seen here.
const FILES_LATE: Duration = Duration::from_secs(60);

/// One call of `execute`.
pub(super) struct Driver<'a> {
    /// Its path is absolute: nodes read it too.
    folder: StudyFolder,
    settings: &'a SlurmSettings,
    binary: PathBuf,
    on_change: &'a mut dyn FnMut(&str, &Status),
    cluster: Cluster,
    jobs: Jobs,
    /// Runs to submit.
    queue: Vec<String>,
    /// Jobs whose end has not been seen.
    open: Vec<Task>,
    /// Times that each run was submitted or taken up.
    attempts: BTreeMap<String, u32>,
    /// What `on_change` heard last.
    told: BTreeMap<String, Status>,
    /// Arrays that somebody cancelled as a whole.
    cancelled: BTreeSet<String>,
}

/// A job of a run.
#[derive(Clone, Debug)]
struct Task {
    run: String,
    array: String,
    index: usize,
    /// Why it never starts.
    never: Option<(String, &'static str)>,
    /// When its end was first seen without an outcome.
    late_since: Option<Instant>,
}

impl Task {
    fn new(run: &str, array: &str, index: usize) -> Self {
        Self {
            run: run.to_owned(),
            array: array.to_owned(),
            index,
            never: None,
            late_since: None,
        }
    }

    fn is(&self, row: &Row) -> bool {
        self.array == row.array && self.index == row.index
    }

    fn id(&self) -> String {
        format!("{}_{}", self.array, self.index)
    }
}

impl<'a> Driver<'a> {
    /// Makes the folder `slurm` and connects to the cluster.
    pub fn start(
        folder: &StudyFolder,
        settings: &'a SlurmSettings,
        binary: &Path,
        on_change: &'a mut dyn FnMut(&str, &Status),
    ) -> Result<Self, StudyError> {
        let absolute = |path: &Path| fs::canonicalize(path).map_err(RecordError::io(path));
        let folder = StudyFolder(absolute(folder.path())?);
        let name = job_name(plain(folder.path())?);
        let cluster = Cluster::connect(&name, settings)?;
        for part in ["slurm", "logs", "states"] {
            let path = folder.path().join(part);
            fs::create_dir_all(&path).map_err(RecordError::io(&path))?;
        }
        Ok(Self {
            jobs: Jobs::read(&folder.path().join("slurm"), &name)?,
            folder,
            settings,
            binary: absolute(binary)?,
            on_change,
            cluster,
            queue: Vec::new(),
            open: Vec::new(),
            attempts: BTreeMap::new(),
            told: BTreeMap::new(),
            cancelled: BTreeSet::new(),
        })
    }

    /// Until every run has ended for good, or `stop`.
    pub fn run(mut self, names: &[String], stop: &AtomicBool) -> Result<(), StudyError> {
        self.take_up(names)?;
        self.submit_queue(stop)?;
        let mut silent_since: Option<Instant> = None;
        while !(self.open.is_empty() && self.queue.is_empty()) {
            if self.wait(stop) {
                return self.leave();
            }
            match self.look().and_then(|()| self.submit_queue(stop)) {
                Ok(()) => silent_since = None,
                // A controller that restarts must not end a study of days.
                Err(StudyError::SlurmCommand { .. } | StudyError::SlurmSilent { .. })
                    if silent_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE => {}
                Err(e) => return Err(e),
            }
            self.give_up_what_never_starts()?;
        }
        Ok(())
    }

    /// Asks Slurm where the open jobs are.
    fn look(&mut self) -> Result<(), StudyError> {
        let rows = self.cluster.queue()?;
        self.cancelled.extend(cancelled_arrays(&self.open, &rows));
        for mut task in std::mem::take(&mut self.open) {
            let row = rows.iter().find(|row| task.is(row));
            match row.map(|row| row.phase) {
                Some(Phase::Waiting) => {
                    let reason = row.map_or("", |row| row.reason.as_str());
                    task.never = never(reason).map(|words| (reason.to_owned(), words));
                    let mut status = self.folder.status(&task.run)?;
                    if status.state == State::Waiting {
                        // Not to disk: the job may start now, and the file is then its own.
                        status.message = waits_for(reason, &task.id());
                        self.tell(&task.run, status);
                    }
                    self.open.push(task);
                }
                Some(Phase::Running) => {
                    task.never = None;
                    let mut status = self.folder.status(&task.run)?;
                    status.job = Some(task.id());
                    self.tell(&task.run, status);
                    self.open.push(task);
                }
                Some(Phase::Over(_)) | None => self.settle(task)?,
            }
        }
        Ok(())
    }

    /// Records how the run of an ended job stands.
    fn settle(&mut self, mut task: Task) -> Result<(), StudyError> {
        let found = self.folder.status(&task.run)?;
        let words = self.words_of_slurm(&task)?;
        let ended = self.cluster.ended(&task.array, task.index);
        let ended = ended.map(|ended| ended.told_by(&String::from_utf8_lossy(&words)));
        let completed = ended.as_ref().is_some_and(|e| e.end == End::Completed);
        if completed && found.state != State::Done {
            let since = *task.late_since.get_or_insert_with(Instant::now);
            if since.elapsed() < FILES_LATE {
                self.open.push(task);
                return Ok(());
            }
        }
        let mut verdict = judge(ended.as_ref(), &found, self.settings);
        if verdict.again {
            self.limit(&task, ended.as_ref(), &mut verdict);
        }
        let status = status_after(&task, found, ended.as_ref(), &verdict);
        self.folder.write_status(&task.run, &status)?;
        self.keep_words_of_slurm(&task, &words)?;
        self.tell(&task.run, status);
        if verdict.again {
            self.queue.push(task.run);
        }
        Ok(())
    }

    /// No further attempt when there were enough, or somebody cancelled the array.
    fn limit(&self, task: &Task, ended: Option<&Ended>, verdict: &mut Verdict) {
        let attempts = self.attempts.get(&task.run).copied().unwrap_or(0);
        let by_hand = ended.is_none_or(|ended| ended.end == End::Cancelled);
        let why = if by_hand && self.cancelled.contains(&task.array) {
            "its whole array was cancelled, start the sweep again to go on".to_owned()
        } else if attempts >= self.settings.attempts {
            format!("not submitted again after {attempts} attempts")
        } else {
            return;
        };
        verdict.again = false;
        let message = verdict.message.take().unwrap_or_default();
        verdict.message = Some(format!("{message}; {why}"));
    }

    /// What Slurm itself wrote about a job, not its run.
    fn words_of_slurm(&self, task: &Task) -> Result<Vec<u8>, StudyError> {
        let path = self.path_of_words(task);
        match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            other => Ok(other.map_err(RecordError::io(&path))?),
        }
    }

    /// Moves them to the end of the run's log.
    fn keep_words_of_slurm(&self, task: &Task, words: &[u8]) -> Result<(), StudyError> {
        let log = self.folder.log(&task.run);
        if !words.is_empty() {
            fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(&log)
                .and_then(|mut file| file.write_all(words))
                .map_err(RecordError::io(&log))?;
        }
        let path = self.path_of_words(task);
        match fs::remove_file(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => Ok(other.map_err(RecordError::io(&path))?),
        }
    }

    fn path_of_words(&self, task: &Task) -> PathBuf {
        self.folder.path().join(format!("slurm/{}.out", task.id()))
    }

    /// Ends the jobs when none of them can ever start.
    fn give_up_what_never_starts(&mut self) -> Result<(), StudyError> {
        let Some((reason, words)) = self.open.first().and_then(|task| task.never.clone()) else {
            return Ok(());
        };
        if self.open.iter().any(|task| task.never.is_none()) {
            return Ok(());
        }
        cancel(&self.open_arrays())?;
        Err(StudyError::SlurmNeverStarts { reason, words })
    }

    fn leave(&self) -> Result<(), StudyError> {
        if self.open.is_empty() {
            return Ok(());
        }
        Err(StudyError::SlurmLeft {
            runs: self.open.len(),
            jobs: self.open_arrays().join(" "),
        })
    }

    fn open_arrays(&self) -> Vec<String> {
        let ids: BTreeSet<&String> = self.open.iter().map(|task| &task.array).collect();
        ids.into_iter().cloned().collect()
    }

    /// Until the next look; true when it was cut short by `stop`.
    fn wait(&self, stop: &AtomicBool) -> bool {
        let until = Instant::now() + Duration::from_secs(self.settings.poll_seconds);
        while Instant::now() < until {
            if stop.load(Ordering::Relaxed) {
                return true;
            }
            thread::sleep(Duration::from_millis(100));
        }
        stop.load(Ordering::Relaxed)
    }

    fn tell(&mut self, run: &str, status: Status) {
        if self.told.get(run) != Some(&status) {
            (self.on_change)(run, &status);
            self.told.insert(run.to_owned(), status);
        }
    }
}

/// The status to record; a run that was killed could not add its own seconds.
fn status_after(task: &Task, found: Status, ended: Option<&Ended>, verdict: &Verdict) -> Status {
    let lost = match found.state {
        State::Running => ended.map_or(0.0, |ended| ended.seconds),
        _ => 0.0,
    };
    Status {
        state: verdict.state,
        message: verdict.message.clone(),
        seconds: found.seconds + lost,
        job: Some(task.id()),
        ..found
    }
}

/// Arrays that somebody cancelled, rather than one task of them: of the open
/// tasks none is left, and several were cancelled or are being ended.
fn cancelled_arrays(open: &[Task], rows: &[Row]) -> BTreeSet<String> {
    let arrays: BTreeSet<&String> = open.iter().map(|task| &task.array).collect();
    let was_cancelled = |array: &&String| {
        let rows: Vec<&Row> = rows
            .iter()
            .filter(|row| open.iter().any(|t| t.array == **array && t.is(row)))
            .collect();
        let alive = |row: &&Row| !row.completing && !matches!(row.phase, Phase::Over(_));
        let cancelled = |row: &&Row| row.phase == Phase::Over(End::Cancelled);
        let ending = rows.iter().filter(|r| r.completing || cancelled(r)).count();
        rows.iter().any(cancelled) && !rows.iter().any(alive) && ending >= 2
    };
    arrays.into_iter().filter(was_cancelled).cloned().collect()
}

#[cfg(test)]
mod tests;
