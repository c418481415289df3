//! Jobs of an earlier sweep, and new ones.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use lacuna_record::{RecordError, State};

use super::super::cluster::submit;
use super::super::jobs::Submitted;
use super::super::parse::{Phase, Row};
use super::super::script::{Array, plain};
use super::{Driver, Task};
use crate::StudyError;

impl Driver<'_> {
    /// Finds the jobs of an earlier sweep that have not ended; other runs queue.
    pub(super) fn take_up(&mut self, names: &[String]) -> Result<(), StudyError> {
        let rows = self.cluster.queue()?;
        self.answer_late(&rows)?;
        for row in rows.iter().filter(|r| !matches!(r.phase, Phase::Over(_))) {
            let Some(run) = self.jobs.run(&row.array, row.index) else {
                return Err(self.strangers(&rows));
            };
            if names.iter().any(|name| name == run) {
                *self.attempts.entry(run.to_owned()).or_default() += 1;
                self.open.push(Task::new(run, &row.array, row.index));
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
    fn answer_late(&mut self, rows: &[Row]) -> Result<bool, StudyError> {
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

    fn strangers(&self, rows: &[Row]) -> StudyError {
        let unlisted = rows.iter().filter(|row| !self.jobs.lists(&row.array));
        let ids: BTreeSet<&str> = unlisted.map(|row| row.array.as_str()).collect();
        StudyError::SlurmStrangers {
            folder: self.folder.path().to_owned(),
            jobs: ids.into_iter().collect::<Vec<_>>().join(" "),
        }
    }

    /// Submits what is queued as one array, as far as `at_once` leaves room.
    pub(super) fn submit_queue(&mut self, stop: &AtomicBool) -> Result<(), StudyError> {
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
            Err(e @ StudyError::SlurmSilent { .. }) => Err(e),
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
            self.open.push(Task::new(run, id, index));
        }
    }

    /// Writes the list and the script of the next array; returns `sbatch`'s arguments.
    fn write_script(
        &self,
        runs: &[String],
        at_once: Option<usize>,
    ) -> Result<Vec<String>, StudyError> {
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
}
