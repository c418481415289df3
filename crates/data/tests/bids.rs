//! Manifests made from BIDS folders.

mod nifti_file;

use std::path::Path;

use lacuna_data::discover::{Search, by_bids, is_bids};
use lacuna_data::manifest::Manifest;
use nifti_file::UNIT;
use tempfile::TempDir;

/// Images are not opened, so they may be empty.
fn touch(folder: &Path, file: &str) {
    write(folder, file, "");
}

fn write(folder: &Path, file: &str, text: &str) {
    let path = folder.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn label(folder: &Path, file: &str, values: [f32; 8]) {
    nifti_file::write(&folder.join(file), &[2, 2, 2], UNIT, &values);
}

const LESION: [f32; 8] = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];

/// p01 with two sessions, p02 with one and without a label; FLAIR and T1w.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(
        root,
        "dataset_description.json",
        r#"{"Name": "ms", "BIDSVersion": "1.10.0"}"#,
    );
    for visit in ["sub-p01/ses-01", "sub-p01/ses-02", "sub-p02/ses-01"] {
        let stem = visit.replace('/', "_");
        for suffix in ["FLAIR", "T1w"] {
            touch(root, &format!("{visit}/anat/{stem}_{suffix}.nii.gz"));
            touch(root, &format!("{visit}/anat/{stem}_{suffix}.json"));
        }
        let brain = format!("derivatives/prep/{visit}/anat/{stem}");
        touch(root, &format!("{brain}_desc-brain_mask.nii.gz"));
        touch(root, &format!("{brain}_space-MNI_desc-brain_mask.nii.gz"));
        if stem.starts_with("sub-p01") {
            let lesion = format!("derivatives/manual/{visit}/anat/{stem}");
            label(root, &format!("{lesion}_label-lesion_mask.nii"), LESION);
        }
    }
    write(
        root,
        "participants.tsv",
        "participant_id\tage\tsite\nsub-p01\t30\tLyon\nsub-p02\t40\tn/a\n",
    );
    folder
}

fn found(folder: &TempDir, search: &Search) -> Result<(Manifest, String), String> {
    let out = folder.path().join("dataset.toml");
    let found = by_bids(folder.path(), search, &out);
    let (manifest, notes) = found.map_err(|e| e.to_string())?;
    Ok((manifest, notes.join("\n")))
}

fn images(texts: &[&str]) -> Search {
    let pairs = texts.iter().map(|text| text.split_once('=').unwrap());
    Search {
        images: pairs.map(|(m, p)| (m.to_owned(), p.to_owned())).collect(),
        ..Search::default()
    }
}

fn labelled(text: &str) -> Search {
    Search {
        label: Some(text.to_owned()),
        ..Search::default()
    }
}

#[test]
fn sessions_are_subjects_and_participants_groups() {
    let folder = folder();
    assert!(is_bids(folder.path()));
    let (manifest, notes) = found(&folder, &Search::default()).unwrap();
    let expected = r#"name = "ms"
modalities = ["FLAIR", "T1w"]
classes = ["background", "lesion"]
label_values = { 0 = "background", 1 = "lesion" }

[[subject]]
id = "sub-p01_ses-01"
group = "p01"
scanner = "Lyon"
images = { FLAIR = "sub-p01/ses-01/anat/sub-p01_ses-01_FLAIR.nii.gz", T1w = "sub-p01/ses-01/anat/sub-p01_ses-01_T1w.nii.gz" }
label = "derivatives/manual/sub-p01/ses-01/anat/sub-p01_ses-01_label-lesion_mask.nii"
mask = "derivatives/prep/sub-p01/ses-01/anat/sub-p01_ses-01_desc-brain_mask.nii.gz"
"#;
    let text = manifest.to_toml().unwrap();
    assert!(text.starts_with(expected), "{text}");
    let groups: Vec<_> = manifest
        .subjects
        .iter()
        .map(|s| s.group.as_deref())
        .collect();
    assert_eq!(groups, [Some("p01"), Some("p01"), Some("p02")]);
    let last = &manifest.subjects[2];
    assert_eq!((&last.scanner, &last.label), (&None, &None));
    for told in [
        "label: label-lesion_mask of manual, 2 of 3 subjects",
        "mask: desc-brain_mask of prep, 3 of 3 subjects",
        "scanner: the column `site` of participants.tsv, 2 subjects",
    ] {
        assert!(notes.contains(told), "{notes}");
    }
    let none = Search {
        mask: Some("none".to_owned()),
        ..images(&["F=FLAIR"])
    };
    let (manifest, _) = found(&folder, &none).unwrap();
    assert_eq!(
        (manifest.modalities, &manifest.subjects[0].mask),
        (vec!["F".to_owned()], &None)
    );
}

#[test]
fn without_sessions_participants_are_subjects() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(root, "dataset_description.json", "{}");
    touch(root, "sub-1/anat/sub-1_FLAIR.nii");
    label(
        root,
        "derivatives/sub-1/anat/sub-1_label-L_mask.nii",
        LESION,
    );
    let (manifest, _) = found(&folder, &Search::default()).unwrap();
    let subject = &manifest.subjects[0];
    assert_eq!((subject.id.as_str(), &subject.group), ("sub-1", &None));
    assert_eq!(manifest.classes, ["background", "lesion"]);
    assert!(subject.label.is_some());
}

#[test]
fn several_runs_are_for_the_user_to_choose() {
    let folder = folder();
    let root = folder.path();
    let anat = "sub-p01/ses-02/anat/sub-p01_ses-02";
    std::fs::remove_file(root.join(format!("{anat}_FLAIR.nii.gz"))).unwrap();
    touch(root, &format!("{anat}_run-01_FLAIR.nii.gz"));
    touch(root, &format!("{anat}_run-02_FLAIR.nii.gz"));
    let refused = found(&folder, &Search::default()).unwrap_err();
    for part in [
        "sub-p01_ses-02 has 2 files for FLAIR",
        "run-01_FLAIR, run-02_FLAIR",
        "choose with --images FLAIR=run-01_FLAIR",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
    // Sessions with one run, whose names have none, keep it.
    let (manifest, notes) = found(&folder, &images(&["FLAIR=run-2_FLAIR"])).unwrap();
    let paths: Vec<String> = manifest
        .subjects
        .iter()
        .map(|s| s.images["FLAIR"].to_string())
        .collect();
    assert!(
        paths[0].ends_with("sub-p01_ses-01_FLAIR.nii.gz"),
        "{paths:?}"
    );
    assert!(paths[1].ends_with("run-02_FLAIR.nii.gz"), "{paths:?}");
    assert!(
        notes.contains("not taken is run-01_FLAIR of 1 sessions"),
        "{notes}"
    );
    // A plain name goes before one with an acquisition.
    touch(root, "sub-p01/ses-01/anat/sub-p01_ses-01_acq-ax_T1w.nii.gz");
    let (manifest, notes) = found(&folder, &images(&["T1=T1w"])).unwrap();
    let path = manifest.subjects[0].images["T1"].to_string();
    assert!(path.ends_with("sub-p01_ses-01_T1w.nii.gz"), "{path}");
    assert!(notes.contains("--images T1=acq-ax_T1w takes it"), "{notes}");
}

#[test]
fn two_labels_of_a_session_are_for_the_user_to_choose() {
    let folder = folder();
    let root = folder.path();
    let other = "sub-p01/ses-01/anat/sub-p01_ses-01_label-lesion_mask.nii";
    label(root, &format!("derivatives/auto/{other}"), LESION);
    let refused = found(&folder, &Search::default()).unwrap_err();
    for part in [
        "2 files for label",
        "--label auto/label-lesion_mask",
        "manual/",
    ] {
        assert!(refused.contains(part), "{refused}");
    }
    let (manifest, _) = found(&folder, &labelled("manual/label-lesion_mask")).unwrap();
    assert_eq!(manifest.labelled().len(), 2);
    let refused = found(&folder, &labelled("manual/label-tumour_mask")).unwrap_err();
    assert!(refused.contains("label-tumour_mask"), "{refused}");
    for wrong in ["lesion.nii.gz", "sub-01_mask", "label-lesion"] {
        let refused = found(&folder, &labelled(wrong)).unwrap_err();
        assert!(
            refused.contains("entities and a suffix"),
            "{wrong}: {refused}"
        );
    }
}

#[test]
fn what_is_incomplete_is_left_out_and_told() {
    let folder = folder();
    let root = folder.path();
    std::fs::remove_file(root.join("sub-p02/ses-01/anat/sub-p02_ses-01_T1w.nii.gz")).unwrap();
    touch(root, "sub-p01/ses-01/anat/sub-p01_ses-01_T2star.nii.gz");
    touch(
        root,
        "sub-p01/ses-01/func/sub-p01_ses-01_task-rest_bold.nii.gz",
    );
    write(root, ".bidsignore", "*_ce-gd_*\n");
    touch(root, "sub-p01/ses-01/anat/sub-p01_ses-01_ce-gd_T1w.nii.gz");
    let orphan = "derivatives/manual/sub-p09/anat/sub-p09_label-lesion_mask.nii";
    label(root, orphan, LESION);
    let (manifest, notes) = found(&folder, &Search::default()).unwrap();
    assert_eq!((manifest.subjects.len(), manifest.modalities.len()), (2, 2));
    for told in [
        "1 sessions lack an image and are left out: sub-p02_ses-01 (T1w)",
        "T2star is left out, as 1 of 3 sessions",
        "1 images are left out by .bidsignore",
        "label: left out, as no image belongs to it: sub-p09",
    ] {
        assert!(notes.contains(told), "{told}: {notes}");
    }
    let refused = found(&folder, &images(&["T2=T2w"])).unwrap_err();
    assert!(
        refused.contains("no session has an image of each of T2"),
        "{refused}"
    );
    write(root, "participants.tsv", "participant_id\tsite\nsub-p01\n");
    let refused = found(&folder, &Search::default()).unwrap_err();
    assert!(refused.contains("participants.tsv, line 2"), "{refused}");
}

#[test]
fn segmentations_are_named_by_their_tables() {
    let folder = folder();
    let root = folder.path();
    let seg = "derivatives/seg/sub-p01/ses-01/anat/sub-p01_ses-01_dseg";
    label(
        root,
        &format!("{seg}.nii"),
        [0.0, 1.0, 7.0, 1.0, 0.0, 9.0, 0.0, 0.0],
    );
    write(
        root,
        "derivatives/seg/dseg.tsv",
        "index\tname\n0\tBackground\n1\tcore\n7\toedema\n8\tcyst\n",
    );
    let (manifest, notes) = found(&folder, &labelled("dseg")).unwrap();
    assert_eq!(
        manifest.classes,
        ["background", "core", "oedema", "label-9"]
    );
    assert_eq!(
        [0, 1, 7, 8, 9].map(|v| manifest.class_of(v)),
        [Some(0), Some(1), Some(2), None, Some(3)]
    );
    assert!(notes.contains("no table names the value 9"), "{notes}");
    // The nearer table wins.
    write(
        root,
        &format!("{seg}.tsv"),
        "index\tname\n1\ta\n7\tb\n9\tc\n",
    );
    let (manifest, _) = found(&folder, &labelled("seg/dseg")).unwrap();
    assert_eq!(manifest.classes, ["background", "a", "b", "c"]);
    write(root, &format!("{seg}.tsv"), "index\tname\nx\ta\n");
    let refused = found(&folder, &labelled("dseg")).unwrap_err();
    assert!(
        refused.contains("dseg.tsv, line 2") && refused.contains("\"x\""),
        "{refused}"
    );
}
