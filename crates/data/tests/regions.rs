//! Regions and the ignore label: in manifests, and in nnU-Net's folders.

mod nifti_file;

use std::path::Path;

use lacuna_data::discover;
use lacuna_data::manifest::Manifest;
use lacuna_data::nnunet_folder::write_nnunet;
use lacuna_io::read_labels;
use lacuna_volume::IGNORED;
use nifti_file::UNIT;
use tempfile::TempDir;

const BRATS: &str = r#"{ "channel_names": { "0": "FLAIR" }, "numTraining": 1, "file_ending": ".nii",
    "labels": { "background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3],
                "enhancing tumor": 3, "ignore": 4 },
    "regions_class_order": [1, 2, 3] }"#;

/// One case with voxels of the values 0 to 4.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let values = [0.0, 1.0, 2.0, 3.0, 4.0, 0.0, 0.0, 0.0];
    for file in ["imagesTr/a_0000.nii", "labelsTr/a.nii"] {
        nifti_file::write(&folder.path().join(file), &[2, 2, 2], UNIT, &values);
    }
    folder
}

fn described(folder: &Path, json: &str) -> Result<Manifest, String> {
    std::fs::write(folder.join("dataset.json"), json).unwrap();
    discover::described(folder, &folder.join("dataset.toml")).map_err(|e| e.to_string())
}

fn mapped(manifest: &Manifest) -> Vec<u8> {
    let subject = &manifest.subjects[0];
    let values = read_labels(subject.label.as_ref().unwrap()).unwrap();
    manifest.map_labels(subject, &values).unwrap().into_data()
}

#[test]
fn regions_of_nnunet_go_there_and_back() {
    let folder = folder();
    let manifest = described(folder.path(), BRATS).unwrap();
    let expected = r#"classes = ["background", "label-1", "label-2", "enhancing tumor"]
label_values = { 0 = "background", 1 = "label-1", 2 = "label-2", 3 = "enhancing tumor" }
ignore = 4

[[region]]
name = "whole tumor"
classes = ["label-1", "label-2", "enhancing tumor"]

[[region]]
name = "tumor core"
classes = ["label-2", "enhancing tumor"]

[[region]]
name = "enhancing tumor"
classes = ["enhancing tumor"]
"#;
    let text = manifest.to_toml().unwrap();
    assert!(text.contains(expected), "{text}");
    manifest.write().unwrap();
    assert_eq!(Manifest::read(&manifest.path).unwrap(), manifest);
    assert_eq!(mapped(&manifest)[..6], [0, 1, 2, 3, IGNORED, 0]);

    let out = folder.path().join("Dataset001_x");
    let written = write_nnunet(&manifest, &out, None, &mut |_, _| {}).unwrap();
    assert_eq!(written.notes, [""; 0]);
    let text = std::fs::read_to_string(out.join("dataset.json")).unwrap();
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}: {text}"));
    // The order of the channels.
    assert!(at("\"whole tumor\"") < at("\"tumor core\""));
    assert!(at("\"tumor core\"") < at("\"enhancing tumor\": 3"));
    assert!(at("\"enhancing tumor\"") < at("\"ignore\": 4"));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["regions_class_order"], serde_json::json!([1, 2, 3]));
    assert_eq!(json["labels"]["tumor core"], serde_json::json!([2, 3]));
    let again = discover::described(&out, &folder.path().join("again.toml")).unwrap();
    assert_eq!(
        (&again.classes, &again.regions, again.ignore),
        (&manifest.classes, &manifest.regions, manifest.ignore)
    );
    assert_eq!(mapped(&again), mapped(&manifest));
}

#[test]
fn an_ignore_label_need_not_be_the_highest() {
    let folder = folder();
    let json = BRATS.replace(r#""ignore": 4"#, r#""ignore": 1"#);
    let json = json
        .replace("[1, 2, 3],", "[4, 2, 3],")
        .replace("[1, 2, 3] }", "[4, 2, 3] }");
    let manifest = described(folder.path(), &json).unwrap();
    assert_eq!(mapped(&manifest)[..5], [0, IGNORED, 1, 2, 3]);
    // nnU-Net wants it to be.
    let out = folder.path().join("Dataset001_x");
    write_nnunet(&manifest, &out, None, &mut |_, _| {}).unwrap();
    let values = read_labels(out.join("labelsTr/a.nii.gz")).unwrap();
    assert_eq!(values.data()[..5], [0, 4, 1, 2, 3]);
}

#[test]
fn regions_that_nnunet_cannot_learn_are_left_out_of_its_folder() {
    let folder = folder();
    let json = r#"{ "channel_names": { "0": "FLAIR" }, "numTraining": 1, "file_ending": ".nii",
        "labels": { "background": 0, "ring": [1, 2], "whole": [1, 2, 3, 4] } }"#;
    let manifest = described(folder.path(), json).unwrap();
    let out = folder.path().join("Dataset001_x");
    let written = write_nnunet(&manifest, &out, None, &mut |_, _| {}).unwrap();
    let notes = written.notes.join("\n");
    assert!(
        notes.contains("regions are left out") && notes.contains("`ring` has 0 classes"),
        "{notes}"
    );
    let text = std::fs::read_to_string(out.join("dataset.json")).unwrap();
    assert!(
        text.contains("\"label-1\": 1") && !text.contains("class_order"),
        "{text}"
    );
}

#[test]
fn labels_that_make_no_sense_are_refused() {
    let folder = folder();
    for (from, to, expected) in [
        (
            "[1, 2, 3] }",
            "[3, 2, 1] }",
            "`regions_class_order` is 3 for the region `whole tumor`",
        ),
        ("[1, 2, 3] }", "[1, 2] }", "for 3 regions"),
        ("[1, 2, 3] }", "[0, 2, 3] }", "a value of the region"),
        (
            "[2, 3],",
            "[0, 2, 3],",
            "with the background in the region `tumor core`",
        ),
        (
            "[2, 3],",
            "[1, 2, 3],",
            "as `whole tumor` and as `tumor core`",
        ),
        ("[2, 3],", "[],", "`tumor core`: []"),
        ("\"ignore\": 4", "\"ignore\": [4, 5]", "expected one value"),
        (
            "\"ignore\": 4",
            "\"ignore\": 3",
            "ignore = 3 is the class `enhancing tumor`",
        ),
        ("\"ignore\": 4", "\"ignore\": -1", "`ignore`: -1"),
        ("\"background\": 0,", "", "without the value 0"),
    ] {
        assert!(BRATS.contains(from), "{from}");
        let refused = described(folder.path(), &BRATS.replace(from, to)).unwrap_err();
        assert!(refused.contains(expected), "{to}: {refused}");
    }
}

#[test]
fn manifests_with_regions_that_make_no_sense_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let read = |region: &str, top: &str| {
        let text = format!(
            "name = \"x\"\nmodalities = [\"T1\"]\nclasses = [\"other\", \"rim\", \"core\"]\n{top}\n\
             {region}\n[[subject]]\nid = \"a\"\nimages = {{ T1 = \"a.nii\" }}\n"
        );
        let path = folder.path().join("dataset.toml");
        std::fs::write(&path, text).unwrap();
        Manifest::read(&path).map_err(|e| e.to_string())
    };
    let region =
        |name: &str, classes: &str| format!("[[region]]\nname = \"{name}\"\nclasses = [{classes}]");
    let whole = region("whole", "\"rim\", \"core\"");
    assert_eq!(read(&whole, "ignore = 9").unwrap().ignore, Some(9));
    assert!(read(&region("core", "\"core\""), "").is_ok());
    for (region, top, expected) in [
        (
            region("whole", "\"rim\", \"edge\""),
            "",
            "the class `edge`; expected some of rim, core",
        ),
        (region("whole", "\"other\""), "", "the class `other`"),
        (region("whole", ""), "", "no class"),
        (region("core", "\"rim\""), "", "the name of a class"),
        (region("foreground", "\"rim\""), "", "that nothing else has"),
        (region("other", "\"rim\""), "", "that nothing else has"),
        (region(" ", "\"rim\""), "", "a name without spaces"),
        (format!("{whole}\n{whole}"), "", "each name once"),
        (whole.replace("name", "called"), "", "unknown key `called`"),
        (whole.clone(), "ignore = 1", "ignore = 1 is the class `rim`"),
        (whole.clone(), "ignore = 70000", "is no label value"),
    ] {
        let refused = read(&region, top).unwrap_err();
        assert!(refused.contains(expected), "{region} {top}: {refused}");
    }
}
