//! Predictions in the dataset's own label values are those in class indices.

mod harness;

use harness::Place;
use lacuna_io::{Classes, read_labels, read_reference, write_class_labels};

/// A trained run of a dataset whose lesions have this value.
fn trained(value: u16) -> Place {
    let place = Place::new();
    place.edit(
        "cohort/dataset.toml",
        "1 = \"lesion\"",
        &format!("{value} = \"lesion\""),
    );
    for id in ["sub-01", "sub-02"] {
        let label = place.path(format!("cohort/{id}/lesion.nii.gz"));
        let reference = read_reference(&label).unwrap();
        let classes = read_labels(&label).unwrap().map(|v| *v as u8);
        let named = Classes {
            names: &["background".to_owned(), "lesion".to_owned()],
            values: Some(&[0, value]),
        };
        write_class_labels(&label, &classes, named, &reference).unwrap();
    }
    place.ok("train run.toml --out run --set train.iterations=1");
    place
}

const PREDICT: &str = "predict run --dataset cohort/dataset.toml --subjects sub-02";

#[test]
fn predictions_in_the_values_of_the_dataset() {
    // A byte holds 255, and no more.
    for (value, bytes) in [(255, 1), (300, 2)] {
        let place = trained(value);
        place.ok(&format!("{PREDICT} --out indices"));
        place.ok(&format!("{PREDICT} --out values --label-values"));
        let read = |folder: &str| {
            let file = place.path(format!("{folder}/sub-02.nii.gz"));
            let voxel = read_reference(&file).unwrap().voxel_bytes();
            (read_labels(file).unwrap().into_data(), voxel)
        };
        let (indices, one) = read("indices");
        let (values, wide) = read("values");
        assert_eq!((one, wide), (1, bytes));
        assert!(indices.contains(&1) && indices.contains(&0));
        let expected: Vec<i32> = indices.iter().map(|v| v * i32::from(value)).collect();
        assert_eq!(values, expected);
        let list = place.json("values/predictions.json");
        assert_eq!(list["values"], serde_json::json!([0, value]));

        // The list says what they are; asked for or not, the scores are the same.
        let evaluate = "evaluate --dataset cohort/dataset.toml";
        place.ok(&format!("{evaluate} --predictions indices --out a"));
        place.ok(&format!("{evaluate} --predictions values --out b"));
        place.ok(&format!(
            "{evaluate} --predictions values --out c --label-values"
        ));
        let scores = |folder: &str| place.json(format!("{folder}/summary.json"))["summary"].clone();
        assert_eq!(scores("a"), scores("b"));
        assert_eq!(scores("a"), scores("c"));
        place.refused(
            &format!("{evaluate} --predictions indices --out d --label-values"),
            &[
                "--label-values",
                "indices/predictions.json",
                "class indices",
            ],
        );
        // Neither kind is mixed with the other.
        place.refused(
            &format!("{PREDICT} --out indices --label-values"),
            &["indices", "other label values", "--force"],
        );
    }
}

#[test]
fn the_run_knows_the_values_for_single_images() {
    let place = trained(300);
    let images = "--image T1=cohort/sub-02/T1.nii.gz --image T2=cohort/sub-02/T2.nii.gz \
                  --image FLAIR=cohort/sub-02/FLAIR.nii.gz";
    place.ok(&format!(
        "predict run {images} --label-values --out seg.nii"
    ));
    let values = read_labels(place.path("seg.nii")).unwrap();
    assert!(values.data().contains(&300));
    assert!(values.data().iter().all(|v| [0, 300].contains(v)));
    // As version 0.1.0 wrote it.
    let mut facts = place.json("run/dataset.json");
    facts
        .as_object_mut()
        .unwrap()
        .remove("label_values")
        .unwrap();
    place.write("run/dataset.json", facts.to_string());
    place.refused(
        &format!("predict run {images} --label-values --out old.nii"),
        &["run", "does not record", "--dataset", "--label-values"],
    );
    place.ok(&format!("{PREDICT} --label-values --out p"));
    place.edit(
        "cohort/dataset.toml",
        "300 = \"lesion\"",
        "300 = \"tumour\"",
    );
    place.edit(
        "cohort/dataset.toml",
        "\"background\", \"lesion\"",
        "\"background\", \"tumour\"",
    );
    place.refused(
        &format!("{PREDICT} --label-values --out q"),
        &["cohort/dataset.toml", "`lesion`", "run", "label_values"],
    );
}
