//! Progress over a whole grid, read from the run folders, so that it serves
//! every executor.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::HumanDuration;
use lacuna_record::{Event, Outcome, PlannedRun, State, Status, StudyFolder};
use lacuna_sweep::Executor;

use super::plan::Plan;
use crate::terminal::Progress;

/// How often the run folders are looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes at the end of `events.jsonl` that tell how fast a run goes.
const TAIL: u64 = 8192;

/// Shows progress from a thread of its own until it is finished.
pub struct Overview {
    board: Arc<Mutex<Board>>,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

struct Board {
    folder: StudyFolder,
    runs: Vec<Line>,
    jobs: usize,
    bar: Progress,
}

struct Line {
    run: PlannedRun,
    state: State,
    /// Iterations done.
    iterations: u64,
    /// Seconds of an iteration lately.
    rate: Option<f64>,
    /// Seconds of the test, once done.
    test: Option<f64>,
}

impl Overview {
    /// Starts to show a study with `todo` runs left to do.
    pub fn start(folder: StudyFolder, plan: &Plan, todo: usize, executor: &Executor) -> Self {
        let runs: Vec<Line> = (plan.runs.iter())
            .map(|planned| Line {
                run: planned.run.clone(),
                state: State::Waiting,
                iterations: 0,
                rate: None,
                test: None,
            })
            .collect();
        let total = runs.iter().map(|line| line.run.iterations).sum();
        let mut board = Board {
            folder,
            runs,
            jobs: match executor {
                Executor::Local(local) => local.jobs.min(todo.max(1)),
                Executor::Slurm(slurm) => slurm.at_once.unwrap_or(todo).clamp(1, todo.max(1)),
            },
            bar: Progress::estimated("sweep", total),
        };
        board.look();
        let board = Arc::new(Mutex::new(board));
        let ended = Arc::new(AtomicBool::new(false));
        let (shared, flag) = (Arc::clone(&board), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                let mut board = shared.lock().unwrap_or_else(PoisonError::into_inner);
                board.look();
                board.show();
                drop(board);
                std::thread::park_timeout(LOOK);
            }
        });
        Self {
            board,
            ended,
            thread,
        }
    }

    /// A run has changed its state.
    pub fn changed(&self, name: &str, status: &Status) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = format!("{name}: {}", status.state);
        if status.attempts > 1 && status.state == State::Running {
            text += &format!(" (attempt {})", status.attempts);
        }
        if let Some(message) = &status.message {
            text += &format!(": {message}");
        }
        if let Some(line) = board.runs.iter_mut().find(|line| line.run.name == name) {
            line.state = status.state;
        }
        board.bar.note(&text);
    }

    /// Removes the bar.
    pub fn finish(self) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        // A panic there would only have cost the display.
        let _ = self.thread.join();
    }
}

impl Board {
    /// Reads how far the runs are that are not known to be done.
    fn look(&mut self) {
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

    fn show(&mut self) {
        let done = self.runs.iter().map(|line| line.iterations).sum();
        let count = |state| self.runs.iter().filter(|l| l.state == state).count();
        let mut text = format!("{} of {} runs", count(State::Done), self.runs.len());
        let lost = count(State::Failed) + count(State::Killed);
        if lost > 0 {
            text += &format!(", {lost} failed");
        }
        text += &match self.seconds_left() {
            Some(seconds) => format!(", left {}", HumanDuration(Duration::from_secs_f64(seconds))),
            None => String::new(),
        };
        for line in self
            .runs
            .iter()
            .filter(|l| l.state == State::Running)
            .take(2)
        {
            text += &format!(
                "; {} {}/{}",
                line.run.name, line.iterations, line.run.iterations
            );
        }
        self.bar.at(done, &text);
    }

    /// From the pace of runs alike: the same network, scaled by the voxels of a batch.
    fn seconds_left(&self) -> Option<f64> {
        let voxels = |run: &PlannedRun| (run.batch * run.patch.pow(run.rank as u32)) as f64;
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
        let open = |line: &&Line| {
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
