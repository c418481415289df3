//! Run folders that were damaged, mixed, moved or made by somebody else.

mod harness;

use harness::{Place, start};

const DATASET: &str = "--dataset cohort/dataset.toml";

/// Runs `a` and `b`, which differ in their seed, with an average of the weights.
fn two_runs() -> Place {
    let place = Place::new();
    for (run, seed) in [("a", 0), ("b", 1)] {
        place.ok(&format!(
            "train run.toml --out {run} --set seed={seed} --set train.ema=0.9"
        ));
    }
    place
}

#[test]
fn a_part_of_another_checkpoint_is_refused() {
    let place = two_runs();
    let resume = "train run.toml --out a --set train.ema=0.9 --set train.iterations=8 --resume";
    let predict = format!("predict a {DATASET} --out p");
    for (part, command) in [
        ("optimiser.bin", resume),
        ("weights.safetensors", resume),
        ("average.safetensors", resume),
        ("average.safetensors", &predict),
        ("state.json", resume),
        ("state.json", &predict),
    ] {
        let file = format!("a/checkpoint-000006/{part}");
        let own = place.read(&file);
        place.write(&file, place.read(format!("b/checkpoint-000006/{part}")));
        place.refused(command, &[&file, "restore the file", "checkpoint-000006"]);
        if part != "state.json" {
            // Damaged, and gone.
            let mut damaged = own.clone();
            *damaged.last_mut().unwrap() ^= 1;
            place.write(&file, damaged);
            place.refused(command, &[&file, "state.json has the hash of another"]);
            std::fs::remove_file(place.path(&file)).unwrap();
            place.refused(command, &[&file, "restore the file"]);
        }
        place.write(&file, own);
    }
    // A whole checkpoint of the other run, and one under the name of another iteration.
    let (whole, kept) = (place.path("a/checkpoint-000006"), place.path("kept"));
    std::fs::rename(&whole, &kept).unwrap();
    std::fs::rename(place.path("b/checkpoint-000006"), &whole).unwrap();
    place.refused(resume, &["checkpoint-000006", "of another run than a"]);
    place.refused(&predict, &["checkpoint-000006", "of another run than a"]);
    std::fs::remove_dir_all(&whole).unwrap();
    std::fs::rename(&kept, place.path("a/checkpoint-000007")).unwrap();
    place.refused(resume, &["state.json", "it is of iteration 6"]);
    std::fs::rename(place.path("a/checkpoint-000007"), &whole).unwrap();
    assert!(!place.path("p").exists());
    place.ok(&predict);
    place.ok(resume);
}

#[test]
fn events_that_a_checkpoint_counts_on_must_be_there() {
    let place = Place::new();
    place.ok("train run.toml --out run");
    let resume = "train run.toml --out run --set train.iterations=8 --resume";
    let whole = place.text("run/events.jsonl");
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    for (events, told) in [
        (lines[..5].concat(), "ends after iteration 5"),
        (
            [&lines[..2], &lines[3..]].concat().concat(),
            "line 3 is of iteration 4",
        ),
        (
            [&lines[..3], &lines[2..]].concat().concat(),
            "line 4 is of iteration 3",
        ),
        (String::new(), "ends after iteration 0"),
    ] {
        place.write("run/events.jsonl", &events);
        place.refused(resume, &["events.jsonl", told, "restore the file"]);
        assert_eq!(place.text("run/events.jsonl"), events, "it was changed");
    }
    // What a power cut may leave of a last line is no text.
    place.write(
        "run/events.jsonl",
        [whole.as_bytes(), b"{\"it\x00\xff"].concat(),
    );
    place.ok(resume);
    assert_eq!(place.text("run/events.jsonl").lines().count(), 8);
    assert!(place.text("run/events.jsonl").starts_with(&whole));
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_that_is_moved_away_stops_and_is_not_made_again() {
    let place = Place::new();
    let child = start(&place, "run", "--set train.checkpoint_every=2", 5);
    std::fs::rename(place.path("run"), place.path("moved")).unwrap();
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("error: run was moved to ") && told.contains("/moved"),
        "{told}"
    );
    assert!(
        told.contains("the last checkpoint is of iteration"),
        "{told}"
    );
    assert!(!place.path("run").exists(), "{told}");
    let names = place.names("moved");
    // One that was being written when the folder went stays half-written.
    let numbers = (names.iter()).filter_map(|n| n.strip_prefix("checkpoint-")?.parse().ok());
    let done: u64 = numbers.max().unwrap();
    let total = done + 1;
    place.ok(&format!(
        "train run.toml --out moved --resume --set train.iterations={total}"
    ));

    // Stopped meanwhile: a file that it writes would keep the folder from going.
    let child = start(&place, "run", "", 2);
    harness::send(&child, "STOP");
    while !stands_still(&child) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    std::fs::remove_dir_all(place.path("run")).unwrap();
    harness::send(&child, "CONT");
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("error: run was removed"), "{told}");
    assert!(!place.path("run").exists(), "{told}");
}

/// Whether every thread of the process is stopped.
#[cfg(target_os = "linux")]
fn stands_still(child: &std::process::Child) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    tasks.into_iter().all(|task| {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat"));
        // A thread that ended meanwhile writes nothing.
        stat.map_or(true, |s| s.rsplit(") ").next().unwrap().starts_with('T'))
    })
}

#[test]
fn an_end_that_a_killed_session_went_beyond_is_none() {
    let place = Place::new();
    place.ok("train run.toml --out run --set train.iterations=4");
    assert_eq!(place.json("run/summary.json")["finished"], true);
    let mut child = start(&place, "run", "--resume", 6);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.path("run/summary.json").exists());
    let predicted = place.ok(&format!("predict run {DATASET} --out p"));
    assert!(
        predicted.stderr.contains("the training is not finished"),
        "{predicted}"
    );
}

#[test]
fn a_step_beyond_memory_is_refused_before_it() {
    let place = Place::new();
    let train = "train run.toml --out run --set model.width=1";
    let told = [
        "GB of memory",
        "set train.batch = ",
        "train.accumulate = ",
        "model.width",
    ];
    place.refused(
        &format!("{train} --set patch.size=572 --set train.batch=4096"),
        &told,
    );
    let told = ["GB of memory", ": set patch.size = ", "model.width"];
    place.refused(
        &format!("{train} --set patch.size=40044 --set train.batch=1"),
        &told,
    );
    assert!(!place.path("run").exists());
}

#[cfg(unix)]
#[test]
fn a_folder_of_somebody_else_reaches_no_other_file() {
    let place = Place::new();
    place.ok("train run.toml --out run --set train.iterations=3");
    place.write("precious", "years of work");
    let lock = place.path("run/.lock");
    std::fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(place.path("precious"), &lock).unwrap();
    let resume = "train run.toml --out run --resume";
    place.refused(resume, &["run/.lock is a link", "remove it"]);
    assert_eq!(place.text("precious"), "years of work");
    std::fs::remove_file(&lock).unwrap();
    place.ok(resume);
}

/// What a start that was killed at any of its steps leaves is no hindrance; what somebody else
/// put there is.
#[test]
fn a_start_that_was_cut_off_begins_again() {
    let place = Place::new();
    place.ok("train run.toml --out whole");
    for name in ["dataset.json", "provenance.json"] {
        place.write(format!("run/{name}"), place.read(format!("whole/{name}")));
    }
    place.write("run/.run.toml.abc123.part", "half");
    place.write("run/events.jsonl", "");
    place.write("run/tensorboard/events.out.tfevents.1.lacuna", "half");
    place.ok("train run.toml --out run");
    assert_eq!(place.names("run/tensorboard").len(), 1);
    place.write("foreign/tensorboard/mine", "of another program");
    place.refused(
        "train run.toml --out foreign",
        &["foreign", "found tensorboard"],
    );
}
