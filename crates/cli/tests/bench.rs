//! `bench`: the figures that it prints, and what it refuses.

mod harness;

use harness::{Outcome, Place};
use serde_json::Value;

fn figures(outcome: &Outcome) -> Value {
    let line = outcome.stdout.lines().last().unwrap();
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {outcome}"))
}

fn positive(figures: &Value, field: &str) -> f64 {
    let value = figures[field].as_f64().unwrap_or(0.0);
    assert!(value > 0.0 && value.is_finite(), "{field}: {figures}");
    value
}

fn names_the_machine(figures: &Value) {
    assert_eq!(figures["threads"], 1);
    assert!(!figures["processor"].as_str().unwrap().is_empty());
}

#[test]
fn load_says_what_was_read() {
    let place = Place::new();
    let file = "cohort/sub-01/T1.nii.gz";
    let said = figures(&place.ok(&format!("bench load {file} --repeat 2 --json")));
    positive(&said, "load_s_median");
    names_the_machine(&said);
    assert_eq!(said["voxels"], 40 * 44 * 10);
    assert_eq!(said["bytes_voxels"], 4 * 40 * 44 * 10);
    assert_eq!(said["bytes_file"], place.read(file).len());
    if cfg!(target_os = "linux") {
        // The volume was in memory, in 4 bytes a voxel.
        assert!(positive(&said, "peak_bytes") > 4.0 * 40.0 * 44.0 * 10.0);
    }
    let table = place.ok(&format!("bench load {file} --repeat 1"));
    for part in [file, "40x44x10", "MB/s", "processor"] {
        assert!(table.stdout.contains(part), "{table}");
    }
}

#[test]
fn load_refuses_what_cannot_be_read() {
    let place = Place::empty();
    place.refused("bench load none.nii.gz", &["none.nii.gz"]);
    place.write("text.nii.gz", "no image at all, but long enough to look at");
    place.refused("bench load text.nii.gz", &["text.nii.gz", "expected"]);
}

#[test]
fn loss_says_what_was_measured() {
    let place = Place::empty();
    let said = figures(&place.ok("bench loss --shape 2,3,17,19 --repeat 3 --json"));
    assert_eq!(said["shape"], serde_json::json!([2, 3, 17, 19]));
    positive(&said, "loss_s_median");
    positive(&said, "copy_s_median");
    names_the_machine(&said);
    let table = place.ok("bench loss --shape 1,2,100 --repeat 1");
    for part in ["generalised-dice", "1,2,100", "copy", "threads"] {
        assert!(table.stdout.contains(part), "{table}");
    }
}

#[test]
fn loss_refuses_shapes_that_are_none() {
    let place = Place::empty();
    for (shape, found) in [
        ("1,2", "2 numbers"),
        ("1,2,3,4,5,6", "6 numbers"),
        ("1,2,x", "not all"),
        ("1,2,0", "not all"),
        ("1,2,-5", "not all"),
        ("1,1,5", "1 classes"),
        ("1,300,5", "300 classes"),
        ("1,2,100000,100000,100000", "too many"),
        ("1,2,18446744073709551615", "too many"),
    ] {
        place.refused(
            &format!("bench loss --shape {shape}"),
            &[&format!("--shape {shape}"), found, "expected"],
        );
    }
}

#[test]
fn step_says_what_was_measured() {
    let place = Place::empty();
    let step = "bench step --net unet --patch 44 --channels 1 --steps 1";
    let tiles = lacuna_kernels::has_tiles();
    if !tiles {
        let refused = &["bf16", "matrix tiles", "choose \"f32\""];
        place.refused(&format!("{step} --precision bf16"), refused);
    }
    for precision in ["f32", "bf16"].into_iter().take(1 + usize::from(tiles)) {
        let said = figures(&place.ok(&format!("{step} --precision {precision} --json")));
        assert_eq!(said["net"], "unet");
        assert_eq!(said["precision"], precision);
        positive(&said, "step_s_median");
        positive(&said, "infer_s_median");
        // By hand: 3x3 kernels and biases of the three levels, two transposed
        // convolutions and the classifier, for one modality and two classes.
        assert_eq!(said["parameters"], 1_861_762);
        names_the_machine(&said);
    }
    let table = place.ok(step);
    for part in ["1 x 1 x 44^2", "training step", "forward pass"] {
        assert!(table.stdout.contains(part), "{table}");
    }
}

#[test]
fn step_refuses_what_no_network_takes() {
    let place = Place::empty();
    place.refused(
        "bench step --net unet --patch 45",
        &["unet", "45", "44 or 48"],
    );
    place.refused(
        "bench step --classes 1",
        &["1 class(es)", "expected 2 to 256"],
    );
    place.refused("bench step --patch 40000", &["--patch 40000", "too many"]);
}

#[test]
fn predict_says_what_was_measured() {
    let place = Place::new();
    let predict = "bench predict cohort/sub-01/T1.nii.gz --net unet --steps 1";
    let said = figures(&place.ok(&format!("{predict} --json")));
    positive(&said, "predict_s_median");
    assert_eq!(said["voxels"], 40 * 44 * 10);
    // A slice is one window.
    assert_eq!(said["windows"], 10);
    place.refused(&format!("{predict} --window 45"), &["45", "unet"]);
    place.refused("bench predict none.nii.gz", &["none.nii.gz"]);
}
