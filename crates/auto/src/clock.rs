//! How much of a budget is spent, over all sessions.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lacuna_record::write_json;
use serde::{Deserialize, Serialize};

use crate::error::AutoError;

/// How often the time spent is written down while something long is done.
const EVERY: Duration = Duration::from_secs(10);

/// `clock.json`
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Spent {
    /// Seconds of all sessions.
    seconds: f64,
    /// How many there were.
    sessions: u64,
}

const FILE: &str = "clock.json";

fn read(folder: &Path) -> Result<Spent, AutoError> {
    match folder.join(FILE).exists() {
        true => Ok(lacuna_record::read_json(folder, FILE)?),
        false => Ok(Spent::default()),
    }
}

/// The time of one session, added to those before it.
pub(crate) struct Clock {
    /// Where it is written down; nowhere for one that runs beside others.
    path: Option<PathBuf>,
    before: Spent,
    started: Instant,
    written: Instant,
}

impl Clock {
    /// Goes on with the clock of `folder`. Where no plan is, nothing is written down before
    /// [`Self::keep`]: what comes to none costs nothing of the next one's budget.
    pub(crate) fn open(folder: &Path) -> Result<Self, AutoError> {
        let mut clock = Self::beside(folder)?;
        clock.before.sessions += 1;
        if folder.join("plan.json").exists() {
            clock.keep(folder)?;
        }
        Ok(clock)
    }

    /// Writes it down in `folder`, from now on.
    pub(crate) fn keep(&mut self, folder: &Path) -> Result<(), AutoError> {
        self.path = Some(folder.join(FILE));
        self.write()
    }

    /// The same for work beside other work: what was spent before it counts, and nothing is
    /// written down.
    pub(crate) fn beside(folder: &Path) -> Result<Self, AutoError> {
        let started = Instant::now();
        Ok(Self {
            path: None,
            before: read(folder)?,
            started,
            written: started,
        })
    }

    /// Seconds spent so far.
    pub(crate) fn spent(&self) -> f64 {
        self.before.seconds + self.started.elapsed().as_secs_f64()
    }

    /// Sessions, with this one.
    pub(crate) fn sessions(&self) -> u64 {
        self.before.sessions
    }

    /// Writes it down, when it was not lately. A disk that is full is told elsewhere.
    pub(crate) fn tick(&mut self) {
        if self.written.elapsed() >= EVERY {
            self.write().ok();
        }
    }

    /// Writes it down.
    pub(crate) fn write(&mut self) -> Result<(), AutoError> {
        self.written = Instant::now();
        let now = Spent {
            seconds: self.spent(),
            ..self.before
        };
        match &self.path {
            Some(path) => Ok(write_json(path, &now)?),
            None => Ok(()),
        }
    }
}

impl Drop for Clock {
    /// However the work ends, its time was spent. An error of the disk is told elsewhere.
    fn drop(&mut self) {
        self.write().ok();
    }
}
