//! A run that was stopped, killed or cut into parts ends with the bits of one
//! that was not, and nothing but the configuration decides these bits.

mod harness;

use std::process::{Child, Output};

use harness::{Place, RUN, phantoms, send, start};
use lacuna_data::phantom::PhantomConfig;
use lacuna_record::Event;

/// Bytes of the weights after `iteration`.
fn weights(place: &Place, run: &str, iteration: u64) -> Vec<u8> {
    place.read(format!(
        "{run}/checkpoint-{iteration:06}/weights.safetensors"
    ))
}

/// What the events say of the numbers, without the times.
fn figures(place: &Place, run: &str) -> Vec<(u64, u64, u64, u64, u64)> {
    let lines = place.text(format!("{run}/events.jsonl"));
    let events = lines
        .lines()
        .map(|l| serde_json::from_str::<Event>(l).unwrap());
    events
        .map(|e| {
            let share = e.foreground_share.to_bits();
            (
                e.iteration,
                e.loss.to_bits(),
                e.dsc.to_bits(),
                share,
                e.empty_patches,
            )
        })
        .collect()
}

fn assert_same_run(place: &Place, run: &str, other: &str, iteration: u64) {
    assert_eq!(
        figures(place, run),
        figures(place, other),
        "{run} and {other}"
    );
    let same = weights(place, run, iteration) == weights(place, other, iteration);
    assert!(same, "the weights of {run} and {other} differ");
}

#[test]
fn three_and_three_iterations_are_six() {
    let place = Place::new();
    for optimiser in ["adam", "sgd"] {
        let set = format!("--set train.optimiser={optimiser}");
        let (whole, parts) = (format!("{optimiser}-whole"), format!("{optimiser}-parts"));
        place.ok(&format!("train run.toml --out {whole} {set}"));
        place.ok(&format!(
            "train run.toml --out {parts} {set} --set train.iterations=3"
        ));
        place.ok(&format!("train run.toml --out {parts} {set} --resume"));
        assert_same_run(&place, &whole, &parts, 6);
        // What the optimiser remembers is alike too, though both were saved apart.
        place.ok(&format!(
            "train run.toml --out {whole} {set} --resume --set train.iterations=8"
        ));
        place.ok(&format!(
            "train run.toml --out {parts} {set} --resume --set train.iterations=8"
        ));
        assert_same_run(&place, &whole, &parts, 8);
        let state = |run: &str| {
            let mut state = place.json(format!("{run}/checkpoint-000008/state.json"));
            // It began with another length, and an optimiser's file has names that are drawn.
            assert!(state["run"].take().is_string());
            assert!(state["parts"]["optimiser.bin"].take().is_string());
            state
        };
        assert_eq!(state(&whole), state(&parts));
        let summary = place.json(format!("{parts}/summary.json"));
        assert_eq!(summary["iterations"], 8);
        assert_eq!(summary["last_iterations"]["iterations"], 8);
        // A run that goes on after its end is the one that was never ended there.
        let once = format!("{optimiser}-once");
        place.ok(&format!(
            "train run.toml --out {once} {set} --set train.iterations=8"
        ));
        assert_same_run(&place, &once, &whole, 8);
    }
    // The two optimisers do differ, so the comparison can tell runs apart.
    assert_ne!(
        weights(&place, "adam-whole", 6),
        weights(&place, "sgd-whole", 6)
    );
}

#[test]
fn running_statistics_of_batch_norm_are_resumed() {
    let place = Place::with(&phantoms([18, 20, 8]), RUN);
    for (name, size) in [("high-res-3d-net", 37), ("deep-medic", 51)] {
        let set = format!(
            "--set model.name={name} --set patch.size={size} --set model.width=0.05 \
             --set train.checkpoint_every=2"
        );
        let (whole, parts) = (format!("{name}-whole"), format!("{name}-parts"));
        place.ok(&format!(
            "train run.toml --out {whole} {set} --set train.iterations=4"
        ));
        place.ok(&format!(
            "train run.toml --out {parts} {set} --set train.iterations=2"
        ));
        place.ok(&format!(
            "train run.toml --out {parts} {set} --set train.iterations=4 --resume"
        ));
        assert_same_run(&place, &whole, &parts, 4);
        // Such a network does keep running statistics.
        let text = String::from_utf8_lossy(&weights(&place, &whole, 4)).into_owned();
        assert!(
            text.contains("running_mean") && text.contains("running_var"),
            "{name}"
        );
    }
}

#[test]
fn only_the_configuration_decides_the_bits() {
    let place = Place::new();
    place.ok("train run.toml --out a --set train.loader_threads=1");
    place.ok("train run.toml --out b --set train.loader_threads=3");
    assert_same_run(&place, "a", "b", 6);
    place.ok("train run.toml --out c --set train.checkpoint_every=1 --threads 2");
    assert_same_run(&place, "a", "c", 6);
    place.ok("train run.toml --out d --set seed=1");
    assert_ne!(figures(&place, "a"), figures(&place, "d"));
    assert_ne!(weights(&place, "a", 6), weights(&place, "d", 6));
}

/// Patches, loss maps, voxel weights and validation subjects from the disk cache are
/// those from memory.
#[test]
fn subjects_in_the_disk_cache_give_the_same_bits() {
    let cohort = PhantomConfig {
        subjects: 3,
        ..phantoms([40, 44, 10])
    };
    let place = Place::with(&cohort, RUN);
    place.edit("run.toml", "[\"sub-01\"]", "[\"sub-01\", \"sub-03\"]");
    place.edit("run.toml", "test =", "validation =");
    let set =
        "--set loss.name=boundary --set train.voxel_weights=mask --set train.validate_every=3";
    place.ok(&format!("train run.toml --out memory {set}"));
    let disk = place.ok(&format!(
        "train run.toml --out disk {set} --set train.memory=1 --set train.cache=cache"
    ));
    for told in ["2 of 2 subjects do not fit", "1 of 1 subjects do not fit"] {
        assert!(disk.stderr.contains(told), "{disk}");
    }
    assert!(!place.names("cache").is_empty());
    assert_same_run(&place, "memory", "disk", 6);
    assert_eq!(
        place.text("memory/validation.jsonl"),
        place.text("disk/validation.jsonl")
    );
    // A cache that is there already is read as it is. Of two subjects of 17600 voxels
    // with 26 bytes each, 600 KB hold one.
    let part = place.ok(&format!(
        "train run.toml --out part {set} --set train.memory=600KB --set train.cache=cache"
    ));
    assert!(part.stderr.contains("1 of 2 subjects do not fit"), "{part}");
    assert_same_run(&place, "memory", "part", 6);
}

#[test]
fn a_run_is_resumed_from_another_folder() {
    let place = Place::new();
    place.ok("train run.toml --out whole");
    place.ok("train run.toml --out parts --set train.iterations=3");
    place.write("elsewhere/note.txt", "");
    let output = place
        .command("train ../run.toml --out ../parts --resume")
        .current_dir(place.path("elsewhere"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert_same_run(&place, "whole", "parts", 6);
}

#[test]
fn resuming_a_finished_run_changes_nothing() {
    let place = Place::new();
    place.edit(
        "run.toml",
        "test = [\"sub-02\"]",
        "validation = [\"sub-02\"]",
    );
    place.ok("train run.toml --out run --set train.validate_every=2");
    let before = weights(&place, "run", 6);
    let (summary, lines) = (
        place.json("run/summary.json"),
        place.text("run/validation.jsonl"),
    );
    place.ok("train run.toml --out run --set train.validate_every=2 --resume");
    assert_eq!(weights(&place, "run", 6), before);
    assert_eq!(
        place.json("run/summary.json")["validation_dsc"],
        summary["validation_dsc"]
    );
    assert!(summary["validation_dsc"].is_f64(), "{summary}");
    assert_eq!(place.text("run/validation.jsonl"), lines);
}

/// Iterations past the last checkpoint are done again, their validation too.
#[test]
fn validation_is_recorded_once() {
    let place = Place::new();
    place.edit(
        "run.toml",
        "test = [\"sub-02\"]",
        "validation = [\"sub-02\"]",
    );
    let set = "--set train.validate_every=2";
    place.ok(&format!("train run.toml --out whole {set}"));
    place.ok(&format!("train run.toml --out run {set}"));
    // As a kill between iterations 4 and 6 leaves it.
    std::fs::remove_dir_all(place.path("run/checkpoint-000006")).unwrap();
    place.ok(&format!("train run.toml --out run {set} --resume"));
    assert_eq!(
        place.text("run/validation.jsonl"),
        place.text("whole/validation.jsonl")
    );
    assert_same_run(&place, "whole", "run", 6);
    let size = |run: &str| {
        let names = place.names(format!("{run}/tensorboard"));
        assert_eq!(names.len(), 1, "{names:?}");
        place.read(format!("{run}/tensorboard/{}", names[0])).len()
    };
    assert_eq!(
        size("whole"),
        size("run"),
        "the same events for TensorBoard"
    );
}

fn ended(child: Child) -> Output {
    child.wait_with_output().unwrap()
}

/// Iterations behind the newest checkpoint; 0 without one.
fn newest(place: &Place, run: &str) -> u64 {
    let names = place.names(run).into_iter();
    let numbers = names.filter_map(|n| n.strip_prefix("checkpoint-")?.parse().ok());
    numbers.max().unwrap_or(0)
}

#[test]
fn an_interrupted_run_saves_and_resumes_to_the_same_bits() {
    let place = Place::new();
    let set = "--set train.checkpoint_every=1000000";
    for signal in ["INT", "TERM"] {
        let child = start(&place, signal, set, 3);
        send(&child, signal);
        let output = ended(child);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(130), "{stderr}");
        assert!(
            stderr.contains(&format!("lacuna train run.toml --out {signal}"))
                && stderr.contains("--resume"),
            "{stderr}"
        );
        let done = newest(&place, signal);
        assert_eq!(figures(&place, signal).len() as u64, done);
        assert_eq!(
            place.json(format!("{signal}/summary.json"))["finished"],
            false
        );

        let total = done + 2;
        let more = format!("{set} --set train.iterations={total}");
        place.ok(&format!("train run.toml --out {signal} {more} --resume"));
        place.ok(&format!("train run.toml --out whole-{signal} {more}"));
        assert_same_run(&place, signal, &format!("whole-{signal}"), total);
    }
}

#[test]
fn a_killed_run_loses_no_more_than_the_checkpoint_interval() {
    let place = Place::new();
    let set = "--set train.checkpoint_every=5";
    let mut child = start(&place, "run", set, 13);
    child.kill().unwrap();
    ended(child);
    let done = newest(&place, "run");
    let text = place.text("run/events.jsonl");
    let whole_lines = text.lines().filter(|l| l.ends_with('}')).count() as u64;
    assert!(
        done >= 5 && done + 5 >= whole_lines,
        "{done} of {whole_lines}"
    );

    // The worst that a kill leaves: a line cut short and a checkpoint half filled.
    place.write("run/events.jsonl", format!("{text}{{\"iteration\":"));
    place.write(
        format!("run/checkpoint-{:06}.partial/weights.safetensors", done + 5),
        "x",
    );
    let total = done + 7;
    let more = format!("{set} --set train.iterations={total}");
    place.ok(&format!("train run.toml --out run {more} --resume"));
    place.ok(&format!("train run.toml --out whole {more}"));
    assert_same_run(&place, "run", "whole", total);
    assert!(!place.names("run").iter().any(|n| n.ends_with(".partial")));
}

#[test]
fn a_run_folder_belongs_to_one_process() {
    let place = Place::new();
    let child = start(&place, "run", "", 1);
    let words = "train run.toml --out run --set train.iterations=1000000";
    place.refused(
        &format!("{words} --resume"),
        &["run", "in use by another lacuna process"],
    );
    place.refused(words, &["run", "already holds a run"]);
    send(&child, "INT");
    assert_eq!(ended(child).status.code(), Some(130));
    // The lock went with the process.
    let total = newest(&place, "run") + 1;
    place.ok(&format!(
        "train run.toml --out run --resume --set train.iterations={total}"
    ));
}
