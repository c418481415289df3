//! Classes and regions from the network's channels.

use crate::harness::Place;
use crate::harness::geometry::affine_bits;
use lacuna_io::{read, read_labels, read_reference, write_labels};

#[test]
fn probabilities_sum_to_1_and_the_labels_are_the_most_probable() {
    let place = Place::new();
    place.ok("train run.toml --out run");
    place.ok(
        "predict run --dataset cohort/dataset.toml --subjects sub-02 --out pred --probabilities",
    );
    // At the run's own spacing they come back by interpolation.
    place.ok("train run.toml --out coarse --set geometry.spacing=[3,3,5]");
    place.ok("predict coarse --dataset cohort/dataset.toml --subjects sub-02 --out pred-coarse --probabilities");
    let mask = read_labels(place.path("cohort/sub-02/brain_mask.nii.gz")).unwrap();
    let input = place.path("cohort/sub-02/T1.nii.gz");
    for folder in ["pred", "pred-coarse"] {
        let path = place.path(format!("{folder}/sub-02.nii.gz"));
        assert_eq!(affine_bits(&path), affine_bits(&input), "{folder}");
        let labels = read_labels(&path).unwrap();
        assert_eq!(labels.shape(), [40, 44, 10], "{folder}");
        let path = place.path(format!("{folder}/sub-02.probabilities.nii.gz"));
        let classes = read(&path).unwrap().volumes;
        assert_eq!(classes.len(), 2, "{folder}");
        let mut lesion = 0;
        for i in 0..labels.len() {
            let [p0, p1] = [0, 1].map(|c| classes[c].data()[i]);
            assert!((p0 + p1 - 1.0).abs() < 1e-5, "{folder}: {p0} + {p1}");
            assert_eq!(labels.data()[i], i32::from(p1 > p0), "{folder}: {p0} {p1}");
            if mask.data()[i] == 0 {
                assert_eq!([p0, p1], [1.0, 0.0], "{folder}: outside the mask");
            }
            lesion += usize::from(p1 > p0);
        }
        assert!(
            lesion > 0 && lesion < labels.len(),
            "{folder}: nothing to compare"
        );
    }
}

/// The lesions of the cohort in two classes, by which half of the volume they lie in.
fn halve_the_lesions(place: &Place) {
    for id in ["sub-01", "sub-02"] {
        let path = place.path(format!("cohort/{id}/lesion.nii.gz"));
        let header = read_reference(&path).unwrap();
        let lesions = read_labels(&path).unwrap();
        let mut halves = lesions.map(|&label| label as u8);
        let width = halves.shape()[0];
        for (i, label) in halves.data_mut().iter_mut().enumerate() {
            *label *= if i % width < width / 2 { 1 } else { 2 };
        }
        write_labels(&path, &halves, &header).unwrap();
    }
    let text = place.text("cohort/dataset.toml");
    let named = |line: &str| match line.split_once(" = ") {
        Some(("classes", _)) => "classes = [\"background\", \"rim\", \"core\"]\n".to_owned(),
        Some(("label_values", _)) => String::new(),
        _ => format!("{line}\n"),
    };
    place.write(
        "cohort/dataset.toml",
        text.lines().map(named).collect::<String>(),
    );
}

#[test]
fn regions_overlap_and_leave_a_class_to_each() {
    let place = Place::new();
    halve_the_lesions(&place);
    let run = place.text("run.toml");
    let regions = "regions = [[\"rim\", \"core\"], [\"core\"]]";
    let loss = "[loss]\nname = \"sum\"\nactivation = \"sigmoid\"\nterms = [\
                {loss = {name = \"dice\"}}, {loss = {name = \"boundary\"}}]";
    place.write("regions.toml", format!("{regions}\n{run}\n{loss}\n"));
    place.ok("train regions.toml --out run");
    place.ok("train regions.toml --out coarse --set geometry.spacing=[3,3,5]");
    let mask = read_labels(place.path("cohort/sub-02/brain_mask.nii.gz")).unwrap();
    for run in ["run", "coarse"] {
        place.ok(&format!(
            "predict {run} --dataset cohort/dataset.toml --subjects sub-02 --out pred-{run} \
             --probabilities"
        ));
        let labels = read_labels(place.path(format!("pred-{run}/sub-02.nii.gz"))).unwrap();
        let path = place.path(format!("pred-{run}/sub-02.probabilities.nii.gz"));
        let [both, core] = &read(&path).unwrap().volumes[..] else {
            panic!("a volume for each region");
        };
        let mut unlike = 0;
        for (i, label) in labels.data().iter().enumerate() {
            let (both, core) = (both.data()[i], core.data()[i]);
            let expected = match (both > 0.5, core > 0.5) {
                (_, true) => 2,
                (true, false) => 1,
                _ => 0,
            };
            assert_eq!(*label, expected, "{run}: {both} {core}");
            if mask.data()[i] == 0 {
                assert_eq!([both, core], [0.0, 0.0], "{run}: outside the mask");
            }
            unlike += usize::from((both + core - 1.0).abs() > 1e-3);
        }
        assert!(unlike > labels.len() / 10, "{run}: a softmax");
    }
    // Both regions have a row already, as a class and as the foreground.
    place.ok("evaluate --dataset cohort/dataset.toml --predictions pred-run --out eval");
    let classes = |eval: &str| -> Vec<String> {
        let summary = place.json(format!("{eval}/summary.json"));
        let rows = summary["subjects"][0]["classes"].as_array().unwrap();
        let names = rows.iter().map(|row| row["class"].as_str().unwrap());
        names.map(str::to_owned).collect()
    };
    assert_eq!(classes("eval"), ["rim", "core", "foreground"]);
    place.refused(
        "evaluate --dataset cohort/dataset.toml --predictions pred-run --out no --region core+edge",
        &["--region core+edge", "`edge`", "rim, core"],
    );
}

#[test]
fn the_classes_of_a_sigmoid_have_probabilities_of_their_own() {
    let place = Place::new();
    place.ok("train run.toml --out run --set loss.activation=sigmoid");
    place.ok(
        "predict run --dataset cohort/dataset.toml --subjects sub-02 --out pred --probabilities",
    );
    let labels = read_labels(place.path("pred/sub-02.nii.gz")).unwrap();
    let classes = read(place.path("pred/sub-02.probabilities.nii.gz"))
        .unwrap()
        .volumes;
    let mut unlike = 0;
    for (i, label) in labels.data().iter().enumerate() {
        let [p0, p1] = [0, 1].map(|c| classes[c].data()[i]);
        assert_eq!(*label, i32::from(p1 > p0));
        unlike += usize::from((p0 + p1 - 1.0).abs() > 1e-3);
    }
    assert!(unlike > labels.len() / 10, "a softmax");
}
