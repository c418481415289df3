//! Runs of which no mean can be taken.

use crate::harness::Place;
use crate::trained;

/// Copies the run folder `run` to `other`, which a test then changes.
fn copy(place: &Place) {
    let _ = std::fs::remove_dir_all(place.path("other"));
    for name in ["run.toml", "dataset.json", "summary.json"] {
        place.write(format!("other/{name}"), place.read(format!("run/{name}")));
    }
    for name in place.names("run/checkpoint-000001") {
        let file = format!("checkpoint-000001/{name}");
        place.write(format!("other/{file}"), place.read(format!("run/{file}")));
    }
}

fn refused(place: &Place, options: &str, parts: &[&str]) {
    let words = format!("predict run other --dataset cohort/dataset.toml --out pred {options}");
    place.refused(&words, parts);
    assert!(!place.path("pred").exists(), "something was written");
}

#[test]
fn runs_that_differ() {
    let place = trained();
    let both = |told: &str, options: &str| {
        let parts = [
            "run and other cannot be averaged",
            told,
            "name only runs that agree",
        ];
        refused(&place, options, &parts);
        copy(&place);
    };
    let facts = |old: &str, new: &str| {
        let text = place.text("other/dataset.json");
        assert!(text.contains(old), "{text}");
        place.write("other/dataset.json", text.replacen(old, new, 1));
    };
    copy(&place);
    facts("\"lesion\"", "\"tumour\"");
    both(
        "classes are [\"background\", \"lesion\"] and [\"background\", \"tumour\"]",
        "",
    );
    facts("\"T1\"", "\"T3\"");
    facts("\"T2\"", "\"T1\"");
    facts("\"T3\"", "\"T2\"");
    both(
        "modalities are [\"T1\", \"T2\", \"FLAIR\"] and [\"T2\", \"T1\", \"FLAIR\"]",
        "",
    );
    place.edit(
        "other/run.toml",
        "method = \"z-score\"",
        "method = \"none\"",
    );
    both("`normalise.method` is \"z-score\" and \"none\"", "");
    place.edit(
        "other/run.toml",
        "spacing = []",
        "spacing = [3.0, 3.0, 5.0]",
    );
    both("`geometry.spacing` is [] and [3.0, 3.0, 5.0]", "");
    place.edit("other/run.toml", "plane = \"axial\"", "plane = \"coronal\"");
    both("`patch.plane` is \"axial\" and \"coronal\"", "");
    place.edit(
        "other/run.toml",
        "activation = \"softmax\"",
        "activation = \"sigmoid\"",
    );
    both(
        "`loss.activation` is \"softmax\" and \"sigmoid\"",
        "--average logits",
    );
    facts("\"sub-02\"", "\"sub-03\"");
    both(
        "--split are [\"sub-02\"] and [\"sub-03\"] (--subjects",
        "--split test",
    );
}

#[test]
fn regions_and_windows_that_differ() {
    let place = trained();
    let set = "--set train.iterations=1 --set loss.activation=sigmoid";
    place.write(
        "regions.toml",
        format!("regions = [[\"lesion\"]]\n{}", place.text("run.toml")),
    );
    place.ok(&format!("train regions.toml --out other {set}"));
    refused(
        &place,
        "",
        &["run and other", "`regions` is unset and [[\"lesion\"]]"],
    );
    for (network, told) in [
        (
            "padded-unet",
            "a 2-D padded-unet of 16 voxels in steps of 16 with a border of 0",
        ),
        ("high-res-3d-net", "a 3-D high-res-3d-net of 37 voxels"),
    ] {
        std::fs::remove_dir_all(place.path("other")).unwrap();
        let size = if network == "padded-unet" { 32 } else { 37 };
        place.ok(&format!(
            "train run.toml --out other --set train.iterations=1 --set model.name={network} \
             --set patch.size={size}"
        ));
        let unet = "a 2-D unet of 44 voxels in steps of 4 with a border of 40";
        refused(
            &place,
            "",
            &["run and other", "no window fits both", unet, told],
        );
    }
}

#[test]
fn a_run_given_twice() {
    let place = trained();
    let words = "--dataset cohort/dataset.toml --out pred";
    let parts = ["run/../run is given twice", "name each run once"];
    place.refused(&format!("predict run run/../run {words}"), &parts);
    place.refused(&format!("predict run none {words}"), &["none", "run.toml"]);
    assert!(!place.path("pred").exists());
}

#[test]
fn a_window_that_one_network_cannot_take() {
    let place = trained();
    copy(&place);
    refused(
        &place,
        "--window 50",
        &["--window 50", "44 + k * 4", "choose 48 or 52"],
    );
}
