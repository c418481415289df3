//! `lacuna export RUN model.onnx`, and trainings that start from files of PyTorch's.

mod harness;

use harness::Place;

/// Runs `a` and `b` of a few iterations with other seeds.
fn two_runs() -> Place {
    let place = Place::new();
    for (run, seed) in [("a", 1), ("b", 2)] {
        let set = format!("--set train.iterations=2 --set seed={seed}");
        place.ok(&format!("train run.toml --out {run} {set}"));
    }
    place
}

/// Whether a file holds these bytes somewhere.
fn holds(place: &Place, file: &str, text: &str) -> bool {
    let bytes = place.read(file);
    bytes.windows(text.len()).any(|at| at == text.as_bytes())
}

#[test]
fn a_run_is_exported_with_what_surrounds_it() {
    let place = two_runs();
    place.ok("export a model.onnx");
    let told = place.json("model.onnx.json");
    assert_eq!(told["modalities"], serde_json::json!(["T1", "T2", "FLAIR"]));
    assert_eq!(told["classes"], serde_json::json!(["background", "lesion"]));
    assert_eq!(told["label_values"], serde_json::json!([0, 1]));
    assert_eq!(told["normalise"]["method"], "z-score");
    assert_eq!(told["plane"], "axial");
    assert_eq!(told["windows"]["border"], serde_json::json!([40, 40]));
    assert_eq!(told["windows"]["step"], serde_json::json!([4, 4]));
    assert_eq!(told["activation"], serde_json::json!(["softmax"]));
    assert_eq!(
        told["networks"],
        serde_json::json!(["a: unet after 2 iterations"])
    );
    assert!(told["postprocess"].is_null());
    // Names of the graph, of a weight, and the same JSON.
    for text in [
        "images",
        "probabilities",
        "down.0.convs.0.weight",
        "\"made_by\"",
    ] {
        assert!(holds(&place, "model.onnx", text), "{text}");
    }

    place.refused(
        "export a model.onnx",
        &["model.onnx is there already", "--force"],
    );
    std::fs::remove_file(place.path("model.onnx")).unwrap();
    place.refused("export a model.onnx", &["model.onnx.json is there already"]);
    place.ok("export a model.onnx --checkpoint 2 --force");
    place.refused(
        "export a b.lacuna --checkpoint 2",
        &["--checkpoint is for .onnx"],
    );
    place.refused("export cohort none.onnx", &["cohort", "run.toml"]);
    assert!(!place.path("none.onnx").exists() && !place.path("none.onnx.json").exists());
}

#[test]
fn a_training_starts_from_a_file_of_weights() {
    let place = two_runs();
    let file = "a/checkpoint-000002/weights.safetensors";
    let started = place.ok(&format!(
        "train run.toml --out c --from {file} --set train.iterations=1"
    ));
    let said = format!("{}{}", started.stdout, started.stderr);
    assert!(said.contains("starting from 26 tensors of"), "{said}");
    assert!(!said.contains("begin anew"), "{said}");
    // Another width: the classifier's bias alone has the same shape.
    let other = place.ok(&format!(
        "train run.toml --out d --from {file} --set train.iterations=1 --set model.width=0.1"
    ));
    let said = format!("{}{}", other.stdout, other.stderr);
    assert!(
        said.contains("tensors of the file that are not used"),
        "{said}"
    );
}

/// `{"a": posix.system("touch ran")}`, which `pickle.loads` would run.
#[test]
fn a_checkpoint_with_a_program_is_refused() {
    let place = Place::new();
    let bytes = b"\x80\x02}X\x01\x00\x00\x00acposix\nsystem\nX\x09\x00\x00\x00touch ran\x85Rs.";
    std::fs::write(place.path("hostile.pth"), bytes).unwrap();
    let words = ["hostile.pth", "posix.system", "state_dict()"];
    place.refused("train run.toml --out never --from hostile.pth", &words);
    assert!(!place.path("never").exists() && !place.path("ran").exists());
    std::fs::write(place.path("text.safetensors"), "lesions").unwrap();
    let words = ["text.safetensors cannot be read as safetensors"];
    place.refused("train run.toml --out never --from text.safetensors", &words);
}

#[test]
fn predictions_become_a_derivative_dataset() {
    let place = Place::new();
    place.ok("train run.toml --out a --set train.iterations=2");
    place.ok("predict a --dataset cohort/dataset.toml --out pred");
    place.ok("export bids pred --dataset cohort/dataset.toml --out derived");
    let mask = "derived/sub-02/anat/sub-02_space-orig_label-lesion_mask";
    let about = place.json(format!("{mask}.json"));
    assert_eq!(about["Type"], "Lesion");
    assert_eq!(
        place.json("derived/dataset_description.json")["DatasetType"],
        "derivative"
    );
    for (folder, out) in [("pred", "one"), ("derived", "two")] {
        place.ok(&format!(
            "evaluate --dataset cohort/dataset.toml --predictions {folder} --out {out}"
        ));
    }
    assert_eq!(place.text("one/scores.csv"), place.text("two/scores.csv"));
    place.refused(
        "export bids pred --dataset cohort/dataset.toml --out derived",
        &["derived is there already"],
    );
}
