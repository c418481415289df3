//! A study: its runs are done once, go on where they stopped, and fail alone.

mod harness;

use std::process::Child;
use std::time::{Duration, Instant};

use harness::Place;
use lacuna_record::{State, Status, StudyFolder};

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

#[test]
fn a_grid_is_trained_and_tested_once() {
    let place = place();
    let first = place.ok("sweep study.toml --out out");
    assert!(
        first.stdout.contains("4 done, 0 failed, 0 killed, 0 to do"),
        "{first}"
    );
    assert_eq!(place.names("out/runs"), RUNS);
    let study = place.json("out/study.json");
    assert_eq!(study["runs"][0]["effective_patch"], 4);
    assert_eq!(study["runs"][3]["loss"], "generalised-dice");
    for run in RUNS {
        assert_eq!(status(&place, run).state, State::Done);
        assert_eq!(events(&place, run), 6);
        let scores = place.json(format!("out/runs/{run}/test/summary.json"));
        assert_eq!(scores["subjects"][0]["subject"], "sub-02");
        // Every voxel of the mask is in one bin of the reliability.
        let reliability = place.json(format!("out/runs/{run}/test/calibration.json"));
        let voxels = reliability["voxels"].as_array().unwrap();
        let counted: u64 = voxels.iter().map(|v| v.as_u64().unwrap()).sum();
        let mask =
            lacuna_io::read_image(place.path("out/phantoms/cohort/sub-02/brain_mask.nii.gz"));
        let inside = mask.unwrap().data().iter().filter(|v| **v > 0.5).count();
        assert_eq!(counted, inside as u64);
    }
    let second = place.ok("sweep study.toml --out out");
    assert!(
        second.stderr.contains("4 runs, 4 of them done already"),
        "{second}"
    );
    assert!(RUNS.iter().all(|run| status(&place, run).attempts == 1));
}

#[test]
fn a_sweep_that_is_killed_leaves_no_run_behind_and_goes_on() {
    let place = place();
    place.edit("study.toml", "iterations = 6", "iterations = 150");
    let mut sweep = Guard(place.command("sweep study.toml --out out").spawn().unwrap());
    let first = RUNS[0];
    until("checkpoint", || {
        place
            .path(format!("out/runs/{first}/checkpoint-000002"))
            .exists()
            || place
                .names(format!("out/runs/{first}"))
                .iter()
                .any(|n| n.starts_with("checkpoint-"))
    });
    sweep.0.kill().unwrap();
    sweep.0.wait().unwrap();
    // Its processes see that it has gone, and stop with a checkpoint.
    until("end of the runs", || {
        RUNS.iter()
            .all(|run| status(&place, run).state != State::Running)
    });
    let before = status(&place, first);
    assert_eq!((before.state, before.attempts), (State::Interrupted, 1));
    let done = place.ok("sweep study.toml --out out");
    assert!(done.stdout.contains("4 done"), "{done}");
    assert_eq!(status(&place, first).attempts, 2);
    assert_eq!(events(&place, first), 150);
}

#[test]
fn a_run_that_fails_does_not_stop_the_rest() {
    let place = place();
    place.ok("sweep study.toml --out out");
    // One subject of the dataset is damaged, and one run has everything to do again.
    let bytes = place.read("out/phantoms/cohort/sub-02/T1.nii.gz");
    place.write(
        "out/phantoms/cohort/sub-02/T1.nii.gz",
        &bytes[..bytes.len() / 2],
    );
    for run in [RUNS[1], RUNS[2]] {
        std::fs::remove_file(place.path(format!("out/runs/{run}/outcome.json"))).unwrap();
    }
    let swept = place.run("sweep study.toml --out out");
    assert_eq!(swept.code, Some(1), "{swept}");
    assert!(
        swept.stdout.contains("2 done, 2 failed, 0 killed, 0 to do"),
        "{swept}"
    );
    let failed = status(&place, RUNS[1]);
    assert_eq!(failed.state, State::Failed);
    assert!(failed.message.unwrap().contains("T1.nii.gz"));
    // Mended, they are tested without being trained again.
    place.write("out/phantoms/cohort/sub-02/T1.nii.gz", &bytes);
    place.ok("sweep study.toml --out out");
    assert!(
        !place
            .text(format!("out/logs/{}.log", RUNS[1]))
            .contains("panicked")
    );
    assert_eq!(status(&place, RUNS[1]).state, State::Done);
}

#[test]
fn a_run_killed_by_the_system_is_told_and_tried_again() {
    let place = place();
    place.edit("study.toml", "iterations = 6", "iterations = 150");
    place.edit("study.toml", "jobs = 2", "jobs = 1");
    let sweep = place.command("sweep study.toml --out out").spawn().unwrap();
    let mut sweep = Guard(sweep);
    until("events", || {
        std::fs::read_to_string(place.path(format!("out/runs/{}/events.jsonl", RUNS[0])))
            .is_ok_and(|text| text.lines().count() > 20)
    });
    let children =
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", sweep.0.id())).unwrap();
    let child = children.split_whitespace().next().unwrap();
    let killed = std::process::Command::new("kill")
        .args(["-9", child])
        .status();
    assert!(killed.unwrap().success());
    until("next run", || {
        status(&place, RUNS[1]).state == State::Running
    });
    let status_now = status(&place, RUNS[0]);
    assert_eq!(status_now.state, State::Killed);
    assert!(status_now.message.unwrap().contains("memory"));
    sweep.0.kill().unwrap();
    sweep.0.wait().unwrap();
    until("end of the runs", || {
        RUNS.iter()
            .all(|run| status(&place, run).state != State::Running)
    });
    place.ok("sweep study.toml --out out");
    let done = status(&place, RUNS[0]);
    assert_eq!(
        (done.state, done.message, done.attempts),
        (State::Done, None, 2)
    );
    assert_eq!(events(&place, RUNS[0]), 150);
}

/// The process of a run that the sweep has started.
fn child_of(sweep: &Guard) -> String {
    let children = format!("/proc/{0}/task/{0}/children", sweep.0.id());
    let children = std::fs::read_to_string(children).unwrap();
    children.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_run_ended_by_sigterm_is_told_and_is_no_success() {
    let place = place();
    place.edit("study.toml", "iterations = 6", "iterations = 150");
    place.edit("study.toml", "jobs = 2", "jobs = 1");
    let mut sweep = Guard(place.command("sweep study.toml --out out").spawn().unwrap());
    until("events", || {
        std::fs::read_to_string(place.path(format!("out/runs/{}/events.jsonl", RUNS[0])))
            .is_ok_and(|text| text.lines().count() > 5)
    });
    let killed = std::process::Command::new("kill")
        .args(["-TERM", &child_of(&sweep)])
        .status();
    assert!(killed.unwrap().success());
    let ended = sweep.0.wait().unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(sweep.0.stdout.as_mut().unwrap(), &mut said).unwrap();
    assert_eq!(ended.code(), Some(1), "{said}");
    assert!(
        said.contains("3 done, 0 failed, 0 killed, 1 to do"),
        "{said}"
    );
    let line = format!(
        "{}: interrupted: asked to stop by a signal (SIGTERM",
        RUNS[0]
    );
    assert!(said.contains(&line), "{said}");
    let again = place.ok("sweep study.toml --out out");
    assert!(again.stdout.contains("4 done"), "{again}");
    assert_eq!(status(&place, RUNS[0]).message, None);
}

#[test]
fn a_run_that_another_process_holds_is_waited_for() {
    let place = place();
    place.edit("study.toml", "iterations = 6", "iterations = 150");
    let mut sweep = Guard(place.command("sweep study.toml --out out").spawn().unwrap());
    until("events", || {
        std::fs::read_to_string(place.path(format!("out/runs/{}/events.jsonl", RUNS[0])))
            .is_ok_and(|text| text.lines().count() > 5)
    });
    // Started again while the processes of the killed one are still ending.
    sweep.0.kill().unwrap();
    sweep.0.wait().unwrap();
    let again = place.ok("sweep study.toml --out out");
    assert!(again.stdout.contains("4 done"), "{again}");
    assert!(RUNS.iter().all(|run| events(&place, run) == 150));

    // One run is to be tested again, and this process holds it.
    std::fs::remove_file(place.path(format!("out/runs/{}/outcome.json", RUNS[0]))).unwrap();
    let lock = place.path(format!("out/states/{}.lock", RUNS[0]));
    let lock = lacuna_record::lock(&lock)
        .unwrap()
        .expect("nobody holds it");
    let said = std::fs::File::create(place.path("said.txt")).unwrap();
    let mut command = place.command("sweep study.toml --out out");
    let mut waits = Guard(command.stderr(said).spawn().unwrap());
    until("remark", || {
        (place.text("said.txt")).contains("another lacuna process is at work on it")
    });
    assert_eq!(waits.0.try_wait().unwrap(), None, "it does not wait");
    drop(lock);
    assert_eq!(waits.0.wait().unwrap().code(), Some(0));
    assert!(
        RUNS.iter()
            .all(|run| status(&place, run).state == State::Done)
    );
}

#[test]
fn names_that_begin_with_a_dash_are_runs_and_not_options() {
    let place = place();
    place.edit(
        "study.toml",
        "seed = [1, 2]",
        "seed = [1, 2]\nlabels = [\"-1\", \"--help\"]",
    );
    let axis = "[[axis]]\nloss = [{ name = \"dice\" }, { name = \"generalised-dice\" }]\n";
    place.edit("study.toml", axis, "");
    let swept = place.ok("sweep study.toml --out out");
    assert!(swept.stdout.contains("2 done"), "{swept}");
    assert_eq!(place.names("out/runs"), ["--help", "-1"]);
}

#[test]
fn one_folder_takes_one_sweep_and_one_study() {
    let place = place();
    place.edit("study.toml", "iterations = 6", "iterations = 1500");
    let mut sweep = Guard(place.command("sweep study.toml --out out").spawn().unwrap());
    until("study", || place.path("out/study.json").exists());
    place.refused(
        "sweep study.toml --out out",
        &["out", "in use by another `lacuna sweep`"],
    );
    until("running", || {
        status(&place, RUNS[0]).state == State::Running
    });
    place.refused(
        "study-run out dice_seed1",
        &["`dice_seed1`", "in use by another lacuna process"],
    );
    sweep.0.kill().unwrap();
    sweep.0.wait().unwrap();
    until("end of the runs", || {
        RUNS.iter()
            .all(|run| status(&place, run).state != State::Running)
    });
    place.refused(
        "sweep study.toml --out out --set train.batch=3",
        &["dice_seed1", "train.batch was 2, now 3", "another --out"],
    );
    let mut other = place.text("study.toml");
    other = other.replace("name = \"four\"", "name = \"five\"");
    place.write("other.toml", other);
    place.refused(
        "sweep other.toml --out out",
        &["`four`, not `five`", "--out"],
    );
    std::fs::create_dir(place.path("out/runs/stray")).unwrap();
    place.refused(
        "sweep study.toml --out out",
        &["runs/stray", "no run of the study `four`"],
    );
    place.write("taken/notes.txt", "mine");
    place.refused(
        "sweep study.toml --out taken",
        &["taken", "notes.txt", "empty folder"],
    );
    assert_eq!(place.names("taken"), ["notes.txt"]);
}

#[test]
fn a_study_that_cannot_run_is_refused_before_anything_is_written() {
    let refused = |old: &str, new: &str, parts: &[&str]| {
        let place = place();
        place.edit("study.toml", old, new);
        place.refused("sweep study.toml --out out", parts);
        assert!(
            !place.path("out").exists(),
            "{new}: a folder was left behind"
        );
    };
    let seed = "seed = [1, 2]";
    refused(
        seed,
        "\"train.learnin_rate\" = [1e-3]",
        &[
            "study.toml",
            "unknown key `train.learnin_rate`",
            "`train.learning_rate`?",
        ],
    );
    refused(
        seed,
        "seed = []",
        &["study.toml", "axis 2", "empty list", "at least one"],
    );
    refused(
        seed,
        "seed = [1, 1]",
        &["study.toml", "`dice_seed1`", "labels"],
    );
    refused(
        seed,
        "\"patch.size\" = [44, 45]",
        &["study.toml, run dice_size45", "`patch.size`", "45"],
    );
    refused(
        seed,
        "\"loss.lambda\" = [0.1]",
        &["study.toml, run dice_lambda0.1", "lambda"],
    );
    refused(
        seed,
        "\"phantom.share\" = [0.1]",
        &["study.toml, run dice_share0.1", "[phantom]", "`share`"],
    );
    refused(
        "[phantom]",
        "[ghost]",
        &["study.toml", "unknown field `ghost`"],
    );
    refused(
        "train = [\"sub-01\"]",
        "train = [\"sub-09\"]",
        &["study.toml, run dice_seed1", "`sub-09`", "did you mean"],
    );
    refused(
        "jobs = 2",
        "jobs = 0",
        &["study.toml", "`executor.jobs` is 0"],
    );
    refused(
        "kind = \"local\"",
        "kind = \"cloud\"",
        &["study.toml", "cloud", "slurm"],
    );
    refused(
        "name = \"four\"",
        "name = \"four\"\ndevice = \"tpu\"",
        &["study.toml", "`device` is \"tpu\"", "\"cpu\""],
    );
    let place = Place::empty();
    place.refused("sweep none.toml --out out", &["cannot read none.toml"]);
    place.refused(
        "study-run none run",
        &["none", "no study.json", "`lacuna sweep`"],
    );
}

#[test]
fn slurm_commands_that_are_missing_are_named() {
    let place = place();
    place.edit(
        "study.toml",
        "kind = \"local\"\njobs = 2\nthreads = 1",
        "kind = \"slurm\"",
    );
    let output = place
        .command("sweep study.toml --out out")
        .env("PATH", place.path(""))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("sbatch"), "{stderr}");
    assert!(stderr.contains("kind = \"local\""), "{stderr}");
    assert!(!place.path("out").exists(), "a folder was left behind");
}

#[test]
fn the_grid_is_shown_without_running_it() {
    let place = place();
    let shown = place.ok("sweep study.toml --dry-run");
    for run in RUNS {
        assert!(shown.stdout.contains(run), "{shown}");
    }
    assert!(shown.stdout.contains("44 -> 4"), "{shown}");
    assert!(shown.stdout.contains("4 runs, "), "{shown}");
    assert_eq!(place.names(""), ["study.toml"]);
}
