//! A study: its runs are done once, go on where they stopped, and fail alone.

#[path = "../harness/mod.rs"]
mod harness;

mod completion;
mod failing_runs;
mod kept;
mod refusals;

use std::process::Child;
use std::time::{Duration, Instant};

use harness::Place;
use lacuna_record::{Status, StudyFolder};

/// Four runs of a second: two losses, two seeds.
const STUDY: &str = r#"name = "four"
[executor]
kind = "local"
jobs = 2
threads = 1
[phantom]
subjects = 2
shape = [40, 44, 10]
spacing = [2.0, 2.5, 4.0]
foreground_share = 5e-3
lesion_volume_mm3 = [40.0, 400.0]
[run.split]
train = ["sub-01"]
test = ["sub-02"]
[run.normalise]
method = "z-score"
[run.model]
width = 0.05
[run.patch]
size = 44
[run.train]
iterations = 6
batch = 2
checkpoint_every = 2
[[axis]]
loss = [{ name = "dice" }, { name = "generalised-dice" }]
[[axis]]
seed = [1, 2]
"#;

const RUNS: [&str; 4] = [
    "dice_seed1",
    "dice_seed2",
    "generalised-dice_seed1",
    "generalised-dice_seed2",
];

fn place() -> Place {
    let place = Place::empty();
    place.write("study.toml", STUDY);
    place
}

fn status(place: &Place, run: &str) -> Status {
    StudyFolder(place.path("out")).status(run).unwrap()
}

fn events(place: &Place, run: &str) -> usize {
    place
        .text(format!("out/runs/{run}/events.jsonl"))
        .lines()
        .count()
}

/// Ends the child when a test fails.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(120), "no {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
