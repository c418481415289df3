//! Studies and folders that are refused.

use crate::harness::Place;
use crate::{Guard, RUNS, place, status, until};
use lacuna_record::State;

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
