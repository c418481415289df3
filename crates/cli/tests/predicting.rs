//! What prediction refuses, chooses and warns of.

mod harness;

use harness::{Place, phantoms};
use lacuna_data::phantom::{PhantomConfig, write_cohort};
use lacuna_io::{Reference, read_image, write_image};

/// A run folder `run` of one iteration.
fn trained() -> Place {
    let place = Place::new();
    place.ok("train run.toml --out run --set train.iterations=1");
    place
}

#[test]
fn weights_that_are_no_numbers() {
    let place = trained();
    let weights = "run/checkpoint-000001/weights.safetensors";
    let mut bytes = place.read(weights);
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    place.write(weights, bytes);
    // Those of earlier versions have no list of hashes.
    let mut state = place.json("run/checkpoint-000001/state.json");
    assert!(state.as_object_mut().unwrap().remove("parts").is_some());
    place.write("run/checkpoint-000001/state.json", state.to_string());
    place.refused(
        "predict run --dataset cohort/dataset.toml --out p",
        &[
            "weights.safetensors",
            "NaN or infinite",
            "the checkpoint before",
        ],
    );
    assert!(place.names("p").is_empty());
}

/// Intensities that are finite, and whose sums are not.
#[test]
fn intensities_that_overflow() {
    let place = Place::new();
    place.ok("train run.toml --out run --set train.iterations=1 --set normalise.method=none");
    let path = place.path("cohort/sub-02/FLAIR.nii.gz");
    let mut image = read_image(&path).unwrap();
    image.data_mut().fill(3e38);
    write_image(&path, &image, &Reference::from_grid(&image.grid())).unwrap();
    place.refused(
        "predict run --dataset cohort/dataset.toml --out p --split test",
        &[
            "sub-02",
            "FLAIR.nii.gz",
            "3.000e38",
            "not",
            "normalise.method",
        ],
    );
    let written = place.names("p");
    assert!(
        !written.iter().any(|n| n.ends_with(".nii.gz")),
        "{written:?}"
    );
}

#[test]
fn an_id_with_a_comma_is_chosen() {
    let place = trained();
    place.edit("cohort/dataset.toml", "id = \"sub-02\"", "id = \"sub,02\"");
    place.ok("predict run --dataset cohort/dataset.toml --out p --subjects sub,02");
    place.ok(
        "predict run --dataset cohort/dataset.toml --out q --subjects sub-01 --subjects sub,02",
    );
    assert!(place.path("p/sub,02.nii.gz").exists());
    assert!(!place.path("p/sub-01.nii.gz").exists());
    assert!(place.path("q/sub-01.nii.gz").exists());
    place.ok("evaluate --dataset cohort/dataset.toml --predictions p --out e --subjects sub,02");
    // A list is one still.
    place.refused(
        "predict run --dataset cohort/dataset.toml --out r --subjects sub-01,sub-03",
        &["sub-03"],
    );
}

#[test]
fn voxels_unlike_those_of_training_are_warned_of() {
    let place = trained();
    let told = place.ok("predict run --dataset cohort/dataset.toml --out p");
    assert!(!told.stderr.contains("differ by more"), "{told}");
    let coarse = PhantomConfig {
        spacing: [4.0, 2.5, 4.0],
        ..phantoms([20, 44, 10])
    };
    write_cohort(&coarse, &place.path("coarse")).unwrap();
    let told = place.ok("predict run --dataset coarse/dataset.toml --out q");
    let expected = "warning: subject sub-01: voxels of 4.00 x 2.50 x 4.00 mm differ by more \
                    than a factor of 1.5 from those of the training, 2.00 x 2.50 x 4.00";
    assert!(told.stderr.contains(expected), "{told}");
    // A run of version 0.1.0 does not know its spacing, and is no worse for it.
    let mut facts = place.json("run/dataset.json");
    facts.as_object_mut().unwrap().remove("spacing_mm").unwrap();
    place.write("run/dataset.json", facts.to_string());
    place.ok("predict run --dataset coarse/dataset.toml --out r");
}

#[test]
fn a_falling_rate_has_one_end() {
    let place = Place::new();
    let set = "--set train.schedule=polynomial --set train.iterations=2";
    place.ok(&format!("train run.toml --out run {set}"));
    place.ok(&format!("train run.toml --out run {set} --resume"));
    place.refused(
        &format!("train run.toml --out run {set} --set train.iterations=4 --resume"),
        &["train.iterations was 2, now 4"],
    );
    // The rate does matter.
    place.ok("train run.toml --out constant --set train.iterations=2");
    let weights = |run: &str| place.read(format!("{run}/checkpoint-000002/weights.safetensors"));
    assert_ne!(weights("run"), weights("constant"));
}
