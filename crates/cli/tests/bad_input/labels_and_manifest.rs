//! Labels outside the classes, and manifests that say too little or too much.

use crate::harness::Place;
use crate::{change, no_training, relabel, trained};

#[test]
fn a_label_value_outside_the_map() {
    let place = Place::new();
    relabel(&place, "sub-01/lesion.nii.gz", |mut label| {
        let at = label.index([7, 8, 9]);
        label.data_mut()[at] = 3;
        label
    });
    no_training(
        &place,
        "",
        &[
            "lesion.nii.gz",
            "sub-01",
            "label value 3 in 1 voxels",
            "[7, 8, 9]",
            "one of 0, 1",
            "label_values",
        ],
    );
}

#[test]
fn a_label_map_of_fractions() {
    let place = Place::new();
    change(&place, "sub-01/lesion.nii.gz", |label| {
        label.map(|v| 0.5 * v)
    });
    no_training(
        &place,
        "",
        &["lesion.nii.gz", "holds 0.5", "whole numbers", "round it"],
    );
}

#[test]
fn no_foreground_anywhere() {
    let place = Place::new();
    relabel(&place, "sub-01/lesion.nii.gz", |label| label.map(|_| 0));
    no_training(
        &place,
        "",
        &["none of the 1 subjects", "foreground", "lacuna check"],
    );
    // One subject without lesions among others only gets a warning.
    let warned = place.ok("train run.toml --out run --set split.train=[] --set split.test=[]");
    assert_eq!(
        warned.stderr.matches("skips 1 of 2 subjects").count(),
        1,
        "{warned}"
    );
    assert!(
        warned.stderr.contains("nothing to draw: sub-01"),
        "{warned}"
    );
}

#[test]
fn a_missing_modality() {
    let place = Place::new();
    let text = place.text("cohort/dataset.toml");
    let line = text
        .lines()
        .find(|l| l.contains("sub-01/T2.nii.gz"))
        .unwrap();
    let entry = line
        .split_inclusive(',')
        .find(|e| e.contains("T2 ="))
        .unwrap();
    let entry = entry.trim_start_matches("images = {");
    place.write("cohort/dataset.toml", text.replace(entry, " "));
    no_training(
        &place,
        "",
        &[
            "cohort/dataset.toml",
            "sub-01",
            "no image of T2",
            "one each of T1, T2, FLAIR",
            "add the files",
        ],
    );
}

#[test]
fn an_unknown_key_in_the_manifest() {
    let place = Place::new();
    place.edit("cohort/dataset.toml", "classes = ", "clases = ");
    let parts = [
        "cohort/dataset.toml",
        "unknown key `clases`",
        "did you mean `classes`?",
        "correct or remove",
    ];
    no_training(&place, "", &parts);
    place.refused("check cohort/dataset.toml", &parts);
    place.edit("cohort/dataset.toml", "clases = ", "classes = ");
    place.edit(
        "cohort/dataset.toml",
        "id = \"sub-02\"",
        "id = \"sub-02\"\nlable = \"x\"",
    );
    no_training(
        &place,
        "",
        &[
            "unknown key `lable` in subject `sub-02`",
            "did you mean `label`?",
        ],
    );
}

#[test]
fn a_manifest_that_is_not_there_or_not_toml() {
    let place = Place::new();
    no_training(
        &place,
        "--set dataset=nowhere.toml",
        &["nowhere.toml", "cannot read", "give the path"],
    );
    place.write("cohort/dataset.toml", "name = ");
    no_training(
        &place,
        "",
        &["cohort/dataset.toml", "not a dataset manifest", "line 1"],
    );
}

#[test]
fn an_unknown_subject() {
    let place = trained();
    let parts = [
        "cohort/dataset.toml",
        "no subject `sub-2`",
        "did you mean `sub-02`?",
    ];
    place.refused(
        "predict run --dataset cohort/dataset.toml --subjects sub-2 --out pred",
        &parts,
    );
    assert!(!place.path("pred").exists());
    place.refused(
        "evaluate --dataset cohort/dataset.toml --predictions cohort --subjects sub-2 --out eval",
        &parts,
    );
    assert!(!place.path("eval").exists());
    place.refused(
        "train run.toml --out new --set split.train=[\"sub-1\"]",
        &["[split] train", "`sub-1`", "did you mean `sub-01`?"],
    );
    place.refused(
        "predict run --dataset cohort/dataset.toml --split validation --out pred",
        &["run", "no subject in that part", "--subjects"],
    );
}
