//! What a study left on disk, run by run.

use std::path::Path;

use lacuna_metrics::{ClassScores, Reliability, mean, running_median};
use serde::{Deserialize, Serialize};

use crate::files::read_optional;
use crate::{
    Ending, Evaluation, Event, KeptResults, LastIterations, Outcome, PlannedRun, RecordError,
    State, Status, Study, StudyFolder, Summary, read_calibration, read_events, write_json,
};

/// Name of [`Training`] in a run folder.
pub(crate) const TRAINING: &str = "training.json";

/// Points kept of a training curve.
const CURVE_POINTS: usize = 100;

/// A study and what each of its runs found so far.
#[derive(Clone, Debug)]
pub struct StudyResults {
    /// The plan.
    pub study: Study,
    /// One entry per planned run, in the plan's order.
    pub runs: Vec<RunResult>,
}

/// What a run found so far. Parts are absent until the run has come to them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResult {
    /// What was asked for.
    pub plan: PlannedRun,
    /// Where it stands.
    pub status: Status,
    /// Its iterations, condensed.
    pub training: Option<Training>,
    /// How its training ended.
    pub summary: Option<Summary>,
    /// Scores of its test subjects.
    pub scores: Option<Evaluation>,
    /// Calibration on its test subjects.
    pub calibration: Option<Reliability>,
    /// Its end.
    pub outcome: Option<Outcome>,
}

/// The iterations of a run, condensed: `training.json` of a run whose `events.jsonl` was not kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Iterations done.
    pub iterations: u64,
    /// Training DSC over the last 200 of them.
    pub last: LastIterations,
    /// What the network predicted over the last 200 of them.
    pub ending: Ending,
    /// Iteration and running median of the DSC, thinned.
    pub curve: Vec<[f64; 2]>,
    /// Mean foreground share of the effective patches.
    pub foreground_share: f64,
}

impl StudyResults {
    /// Reads the folder of a study, or one that holds its [`KeptResults`]. Runs that are not
    /// done are kept with what they have.
    ///
    /// # Errors
    /// When the folder holds neither, or a file in it cannot be read or is not
    /// what this program writes.
    pub fn read(folder: &StudyFolder) -> Result<Self, RecordError> {
        let Some(study) = folder.study()? else {
            return Ok(KeptResults::kept_in(folder)?.into());
        };
        let runs = study
            .runs
            .iter()
            .map(|plan| RunResult::read(folder, plan))
            .collect::<Result<_, _>>()?;
        Ok(Self { study, runs })
    }

    /// Runs in a state.
    pub fn in_state(&self, state: State) -> impl Iterator<Item = &RunResult> {
        self.runs.iter().filter(move |r| r.status.state == state)
    }
}

impl RunResult {
    fn read(folder: &StudyFolder, plan: &PlannedRun) -> Result<Self, RecordError> {
        let run = folder.run(&plan.name);
        let summary = match run.join("summary.json").exists() {
            true => Some(Summary::read(&run)?),
            false => None,
        };
        Ok(Self {
            plan: plan.clone(),
            status: folder.status(&plan.name)?,
            training: Training::read(&run)?,
            summary,
            scores: Evaluation::read(&run.join("test"))?,
            calibration: read_calibration(&run)?,
            outcome: Outcome::read(&run)?,
        })
    }

    /// The training, once all iterations are done.
    pub fn trained(&self) -> Option<&Training> {
        let finished = self.summary.as_ref().is_some_and(|s| s.finished);
        self.training.as_ref().filter(|_| finished)
    }

    /// Each test subject with its foreground row: the union of all foreground
    /// classes. None before the run is done.
    pub fn foreground(&self) -> impl Iterator<Item = (&str, &ClassScores)> {
        let scores = self.scores.iter().filter(|_| self.outcome.is_some());
        scores
            .flat_map(|scores| &scores.subjects)
            .filter_map(|s| Some((s.subject.as_str(), s.classes.last()?)))
    }

    /// Mean foreground DSC of the test subjects; `None` before the run is done.
    pub fn mean_test_dsc(&self) -> Option<f64> {
        mean(self.foreground().map(|(_, row)| row.dsc))
    }

    /// What the network predicted at the end of training.
    pub fn ending(&self) -> Ending {
        self.trained().map_or(Ending::Unknown, |t| t.ending)
    }

    /// What the label maps of the test subjects hold, all together.
    pub fn test_ending(&self) -> Ending {
        let mut rows = self.foreground().map(|(_, row)| row).peekable();
        if rows.peek().is_none() {
            return Ending::Unknown;
        }
        let (mut foreground, mut background) = (0, 0);
        for row in rows {
            foreground += row.counts.prediction();
            background += row.counts.true_negative + row.counts.false_negative;
        }
        match (foreground, background) {
            (0, _) => Ending::Background,
            (_, 0) => Ending::Foreground,
            _ => Ending::Segments,
        }
    }

    /// What the run ended predicting: in training where that was recorded, else on
    /// its test subjects.
    pub fn final_ending(&self) -> Ending {
        match self.ending() {
            Ending::Unknown => self.test_ending(),
            known => known,
        }
    }

    /// True when the run ended predicting one class alone or a checkerboard; `None` when
    /// unknown.
    pub fn collapsed(&self) -> Option<bool> {
        match self.final_ending() {
            Ending::Unknown => None,
            Ending::Segments => Some(false),
            Ending::Background | Ending::Foreground | Ending::Checkerboard => Some(true),
        }
    }
}

impl Training {
    /// The training of run folder `run`; `None` before its first iteration.
    ///
    /// # Errors
    /// When its events cannot be read.
    pub fn read(run: &Path) -> Result<Option<Self>, RecordError> {
        match Self::of(&read_events(run)?) {
            Some(training) => Ok(Some(training)),
            None => read_optional(&run.join(TRAINING)),
        }
    }

    /// Writes it in place of the events of run folder `run`.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, run: &Path) -> Result<(), RecordError> {
        write_json(&run.join(TRAINING), self)
    }

    /// Condenses the events of a run; `None` without events.
    pub fn of(events: &[Event]) -> Option<Self> {
        let last = LastIterations::of(events)?;
        let dsc: Vec<f64> = events.iter().map(|e| e.dsc).collect();
        // A tenth of the run, yet no more than the summary at its end.
        let medians = running_median(&dsc, (events.len() / 10).clamp(1, 200));
        let step = events.len().div_ceil(CURVE_POINTS);
        let kept = |i: &usize| i.is_multiple_of(step) || i + 1 == events.len();
        Some(Self {
            iterations: events.last()?.iteration,
            last,
            ending: Ending::of(events),
            curve: (0..events.len())
                .filter(kept)
                .map(|i| [events[i].iteration as f64, medians[i]])
                .collect(),
            foreground_share: mean(events.iter().map(|e| e.foreground_share))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(shares: &[Option<f64>]) -> Vec<Event> {
        let event = |(i, predicted_share): (usize, &Option<f64>)| Event {
            iteration: i as u64 + 1,
            loss: 0.5,
            dsc: 0.25,
            foreground_share: 0.1,
            predicted_share: *predicted_share,
            alternation: None,
            empty_patches: 0,
            seconds: 0.1,
            wait_seconds: 0.0,
            wall_time: 1.0,
        };
        shares.iter().enumerate().map(event).collect()
    }

    #[test]
    fn more_than_half_of_the_last_iterations_must_predict_one_class() {
        let ending = |shares: &[Option<f64>]| Training::of(&events(shares)).unwrap().ending;
        let (none, some, all) = (Some(0.0), Some(0.3), Some(1.0));
        assert_eq!(ending(&[none, none, some]), Ending::Background);
        assert_eq!(ending(&[none, none, some, some]), Ending::Segments);
        assert_eq!(ending(&[all, all, all, some, none]), Ending::Foreground);
        assert_eq!(ending(&[none, None, none]), Ending::Unknown);
        // Only the last 200 count.
        let late: Vec<_> = [vec![none; 300], vec![some; 200]].concat();
        assert_eq!(ending(&late), Ending::Segments);
        assert_eq!(Training::of(&[]), None);
    }

    #[test]
    fn a_curve_is_thinned_and_keeps_its_end() {
        let training = Training::of(&events(&vec![Some(0.5); 1003])).unwrap();
        assert!(training.curve.len() <= CURVE_POINTS + 1);
        assert_eq!(training.curve.last(), Some(&[1003.0, 0.25]));
        assert_eq!(training.iterations, 1003);
    }
}
