//! Folders that hold no run, another run or a damaged one.

use crate::harness::Place;
use crate::trained;

#[test]
fn a_folder_that_holds_a_run_or_something_else() {
    let place = trained();
    let before = place.read("run/checkpoint-000001/weights.safetensors");
    place.refused(
        "train run.toml --out run",
        &["run", "already holds a run", "--resume", "another --out"],
    );
    assert_eq!(
        place.read("run/checkpoint-000001/weights.safetensors"),
        before
    );
    place.refused(
        "train run.toml --out cohort",
        &["cohort", "not empty", "--out"],
    );
    assert_eq!(place.names("cohort"), ["dataset.toml", "sub-01", "sub-02"]);
    // Checkpoints without their configuration are not taken up unasked.
    std::fs::remove_file(place.path("run/run.toml")).unwrap();
    place.refused(
        "train run.toml --out run",
        &["run", "not empty", "found checkpoint-000001"],
    );
}

#[test]
fn nothing_to_resume_or_to_predict_with() {
    let place = trained();
    place.write("empty/.keep", "");
    for folder in ["empty", "nowhere"] {
        let parts = [folder, "holds no run.toml", "lacuna train"];
        place.refused(&format!("train run.toml --out {folder} --resume"), &parts);
        place.refused(
            &format!("predict {folder} --dataset cohort/dataset.toml --out pred"),
            &parts,
        );
    }
    assert_eq!(place.names("empty"), [".keep"]);
    assert!(!place.path("nowhere").exists() && !place.path("pred").exists());
    std::fs::remove_dir_all(place.path("run/checkpoint-000001")).unwrap();
    place.refused(
        "predict run --dataset cohort/dataset.toml --out pred",
        &["run", "holds no checkpoint-NNNNNN", "lacuna train"],
    );
}

#[test]
fn a_resume_with_another_configuration_or_dataset() {
    let place = Place::new();
    place.ok("train run.toml --out run --set train.iterations=2");
    let words = "train run.toml --out run --resume";
    let parts = [
        "run",
        "train.learning_rate was 0.001, now 0.01",
        "restore these values",
        "--out",
    ];
    place.refused(&format!("{words} --set train.learning_rate=0.01"), &parts);
    place.refused(
        &format!("{words} --set loss.name=dice --set seed=5"),
        &[
            "loss.name was \"generalised-dice\", now \"dice\"",
            "seed was 0, now 5",
        ],
    );
    place.refused(
        &format!("{words} --set loss.smoothing=0.1 --set loss.name=dice"),
        &["loss.smoothing was unset, now 0.1"],
    );
    place.refused(
        &format!("{words} --set train.iterations=1"),
        &["train.iterations was 2, now 1"],
    );
    // The manifest has the same name, but other contents.
    place.edit(
        "cohort/dataset.toml",
        "[\"T1\", \"T2\", \"FLAIR\"]",
        "[\"T2\", \"T1\", \"FLAIR\"]",
    );
    place.refused(
        words,
        &["modalities was [\"T1\", \"T2\", \"FLAIR\"], now [\"T2\", \"T1\", \"FLAIR\"]"],
    );
    assert_eq!(place.text("run/events.jsonl").lines().count(), 2);
    assert!(place.text("run/run.toml").contains("iterations = 2"));
}

#[test]
fn a_checkpoint_of_another_network() {
    let place = trained();
    place.edit("run/run.toml", "width = 0.05", "width = 0.1");
    place.refused(
        "predict run --dataset cohort/dataset.toml --out pred",
        &[
            "run/checkpoint-000001/weights.safetensors",
            "do not belong to this network",
            "has shape",
            "expected",
            "trained with",
        ],
    );
    place.refused(
        "train run.toml --out run --resume --set model.width=0.1 --set train.iterations=2",
        &["weights.safetensors", "do not belong to this network"],
    );
    assert!(!place.path("pred").exists());
}

#[test]
fn damaged_checkpoints() {
    let place = Place::new();
    place.ok("train run.toml --out run");
    let folder = "run/checkpoint-000006";
    let predict = "predict run --dataset cohort/dataset.toml --out pred";
    let resume = "train run.toml --out run --resume --set train.iterations=7";
    let remedy = [
        "restore the file",
        "run/checkpoint-000006",
        "the checkpoint before it",
    ];

    let weights = format!("{folder}/weights.safetensors");
    let whole = place.read(&weights);
    let mut lying = whole.clone();
    lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let cuts = [
        &whole[..0],
        &whole[..5],
        &whole[..200],
        &whole[..whole.len() - 1],
        &lying,
        b"{}",
    ];
    for bytes in cuts {
        place.write(&weights, bytes);
        for words in [predict, resume] {
            place.refused(words, &[&[&weights[..]], &remedy[..]].concat());
        }
    }
    std::fs::remove_file(place.path(&weights)).unwrap();
    place.refused(predict, &[&[&weights[..]], &remedy[..]].concat());
    place.write(&weights, &whole);

    let optimiser = format!("{folder}/optimiser.bin");
    let whole = place.read(&optimiser);
    for bytes in [
        &whole[..0],
        &whole[..20],
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 1],
    ] {
        place.write(&optimiser, bytes);
        place.refused(resume, &[&[&optimiser[..]], &remedy[..]].concat());
    }
    place.write(
        &optimiser,
        b"not an optimiser state, but long enough to look like one at first",
    );
    place.refused(resume, &[&[&optimiser[..]], &remedy[..]].concat());
    // Prediction does not need it.
    place.ok(predict);
    place.write(&optimiser, whole);

    place.write(format!("{folder}/state.json"), "{\"iteration\": 6");
    place.refused(
        resume,
        &["run/checkpoint-000006/state.json", "restore the file"],
    );
    // The remedy works.
    std::fs::remove_dir_all(place.path(folder)).unwrap();
    place.ok(resume);
}

#[test]
fn a_diverging_training_names_its_patches_and_keeps_the_last_good_checkpoint() {
    let place = Place::new();
    // A step that overflows at once: nothing good was saved before.
    place.refused(
        "train run.toml --out at-once --set train.learning_rate=1e38",
        &[
            "diverged at iteration",
            "at-once/non_finite.json",
            "no checkpoint was written before",
            "lower train.learning_rate",
            "sub-01",
        ],
    );
    let report = place.json("at-once/non_finite.json");
    assert_eq!(report["last_good_checkpoint"], 0);
    assert_eq!(report["patches"].as_array().unwrap().len(), 2);
    assert_eq!(report["patches"][0]["subject"], "sub-01");
    let origin = report["patches"][0]["origin"].as_array().unwrap();
    let inside = |axis: usize, most: u64| origin[axis].as_u64().unwrap() <= most;
    assert!(inside(0, 36) && inside(1, 40) && inside(2, 9), "{origin:?}");
    assert!(
        place
            .names("at-once")
            .iter()
            .all(|n| !n.starts_with("checkpoint"))
    );

    // Good for three iterations, then not: as a run whose rate is too high later on.
    place.ok("train run.toml --out run --set train.iterations=3");
    let good = place.read("run/checkpoint-000003/weights.safetensors");
    place.edit(
        "run/run.toml",
        "learning_rate = 0.001",
        "learning_rate = 1e38",
    );
    place.refused(
        "train run.toml --out run --resume --set train.learning_rate=1e38",
        &[
            "diverged",
            "run/non_finite.json",
            "last good checkpoint is iteration 3",
            "sub-01",
        ],
    );
    assert_eq!(place.json("run/non_finite.json")["last_good_checkpoint"], 3);
    assert_eq!(
        place.read("run/checkpoint-000003/weights.safetensors"),
        good
    );
    place.ok("predict run --dataset cohort/dataset.toml --split test --out pred");
    assert_eq!(place.json("pred/predictions.json")["iteration"], 3);
}
