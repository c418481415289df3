//! Every command of the tutorials in `docs/` runs, with shorter trainings than it asks for.

mod harness;

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use harness::Place;

/// The data folder, known when `LACUNA_DATA` was set while building.
const DATA: Option<&str> = option_env!("LACUNA_DATA_FOLDER");

/// Stands in for `lacuna`: whatever trains does so for two iterations, and a page is shown until
/// it is interrupted.
const SHORTENED: &str = r#"#!/usr/bin/env bash
case $1 in
    auto) set -- "$@" --set train.iterations=2 --set train.batch=2 --set patch.size=32 --set \
        'model.stages={axes=3,features=[4,8],kernels=[[3,3,3],[3,3,3]],strides=[[1,1,1],[2,2,2]],down=[1,1],up=[1],norm="instance"}' ;;
    view) exec timeout --preserve-status -s INT 5 "$LACUNA" "$@" --no-open ;;
    sweep) sed -i 's/^iterations = .*/iterations = 2/' "$2" ;;
esac
exec "$LACUNA" "$@"
"#;

/// The `sh` blocks of a chapter, in order.
fn commands(chapter: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs")
        .join(chapter);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut commands = String::new();
    let mut inside = false;
    for line in text.lines() {
        match (inside, line) {
            (false, "```sh") => inside = true,
            (true, "```") => inside = false,
            (true, line) => writeln!(commands, "{line}").unwrap(),
            (false, _) => {}
        }
    }
    assert!(commands.contains("lacuna "), "{chapter} has no commands");
    commands
}

/// Runs a chapter in an empty folder, and gives the folder.
fn follow(chapter: &str) -> Place {
    let place = Place::empty();
    let bin = place.path("bin");
    std::fs::create_dir(&bin).unwrap();
    let stand_in = bin.join("lacuna");
    std::fs::write(&stand_in, SHORTENED).unwrap();
    let made = Command::new("chmod").arg("+x").arg(&stand_in).status();
    assert!(made.unwrap().success());
    let path = std::env::var("PATH").unwrap();
    let followed = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &commands(chapter)])
        .current_dir(place.path("."))
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("LACUNA", env!("CARGO_BIN_EXE_lacuna"))
        .env("LACUNA_DATA", DATA.unwrap_or_default())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&followed.stderr);
    assert!(followed.status.success(), "{chapter}: {said}");
    place
}

#[test]
fn choosing_a_loss() {
    let place = follow("choosing-a-loss.md");
    assert!(place.text("losses.svg").contains("generalised-dice"));
}

#[test]
fn a_study() {
    let place = follow("study.md");
    assert!(place.text("rare/report/report.html").contains("GDL"));
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn from_a_folder_of_scans_to_a_model() {
    let place = follow("first-model.md");
    let written = lacuna_io::read_labels(place.path("pat0004.nii.gz")).unwrap();
    assert_eq!(written.shape(), [240, 240, 155]);
    assert!(
        place
            .names("elsewhere")
            .contains(&"pat0003.nii.gz".to_owned())
    );
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn tiny_lesions() {
    let place = follow("tiny-lesions.md");
    let strata = place.text("evaluation/lesion_strata.csv");
    assert!(strata.lines().count() > 5, "{strata}");
}

#[test]
fn a_bids_dataset() {
    let place = follow("bids.md");
    let manifest = place.text("ms.toml");
    assert!(manifest.contains("group = \"p01\""), "{manifest}");
    let scores = place.text("scores/scores.csv");
    assert!(scores.contains("sub-p01_ses-2,lesion,1,1"), "{scores}");
}

#[test]
fn deploying_a_model() {
    let place = follow("deploying.md");
    assert!(place.names(".").contains(&"lesions.onnx.json".to_owned()));
}

/// All of what nnU-Net says of this crop is background at .5.
#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn from_nnunet() {
    let place = follow("from-nnunet.md");
    let written = lacuna_io::read_labels(place.path("crop07.nii.gz")).unwrap();
    assert!(written.data().iter().all(|label| *label == 0));
    let manifest = place.text("dataset.toml");
    assert!(manifest.contains("FLAIR"), "{manifest}");
}
