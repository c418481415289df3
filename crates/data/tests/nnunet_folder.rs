//! Datasets written as nnU-Net's raw folders, and read back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lacuna_data::discover::described;
use lacuna_data::manifest::{ImageRef, Manifest, Subject};
use lacuna_data::nnunet_folder::write_nnunet;
use lacuna_data::split::read_splits;
use lacuna_io::{Reference, read_image, read_labels, write_image, write_image_4d, write_labels};
use lacuna_volume::{Affine, Grid, Spacing, Volume};

const SHAPE: [usize; 3] = [3, 2, 2];

fn grid(shape: [usize; 3], edge: f64) -> Grid {
    Grid {
        shape,
        affine: Affine::from_spacing(Spacing([edge; 3])),
    }
}

fn ramp(grid: Grid, from: f32) -> Volume<f32> {
    let voxels = grid.shape.iter().product::<usize>();
    let data = (0..voxels).map(|v| from + v as f32).collect();
    Volume::new(grid.shape, grid.affine, data).unwrap()
}

/// Subjects a and b of one patient, labelled, and c to predict. T1 is the second volume of a 4-D file.
fn dataset(folder: &Path) -> Manifest {
    let grid = grid(SHAPE, 2.0);
    let reference = Reference::from_grid(&grid);
    let mut subjects = Vec::new();
    for id in ["a", "b", "c"] {
        let file = |name: &str| folder.join(format!("{id}-{name}.nii.gz"));
        write_image(file("flair"), &ramp(grid, 1.0), &reference).unwrap();
        let both = [ramp(grid, 50.0), ramp(grid, 100.0)];
        write_image_4d(file("4d"), &both, &reference).unwrap();
        let mut label = ramp(grid, 0.0).map(|_| 0u8);
        label.data_mut()[..3].copy_from_slice(&[5, 2, 7]);
        write_labels(file("label"), &label, &reference).unwrap();
        let mask = label.map(|v| u8::from(*v > 0));
        write_labels(file("mask"), &mask, &reference).unwrap();
        let t1 = ImageRef {
            path: file("4d"),
            volume: Some(1),
        };
        subjects.push(Subject {
            id: id.to_owned(),
            group: (id != "c").then(|| "patient".to_owned()),
            images: BTreeMap::from([
                ("FLAIR".to_owned(), file("flair").into()),
                ("T1".to_owned(), t1),
            ]),
            label: (id != "c").then(|| file("label")),
            mask: (id == "b").then(|| file("mask")),
            ..Subject::default()
        });
    }
    let names = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
    let values = [(0, "other"), (2, "core"), (5, "edge"), (7, "edge")];
    Manifest::new(
        &folder.join("dataset.toml"),
        "lesions".to_owned(),
        names(&["FLAIR", "T1"]),
        names(&["other", "edge", "core"]),
        values.map(|(v, n)| (v, n.to_owned())).into(),
        subjects,
    )
    .unwrap()
}

fn refusal(manifest: &Manifest, out: &Path, splits: Option<&Path>) -> String {
    let before = names(out.parent().unwrap());
    let error = write_nnunet(manifest, out, splits, &mut |_, _| {}).unwrap_err();
    assert_eq!(names(out.parent().unwrap()), before);
    error.to_string()
}

fn names(folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    names.sort();
    names
}

#[test]
fn a_folder_of_nnunet_reads_back_as_the_same_dataset() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = dataset(folder.path());
    let splits = folder.path().join("folds.json");
    std::fs::write(&splits, r#"[{"train": ["a"], "val": ["b"]}]"#).unwrap();
    let out = folder.path().join("Dataset007_x");
    // A group in both parts.
    let error = refusal(&manifest, &out, Some(&splits));
    assert!(error.contains("both of the group `patient`"), "{error}");

    let written = write_nnunet(&manifest, &out, None, &mut |_, _| {}).unwrap();
    assert_eq!((written.labelled, written.unlabelled), (2, 1));
    let notes = written.notes.join("\n");
    assert!(
        notes.contains("masks") && notes.contains("--splits"),
        "{notes}"
    );
    let text = std::fs::read_to_string(out.join("dataset.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let labels = serde_json::json!({ "background": 0, "edge": 1, "core": 2 });
    assert_eq!(json["labels"], labels);
    assert_eq!(
        json["channel_names"],
        serde_json::json!({ "0": "FLAIR", "1": "T1" })
    );
    assert_eq!(
        (&json["numTraining"], &json["file_ending"]),
        (&2.into(), &".nii.gz".into())
    );

    let read = described(&out, &folder.path().join("again.toml")).unwrap();
    assert_eq!(
        (&read.name, &read.modalities),
        (&manifest.name, &manifest.modalities)
    );
    assert_eq!(read.classes, ["background", "edge", "core"]);
    let again = read.label_values.iter().map(|(v, n)| (*v, n.as_str()));
    assert!(again.eq([(0, "background"), (1, "edge"), (2, "core")]));
    for (subject, of) in read.subjects.iter().zip(&manifest.subjects) {
        assert_eq!(
            (&subject.id, subject.label.is_some()),
            (&of.id, of.label.is_some())
        );
        for modality in &manifest.modalities {
            let image = subject.images[modality].read().unwrap();
            let expected = of.images[modality].read().unwrap();
            assert_eq!(image.affine(), expected.affine());
            let inside = if of.id == "b" { 3 } else { 12 };
            assert_eq!(image.data()[..inside], expected.data()[..inside]);
            assert!(image.data()[inside..].iter().all(|v| *v == 0.0));
        }
        if let (Some(label), Some(expected)) = (&subject.label, &of.label) {
            let classes = |manifest: &Manifest, file: &Path| {
                let values = read_labels(file).unwrap();
                manifest.map_labels(subject, &values).unwrap()
            };
            let label = classes(&read, label);
            assert_eq!(label.data(), classes(&manifest, expected).data());
            assert_eq!(label.data()[..4], [1, 2, 1, 0]);
        }
    }
    assert!(refusal(&manifest, &out, None).contains("is there already"));
    assert!(refusal(&manifest, &folder.path().join("Dataset7_x"), None).contains("DatasetNNN"));

    let mut apart = manifest.clone();
    apart.subjects[1].group = None;
    let out = folder.path().join("Dataset008_x");
    write_nnunet(&apart, &out, Some(&splits), &mut |_, _| {}).unwrap();
    let folds = read_splits(&out.join("splits_final.json"), &read.labelled()).unwrap();
    assert_eq!(
        (folds[0].train.as_slice(), folds[0].validation.as_slice()),
        (&["a".to_owned()][..], &["b".to_owned()][..])
    );
}

#[test]
fn images_on_other_grids_are_brought_onto_one_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = dataset(folder.path());
    let fine = grid([6, 4, 4], 1.0);
    let file = &manifest.subjects[2].images["FLAIR"].path;
    write_image(file, &ramp(fine, 0.0), &Reference::from_grid(&fine)).unwrap();
    let out = folder.path().join("Dataset001_x");
    let error = refusal(&manifest, &out, None);
    assert!(
        error.contains("subject c") && error.contains("`grid`"),
        "{error}"
    );
    let manifest = manifest.with_grid("T1".to_owned()).unwrap();
    write_nnunet(&manifest, &out, None, &mut |_, _| {}).unwrap();
    let image = read_image(out.join("imagesTs/c_0000.nii.gz")).unwrap();
    // Every second voxel of every second row of every second slice of a ramp.
    assert_eq!(image.data()[..4], [0.0, 2.0, 4.0, 12.0]);
    assert_eq!(image.shape(), SHAPE);
}

#[test]
fn reserved_names_of_classes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = dataset(folder.path());
    let classes = vec!["other".to_owned(), "ignore".to_owned()];
    let values = (0..).zip(classes.iter().cloned()).collect();
    let manifest = Manifest::new(
        &manifest.path,
        manifest.name.clone(),
        manifest.modalities.clone(),
        classes,
        values,
        manifest.subjects.clone(),
    );
    let error = refusal(
        &manifest.unwrap(),
        &folder.path().join("Dataset001_x"),
        None,
    );
    assert!(
        error.contains("`ignore`") && error.contains("rename"),
        "{error}"
    );
}
