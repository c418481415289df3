//! Files that are there already: nothing that is read is written over, nothing of
//! another run is replaced unasked, and what is scored is what was written.

mod harness;

use harness::Place;
use lacuna_io::{Reference, read_image, write_labels};
use lacuna_volume::{LabelMap, Orientation};

const EVALUATE: &str = "evaluate --dataset cohort/dataset.toml --predictions pred --out eval";

fn trained() -> Place {
    let place = Place::new();
    place.ok("train run.toml --out run --set train.iterations=1");
    place
}

fn predict(subject: &str) -> String {
    format!("predict run --dataset cohort/dataset.toml --subjects {subject} --out pred")
}

#[test]
fn parts_are_scored_together_and_runs_are_never_mixed() {
    let place = trained();
    for subject in ["sub-01", "sub-02"] {
        place.ok(&predict(subject));
    }
    place.ok(EVALUATE);
    let scores = place.json("eval/summary.json");
    let subjects = scores["subjects"].as_array().unwrap();
    let ids: Vec<_> = subjects
        .iter()
        .map(|s| s["subject"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["sub-01", "sub-02"]);
    let list = place.json("pred/predictions.json");
    for (part, subject) in subjects.iter().enumerate() {
        let id = subject["subject"].as_str().unwrap();
        let file = &list["files"][id];
        assert_eq!(subject["prediction"]["run"], "run");
        assert_eq!(subject["prediction"]["sha256"], file["sha256"]);
        assert_eq!(subject["prediction"]["weights"], list["weights"]);
        assert_eq!(file["part"], part);
    }

    // Another run stays out, and one that is let in takes the first one's files away,
    // even when it fails before its first file.
    place.ok("train run.toml --out other --set train.iterations=1 --set seed=9");
    let before = place.read("pred/sub-01.nii.gz");
    let other = predict("sub-02").replace("predict run", "predict other");
    place.refused(&other, &["pred", "another run", "run after 1", "--force"]);
    assert_eq!(place.read("pred/sub-01.nii.gz"), before);
    let image = place.read("cohort/sub-02/T2.nii.gz");
    place.write("cohort/sub-02/T2.nii.gz", &image[..100]);
    place.refused(&format!("{other} --force"), &["T2.nii.gz"]);
    assert_eq!(place.names("pred"), ["predictions.json"]);
    place.refused(
        &EVALUATE.replace("--out eval", "--out new"),
        &["no prediction", "sub-02"],
    );
    place.write("cohort/sub-02/T2.nii.gz", &image);
    place.ok(&other);
    place.ok(EVALUATE);
}

#[test]
fn files_that_are_there_are_left_when_asked() {
    let place = trained();
    place.ok(&predict("sub-01"));
    let time = |place: &Place| {
        let file = place.path("pred/sub-01.nii.gz");
        std::fs::metadata(file).unwrap().modified().unwrap()
    };
    let before = time(&place);
    place.ok("predict run --dataset cohort/dataset.toml --out pred --skip-existing");
    assert_eq!(time(&place), before);
    assert_eq!(
        place.names("pred"),
        ["predictions.json", "sub-01.nii.gz", "sub-02.nii.gz"]
    );
}

#[test]
fn no_output_replaces_an_input() {
    let place = trained();
    // A folder whose labels have the names of predictions.
    for id in ["sub-01", "sub-02"] {
        let label = place.read(format!("cohort/{id}/lesion.nii.gz"));
        place.write(format!("labels/{id}.nii.gz"), &label);
    }
    let manifest = (place.text("cohort/dataset.toml"))
        .replace("sub-01/lesion.nii.gz", "../labels/sub-01.nii.gz")
        .replace("sub-02/lesion.nii.gz", "../labels/sub-02.nii.gz");
    place.write("cohort/flat.toml", manifest);
    let label = place.read("labels/sub-02.nii.gz");
    let words = "predict run --dataset cohort/flat.toml --out labels --force";
    place.refused(words, &["labels/sub-0", "reads it", "--out"]);
    assert_eq!(place.read("labels/sub-02.nii.gz"), label);

    let images = "--image T1=cohort/sub-02/T1.nii.gz --image T2=cohort/sub-02/T2.nii.gz \
                  --image FLAIR=cohort/sub-02/FLAIR.nii.gz";
    let image = place.read("cohort/sub-02/FLAIR.nii.gz");
    let onto = format!("predict run {images} --out cohort/sub-02/FLAIR.nii.gz --force");
    place.refused(&onto, &["FLAIR.nii.gz", "reads it"]);
    assert_eq!(place.read("cohort/sub-02/FLAIR.nii.gz"), image);
    // A file that nobody reads is replaced only when asked.
    place.write("seg.nii.gz", "mine");
    let seg = format!("predict run {images} --out seg.nii.gz");
    place.refused(&seg, &["seg.nii.gz", "there already", "--force"]);
    assert_eq!(place.text("seg.nii.gz"), "mine");
    place.ok(&format!("{seg} --force"));

    let manifest = place.text("cohort/dataset.toml");
    let dataset =
        "dataset cohort --images T1=*/T1.nii.gz --label */lesion.nii.gz --out cohort/dataset.toml";
    place.refused(dataset, &["cohort/dataset.toml", "differs", "--force"]);
    assert_eq!(place.text("cohort/dataset.toml"), manifest);
    place.ok(&format!("{dataset} --force"));
    place.ok(dataset);
}

#[test]
fn an_evaluation_replaces_its_own_former_self_alone() {
    let place = trained();
    place.ok(&predict("sub-02"));
    let summary = place.text("run/summary.json");
    let into_run = EVALUATE.replace("--out eval", "--out run --force");
    place.refused(&into_run, &["run/summary.json", "no evaluation"]);
    assert_eq!(place.text("run/summary.json"), summary);
    // Neither scores nor predictions are mixed with a run, finished or not.
    std::fs::remove_file(place.path("run/summary.json")).unwrap();
    let names = place.names("run");
    place.refused(&into_run, &["run", "run.toml", "--out"]);
    let predict_into_run = format!(
        "{} --force",
        predict("sub-02").replace("--out pred", "--out run")
    );
    place.refused(&predict_into_run, &["run", "run.toml", "--out"]);
    assert_eq!(place.names("run"), names);
    place.ok(EVALUATE);
    place.ok(EVALUATE);
    // Other predictions, here the reference itself.
    let label = place.read("cohort/sub-02/lesion.nii.gz");
    place.write("theirs/sub-02.nii.gz", &label);
    let theirs = "evaluate --dataset cohort/dataset.toml --predictions theirs --subjects sub-02";
    place.refused(
        &format!("{theirs} --out eval"),
        &["eval/summary.json", "--force"],
    );
    place.ok(&format!("{theirs} --out eval --force"));
    assert_eq!(
        place.json("eval/summary.json")["subjects"][0]["classes"][0]["dsc"],
        1.0
    );
    place.refused(
        &EVALUATE.replace("pred ", "none "),
        &["--predictions none", "no such folder"],
    );
}

#[test]
fn the_demo_writes_into_no_folder_that_is_in_use() {
    let place = Place::empty();
    place.write("mine/notes.txt", "notes");
    place.refused("demo --out mine", &["mine", "not empty", "notes.txt"]);
    assert_eq!(place.names("mine"), ["notes.txt"]);
}

/// Perfect predictions of another tool score 1 in every form that can be mapped.
#[test]
fn predictions_of_another_tool() {
    let place = Place::new();
    // A dataset of the values 0 and 255, and the same labels as predictions.
    place.edit("cohort/dataset.toml", "1 = \"lesion\"", "255 = \"lesion\"");
    let write = |name: String, labels: &LabelMap| {
        std::fs::create_dir_all(place.path(&name).parent().unwrap()).unwrap();
        write_labels(
            place.path(&name),
            labels,
            &Reference::from_grid(&labels.grid()),
        )
        .unwrap();
    };
    for id in ["sub-01", "sub-02"] {
        let name = format!("cohort/{id}/lesion.nii.gz");
        let indices = read_image(place.path(&name)).unwrap().map(|v| *v as u8);
        let values = indices.map(|v| 255 * v);
        write(name, &values);
        write(format!("values/{id}.nii.gz"), &values);
        write(format!("plain/{id}.nii"), &indices);
        let axes = Orientation::of(indices.affine());
        let mut turned = axes.to_canonical(&indices).unwrap();
        // The same voxels, from the last to the first along x.
        let mut affine = *turned.affine();
        let last = turned.shape()[0] as f64 - 1.0;
        for row in &mut affine.0 {
            row[3] += last * row[0];
            row[0] = -row[0];
        }
        let nx = turned.shape()[0];
        turned.data_mut().chunks_mut(nx).for_each(<[u8]>::reverse);
        let turned = LabelMap::new(turned.shape(), affine, turned.data().to_vec()).unwrap();
        write(format!("turned/{id}.nii.gz"), &turned);
    }
    for (folder, option) in [("values", " --label-values"), ("plain", ""), ("turned", "")] {
        let words = format!(
            "evaluate --dataset cohort/dataset.toml --predictions {folder} --out eval-{folder}{option}"
        );
        let said = place.ok(&words);
        assert!(said.stderr.contains("by file name"), "{said}");
        for subject in 0..2 {
            let scores = place.json(format!("eval-{folder}/summary.json"));
            assert_eq!(
                scores["subjects"][subject]["classes"][0]["dsc"], 1.0,
                "{folder}"
            );
        }
    }
    // Which of the two is meant is never guessed.
    place.refused(
        "evaluate --dataset cohort/dataset.toml --predictions values --out no",
        &["255", "0 to 1", "--label-values"],
    );
    place.ok(
        "evaluate --dataset cohort/dataset.toml --predictions plain --out no --subjects sub-01",
    );
    place.write("plain/sub-01.nii.gz", place.read("values/sub-01.nii.gz"));
    place.refused(
        "evaluate --dataset cohort/dataset.toml --predictions plain --out new",
        &[
            "plain/sub-01.nii.gz",
            "plain/sub-01.nii",
            "remove all but one",
        ],
    );
}

#[test]
fn the_version_has_a_commit() {
    let said = Place::empty().ok("--version");
    assert!(said.stdout.starts_with("lacuna 0.1.0"), "{said}");
}
