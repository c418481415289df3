//! What a study found, kept in one file: reported, gone on with, and nothing else in it.

use crate::harness::Place;
use crate::{RUNS, STUDY, place, status};
use lacuna_record::{KeptResults, State, Status, StudyFolder};

/// The tables of a report, by file name.
fn tables(place: &Place, folder: &str) -> Vec<(String, String)> {
    place.ok(&format!("report {folder} --out {folder}-report"));
    let below = format!("{folder}-report/tables");
    let read = |name: String| {
        let text = place.text(format!("{below}/{name}"));
        (name, text)
    };
    place.names(&below).into_iter().map(read).collect()
}

#[test]
fn results_are_reported_alike_and_their_runs_are_not_run_again() {
    let place = place();
    place.ok("sweep study.toml --out out");
    std::fs::create_dir(place.path("kept")).unwrap();
    place.ok("export out kept/results.jsonl.gz");
    let kept = |name: &str| KeptResults::read(&place.path(name)).unwrap();
    let results = kept("kept/results.jsonl.gz");
    assert_eq!(results.runs.len(), RUNS.len());
    let folder = place.path("").display().to_string();
    let text = format!("{results:?}");
    assert!(!text.contains(folder.trim_end_matches('/')), "{text}");
    assert_eq!(tables(&place, "out"), tables(&place, "kept"));
    assert_eq!(
        place.ok("verify-paper out").stdout,
        place.ok("verify-paper kept").stdout
    );

    // The run that was not done is run, the others are taken.
    std::fs::remove_file(place.path(format!("out/runs/{}/outcome.json", RUNS[1]))).unwrap();
    // Why it failed may name a place, too.
    let failed = Status {
        state: State::Failed,
        message: Some(format!("{folder}: no space left")),
        attempts: 1,
        ..Status::default()
    };
    (StudyFolder(place.path("out")).write_status(RUNS[1], &failed)).unwrap();
    place.ok("export out three.jsonl.gz");
    let text = format!("{:?}", kept("three.jsonl.gz"));
    assert!(!text.contains(folder.trim_end_matches('/')), "{text}");
    let rest = place.ok("sweep study.toml --out rest --results three.jsonl.gz");
    assert!(
        rest.stderr.contains("3 runs are taken from three.jsonl.gz"),
        "{rest}"
    );
    assert!(
        rest.stderr.contains("4 runs, 3 of them done already"),
        "{rest}"
    );
    assert!(rest.stdout.contains("4 done"), "{rest}");
    assert!(
        place
            .path(format!("rest/runs/{}/events.jsonl", RUNS[1]))
            .exists()
    );
    for run in RUNS {
        assert_eq!(status(&place, run).attempts, 1);
    }
    place.ok("export rest rest.jsonl.gz");
    let scores = |results: KeptResults| -> Vec<_> {
        let scores = results.runs.into_iter().map(|run| run.result.scores);
        scores.map(|scores| scores.unwrap().summary).collect()
    };
    assert_eq!(scores(results), scores(kept("rest.jsonl.gz")));
    let again = place.ok("sweep study.toml --out rest --results three.jsonl.gz");
    assert!(again.stderr.contains("0 runs are taken"), "{again}");
}

#[test]
fn results_of_other_values_are_refused() {
    let place = place();
    place.edit("study.toml", "seed = [1, 2]", "seed = [1]");
    place.ok("sweep study.toml --out out");
    place.ok("export out results.jsonl.gz");
    let takes = |out: &str| format!("sweep study.toml --out {out} --results results.jsonl.gz");
    place.edit("study.toml", "iterations = 6", "iterations = 8");
    place.refused(
        &takes("b"),
        &[
            "results.jsonl.gz",
            "dice_seed1",
            "train.iterations was 6, now 8",
        ],
    );
    place.edit("study.toml", "iterations = 8", "iterations = 6");
    place.edit(
        "study.toml",
        "foreground_share = 5e-3",
        "foreground_share = 6e-3",
    );
    place.refused(&takes("c"), &["results.jsonl.gz", "another [phantom]"]);
    place.edit(
        "study.toml",
        "foreground_share = 6e-3",
        "foreground_share = 5e-3",
    );
    place.edit("study.toml", "name = \"four\"", "name = \"five\"");
    place.refused(&takes("d"), &["results.jsonl.gz", "`four`, not `five`"]);
    for out in ["b", "c", "d"] {
        assert!(!place.path(out).exists());
    }
    place.write("study.toml", STUDY);
    place.write("results.jsonl.gz", "{\"name\": \"four\"}\n");
    place.refused(
        &takes("e"),
        &["results.jsonl.gz", "line 1", "missing field"],
    );
    place.refused("export out out.txt", &["out.txt", ".jsonl"]);
    place.refused(
        "export out results.jsonl.gz",
        &["results.jsonl.gz", "--force"],
    );
    std::fs::remove_dir_all(place.path("out/configs")).unwrap();
    place.refused("export out x.jsonl.gz", &["configs"]);
    assert_eq!(status(&place, RUNS[0]).state, State::Done);
}
