//! How far the runs of a study are, read from their folders, so that it serves
//! every executor.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use lacuna_record::{Event, Outcome, PlannedRun, State, StudyFolder};

use crate::{Executor, Plan};

/// Bytes at the end of `events.jsonl` that tell how fast a run goes.
const TAIL: u64 = 8192;

/// How far the runs of a study are, as last looked at.
pub struct StudyProgress {
    folder: StudyFolder,
    runs: Vec<RunProgress>,
    jobs: usize,
}

/// How far one run is.
pub struct RunProgress {
    /// The run.
    pub run: PlannedRun,
    /// Where it stands.
    pub state: State,
    /// Iterations done.
    pub iterations: u64,
    /// Seconds of an iteration lately.
    rate: Option<f64>,
    /// Seconds of the test, once done.
    test: Option<f64>,
}

impl StudyProgress {
    /// Looks at the runs `asked` of a study, of which `todo` are left to do.
    pub fn of(plan: &Plan, asked: &[&str], todo: usize, executor: &Executor) -> Self {
        let planned = plan.runs.iter();
        let planned = planned.filter(|planned| asked.contains(&planned.run.name.as_str()));
        let runs = planned.map(|planned| RunProgress {
            run: planned.run.clone(),
            state: State::Waiting,
            iterations: 0,
            rate: None,
            test: None,
        });
        let mut progress = Self {
            folder: plan.folder.clone(),
            runs: runs.collect(),
            jobs: match executor {
                Executor::Local(local) => local.jobs.min(todo.max(1)),
                Executor::Slurm(slurm) => slurm.at_once.unwrap_or(todo).clamp(1, todo.max(1)),
            },
        };
        progress.look();
        progress
    }

    /// Each run, in the order of the study.
    pub fn runs(&self) -> &[RunProgress] {
        &self.runs
    }

    /// Iterations of all runs: done, and to be done.
    pub fn iterations(&self) -> [u64; 2] {
        [
            self.runs.iter().map(|line| line.iterations).sum(),
            self.runs.iter().map(|line| line.run.iterations).sum(),
        ]
    }

    /// The run `name` has changed its state.
    pub fn changed(&mut self, name: &str, state: State) {
        if let Some(line) = self.runs.iter_mut().find(|line| line.run.name == name) {
            line.state = state;
        }
    }

    /// Reads how far the runs are that are not known to be done.
    pub fn look(&mut self) {
        for line in &mut self.runs {
            if line.test.is_some() {
                continue;
            }
            let run = self.folder.run(&line.run.name);
            if let Some(outcome) = Outcome::read(&run).ok().flatten() {
                line.state = State::Done;
                line.iterations = line.run.iterations;
                line.rate = Some(outcome.train_seconds / line.run.iterations.max(1) as f64);
                line.test = Some(outcome.test_seconds);
            } else if let Some((iterations, rate)) = tail(&run.join("events.jsonl")) {
                line.iterations = iterations;
                line.rate = Some(rate);
            }
        }
    }

    /// Seconds until all have ended, from the pace of runs alike: the same network,
    /// scaled by the voxels of a batch. `None` before any has a pace.
    pub fn seconds_left(&self) -> Option<f64> {
        let voxels =
            |run: &PlannedRun| run.batch as f64 * run.patch.mean_edge().powi(run.rank as i32);
        let mut paces: HashMap<&str, Vec<f64>> = HashMap::new();
        let mut tests: HashMap<&str, Vec<f64>> = HashMap::new();
        for line in &self.runs {
            let network = line.run.network.as_str();
            if let Some(rate) = line.rate {
                paces
                    .entry(network)
                    .or_default()
                    .push(rate / voxels(&line.run));
            }
            if let Some(test) = line.test {
                tests.entry(network).or_default().push(test);
            }
        }
        let mean = |of: &HashMap<&str, Vec<f64>>, network: &str| {
            let own: Vec<f64> = match of.get(network) {
                Some(own) => own.clone(),
                None => of.values().flatten().copied().collect(),
            };
            (!own.is_empty()).then(|| own.iter().sum::<f64>() / own.len() as f64)
        };
        let mut left = 0.0;
        let open = |line: &&RunProgress| {
            matches!(
                line.state,
                State::Waiting | State::Running | State::Interrupted
            )
        };
        for line in self.runs.iter().filter(open) {
            let network = line.run.network.as_str();
            let pace = mean(&paces, network)?;
            let iterations = line.run.iterations.saturating_sub(line.iterations) as f64;
            left += iterations * pace * voxels(&line.run) + mean(&tests, network).unwrap_or(0.0);
        }
        Some(left / self.jobs as f64)
    }
}

/// The last iteration of an events file and the mean seconds of the last few.
fn tail(path: &Path) -> Option<(u64, f64)> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    // The first line may be cut off at its beginning, the last one at its end.
    let events: Vec<Event> = (bytes.split(|b| *b == b'\n'))
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect();
    let seconds: f64 = events.iter().map(|e| e.seconds).sum();
    Some((events.last()?.iteration, seconds / events.len() as f64))
}
