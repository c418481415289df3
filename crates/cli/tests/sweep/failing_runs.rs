//! A run that fails or is ended by the system fails alone.

use crate::{Guard, RUNS, events, place, status, until};
use lacuna_record::State;

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
