//! The main job on images of other formats than NIfTI.

mod harness;

use std::path::{Path, PathBuf};

use harness::Place;
use lacuna_data::manifest::Manifest;
use lacuna_io::{read, read_labels, read_reference, write_image, write_labels};

fn golden(folder: &str) -> PathBuf {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    golden.join(folder).canonicalize().unwrap()
}

/// The cohort of a place, each kind of file in another format.
fn converted(place: &Place) {
    for subject in ["sub-01", "sub-02"] {
        std::fs::create_dir_all(place.path(format!("other/{subject}"))).unwrap();
        let from = |name: &str| place.path(format!("cohort/{subject}/{name}.nii.gz"));
        let to = |name: &str| place.path(format!("other/{subject}/{name}"));
        for (name, file) in [("T1", "T1.mha"), ("T2", "T2.nrrd"), ("FLAIR", "FLAIR.mgz")] {
            let image = read(from(name)).unwrap();
            write_image(to(file), &image.volumes[0], &image.reference).unwrap();
        }
        for (name, file) in [("lesion", "lesion.nrrd"), ("brain_mask", "mask.mha")] {
            let labels = read_labels(from(name)).unwrap().map(|&v| v as u8);
            let reference = read_reference(from(name)).unwrap();
            write_labels(to(file), &labels, &reference).unwrap();
        }
    }
}

#[test]
fn a_cohort_of_any_format_makes_the_same_model() {
    let place = Place::new();
    converted(&place);
    place.ok(
        "dataset other --images T1=*/T1.mha --images T2=*/T2.nrrd FLAIR=*/FLAIR.mgz \
         --label */lesion.nrrd --mask */mask.mha --classes lesion --out other.toml",
    );
    place.ok("check other.toml");
    for (run, dataset) in [("nifti", "cohort/dataset.toml"), ("others", "other.toml")] {
        place.ok(&format!(
            "train run.toml --out {run} --set dataset={dataset}"
        ));
        place.ok(&format!(
            "predict {run} --dataset {dataset} --subjects sub-02 --probabilities --out {run}-p"
        ));
    }
    for name in ["sub-02.nii.gz", "sub-02.probabilities.nii.gz"] {
        let of = |run: &str| read(place.path(format!("{run}-p/{name}"))).unwrap();
        let (nifti, others) = (of("nifti"), of("others"));
        assert_eq!(nifti.volumes.len(), others.volumes.len());
        for (a, b) in nifti.volumes.iter().zip(&others.volumes) {
            assert!(a.data() == b.data(), "{name}");
        }
    }

    let images = "--image T1=other/sub-02/T1.mha --image T2=other/sub-02/T2.nrrd \
                  --image FLAIR=other/sub-02/FLAIR.mgz --mask other/sub-02/mask.mha";
    for ending in ["nrrd", "mha", "mgz", "nii", "seg.nrrd"] {
        place.ok(&format!(
            "predict others {images} --probabilities --force --out one.{ending}"
        ));
        let labels = read_labels(place.path(format!("one.{ending}"))).unwrap();
        let expected = read_labels(place.path("others-p/sub-02.nii.gz")).unwrap();
        assert!(labels.data() == expected.data(), "{ending}");
        let maps = match ending {
            "nii" => "nii.gz",
            "seg.nrrd" => "nrrd",
            ending => ending,
        };
        let probabilities = read(place.path(format!("one.probabilities.{maps}"))).unwrap();
        assert_eq!(probabilities.volumes.len(), 2);
    }
    place.refused(
        &format!("predict others {images} --out one.png"),
        &["--out one.png", ".nrrd", ".mha"],
    );
    // Images of no series cannot become a segmentation of one.
    place.refused(
        &format!("predict others {images} --out one.dcm"),
        &["one.dcm", "folder of a series"],
    );
    let header = std::fs::read(place.path("one.seg.nrrd")).unwrap();
    let header = String::from_utf8_lossy(&header);
    assert!(header.contains("\nSegment0_Name:=lesion\n"), "{header}");
}

#[test]
fn a_dataset_is_predicted_scored_and_compared_in_any_format() {
    let place = Place::new();
    place.ok("train run.toml --out run");
    let predict = "predict run --dataset cohort/dataset.toml --split test --probabilities";
    let scores = |of: &str| {
        place.ok(&format!(
            "evaluate --dataset cohort/dataset.toml --predictions {of} --out {of}-e"
        ));
        ["scores.csv", "froc.csv", "average_precision.csv"]
            .map(|table| place.text(format!("{of}-e/{table}")))
    };
    place.ok(&format!("{predict} --out plain"));
    let expected = scores("plain");
    for (format, maps) in [("seg.nrrd", "nrrd"), ("mgz", "mgz")] {
        place.ok(&format!("{predict} --format {format} --out {format}"));
        let files = [
            format!("sub-02.{format}"),
            format!("sub-02.probabilities.{maps}"),
            "predictions.json".to_owned(),
        ];
        let found = std::fs::read_dir(place.path(format)).unwrap().count();
        assert_eq!(found, files.len());
        for file in files {
            assert!(place.path(format!("{format}/{file}")).exists(), "{file}");
        }
        assert_eq!(scores(format), expected);
    }
    // Its own are left, and those of another ending are another maker's.
    place.ok(&format!("{predict} --format mgz --skip-existing --out mgz"));
    place.refused(
        &format!("{predict} --out mgz"),
        &["of another ending", "--force"],
    );
    place.ok(&format!("{predict} --force --out mgz"));
    assert!(!place.path("mgz/sub-02.mgz").exists());
    place.ok("compare plain seg.nrrd --dataset cohort/dataset.toml --out compared");
    let unknown = place.run(&format!("{predict} --format png --out png"));
    assert_eq!(unknown.code, Some(2), "{unknown}");
    assert!(unknown.stderr.contains("seg.nrrd, nii.gz"), "{unknown}");

    // Those of another program are found by name; two of one subject are not chosen from.
    std::fs::create_dir(place.path("foreign")).unwrap();
    let from = place.path("seg.nrrd/sub-02.seg.nrrd");
    std::fs::copy(&from, place.path("foreign/sub-02.seg.nrrd")).unwrap();
    let evaluate = "evaluate --dataset cohort/dataset.toml --predictions foreign \
                    --subjects sub-02 --out foreign-e";
    place.ok(evaluate);
    assert_eq!(place.text("foreign-e/scores.csv"), expected[0]);
    std::fs::copy(&from, place.path("foreign/sub-02.nrrd")).unwrap();
    place.refused(evaluate, &["sub-02.seg.nrrd and", "remove all but one"]);
}

#[test]
fn a_series_gets_a_segmentation_that_can_be_a_label() {
    let place = Place::new();
    place.ok("train run.toml --out run");
    let series = golden("dicom").join("jpeg2000");
    let series = series.display();
    place.write(
        "ct.toml",
        format!(
            "name = 'ct'\nmodalities = ['T1', 'T2', 'FLAIR']\nclasses = ['background', 'lesion']\n\
             [[subject]]\nid = 'a'\nlabel = 'a.dcm'\n\
             images = {{ T1 = '{series}', T2 = '{series}', FLAIR = '{series}' }}\n"
        ),
    );
    let images = format!("--image T1={series} --image T2={series} --image FLAIR={series}");
    place.ok(&format!("predict run {images} --probabilities --out a.dcm"));
    place.ok(&format!("predict run {images} --out a.nii.gz"));
    let [found, expected] = ["a.dcm", "a.nii.gz"].map(|f| read_labels(place.path(f)).unwrap());
    assert!(found.data() == expected.data());
    assert!(place.path("a.probabilities.nii.gz").exists());
    place.run("check ct.toml");
    place.ok("predict run --dataset ct.toml --format dcm --out p");
    place.ok("evaluate --dataset ct.toml --predictions p --out e");
    let scores = place.text("e/scores.csv");
    assert!(scores.contains("a,lesion,1,"), "{scores}");
}

#[test]
fn a_dataset_becomes_a_folder_of_nnunet() {
    let place = Place::new();
    place.write(
        "folds.json",
        r#"[{"train": ["sub-01"], "val": ["sub-02"]}]"#,
    );
    place.ok("export nnunet cohort/dataset.toml --splits folds.json --out Dataset001_phantom");
    place.ok("dataset Dataset001_phantom --out again.toml");
    let again = Manifest::read(&place.path("again.toml")).unwrap();
    let first = Manifest::read(&place.path("cohort/dataset.toml")).unwrap();
    assert_eq!(again.modalities, first.modalities);
    assert_eq!(again.classes, first.classes);
    for (subject, of) in again.subjects.iter().zip(&first.subjects) {
        assert_eq!(subject.id, of.id);
        let [found, expected] =
            [subject, of].map(|s| read_labels(s.label.as_ref().unwrap()).unwrap());
        assert!(found.data() == expected.data() && found.affine() == expected.affine());
    }
    assert!(place.path("Dataset001_phantom/splits_final.json").exists());
    place.ok("check again.toml");
    place.refused(
        "export nnunet cohort/dataset.toml --out Dataset001_phantom",
        &["is there already"],
    );
    place.refused(
        "export nnunet cohort/dataset.toml --out phantom",
        &["DatasetNNN_NAME"],
    );
    let bare = place.run("export");
    assert_eq!(bare.code, Some(2), "{bare}");
    assert!(bare.stderr.contains("<FILE>"), "{bare}");
}

#[test]
fn folders_of_slices_and_colours_become_subjects() {
    let place = Place::empty();
    let dicom = golden("dicom");
    place.ok(&format!(
        "dataset {} --images CT=*plicit/ --classes lesion --out ct.toml",
        dicom.display()
    ));
    let manifest = Manifest::read(&place.path("ct.toml")).unwrap();
    let ids: Vec<&str> = manifest.subjects.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["ex", "im"]);
    let said = place.ok("check ct.toml");
    assert!(said.stdout.contains("the voxels are the same"), "{said}");
    place.ok(&format!(
        "dataset {} --images CT=*wice/ --classes lesion --out bad.toml",
        dicom.display()
    ));
    let bad = place.run("check bad.toml");
    assert_eq!(bad.code, Some(1), "{bad}");
    assert!(bad.stdout.contains("two slices in one place"), "{bad}");

    let pictures = golden("formats");
    let dataset = |images: &str| {
        place.ok(&format!(
            "dataset {} --images {images} --label 4bit*.png --classes spot --force --out photo.toml",
            pictures.display()
        ))
    };
    dataset("photo=colour*.png");
    let manifest = Manifest::read(&place.path("photo.toml")).unwrap();
    assert_eq!(
        manifest.modalities,
        ["photo-red", "photo-green", "photo-blue"]
    );
    let blue = &manifest.subjects[0].images["photo-blue"];
    assert_eq!(blue.volume, Some(2));
    dataset("green=colour*.png#1");
    let manifest = Manifest::read(&place.path("photo.toml")).unwrap();
    assert_eq!(manifest.modalities, ["green"]);
    assert_eq!(manifest.subjects[0].images["green"].volume, Some(1));
}

#[test]
fn images_may_be_brought_onto_the_grid_of_one() {
    let place = Place::new();
    // T2 with every second voxel along x.
    for subject in ["sub-01", "sub-02"] {
        let path = place.path(format!("cohort/{subject}/T2.nii.gz"));
        let image = read(&path).unwrap().volumes.remove(0);
        let [nx, ny, nz] = image.shape();
        let mut affine = *image.affine();
        affine.0.iter_mut().for_each(|row| row[0] *= 2.0);
        let half = image.data().iter().step_by(2).copied().collect();
        let half = lacuna_volume::Volume::new([nx / 2, ny, nz], affine, half).unwrap();
        let reference = lacuna_io::Reference::from_grid(&half.grid());
        write_image(&path, &half, &reference).unwrap();
    }
    let refused = place.run("check cohort/dataset.toml");
    assert_eq!(refused.code, Some(1), "{refused}");
    let text = place.text("cohort/dataset.toml");
    place.write("cohort/dataset.toml", format!("grid = \"T1\"\n{text}"));
    let said = place.ok("check cohort/dataset.toml");
    assert!(
        said.stdout.contains("T2 lies on another grid than T1"),
        "{said}"
    );
    place.ok("train run.toml --out run");
    place.ok("predict run --dataset cohort/dataset.toml --out p");
    place.ok("evaluate --dataset cohort/dataset.toml --predictions p --out e");
    let labels = read_reference(place.path("p/sub-02.nii.gz")).unwrap();
    let t1 = read_reference(place.path("cohort/sub-02/T1.nii.gz")).unwrap();
    assert_eq!(labels.grid(), t1.grid());
}

#[test]
fn a_table_names_the_subjects() {
    let place = Place::new();
    let row = |id: &str| {
        let file = |name: &str| format!("cohort/{id}/{name}.nii.gz");
        format!(
            "{id},patient,{},{},{}\n",
            file("lesion"),
            file("FLAIR"),
            file("T1")
        )
    };
    let header = "\u{feff}id, group,label,FLAIR,T1\n";
    place.write(
        "list.csv",
        format!("{header}{}{}", row("sub-01"), row("sub-02")),
    );
    place.ok("dataset list.csv --classes lesion --out list.toml");
    let manifest = Manifest::read(&place.path("list.toml")).unwrap();
    assert_eq!(manifest.modalities, ["FLAIR", "T1"]);
    assert_eq!(manifest.subjects[1].group.as_deref(), Some("patient"));
    place.ok("check list.toml");
    place.write("tabs.tsv", "id\tT1\na\tcohort/sub-01/T1.nii.gz\n");
    place.ok("dataset tabs.tsv --classes lesion --out tabs.toml");

    for (text, parts) in [
        (
            "subject,T1\na,b\n",
            ["line 1: the columns subject, T1", "`id`"],
        ),
        (
            "id,T1,T1\na,b,c\n",
            ["line 1: the column \"T1\"", "each name once"],
        ),
        ("id,T1\na\n", ["line 2", "a cell for each column"]),
    ] {
        place.write("bad.csv", text);
        place.refused("dataset bad.csv --classes lesion --out bad.toml", &parts);
    }
    let with = "dataset list.csv --images T1=*.nii --out other.toml";
    place.refused(with, &["list.csv", "leave out the patterns"]);
}
