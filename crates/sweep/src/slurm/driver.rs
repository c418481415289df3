//! Submits runs, follows their jobs and submits again what can go on.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use lacuna_record::{RecordError, State, Status, StudyFolder};

use super::cluster::{Cluster, cancel, submit};
use super::jobs::{Jobs, Submitted};
use super::parse::{End, Ended, Phase, Row};
use super::script::{Array, job_name, plain};
use super::settings::SlurmSettings;
use super::verdict::{Verdict, judge, never, waits_for};
use crate::SweepError;

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
    ) -> Result<Self, SweepError> {
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
        })
    }

    /// Until every run has ended for good, or `stop`.
    pub fn run(mut self, names: &[String], stop: &AtomicBool) -> Result<(), SweepError> {
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
                Err(SweepError::SlurmCommand { .. } | SweepError::SlurmSilent { .. })
                    if silent_since.get_or_insert_with(Instant::now).elapsed() < PATIENCE => {}
                Err(e) => return Err(e),
            }
            self.give_up_what_never_starts()?;
        }
        Ok(())
    }

    /// Finds the jobs of an earlier sweep that have not ended; other runs queue.
    fn take_up(&mut self, names: &[String]) -> Result<(), SweepError> {
        let rows = self.cluster.queue()?;
        self.answer_late(&rows)?;
        for row in rows.iter().filter(|r| !matches!(r.phase, Phase::Over(_))) {
            let Some(run) = self.jobs.run(&row.array, row.index) else {
                return Err(self.strangers(&rows));
            };
            if names.iter().any(|name| name == run) {
                *self.attempts.entry(run.to_owned()).or_default() += 1;
                self.open.push(Task {
                    run: run.to_owned(),
                    array: row.array.clone(),
                    index: row.index,
                    never: None,
                    late_since: None,
                });
            }
        }
        for name in names {
            let done = self.folder.status(name)?.state == State::Done;
            if !done && !self.open.iter().any(|task| task.run == *name) {
                self.queue.push(name.clone());
            }
        }
        Ok(())
    }

    /// Completes the submission that was cut off before its id was written, or
    /// strikes it out; true when Slurm has it.
    fn answer_late(&mut self, rows: &[Row]) -> Result<bool, SweepError> {
        let unlisted = rows.iter().filter(|row| !self.jobs.lists(&row.array));
        // Ids grow: an array of this name that is not listed is the newest.
        let newest = unlisted
            .map(|row| row.array.clone())
            .max_by_key(|id| id.parse::<u64>().ok());
        let Some(array) = self.jobs.unanswered() else {
            return Ok(false);
        };
        array.job.clone_from(&newest);
        if newest.is_none() {
            self.jobs.arrays.pop();
        }
        self.jobs.write()?;
        Ok(newest.is_some())
    }

    fn strangers(&self, rows: &[Row]) -> SweepError {
        let unlisted = rows.iter().filter(|row| !self.jobs.lists(&row.array));
        let ids: BTreeSet<&str> = unlisted.map(|row| row.array.as_str()).collect();
        SweepError::SlurmStrangers {
            folder: self.folder.path().to_owned(),
            jobs: ids.into_iter().collect::<Vec<_>>().join(" "),
        }
    }

    /// Submits what is queued as one array, as far as `at_once` leaves room.
    fn submit_queue(&mut self, stop: &AtomicBool) -> Result<(), SweepError> {
        if self.jobs.unanswered().is_some() {
            let rows = self.cluster.queue()?;
            if self.answer_late(&rows)? {
                self.open_last();
            }
        }
        // Slurm limits one array, so a further one waits until it can have the rest.
        let room = self
            .settings
            .at_once
            .map(|n| n.saturating_sub(self.open.len()));
        if self.queue.is_empty() || room == Some(0) || stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let runs = self.queue.clone();
        for run in &runs {
            let mut status = self.folder.status(run)?;
            // What the run writes after this is of the new job.
            (status.state, status.message) = (State::Waiting, None);
            self.folder.write_status(run, &status)?;
            self.tell(run, status);
        }
        let arguments = self.write_script(&runs, room)?;
        self.jobs.arrays.push(Submitted { job: None, runs });
        self.jobs.write()?;
        match submit(&arguments) {
            Ok(id) => {
                self.jobs.unanswered().expect("pushed above").job = Some(id);
                self.jobs.write()?;
                self.open_last();
                Ok(())
            }
            // It may have been taken all the same: the entry stays until the queue tells.
            Err(e @ SweepError::SlurmSilent { .. }) => Err(e),
            Err(e) => {
                self.jobs.arrays.pop();
                self.jobs.write()?;
                Err(e)
            }
        }
    }

    /// Moves the queued runs of the last array to the open ones.
    fn open_last(&mut self) {
        let Some(Submitted {
            job: Some(id),
            runs,
        }) = self.jobs.arrays.last()
        else {
            return;
        };
        for (index, run) in runs.iter().enumerate() {
            let Some(place) = self.queue.iter().position(|queued| queued == run) else {
                continue;
            };
            self.queue.remove(place);
            *self.attempts.entry(run.clone()).or_default() += 1;
            self.open.push(Task {
                run: run.clone(),
                array: id.clone(),
                index,
                never: None,
                late_since: None,
            });
        }
    }

    /// Writes the list and the script of the next array; returns `sbatch`'s arguments.
    fn write_script(
        &self,
        runs: &[String],
        at_once: Option<usize>,
    ) -> Result<Vec<String>, SweepError> {
        let array = Array {
            folder: plain(self.folder.path())?,
            binary: plain(&self.binary)?,
            name: &self.jobs.name,
            number: self.jobs.arrays.len() + 1,
            runs: runs.len(),
            at_once,
        };
        let write = |path: String, text: String| {
            lacuna_io::atomic::write_bytes(path, text.as_bytes()).map_err(RecordError::from)
        };
        write(array.list(), runs.join("\n") + "\n")?;
        write(array.script(), array.text(self.settings))?;
        Ok(array.arguments(self.settings))
    }

    /// Asks Slurm where the open jobs are.
    fn look(&mut self) -> Result<(), SweepError> {
        let rows = self.cluster.queue()?;
        for mut task in std::mem::take(&mut self.open) {
            let row = rows
                .iter()
                .find(|r| r.array == task.array && r.index == task.index);
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
                Some(Phase::Over(_)) | None => self.settle(task, &rows)?,
            }
        }
        Ok(())
    }

    /// Records how the run of an ended job stands.
    fn settle(&mut self, mut task: Task, rows: &[Row]) -> Result<(), SweepError> {
        let found = self.folder.status(&task.run)?;
        let ended = self.cluster.ended(&task.array, task.index);
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
            self.limit(&task, rows, &mut verdict);
        }
        let status = status_after(&task, found, ended.as_ref(), &verdict);
        self.folder.write_status(&task.run, &status)?;
        self.keep_words_of_slurm(&task)?;
        self.tell(&task.run, status);
        if verdict.again {
            self.queue.push(task.run);
        }
        Ok(())
    }

    /// No further attempt when there were enough, or somebody cancelled the array.
    fn limit(&self, task: &Task, rows: &[Row], verdict: &mut Verdict) {
        let attempts = self.attempts.get(&task.run).copied().unwrap_or(0);
        let why = if array_was_cancelled(&task.array, rows) {
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

    /// Moves what Slurm wrote about a job to the end of its run's log.
    fn keep_words_of_slurm(&self, task: &Task) -> Result<(), SweepError> {
        let path = self.folder.path().join(format!("slurm/{}.out", task.id()));
        let words = match fs::read(&path) {
            Ok(words) => words,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(RecordError::io(&path)(e).into()),
        };
        let log = self.folder.log(&task.run);
        fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&log)
            .and_then(|mut file| file.write_all(&words))
            .map_err(RecordError::io(&log))?;
        Ok(fs::remove_file(&path).map_err(RecordError::io(&path))?)
    }

    /// Ends the jobs when none of them can ever start.
    fn give_up_what_never_starts(&mut self) -> Result<(), SweepError> {
        let Some((reason, words)) = self.open.first().and_then(|task| task.never.clone()) else {
            return Ok(());
        };
        if self.open.iter().any(|task| task.never.is_none()) {
            return Ok(());
        }
        cancel(&self.open_arrays())?;
        Err(SweepError::SlurmNeverStarts { reason, words })
    }

    fn leave(&self) -> Result<(), SweepError> {
        if self.open.is_empty() {
            return Ok(());
        }
        Err(SweepError::SlurmLeft {
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

/// Whether somebody cancelled an array rather than one task of it: nothing of
/// it is left, and several of its tasks were cancelled or are being ended.
fn array_was_cancelled(array: &str, rows: &[Row]) -> bool {
    let of_array = || rows.iter().filter(|row| row.array == array);
    let alive = |row: &Row| !row.completing && !matches!(row.phase, Phase::Over(_));
    let cancelled = |row: &&Row| row.completing || row.phase == Phase::Over(End::Cancelled);
    let some = of_array().any(|row| row.phase == Phase::Over(End::Cancelled));
    some && !of_array().any(alive) && of_array().filter(cancelled).count() >= 2
}

#[cfg(test)]
mod tests;
