//! Each run is done once, also when the sweep was cut off.

use crate::{Guard, RUNS, events, place, status, until};
use lacuna_record::State;

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
fn the_grid_is_shown_without_running_it() {
    let place = place();
    let shown = place.ok("sweep study.toml --dry-run");
    let told = place.ok("sweep study.toml --dry-run --json").json();
    let runs = told["runs"].as_array().unwrap();
    assert!(!runs.is_empty());
    for run in runs {
        assert!(
            shown.stdout.contains(run["run"]["name"].as_str().unwrap()),
            "{run}"
        );
        assert!(run["hours"]["middle"].as_f64().unwrap() > 0.0, "{run}");
    }
    for run in RUNS {
        assert!(shown.stdout.contains(run), "{shown}");
    }
    assert!(shown.stdout.contains("44 -> 4"), "{shown}");
    assert!(shown.stdout.contains("4 runs, "), "{shown}");
    assert_eq!(place.names(""), ["study.toml"]);
}

#[test]
fn keys_of_the_phantom_are_set_too() {
    let place = place();
    place.edit("study.toml", "seed = [1, 2]", "seed = [1]");
    place.ok(
        "phantom --out shapes --set subjects=1 --set shape=[40,44,10] \
              --set spacing=[2.0,2.5,4.0] --set foreground_share=5e-3",
    );
    place.write("studies/study.toml", place.text("study.toml"));
    // Masks are named as seen from the current folder, not from the study's.
    place.ok(
        "sweep studies/study.toml --out out --set train.iterations=2 \
              --set phantom.subjects=3 --set phantom.lesion_masks=shapes/sub-01/lesion.nii.gz",
    );
    let made = place.names("out/phantoms");
    let made = place.text(format!("out/phantoms/{}/phantom.toml", made[0]));
    assert!(made.contains("subjects = 3"), "{made}");
    let masks = place
        .path("shapes/sub-01/lesion.nii.gz")
        .display()
        .to_string();
    assert!(
        made.contains(&format!("lesion_masks = \"{masks}\"")),
        "{made}"
    );
    place.refused(
        "sweep studies/study.toml --out other --set phantom.subject=3",
        &["[phantom]", "`subject`"],
    );
    place.write("junk/mask.nii.gz", "junk");
    place.refused(
        "sweep studies/study.toml --out other --set phantom.lesion_masks=junk",
        &["junk/mask.nii.gz", "expected a NIfTI"],
    );
    assert!(!place.path("other").exists());
    place.refused(
        "sweep studies/study.toml --out other --set phantom.subjects",
        &["--set phantom.subjects", "key=value"],
    );
    let text = place.text("study.toml");
    let (before, rest) = text.split_once("[phantom]").unwrap();
    let (_, after) = rest.split_once("[run.split]").unwrap();
    place.write("plain.toml", format!("{before}[run.split]{after}"));
    place.refused(
        "sweep plain.toml --out other --set phantom.subjects=3",
        &["plain.toml", "phantom.subjects=3", "no [phantom] section"],
    );
}

#[test]
fn a_part_of_the_grid_is_run_alone() {
    let place = place();
    let none = "--only squared: no run of the study has this in its name; the first is dice_seed1";
    place.refused("sweep study.toml --out out --only squared", &[none]);
    assert!(!place.path("out").exists());
    let part = place.ok("sweep study.toml --out out --only generalised");
    assert!(
        part.stdout.contains("2 done, 0 failed, 0 killed, 0 to do"),
        "{part}"
    );
    assert_eq!(place.names("out/runs"), RUNS[2..]);
    let report = place.ok("report out");
    assert!(report.stdout.contains("2 of 4 runs are done"), "{report}");
    let rest = place.ok("sweep study.toml --out out");
    assert!(
        rest.stderr.contains("4 runs, 2 of them done already"),
        "{rest}"
    );
}
