//! What a path stands for.

mod place;

use std::path::Path;

use lacuna_data::manifest::Manifest;
use lacuna_evaluate::{Request, evaluate};
use lacuna_metrics::Options;
use lacuna_view::{Collection, Source};
use place::Place;

fn open(path: &Path, dataset: Option<&Path>) -> Result<usize, String> {
    let source = Source {
        path,
        dataset,
        label_values: false,
    };
    match Collection::open(&source) {
        Ok(collection) => Ok(collection.len()),
        Err(error) => Err(error.to_string()),
    }
}

fn refused(path: &Path, dataset: Option<&Path>, part: &str) {
    let error = open(path, dataset).unwrap_err();
    assert!(error.contains(part), "{part:?} is missing: {error}");
}

#[test]
fn manifests_predictions_evaluations_and_auto_folders() {
    let place = Place::new();
    let manifest = place.path("dataset.toml");
    assert_eq!(open(&manifest, None), Ok(2));
    refused(&manifest, Some(&manifest), "leave --dataset out");

    let predictions = place.predictions();
    refused(&predictions, None, "say with --dataset");
    assert_eq!(open(&predictions, Some(&manifest)), Ok(1));

    // An evaluation names predictions and dataset.
    let out = place.path("evaluation");
    let read = Manifest::read(&manifest).unwrap();
    let request = Request {
        manifest: &read,
        predictions: &predictions,
        out: &out,
        subjects: &["sub-01".to_owned()],
        options: Options::default(),
        label_values: false,
        force: false,
        overlay: None,
    };
    evaluate(&request, &mut |_, _| {}).unwrap();
    assert_eq!(open(&out, None), Ok(1));

    // A folder of `lacuna auto`, untuned, whose dataset is in run.toml.
    let auto = place.path("auto");
    std::fs::create_dir_all(auto.join("out-of-fold")).unwrap();
    std::fs::write(auto.join("plan.json"), "{}").unwrap();
    std::fs::write(auto.join("run.toml"), "seed = 0\n").unwrap();
    refused(&auto, None, "no out-of-fold predictions yet");
    std::fs::rename(&predictions, auto.join("out-of-fold/labels")).unwrap();
    refused(&auto, None, "expected `dataset = ...`");
    let run = format!("dataset = {:?}\n", manifest.to_str().unwrap());
    std::fs::write(auto.join("run.toml"), run).unwrap();
    assert_eq!(open(&auto, None), Ok(1));
    // The evaluated predictions have gone.
    refused(&out, None, "holds no prediction");
}

#[test]
fn what_is_nothing_to_look_at_is_told() {
    let place = Place::new();
    refused(&place.path("none"), None, "there is no such file or folder");
    refused(
        &place.path("sub-02"),
        Some(&place.path("dataset.toml")),
        "holds no prediction",
    );
    let run = place.path("run");
    std::fs::create_dir(&run).unwrap();
    refused(&run, None, "it holds no predictions");
    std::fs::write(run.join("run.toml"), "").unwrap();
    refused(&run, None, "expected `dataset = ...`");
    let manifest = place.path("dataset.toml");
    let text = format!("dataset = {:?}\n", manifest.to_str().unwrap());
    std::fs::write(run.join("run.toml"), text).unwrap();
    assert_eq!(open(&run, None), Ok(2));
}
