//! `dataset`, `check`, `config` and `networks`.

mod harness;

use harness::{Place, RUN, phantoms};
use lacuna_data::manifest::Manifest;
use lacuna_io::{Reference, read_image, write_image, write_labels};
use lacuna_volume::Volume;

#[test]
fn a_manifest_from_patterns_is_that_of_the_cohort() {
    let place = Place::new();
    let said = place.ok(
        "dataset cohort --images T1=*/T1.nii.gz --images T2=*/T2.nii.gz FLAIR=*/FLAIR.nii.gz \
         --label */lesion.nii.gz --mask */brain_mask.nii.gz --classes lesion --out found.toml",
    );
    assert!(
        said.stdout.contains("2 subjects (2 with a label)"),
        "{said}"
    );
    assert!(said.stdout.contains("lacuna check found.toml"), "{said}");
    let found = Manifest::read(&place.path("found.toml")).unwrap();
    let expected = Manifest::read(&place.path("cohort/dataset.toml")).unwrap();
    assert_eq!(found.modalities, expected.modalities);
    assert_eq!(found.classes, expected.classes);
    assert_eq!(found.label_values, expected.label_values);
    for (found, expected) in found.subjects.iter().zip(&expected.subjects) {
        assert_eq!(found.id, expected.id);
        let whole = |p: &std::path::Path| p.canonicalize().unwrap();
        assert_eq!(
            found.label.as_deref().map(whole),
            expected.label.as_deref().map(whole)
        );
        assert_eq!(
            found.mask.as_deref().map(whole),
            expected.mask.as_deref().map(whole)
        );
        for (modality, image) in &found.images {
            assert_eq!(whole(&image.path), whole(&expected.images[modality].path));
        }
    }
    // Paths are relative to the manifest, so that both can move together.
    assert!(
        place
            .text("found.toml")
            .contains("\"cohort/sub-01/T1.nii.gz\"")
    );
    place.ok("check found.toml");
    place.ok("train run.toml --out run --set dataset=found.toml --set train.iterations=1");
}

#[test]
fn a_manifest_from_an_nnu_net_folder() {
    let place = Place::new();
    for folder in ["Dataset001/imagesTr", "Dataset001/labelsTr"] {
        std::fs::create_dir_all(place.path(folder)).unwrap();
    }
    for id in ["sub-01", "sub-02"] {
        let copy = |from: &str, to: String| {
            let from = place.path(format!("cohort/{id}/{from}.nii.gz"));
            std::fs::copy(from, place.path(format!("Dataset001/{to}"))).unwrap();
        };
        copy("T1", format!("imagesTr/{id}_0000.nii.gz"));
        copy("FLAIR", format!("imagesTr/{id}_0001.nii.gz"));
        copy("lesion", format!("labelsTr/{id}.nii.gz"));
    }
    place.write(
        "Dataset001/dataset.json",
        r#"{"channel_names": {"0": "T1", "1": "FLAIR"}, "labels": {"background": 0, "lesion": 1},
            "numTraining": 2, "file_ending": ".nii.gz"}"#,
    );
    place.ok("dataset Dataset001 --out nnunet.toml");
    let manifest = Manifest::read(&place.path("nnunet.toml")).unwrap();
    assert_eq!(manifest.modalities, ["T1", "FLAIR"]);
    assert_eq!(manifest.classes, ["background", "lesion"]);
    assert_eq!(manifest.subjects.len(), 2);
    place.ok("check nnunet.toml");
    place.ok("train run.toml --out run --set dataset=nnunet.toml --set train.iterations=1");
}

#[test]
fn patterns_that_match_wrongly() {
    let place = Place::new();
    let refused = |words: &str, parts: &[&str]| {
        place.refused(&format!("dataset {words} --out new.toml"), parts);
        assert!(!place.path("new.toml").exists());
    };
    refused("cohort", &["cohort", "--images", "neither dataset.json"]);
    refused(
        "cohort --images */T1.nii.gz",
        &["*/T1.nii.gz", "MODALITY=PATTERN"],
    );
    refused(
        "cohort --images T1=*/T9.nii.gz --label */lesion.nii.gz",
        &["cohort", "no file matches", "*/T9.nii.gz", "wildcards"],
    );
    refused(
        "cohort --images T1=*/T1.nii.gz",
        &["cohort", "classes are unknown", "label pattern"],
    );
    refused(
        "nowhere --images T1=*/T1.nii.gz --label */lesion.nii.gz",
        &["nowhere"],
    );
    std::fs::remove_file(place.path("cohort/sub-02/T2.nii.gz")).unwrap();
    refused(
        "cohort --images T1=*/T1.nii.gz --images T2=*/T2.nii.gz --label */lesion.nii.gz",
        &["cohort", "1 of 2 subjects", "sub-02 (T2)"],
    );
}

#[test]
fn a_sound_dataset_passes_the_check() {
    let place = Place::new();
    let checked = place.ok("check cohort/dataset.toml");
    for part in [
        "sub-01",
        "sub-02",
        "40x44x10",
        "2.00x2.50x4.00",
        "RAS",
        "0 error(s)",
    ] {
        assert!(checked.stdout.contains(part), "{part}: {checked}");
    }
    let report = place.ok("check cohort/dataset.toml --json").json();
    assert_eq!(report["labelled"], 2);
    assert_eq!(
        report["modalities"],
        serde_json::json!(["T1", "T2", "FLAIR"])
    );
    let label = &report["subjects"][0]["label"];
    // 5e-3 of 17600 voxels.
    assert_eq!(label["values"]["1"], 88);
    assert_eq!(label["foreground_share"], 5e-3);
    assert!(label["lesions"]["count"].as_u64().unwrap() > 0, "{label}");
    let share = 100.0 * 5e-3;
    assert!(checked.stdout.contains(&format!("{share:.4}")), "{checked}");
}

#[test]
fn the_check_finds_what_would_stop_a_run() {
    let place = Place::new();
    let path = place.path("cohort/sub-01/FLAIR.nii.gz");
    let mut image = read_image(&path).unwrap();
    image.data_mut()[5] = f32::NAN;
    write_image(&path, &image, &Reference::from_grid(&image.grid())).unwrap();
    let bytes = place.read("cohort/sub-02/T1.nii.gz");
    place.write("cohort/sub-02/T1.nii.gz", &bytes[..bytes.len() / 2]);
    let path = place.path("cohort/sub-02/lesion.nii.gz");
    let mut label = read_image(&path).unwrap().map(|v| *v as u8);
    label.data_mut()[7] = 9;
    write_labels(&path, &label, &Reference::from_grid(&label.grid())).unwrap();

    let checked = place.run("check cohort/dataset.toml");
    assert_eq!(checked.code, Some(1), "{checked}");
    assert!(!checked.stderr.contains("panicked"), "{checked}");
    let said = place.run("check cohort/dataset.toml --json");
    assert_eq!(said.code, Some(1), "{said}");
    let report = said.json();
    let problems: Vec<String> = (report["problems"].as_array().unwrap().iter())
        .filter(|p| p["severity"] == "error")
        .map(|p| format!("{} {} {}", p["subject"], p["file"], p["finding"]))
        .collect();
    let found = |parts: [&str; 3]| {
        problems
            .iter()
            .any(|p| parts.iter().all(|part| p.contains(part)))
    };
    assert!(found(["sub-01", "FLAIR.nii.gz", "NaN"]), "{problems:?}");
    assert!(
        found(["sub-02", "T1.nii.gz", "cut off or corrupt"]),
        "{problems:?}"
    );
    assert!(found(["sub-02", "lesion.nii.gz", "9"]), "{problems:?}");
    assert!(checked.stdout.contains("error: sub-01"), "{checked}");
    assert!(checked.stdout.contains("3 error(s)"), "{checked}");
}

#[test]
fn the_check_names_spacings_that_make_trouble() {
    let place = Place::new();
    // A header in metres that says millimetres; the lesion's says 2 voxels aside.
    for name in ["T1", "T2", "FLAIR", "brain_mask", "lesion"] {
        let path = place.path(format!("cohort/sub-02/{name}.nii.gz"));
        let image = read_image(&path).unwrap();
        let mut affine = *image.affine();
        for value in affine.0.iter_mut().flatten() {
            *value *= 100.0;
        }
        if name == "lesion" {
            affine.0[0][3] += 400.0;
        }
        let image = Volume::new(image.shape(), affine, image.into_data()).unwrap();
        write_image(&path, &image, &Reference::from_grid(&image.grid())).unwrap();
    }
    let checked = place.run("check cohort/dataset.toml");
    assert_eq!(checked.code, Some(1), "{checked}");
    for told in [
        // 2 x 2.5 x 4 mm.
        "voxels of 200.000x250.000x400.000 mm",
        "from 2.000 x 2.500 x 4.000 mm to 200.000 x 250.000 x 400.000 mm",
        "the corners of label lie up to 400.0000 mm from those of T1 (2.00 voxels)",
    ] {
        assert!(checked.stdout.contains(told), "{told}: {checked}");
    }
}

#[test]
fn a_verbose_command_tells_what_it_reads_and_writes() {
    let place = Place::new();
    let silent = place.ok("check cohort/dataset.toml");
    assert!(!silent.stderr.contains("reading: "), "{silent}");
    let told = place.ok("check cohort/dataset.toml --verbose");
    let read = told.stderr.lines().filter(|l| l.starts_with("reading: "));
    let mut read: Vec<&str> = read.map(|l| l.rsplit_once("cohort/").unwrap().1).collect();
    read.sort_unstable();
    read.dedup();
    let names = ["FLAIR", "T1", "T2", "brain_mask", "lesion"].map(|n| format!("{n}.nii.gz"));
    let all = ["sub-01", "sub-02"].map(|id| names.clone().map(|name| format!("{id}/{name}")));
    assert_eq!(read, all.as_flattened(), "{told}");
    let told = place.ok(
        "dataset cohort --images T1=*/T1.nii.gz --label */lesion.nii.gz --classes lesion \
         --out made.toml -v",
    );
    let bytes = place.read("made.toml").len();
    assert!(
        told.stderr
            .contains(&format!("written: made.toml, {bytes} bytes")),
        "{told}"
    );
    assert!(told.stderr.contains("threads: 1"), "{told}");
    let refused = place.run("check cohort/dataset.toml --verbose --quiet");
    assert_eq!(refused.code, Some(2), "{refused}");
}

#[test]
fn a_warning_does_not_fail_the_check() {
    let place = Place::new();
    let path = place.path("cohort/sub-01/lesion.nii.gz");
    let label = read_image(&path).unwrap().map(|_| 0u8);
    write_labels(&path, &label, &Reference::from_grid(&label.grid())).unwrap();
    // Twice the same image.
    let bytes = place.read("cohort/sub-01/T1.nii.gz");
    place.write("cohort/sub-02/T1.nii.gz", bytes);
    let checked = place.ok("check cohort/dataset.toml");
    assert!(checked.stdout.contains("warning: sub-01"), "{checked}");
    assert!(checked.stdout.contains("0 error(s)"), "{checked}");

    // What is found of the whole dataset has no place before it.
    let path = place.path("cohort/sub-02/lesion.nii.gz");
    write_labels(&path, &label, &Reference::from_grid(&label.grid())).unwrap();
    let checked = place.run("check cohort/dataset.toml");
    let line = "error: no label has any foreground";
    assert!(checked.stdout.contains(line), "{checked}");
}

#[test]
fn the_printed_configuration_is_a_run() {
    let place = Place::with(&phantoms([40, 44, 10]), RUN);
    let printed = place.ok("config");
    assert!(
        printed.stdout.contains("# The dataset manifest"),
        "{printed}"
    );
    place.write("default.toml", &printed.stdout);
    place.ok(
        "train default.toml --out run --set dataset=cohort/dataset.toml --set model.width=0.05 \
         --set train.iterations=1 --set patch.size=56",
    );
    let effective = place.text("run/run.toml");
    for line in [
        "size = 56",
        "width = 0.05",
        "method = \"white-matter\"",
        "batch = 3",
    ] {
        assert!(effective.contains(line), "{line}: {effective}");
    }
    // The effective configuration of a run is one too.
    place.ok("train run/run.toml --out again");
    let weights = |run: &str| place.read(format!("{run}/checkpoint-000001/weights.safetensors"));
    assert_eq!(weights("run"), weights("again"));
}

#[test]
fn the_networks_are_listed_with_their_borders() {
    let place = Place::empty();
    let listed = place.ok("networks").stdout;
    // Borders as Table 1 of Sudre et al. 2017 has them: patch minus effective patch.
    for (name, border) in [
        ("unet", 40),
        ("padded-unet", 0),
        ("two-path-cnn", 32),
        ("deep-medic", 48),
        ("high-res-3d-net", 36),
    ] {
        let line = listed
            .lines()
            .find(|l| l.split_whitespace().next() == Some(name))
            .unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[2], border.to_string(), "{line}");
    }
}
