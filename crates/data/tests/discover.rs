//! Manifests made from folders: by patterns, nnU-Net, Decathlon.

mod nifti_file;

use std::path::{Path, PathBuf};

use lacuna_data::discover::{self, DiscoverError, Search};
use lacuna_data::manifest::Manifest;
use nifti_file::UNIT;
use tempfile::TempDir;

const CUBE: [usize; 3] = [2, 2, 2];

fn label(path: &Path, values: [f32; 8]) {
    nifti_file::write(path, &CUBE, UNIT, &values);
}

/// Images are not opened, so they may be empty.
fn touch(path: PathBuf) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, "").unwrap();
}

/// Subjects a and b with two modalities and a label, c without label.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for id in ["a", "b", "c"] {
        touch(folder.path().join(id).join("FLAIR.nii"));
        touch(folder.path().join(id).join(format!("{id}_T1.nii")));
    }
    label(
        &folder.path().join("a/seg.nii"),
        [0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 5.0],
    );
    label(
        &folder.path().join("b/seg.nii"),
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    );
    touch(folder.path().join("b/mask.nii"));
    folder
}

fn search() -> Search {
    Search {
        images: vec![
            ("FLAIR".to_owned(), "*/FLAIR.nii".to_owned()),
            ("T1".to_owned(), "*/*_T1.nii".to_owned()),
        ],
        label: Some("*/seg.nii".to_owned()),
        mask: Some("*/mask.nii".to_owned()),
        ..Search::default()
    }
}

fn find(folder: &TempDir, search: &Search) -> Result<Manifest, DiscoverError> {
    discover::by_patterns(folder.path(), search, &folder.path().join("dataset.toml"))
}

fn refusal(folder: &TempDir, search: &Search) -> String {
    find(folder, search).unwrap_err().to_string()
}

#[test]
fn files_with_the_same_id_belong_together() {
    let folder = folder();
    let manifest = find(&folder, &search()).unwrap();
    let ids: Vec<&str> = manifest.subjects.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(
        manifest.classes,
        ["background", "label-1", "label-2", "label-5"]
    );
    let text = manifest.to_toml().unwrap();
    let expected = r#"modalities = ["FLAIR", "T1"]
classes = ["background", "label-1", "label-2", "label-5"]
label_values = { 0 = "background", 1 = "label-1", 2 = "label-2", 5 = "label-5" }

[[subject]]
id = "a"
images = { FLAIR = "a/FLAIR.nii", T1 = "a/a_T1.nii" }
label = "a/seg.nii"

[[subject]]
id = "b"
images = { FLAIR = "b/FLAIR.nii", T1 = "b/b_T1.nii" }
label = "b/seg.nii"
mask = "b/mask.nii"

[[subject]]
id = "c"
images = { FLAIR = "c/FLAIR.nii", T1 = "c/c_T1.nii" }
"#;
    assert_eq!(text.split_once('\n').unwrap().1, expected);
    manifest.write().unwrap();
    assert_eq!(Manifest::read(&manifest.path).unwrap(), manifest);
}

#[test]
fn class_names_follow_the_values() {
    let folder = folder();
    let classes = |names: &[&str]| {
        let foreground = names.iter().map(|n| (*n).to_owned()).collect();
        let search = Search {
            foreground,
            ..search()
        };
        let manifest = find(&folder, &search).map_err(|e| e.to_string())?;
        Ok::<_, String>([0, 1, 2, 5].map(|v| manifest.class_of(v).unwrap()))
    };
    assert_eq!(classes(&["lesion"]).unwrap(), [0, 1, 1, 1]);
    assert_eq!(classes(&["core", "oedema", "core"]).unwrap(), [0, 1, 2, 1]);
    let message = classes(&["core", "oedema"]).unwrap_err();
    assert!(
        message.contains("2 class names (core, oedema) for the 3 label values [1, 2, 5]"),
        "{message}"
    );
}

#[test]
fn a_dataset_to_predict_needs_class_names() {
    let folder = folder();
    let mut search = Search {
        label: None,
        ..search()
    };
    assert!(refusal(&folder, &search).contains("the classes are unknown"));
    search.foreground = vec!["lesion".to_owned()];
    let manifest = find(&folder, &search).unwrap();
    assert_eq!([0, 1].map(|v| manifest.class_of(v)), [Some(0), Some(1)]);
}

#[test]
fn patterns_that_do_not_fit_are_refused() {
    let folder = folder();
    let mut one = search();
    one.images[1].1 = "*/T1.nii".to_owned();
    let message = refusal(&folder, &one);
    assert!(
        message.contains("no file matches the pattern \"*/T1.nii\" for T1"),
        "{message}"
    );
    one.images[1].1 = "a/a_T1.nii".to_owned();
    assert!(refusal(&folder, &one).contains("has no wildcard"));

    one.images[1].1 = "*/a_*.nii".to_owned();
    let message = refusal(&folder, &one);
    assert!(
        message.contains("4 of 4 subjects lack a modality: a (T1), a-T1 (FLAIR), b (T1)"),
        "{message}"
    );

    // The folders a/b and a-b give the same id.
    touch(folder.path().join("a/b/x.nii"));
    touch(folder.path().join("a-b/x.nii"));
    one.images[1].1 = "**/x.nii".to_owned();
    let message = refusal(&folder, &one);
    assert!(
        message.contains("two files for the subject `a-b`"),
        "{message}"
    );

    let stray = Search {
        mask: Some("*/*.nii".to_owned()),
        ..search()
    };
    let message = refusal(&folder, &stray);
    assert!(
        message.contains("for mask matches files of subjects without images: a-FLAIR, a-a_T1"),
        "{message}"
    );
    assert!(
        message.contains("subjects with images are a, b, c"),
        "{message}"
    );
}

#[test]
fn labels_that_cannot_be_used_are_refused() {
    let folder = folder();
    let path = folder.path().join("b/seg.nii");
    label(&path, [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let message = refusal(&folder, &search());
    assert!(
        message.contains("b/seg.nii: label value -1, expected"),
        "{message}"
    );
    label(&path, [0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    assert!(refusal(&folder, &search()).contains("b/seg.nii"));
    label(&path, [0.0; 8]);
    label(&folder.path().join("a/seg.nii"), [0.0; 8]);
    let message = refusal(&folder, &search());
    assert!(
        message.contains("no voxel other than 0 in its 2 label files"),
        "{message}"
    );
}

fn described(folder: &TempDir, json: &str) -> Result<Manifest, String> {
    std::fs::write(folder.path().join("dataset.json"), json).unwrap();
    assert!(discover::is_described(folder.path()));
    let out = folder.path().join("dataset.toml");
    discover::described(folder.path(), &out).map_err(|e| e.to_string())
}

const NNUNET: &str = r#"{
    "channel_names": { "0": "T2", "1": "ADC" },
    "labels": { "background": 0, "PZ": 1, "TZ": 2 },
    "numTraining": 1,
    "file_ending": ".nii.gz"
}"#;

fn nnunet() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in [
        "imagesTr/prostate_00_0000.nii.gz",
        "imagesTr/prostate_00_0001.nii.gz",
        "imagesTr/._prostate_00_0000.nii.gz",
        "labelsTr/prostate_00.nii.gz",
        "imagesTs/prostate_03_0000.nii.gz",
        "imagesTs/prostate_03_0001.nii.gz",
        "labelsTs/prostate_03.nii.gz",
    ] {
        touch(folder.path().join(file));
    }
    folder
}

#[test]
fn an_nnunet_folder_is_understood() {
    let folder = nnunet();
    let text = described(&folder, NNUNET).unwrap().to_toml().unwrap();
    let expected = r#"modalities = ["T2", "ADC"]
classes = ["background", "PZ", "TZ"]
label_values = { 0 = "background", 1 = "PZ", 2 = "TZ" }

[[subject]]
id = "prostate_00"
images = { T2 = "imagesTr/prostate_00_0000.nii.gz", ADC = "imagesTr/prostate_00_0001.nii.gz" }
label = "labelsTr/prostate_00.nii.gz"

[[subject]]
id = "prostate_03"
images = { T2 = "imagesTs/prostate_03_0000.nii.gz", ADC = "imagesTs/prostate_03_0001.nii.gz" }
"#;
    assert_eq!(text.split_once('\n').unwrap().1, expected);
}

#[test]
fn an_nnunet_list_of_files_is_understood() {
    let folder = nnunet();
    touch(folder.path().join("elsewhere/x_T2.nii.gz"));
    let cases = r#""labels": { "background": 0, "gland": [1, 2] }, "dataset": { "x": {
        "images": ["elsewhere/x_T2.nii.gz", "./imagesTr/prostate_00_0001.nii.gz"],
        "label": "labelsTr/prostate_00.nii.gz" } }, "numTraining""#;
    let start = NNUNET.find("\"labels\"").unwrap();
    let end = NNUNET.find("\"numTraining\"").unwrap() + "\"numTraining\"".len();
    let json = format!("{}{cases}{}", &NNUNET[..start], &NNUNET[end..]);
    let manifest = described(&folder, &json).unwrap();
    assert_eq!(manifest.classes, ["background", "gland"]);
    assert_eq!(manifest.class_of(2), Some(1));
    let subject = manifest.subject("x").unwrap();
    let t2 = folder.path().join("elsewhere/x_T2.nii.gz");
    assert_eq!(subject.images["T2"].path, t2);
    assert_eq!(manifest.subjects.len(), 2);
}

const DECATHLON: &str = r#"{
    "name": "BRATS",
    "tensorImageSize": "4D",
    "modality": { "0": "FLAIR", "1": "T1w" },
    "labels": { "0": "background", "1": "edema" },
    "training": [{ "image": "./imagesTr/BRATS_457.nii.gz", "label": "./labelsTr/BRATS_457.nii.gz" }],
    "test": ["./imagesTs/BRATS_001.nii.gz"]
}"#;

#[test]
fn a_decathlon_folder_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    for file in [
        "imagesTr/BRATS_457.nii.gz",
        "labelsTr/BRATS_457.nii.gz",
        "imagesTs/BRATS_001.nii.gz",
    ] {
        touch(folder.path().join(file));
    }
    let text = described(&folder, DECATHLON).unwrap().to_toml().unwrap();
    let expected = r#"name = "BRATS"
modalities = ["FLAIR", "T1w"]
classes = ["background", "edema"]
label_values = { 0 = "background", 1 = "edema" }

[[subject]]
id = "BRATS_457"
images = { FLAIR = "imagesTr/BRATS_457.nii.gz#0", T1w = "imagesTr/BRATS_457.nii.gz#1" }
label = "labelsTr/BRATS_457.nii.gz"

[[subject]]
id = "BRATS_001"
images = { FLAIR = "imagesTs/BRATS_001.nii.gz#0", T1w = "imagesTs/BRATS_001.nii.gz#1" }
"#;
    assert_eq!(text, expected);
}

#[test]
fn an_old_nnunet_folder_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    for file in [
        "imagesTr/BRATS_457_0000.nii.gz",
        "imagesTr/BRATS_457_0001.nii.gz",
        "labelsTr/BRATS_457.nii.gz",
    ] {
        touch(folder.path().join(file));
    }
    let json = DECATHLON.replace("\"./imagesTs/BRATS_001.nii.gz\"", "");
    let manifest = described(&folder, &json).unwrap();
    let image = &manifest.subjects[0].images["T1w"];
    let expected = folder.path().join("imagesTr/BRATS_457_0001.nii.gz");
    assert_eq!((&image.path, image.volume), (&expected, None));
}

#[test]
fn descriptions_that_cannot_be_used_are_refused() {
    let refused = |folder: &TempDir, from: &str, to: &str, expected: &str| {
        assert!(NNUNET.contains(from), "{from}");
        let message = described(folder, &NNUNET.replace(from, to)).unwrap_err();
        assert!(message.contains("dataset.json: "), "{message}");
        assert!(message.contains(expected), "{message}");
    };
    let folder = nnunet();
    refused(
        &folder,
        "\"TZ\": 2",
        "\"TZ\": 1",
        "with [1] as `PZ` and as `TZ`",
    );
    refused(&folder, "\"TZ\": 2", "\"TZ\": -2", "`TZ`: -2");
    refused(&folder, "\"background\": 0,", "", "without the value 0");
    refused(&folder, "\"labels\"", "\"label\"", "missing field `labels`");
    refused(
        &folder,
        "channel_names",
        "channels",
        "`channel_names` is absent",
    );
    refused(
        &folder,
        "\"1\": \"ADC\"",
        "\"2\": \"ADC\"",
        "without number 1",
    );
    refused(&folder, ".nii.gz", ".png", "`file_ending` is .png");
    refused(
        &folder,
        ", \"1\": \"ADC\"",
        "",
        "1 channels beside imagesTr/prostate_00_0001.nii.gz",
    );
    std::fs::remove_file(folder.path().join("labelsTr/prostate_00.nii.gz")).unwrap();
    refused(&folder, "T2", "T2", "the case `prostate_00` has no file");
    refused(&folder, "{", "", "cannot read");
}

#[test]
fn visits_of_bids_are_named_and_grouped_by_patient() {
    let folder = tempfile::tempdir().unwrap();
    for patient in ["p01", "p02"] {
        for visit in ["01", "02"] {
            let stem = format!("sub-{patient}/ses-{visit}/anat/sub-{patient}_ses-{visit}_FLAIR");
            touch(folder.path().join(format!("{stem}.nii")));
            let lesion = format!("derivatives/labels/{stem}_lesion-manual.nii");
            label(
                &folder.path().join(lesion),
                [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            );
        }
    }
    let second = "sub-p01/ses-02/anat/sub-p01_ses-02_acq-ax_FLAIR.nii";
    touch(folder.path().join(second));
    let pattern = "sub-*/ses-*/anat/sub-*_ses-*_FLAIR";
    let search = Search {
        images: vec![("FLAIR".to_owned(), format!("{pattern}.nii"))],
        label: Some(format!("derivatives/labels/{pattern}_lesion-manual.nii")),
        ..Search::default()
    };
    let manifest = find(&folder, &search).unwrap();
    let found: Vec<(&str, &str)> = (manifest.subjects.iter())
        .map(|s| (s.id.as_str(), s.group.as_deref().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("sub-p01_ses-01", "sub-p01"),
            ("sub-p01_ses-02", "sub-p01"),
            ("sub-p01_ses-02_acq-ax", "sub-p01"),
            ("sub-p02_ses-01", "sub-p02"),
            ("sub-p02_ses-02", "sub-p02"),
        ]
    );
    // The second acquisition has no label.
    assert_eq!(manifest.labelled().len(), 4);
    manifest.write().unwrap();
    assert_eq!(Manifest::read(&manifest.path).unwrap(), manifest);
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_utf_8_is_told() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let latin = std::ffi::OsStr::from_bytes(b"S\xf8rensen");
    let below = folder.path().join(latin);
    std::fs::create_dir(&below).unwrap();
    std::fs::write(below.join("FLAIR.nii"), "").unwrap();
    let message = refusal(&folder, &search());
    assert!(
        message.contains(r#"the name "S\xF8rensen" is not UTF-8"#),
        "{message}"
    );
}

#[test]
fn a_table_that_this_program_wrote_is_read_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("list.csv");
    label(
        &folder.path().join("seg.nii"),
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0],
    );
    let rows = [
        ["id", "group", "@T1", "label"],
        ["=1+1", "-5", "+a.nii", "seg.nii"],
        ["'=1", "-x", "b.nii", ""],
    ];
    let mut bytes = Vec::new();
    lacuna_record::table::write_rows(&mut bytes, rows).unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(
        text.contains("'@T1") && text.contains("\n'=1+1,-5,'+a.nii"),
        "{text}"
    );
    std::fs::write(&path, bytes).unwrap();
    let found = discover::from_list(&path, &[], &folder.path().join("out.toml")).unwrap();
    assert_eq!(found.modalities, ["@T1"]);
    let ids: Vec<&str> = found.subjects.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["=1+1", "'=1"]);
    assert_eq!(found.subjects[1].group.as_deref(), Some("-x"));
    assert_eq!(
        found.subjects[0].images["@T1"].path,
        folder.path().join("+a.nii")
    );
}
