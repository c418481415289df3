//! Progress over a whole grid, while an executor works.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::HumanDuration;
use lacuna_record::{State, Status};
use lacuna_study::StudyProgress;

use crate::terminal::Progress;

/// How often the run folders are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Shows progress from a thread of its own until it is finished.
pub struct Overview {
    board: Arc<Mutex<Board>>,
    ended: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

struct Board {
    study: StudyProgress,
    bar: Progress,
}

impl Overview {
    /// Starts to show `study`.
    pub fn start(study: StudyProgress) -> Self {
        let [_, total] = study.iterations();
        let bar = Progress::estimated("sweep", total);
        let board = Arc::new(Mutex::new(Board { study, bar }));
        let ended = Arc::new(AtomicBool::new(false));
        let (shared, flag) = (Arc::clone(&board), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                let mut board = shared.lock().unwrap_or_else(PoisonError::into_inner);
                board.study.look();
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
        board.study.changed(name, status.state);
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
    fn show(&mut self) {
        let runs = self.study.runs();
        let count = |state| runs.iter().filter(|run| run.state == state).count();
        let mut text = format!("{} of {} runs", count(State::Done), runs.len());
        let lost = count(State::Failed) + count(State::Killed);
        if lost > 0 {
            text += &format!(", {lost} failed");
        }
        if let Some(seconds) = self.study.seconds_left() {
            let left = HumanDuration(Duration::from_secs_f64(seconds));
            text += &format!(", left {left}");
        }
        let running = runs.iter().filter(|run| run.state == State::Running);
        for line in running.take(2) {
            let (name, total) = (&line.run.name, line.run.iterations);
            text += &format!("; {name} {}/{total}", line.iterations);
        }
        let [done, _] = self.study.iterations();
        self.bar.at(done, &text);
    }
}
