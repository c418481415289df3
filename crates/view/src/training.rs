//! A run that is looked at while it trains, or after.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use lacuna_metrics::Quartiles;
use lacuna_record::{Event, LastIterations, Summary, read_events, unix_time};
use lacuna_report::study::{StudyReport, html};
use serde::Serialize;

use crate::ViewError;

/// Files that a run adds to while it trains.
const GROWING: [&str; 3] = ["events.jsonl", "validation.jsonl", "summary.json"];
/// Silence after which a run is not believed to be at work where the system does not tell.
const SILENCE_SECONDS: f64 = 600.0;

/// Makes the report of a run's folder, or says in words why there is none.
pub type ReportOf = dyn Fn(&Path) -> Result<StudyReport, String> + Send + Sync;

/// The folder of a run, and what makes its page.
pub struct Training {
    folder: PathBuf,
    report: Box<ReportOf>,
}

/// How it stands with a run, for the page.
#[derive(Debug, Serialize)]
pub(crate) struct Standing {
    name: String,
    state: State,
    iterations: u64,
    /// Unix time of the last iteration, and of now.
    last: Option<f64>,
    now: f64,
    /// Median seconds of the last iterations.
    seconds_per_iteration: Option<f64>,
    /// Changes whenever the run has written something.
    stamp: String,
    /// Whether its subjects can be looked at.
    subjects: bool,
}

/// What became of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Its folder is held by the program that trains.
    AtWork,
    /// All iterations are done.
    Finished,
    /// It was asked to stop before its end.
    Stopped,
    /// It was killed, or has died.
    Interrupted,
    /// Nothing was written for long, and whether somebody is at work is not known.
    Silent,
}

impl Training {
    /// Whether `folder` is that of a run. One of `lacuna auto` has a `run.toml` too.
    pub fn is_run(folder: &Path) -> bool {
        folder.join("run.toml").exists() && !folder.join("plan.json").exists()
    }

    /// The run in `folder`, whose page `report` makes anew whenever it has grown.
    pub fn new(folder: &Path, report: Box<ReportOf>) -> Self {
        Self {
            folder: folder.to_owned(),
            report,
        }
    }

    /// The folder, as it was named.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How it stands with the run.
    pub(crate) fn standing(&self, subjects: bool) -> Result<Standing, ViewError> {
        // Before the events: what is written meanwhile changes the next stamp.
        let stamp = self.stamp();
        let events = read_events(&self.folder)?;
        let last = events.last();
        Ok(Standing {
            name: self.folder.display().to_string(),
            state: self.state(&events)?,
            iterations: last.map_or(0, |event| event.iteration),
            last: last.map(|event| event.wall_time),
            now: unix_time(),
            seconds_per_iteration: median_seconds(&events),
            stamp,
            subjects,
        })
    }

    /// The body of the report's page, whose styles are those of [`styles`].
    pub(crate) fn body(&self) -> Result<String, String> {
        let page = html(&(self.report)(&self.folder)?);
        Ok(without_styles(&page))
    }

    fn stamp(&self) -> String {
        let stamps = GROWING.map(|name| {
            let found = std::fs::metadata(self.folder.join(name)).ok();
            let time = |found: &std::fs::Metadata| {
                let since = found.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
                Some(since.as_millis())
            };
            found.map_or_else(String::new, |found| {
                format!("{}-{}", found.len(), time(&found).unwrap_or(0))
            })
        });
        stamps.join(":")
    }

    fn state(&self, events: &[Event]) -> Result<State, ViewError> {
        let summary = match self.folder.join("summary.json").exists() {
            true => Some(Summary::read(&self.folder)?),
            false => None,
        };
        let done = events.last().map_or(0, |event| event.iteration);
        // In earlier versions a session that went on left the summary of the one before it.
        let summary = summary.filter(|summary| summary.iterations >= done);
        Ok(match (summary, self.held(events)) {
            (Some(summary), _) if summary.finished => State::Finished,
            (_, Some(true)) => State::AtWork,
            (Some(_), _) => State::Stopped,
            (None, Some(false)) => State::Interrupted,
            (None, None) => State::Silent,
        })
    }

    /// Whether a program holds the run's lock; where the system cannot tell, whether it wrote
    /// something a short time ago, and `None` after a long one.
    fn held(&self, events: &[Event]) -> Option<bool> {
        let since = events.last().map(|event| unix_time() - event.wall_time);
        // Not asked while it is plain: for as long as this asks, no training could begin.
        if since.is_some_and(|since| since < 5.0) {
            return Some(true);
        }
        match File::open(self.folder.join(".lock")).map(|file| file.try_lock_shared()) {
            Ok(Ok(())) => Some(false),
            Ok(Err(std::fs::TryLockError::WouldBlock)) => Some(true),
            _ => since.filter(|since| *since < SILENCE_SECONDS).map(|_| true),
        }
    }
}

fn median_seconds(events: &[Event]) -> Option<f64> {
    let last = LastIterations::events(events);
    let seconds: Vec<f64> = last.iter().map(|event| event.seconds).collect();
    Quartiles::of(&seconds).map(|quartiles| quartiles.median)
}

/// What is between the tags `main` of a report. The page that takes it in allows styles by its
/// own files and scripts alone: attributes wait under another name. Text of the report cannot
/// hold a quotation mark.
fn without_styles(page: &str) -> String {
    let start = page.find("<main>").map_or(0, |at| at + "<main>".len());
    let end = page.rfind("</main>").unwrap_or(page.len());
    page[start..end].replace(" style=\"", " data-style=\"")
}

/// The styles of reports, from the head of one.
pub(crate) fn styles() -> String {
    let empty = StudyReport {
        title: String::new(),
        description: String::new(),
        facts: Vec::new(),
        abbreviations: "",
        sections: Vec::new(),
    };
    let page = html(&empty);
    let inside = page.split_once("<style>").map_or("", |(_, after)| after);
    inside
        .split("</style>")
        .next()
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_leave_the_page() {
        let page =
            "<head><style>a{}</style></head><main>\n<svg style=\"x\">&quot;</svg></main></body>";
        assert_eq!(without_styles(page), "\n<svg data-style=\"x\">&quot;</svg>");
        assert!(styles().contains("figcaption"), "{}", styles());
        assert!(!styles().contains('<'));
    }

    #[test]
    fn what_became_of_a_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let training = Training::new(path, Box::new(|_| Err("none".to_owned())));
        let state = || training.standing(true).unwrap().state;
        // Neither events nor a lock to go by.
        assert_eq!(state(), State::Silent);
        let event = |iteration: u64, wall_time: f64| {
            format!(
                "{{\"iteration\":{iteration},\"loss\":0.5,\"dsc\":0.5,\"foreground_share\":0.1,\
                 \"empty_patches\":0,\"seconds\":0.5,\"wait_seconds\":0.0,\"wall_time\":{wall_time}}}\n"
            )
        };
        let events = path.join("events.jsonl");
        std::fs::write(&events, event(1, unix_time())).unwrap();
        assert_eq!(state(), State::AtWork);
        let before = training.standing(true).unwrap();
        std::fs::write(&events, event(1, 1.0) + &event(2, 2.0)).unwrap();
        let after = training.standing(true).unwrap();
        assert_ne!(before.stamp, after.stamp);
        assert_eq!((after.iterations, after.last), (2, Some(2.0)));
        assert_eq!(after.state, State::Silent);
        // Whoever trains holds the lock, and the system lets go of it when that dies.
        let held = lacuna_record::lock(&path.join(".lock")).unwrap().unwrap();
        assert_eq!(state(), State::AtWork);
        drop(held);
        assert_eq!(state(), State::Interrupted);
        let mut summary = Summary::imported(1);
        (summary.iterations, summary.finished) = (2, false);
        lacuna_record::write_json(&path.join("summary.json"), &summary).unwrap();
        assert_eq!(state(), State::Stopped);
        // A session that went on, and was killed.
        std::fs::write(&events, event(3, 3.0)).unwrap();
        assert_eq!(state(), State::Interrupted);
        (summary.iterations, summary.finished) = (3, true);
        lacuna_record::write_json(&path.join("summary.json"), &summary).unwrap();
        assert_eq!(state(), State::Finished);
    }
}
