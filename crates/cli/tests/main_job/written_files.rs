//! What a run, a prediction and an evaluation leave on disk.

use std::path::Path;

use crate::harness::Place;
use lacuna_io::read_labels;
use lacuna_record::Event;
use lacuna_train::config::RunConfig;
use lacuna_volume::{Connectivity, Volume, label_components};

#[test]
fn the_main_job_writes_what_it_promises() {
    let place = Place::new();
    let trained = place.ok("train run.toml --out run --set train.checkpoint_every=2");
    assert!(trained.stdout.contains("run folder: run"), "{trained}");
    the_run_folder_is_complete(&place);
    the_weights_are_safetensors(&place);

    place.ok("predict run --dataset cohort/dataset.toml --split test --out pred");
    assert_eq!(place.names("pred"), ["predictions.json", "sub-02.nii.gz"]);
    let list = place.json("pred/predictions.json");
    assert_eq!(list["iteration"], 6);
    assert_eq!(list["subjects"], serde_json::json!(["sub-02"]));
    assert_eq!(list["classes"], serde_json::json!(["background", "lesion"]));
    let prediction = read_labels(place.path("pred/sub-02.nii.gz")).unwrap();
    assert_eq!(prediction.shape(), [40, 44, 10]);
    let mask = read_labels(place.path("cohort/sub-02/brain_mask.nii.gz")).unwrap();
    for (label, inside) in prediction.data().iter().zip(mask.data()) {
        assert!(
            (0..=*inside).contains(label),
            "{label} where the mask is {inside}"
        );
    }

    let evaluated =
        place.ok("evaluate --dataset cohort/dataset.toml --predictions pred --out eval");
    assert!(evaluated.stdout.contains("sub-02"), "{evaluated}");
    the_scores_are_those_of_the_files(&place);
}

fn the_run_folder_is_complete(place: &Place) {
    assert_eq!(
        place.names("run"),
        [
            ".lock",
            "checkpoint-000004",
            "checkpoint-000006",
            "dataset.json",
            "events.jsonl",
            "provenance.json",
            "run.toml",
            "summary.json",
            "tensorboard"
        ]
    );
    for checkpoint in ["run/checkpoint-000004", "run/checkpoint-000006"] {
        assert_eq!(
            place.names(checkpoint),
            ["optimiser.bin", "state.json", "weights.safetensors"]
        );
    }
    assert_eq!(
        place.json("run/checkpoint-000006/state.json")["iteration"],
        6
    );

    // The effective configuration, defaults and overrides included.
    let written = RunConfig::read(&place.path("run/run.toml"), &[]).unwrap();
    let set = ["train.checkpoint_every=2".to_owned()];
    let given = RunConfig::read(&place.path("run.toml"), &set).unwrap();
    assert_eq!(written, given);
    assert!(place.text("run/run.toml").contains("optimiser = \"adam\""));

    let facts = place.json("run/dataset.json");
    assert_eq!(
        facts["modalities"],
        serde_json::json!(["T1", "T2", "FLAIR"])
    );
    assert_eq!(
        facts["classes"],
        serde_json::json!(["background", "lesion"])
    );
    assert_eq!(facts["split"]["train"], serde_json::json!(["sub-01"]));
    assert_eq!(facts["split"]["test"], serde_json::json!(["sub-02"]));

    let lines = place.text("run/events.jsonl");
    let events: Vec<Event> = lines
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let iterations: Vec<u64> = events.iter().map(|e| e.iteration).collect();
    assert_eq!(iterations, [1, 2, 3, 4, 5, 6]);
    for event in &events {
        assert!(
            event.loss.is_finite() && (0.0..=1.0).contains(&event.dsc),
            "{event:?}"
        );
        // The foreground sampler never draws an empty patch: 1 of 2 x 4 x 4 voxels at least.
        assert_eq!(event.empty_patches, 0);
        assert!(event.foreground_share >= 2.0 / 32.0, "{event:?}");
        assert!(
            event.seconds >= event.wait_seconds && event.wait_seconds >= 0.0,
            "{event:?}"
        );
    }
    let first: serde_json::Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
    let mut keys: Vec<&String> = first.as_object().unwrap().keys().collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "alternation",
            "dsc",
            "empty_patches",
            "foreground_share",
            "iteration",
            "loss",
            "predicted_share",
            "seconds",
            "wait_seconds",
            "wall_time"
        ]
    );

    let summary = place.json("run/summary.json");
    assert_eq!(summary["iterations"], 6);
    assert_eq!(summary["finished"], true);
    assert_eq!(summary["last_iterations"]["iterations"], 6);
    assert_eq!(summary["empty_patch_rate"], 0.0);
    let mean = events.iter().map(|e| e.foreground_share).sum::<f64>() / 6.0;
    let share = summary["foreground_share"].as_f64().unwrap();
    assert!((share - mean).abs() < 1e-12, "{share} {mean}");

    // One TensorBoard file: a version record and a record for each iteration.
    let [file] = &place.names("run/tensorboard")[..] else {
        panic!("{:?}", place.names("run/tensorboard"));
    };
    assert!(file.starts_with("events.out.tfevents."), "{file}");
    let bytes = place.read(Path::new("run/tensorboard").join(file));
    assert_eq!(records(&bytes), 7);
}

/// Records of a TFRecord file: length (8 bytes), checksum (4), payload, checksum (4).
fn records(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut count = 0;
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        rest = &rest[8 + 4 + length + 4..];
        count += 1;
    }
    count
}

/// The file begins with the length of a JSON header, which names the network
/// and gives every tensor's type, shape and bytes.
fn the_weights_are_safetensors(place: &Place) {
    let bytes = place.read("run/checkpoint-000006/weights.safetensors");
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    assert_eq!(header["__metadata__"]["network"], "unet");
    let mut elements = 0;
    let mut end = 0;
    for (name, tensor) in header.as_object().unwrap() {
        if name == "__metadata__" {
            continue;
        }
        assert_eq!(tensor["dtype"], "F32", "{name}");
        let shape = tensor["shape"].as_array().unwrap();
        elements += shape.iter().map(|n| n.as_u64().unwrap()).product::<u64>();
        end = end.max(tensor["data_offsets"][1].as_u64().unwrap());
    }
    assert_eq!(end as usize, bytes.len() - 8 - length);
    assert_eq!(4 * elements, end);
    assert_eq!(place.json("run/summary.json")["parameters"], elements);
}

/// The tables hold the scores of the label file and the prediction file,
/// counted here.
fn the_scores_are_those_of_the_files(place: &Place) {
    let reference = read_labels(place.path("cohort/sub-02/lesion.nii.gz")).unwrap();
    let prediction = read_labels(place.path("pred/sub-02.nii.gz")).unwrap();
    let both = (reference.data().iter().zip(prediction.data()))
        .filter(|(r, p)| **r == 1 && **p == 1)
        .count() as f64;
    let count = |v: &Volume<i32>| v.data().iter().filter(|v| **v == 1).count() as f64;
    let dsc = 2.0 * both / (count(&reference) + count(&prediction));

    let table = place.text("eval/scores.csv");
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next().unwrap().split(',').collect();
    let rows: Vec<Vec<&str>> = lines.map(|l| l.split(',').collect()).collect();
    let lesion = rows
        .iter()
        .find(|r| r[..2] == ["sub-02", "lesion"])
        .unwrap();
    let column = |name: &str| header.iter().position(|h| *h == name).unwrap();
    let found: f64 = lesion[column("dsc")].parse().unwrap();
    assert!((found - dsc).abs() < 1e-12, "{found} {dsc}");
    // 2 x 2.5 x 4 mm.
    let volume: f64 = lesion[column("reference_mm3")].parse().unwrap();
    assert!((volume - 20.0 * count(&reference)).abs() < 1e-9);

    let lesions = label_components(&reference.map(|v| *v == 1), Connectivity::TwentySix);
    let table = place.text("eval/lesions.csv");
    let rows = table
        .lines()
        .filter(|l| l.starts_with("sub-02,lesion,reference,"));
    assert_eq!(rows.count(), lesions.count);

    let summary = place.json("eval/summary.json");
    assert_eq!(summary["summary"]["subjects"], 1);
    assert_eq!(summary["subjects"][0]["subject"], "sub-02");
}
