//! What cannot be predicted or scored.

use crate::{moved, trained};
use lacuna_io::{Reference, read_image, write_labels};
use lacuna_volume::{LabelMap, Volume};

#[test]
fn a_dataset_of_other_modalities() {
    let place = trained();
    let text = place
        .text("cohort/dataset.toml")
        .replace("FLAIR", "PD")
        .replace("PD.nii", "FLAIR.nii");
    place.write("cohort/other.toml", text);
    place.refused(
        "predict run --dataset cohort/other.toml --out pred",
        &[
            "cohort/other.toml",
            "run",
            "\"PD\"",
            "\"FLAIR\"",
            "give images",
        ],
    );
    place.refused(
        "predict run --image T1=cohort/sub-02/T1.nii.gz --image T2=cohort/sub-02/T2.nii.gz --out seg.nii.gz",
        &["no image of FLAIR", "one each of T1, T2, FLAIR"],
    );
    assert!(!place.path("pred").exists() && !place.path("seg.nii.gz").exists());
}

#[test]
fn images_that_are_given_wrongly() {
    let place = trained();
    let [t1, t2, flair] =
        ["T1", "T2", "FLAIR"].map(|m| format!("--image {m}=cohort/sub-02/{m}.nii.gz"));
    let predict = |images: &str, out: &str, parts: &[&str]| {
        place.refused(&format!("predict run {images} --out {out}"), parts);
        assert!(!place.path(out).exists());
    };
    let all = format!("{t1} {t2} {flair}");
    predict(
        &all,
        "seg.img",
        &["seg.img", "one of .seg.nrrd, .nii.gz, .nii"],
    );
    predict(
        &all,
        "nowhere/seg.nii.gz",
        &["nowhere", "no folder", "create it"],
    );
    predict(
        "--image cohort/sub-02/T1.nii.gz",
        "seg.nii",
        &["MODALITY=FILE"],
    );
    predict(&format!("{all} {t1}"), "seg.nii", &["T1 is given twice"]);
    predict(
        &format!("{all} --image PD=x.nii"),
        "seg.nii",
        &["unknown modality `PD`", "T1, T2, FLAIR"],
    );
}

#[test]
fn an_illegal_window() {
    let place = trained();
    let predict = |window: &str, parts: &[&str]| {
        let parts = [&["--window", window], parts].concat();
        let words =
            format!("predict run --dataset cohort/dataset.toml --out pred --window {window}");
        place.refused(&words, &parts);
        assert!(!place.path("pred").exists());
    };
    predict("50", &["44 + k * 4", "choose 48 or 52"]);
    predict("0", &["choose 44"]);
    predict("1000000", &["memory", "at most 8192"]);
    predict("18446744073709551615", &["memory", "at most 8192"]);
}

#[test]
fn predictions_that_cannot_be_scored() {
    let place = trained();
    place.ok("predict run --dataset cohort/dataset.toml --out pred");
    let evaluate = |parts: &[&str]| {
        place.refused(
            "evaluate --dataset cohort/dataset.toml --predictions pred --out eval",
            parts,
        );
        assert!(
            !place.path("eval").exists(),
            "half an evaluation was left behind"
        );
    };
    let path = place.path("pred/sub-02.nii.gz");
    let good = place.read("pred/sub-02.nii.gz");
    let labels = read_image(&path).unwrap().map(|v| *v as u8);
    let write = |labels: &LabelMap| {
        write_labels(&path, labels, &Reference::from_grid(&labels.grid())).unwrap();
    };
    write(&moved(&labels, 2.0));
    evaluate(&["pred/sub-02.nii.gz", "has changed", "predict it again"]);
    // Without its list, the folder is another tool's.
    let list = place.read("pred/predictions.json");
    std::fs::remove_file(place.path("pred/predictions.json")).unwrap();
    evaluate(&[
        "pred/sub-02.nii.gz",
        "lesion.nii.gz",
        "2.000 mm apart",
        "predict on",
    ]);
    write(&Volume::new([44, 40, 10], *labels.affine(), labels.data().to_vec()).unwrap());
    evaluate(&["pred/sub-02.nii.gz", "[44, 40, 10]", "[40, 44, 10]"]);
    write(&labels.map(|_| 7));
    evaluate(&[
        "pred/sub-02.nii.gz",
        "the value 7",
        "0 to 1",
        "map the values",
    ]);
    place.write("pred/sub-02.nii.gz", &good[..good.len() / 2]);
    evaluate(&["pred/sub-02.nii.gz", "cut off or corrupt"]);
    std::fs::remove_file(&path).unwrap();
    evaluate(&[
        "pred",
        "no prediction",
        "1 of 2 subjects: sub-02",
        "--subjects",
    ]);
    place.write("pred/sub-02.nii.gz", &good);
    place.write("pred/predictions.json", &list);

    // Class indices mean nothing under another order of classes.
    place.edit(
        "cohort/dataset.toml",
        "[\"background\", \"lesion\"]",
        "[\"lesion\", \"background\"]",
    );
    evaluate(&[
        "pred",
        "background, lesion",
        "lesion, background",
        "cohort/dataset.toml",
    ]);
    place.edit(
        "cohort/dataset.toml",
        "[\"lesion\", \"background\"]",
        "[\"background\", \"lesion\"]",
    );

    let words = "evaluate --dataset cohort/dataset.toml --predictions pred --out eval";
    place.refused(&format!("{words} --tolerance=-1"), &["tolerance", "-1"]);
    place.refused(&format!("{words} --overlay PD"), &["PD", "T1, T2, FLAIR"]);
    assert!(!place.path("eval").exists());
    place.ok(words);
}
