//! Predictions as derivative datasets of BIDS, and back.

use std::path::Path;
use std::process::Command;

use lacuna_data::discover::{Search, by_bids};
use lacuna_data::manifest::Manifest;
use lacuna_evaluate::{Request, evaluate, write_bids};
use lacuna_io::{Reference, write_image, write_labels};
use lacuna_metrics::Options;
use lacuna_record::{PredictedFile, Predictions, sha256_of};
use lacuna_volume::{Affine, Spacing, Volume};

/// Two sessions of a participant and one of another, with labels, and predictions of two of
/// them in `pred`: p01's first session with one voxel too many, the other right.
fn dataset(folder: &Path, classes: u8) -> Manifest {
    let put = |file: &str, text: &str| std::fs::write(folder.join(file), text).unwrap();
    put(
        "dataset_description.json",
        r#"{"Name": "ms", "BIDSVersion": "1.10.0"}"#,
    );
    put("README", "three visits\n");
    std::fs::create_dir_all(folder.join("../pred")).unwrap();
    let affine = Affine::from_spacing(Spacing([2.0, 1.0, 1.0]));
    for (visit, at) in [
        ("sub-p01/ses-1", 3),
        ("sub-p01/ses-2", 5),
        ("sub-p02/ses-1", 7),
    ] {
        let stem = visit.replace('/', "_");
        let mut label = Volume::filled([12, 3, 3], affine, 0u8).unwrap();
        (0..classes).for_each(|class| label.data_mut()[at + usize::from(class)] = class + 1);
        let on = Reference::from_grid(&label.grid());
        let anat = folder.join(visit).join("anat");
        std::fs::create_dir_all(&anat).unwrap();
        let image = label.map(|l| 1.0 + f32::from(*l));
        write_image(anat.join(format!("{stem}_FLAIR.nii.gz")), &image, &on).unwrap();
        let manual = folder.join("derivatives/manual").join(visit).join("anat");
        std::fs::create_dir_all(&manual).unwrap();
        let suffix = if classes == 1 {
            "label-lesion_mask"
        } else {
            "dseg"
        };
        write_labels(manual.join(format!("{stem}_{suffix}.nii.gz")), &label, &on).unwrap();
        if stem == "sub-p01_ses-1" {
            label.data_mut()[11] = 1;
        }
        if stem != "sub-p01_ses-2" {
            write_labels(folder.join(format!("../pred/{stem}.nii.gz")), &label, &on).unwrap();
        }
    }
    let description = r#"{"Name": "manual", "BIDSVersion": "1.10.0", "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "a reader"}]}"#;
    put("derivatives/manual/dataset_description.json", description);
    let (manifest, _) = by_bids(folder, &Search::default(), &folder.join("../ms.toml")).unwrap();
    manifest
}

/// The list that `lacuna predict` leaves.
fn list(folder: &Path, manifest: &Manifest) {
    let files = ["sub-p01_ses-1", "sub-p02_ses-1"].map(|id| {
        let sha256 = sha256_of(&folder.join(format!("{id}.nii.gz"))).unwrap();
        let file = PredictedFile {
            sha256,
            part: 0,
            cleaned: Vec::new(),
        };
        (id.to_owned(), file)
    });
    let list = Predictions {
        run: "runs/a".into(),
        iteration: 7,
        weights: Some("abc".to_owned()),
        classes: manifest.classes.clone(),
        subjects: files.iter().map(|(id, _)| id.clone()).collect(),
        files: Some(files.into()),
        ..Predictions::default()
    };
    list.write(folder).unwrap();
}

fn scores(manifest: &Manifest, predictions: &Path, out: &Path) -> Vec<(String, String, f64)> {
    let subjects = ["sub-p01_ses-1", "sub-p02_ses-1"].map(str::to_owned);
    let request = Request {
        manifest,
        predictions,
        out,
        subjects: &subjects,
        options: Options::default(),
        label_values: false,
        force: false,
        overlay: None,
    };
    let evaluation = evaluate(&request, &mut |_, _| {}).unwrap();
    let rows = evaluation.rows();
    rows.map(|(subject, row)| (subject.to_owned(), row.class.clone(), row.dsc))
        .collect()
}

/// What the official validator says, where `LACUNA_BIDS_VALIDATOR` names it.
fn validated(folder: &Path) {
    let Ok(validator) = std::env::var("LACUNA_BIDS_VALIDATOR") else {
        return;
    };
    let said = Command::new(validator).arg(folder).output().unwrap();
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    println!("{text}");
    assert!(said.status.success() && !text.contains("[ERROR]"), "{text}");
}

#[test]
fn a_mask_goes_there_and_back() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("ms data");
    std::fs::create_dir_all(&folder).unwrap();
    let manifest = dataset(&folder, 1);
    let flat = place.path().join("pred");
    list(&flat, &manifest);
    let out = folder.join("derivatives/lacuna");
    let written = write_bids(&manifest, &flat, false, &out, &mut |_, _| {}).unwrap();
    assert_eq!(written.files, 2);
    assert_eq!(
        written.notes,
        ["1 subjects of the manifest have no prediction"]
    );
    let json = |file: &str| -> serde_json::Value {
        serde_json::from_str(&std::fs::read_to_string(out.join(file)).unwrap()).unwrap()
    };
    let about = json("dataset_description.json");
    assert_eq!(about["DatasetType"], "derivative");
    assert_eq!(about["GeneratedBy"][0]["Name"], "Lacuna");
    assert_eq!(
        about["GeneratedBy"][0]["Version"],
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(about["DatasetLinks"]["raw"], "../..");
    let stem = "sub-p01/ses-1/anat/sub-p01_ses-1_space-orig_label-lesion_mask";
    let of_map = json(&format!("{stem}.json"));
    let source = "bids:raw:sub-p01/ses-1/anat/sub-p01_ses-1_FLAIR.nii.gz";
    assert_eq!(of_map["Sources"], serde_json::json!([source]));
    assert_eq!(
        (&of_map["Type"], &of_map["SpatialReference"]),
        (&"Lesion".into(), &"orig".into())
    );
    assert!(out.join(format!("{stem}.nii.gz")).exists());
    // The list goes along, with the hashes of these files.
    let listed = Predictions::read(&out).unwrap().unwrap();
    assert_eq!((listed.iteration, listed.subjects.len()), (7, 2));
    let expected = [1, 2].map(|n| place.path().join(format!("scores-{n}")));
    assert_eq!(
        scores(&manifest, &out, &expected[0]),
        scores(&manifest, &flat, &expected[1])
    );
    let found = scores(&manifest, &out, &place.path().join("again"));
    assert_eq!(
        found[0],
        ("sub-p01_ses-1".to_owned(), "lesion".to_owned(), 2.0 / 3.0)
    );
    let again = write_bids(&manifest, &flat, false, &out, &mut |_, _| {}).unwrap_err();
    assert!(again.to_string().contains("is there already"), "{again}");
    validated(&out);
    validated(&folder);
}

#[test]
fn several_classes_have_a_table() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("ms");
    std::fs::create_dir_all(&folder).unwrap();
    let manifest = dataset(&folder, 2);
    assert_eq!(manifest.classes, ["background", "label-1", "label-2"]);
    let flat = place.path().join("pred");
    // Beside the dataset, without a list.
    let out = place.path().join("derived");
    write_bids(&manifest, &flat, false, &out, &mut |_, _| {}).unwrap();
    let stem = "sub-p02/ses-1/anat/sub-p02_ses-1_space-orig_dseg";
    let table = std::fs::read_to_string(out.join(format!("{stem}.tsv"))).unwrap();
    assert_eq!(
        table,
        "index\tname\n0\tbackground\n1\tlabel-1\n2\tlabel-2\n"
    );
    let about = std::fs::read_to_string(out.join("dataset_description.json")).unwrap();
    assert!(about.contains("\"raw\": \"file:///"), "{about}");
    assert!(about.contains("another program"), "{about}");
    let found = scores(&manifest, &out, &place.path().join("scores"));
    let last = &found[found.len() - 1];
    assert_eq!(
        (last.0.as_str(), last.1.as_str(), last.2),
        ("sub-p02_ses-1", "foreground", 1.0)
    );
    validated(&out);
    // Brain masks are no segmentation, and two of them are for the user to part.
    let anat = out.join("sub-p02/ses-1/anat");
    let file = anat.join("sub-p02_ses-1_space-orig_dseg.nii.gz");
    for (name, lies) in [("desc-brain_mask", true), ("desc-second_dseg", false)] {
        std::fs::copy(&file, anat.join(format!("sub-p02_ses-1_{name}.nii.gz"))).unwrap();
        let found = lacuna_evaluate::file_of(&out, "sub-p02_ses-1", &[".nii.gz"]);
        assert_eq!(found.is_ok(), lies, "{name}");
    }
}

#[test]
fn ids_that_bids_cannot_tell_apart_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("ms");
    std::fs::create_dir_all(&folder).unwrap();
    let mut manifest = dataset(&folder, 1);
    for (subject, id) in manifest.subjects.iter_mut().zip(["a_1", "b", "a1"]) {
        subject.id = id.to_owned();
    }
    let pred = place.path().join("pred");
    for (from, to) in [("sub-p01_ses-1", "a_1"), ("sub-p02_ses-1", "a1")] {
        let name = |id: &str| pred.join(format!("{id}.nii.gz"));
        std::fs::rename(name(from), name(to)).unwrap();
    }
    let out = place.path().join("derived");
    let refused = write_bids(&manifest, &pred, false, &out, &mut |_, _| {})
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("`a_1` and `a1` are both sub-a1"),
        "{refused}"
    );
    assert!(!out.exists());
    std::fs::remove_file(pred.join("a_1.nii.gz")).unwrap();
    let written = write_bids(&manifest, &pred, false, &out, &mut |_, _| {}).unwrap();
    assert!(
        written.notes[1].contains("no names of BIDS"),
        "{:?}",
        written.notes
    );
    assert!(
        out.join("sub-a1/anat/sub-a1_space-orig_label-lesion_mask.nii.gz")
            .exists()
    );
    let none = write_bids(&manifest, &folder, false, &out.join("x"), &mut |_, _| {}).unwrap_err();
    assert!(none.to_string().contains("no prediction"), "{none}");
}
