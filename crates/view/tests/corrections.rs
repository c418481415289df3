//! Saving corrections: what is written, and what is refused.

mod place;
mod running;

use std::path::Path;

use lacuna_data::manifest::Manifest;
use lacuna_io::{Reference, read_labels, write_image, write_labels};
use lacuna_record::{Correction, Start, sha256_of};
use lacuna_view::{Collection, Shown, Source};
use lacuna_volume::{Affine, Volume};
use place::Place;
use running::{Answer, Running};

fn shown(path: &Path, dataset: Option<&Path>) -> Shown {
    let source = Source {
        path,
        dataset,
        label_values: false,
    };
    Collection::open(&source).unwrap().into()
}

fn start(path: &Path, dataset: Option<&Path>, folder: &Path) -> Running {
    Running::of(shown(path, dataset).with_corrections(folder).unwrap())
}

fn refused(path: &Path, dataset: Option<&Path>, folder: &Path, part: &str) {
    let error = shown(path, dataset).with_corrections(folder).err().unwrap();
    let error = error.to_string();
    assert!(
        error.contains(part) && error.contains("--corrections"),
        "{error}"
    );
}

/// As the page sends it.
fn put(running: &Running, path: &str, classes: &[u8]) -> Answer {
    let origin = format!("http://{}", running.host());
    put_from(running, path, &origin, "application/octet-stream", classes)
}

fn put_from(running: &Running, path: &str, origin: &str, kind: &str, classes: &[u8]) -> Answer {
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: {}\r\n{}\r\nOrigin: {origin}\r\nContent-Type: {kind}\r\n\
         Content-Length: {}\r\n\r\n",
        running.host(),
        running.cookie(),
        classes.len()
    );
    running.send([head.as_bytes(), classes].concat())
}

#[test]
fn a_correction_is_saved_goes_on_and_can_be_trained_on() {
    let place = Place::new();
    let (folder, dataset) = (place.path("corrected"), place.path("dataset.toml"));
    let running = start(&place.predictions(), Some(&dataset), &folder);
    // It begins as the prediction, and the folder is not made before the first save.
    let detail = running.json("/subject/0");
    assert_eq!(detail["correction"]["started_from"], "prediction");
    assert_eq!(detail["correction"]["saves"], 0);
    assert_eq!(detail["correction"]["image"], "FLAIR");
    let mut classes = running.labels("/volume/0/correction");
    assert_eq!(classes, place.prediction());
    assert!(!folder.exists());

    // A false voxel away, a missed lesion of two voxels in.
    for (voxel, class) in [([6, 3, 2], 0), ([6, 1, 1], 1), ([6, 0, 1], 1)] {
        classes[Place::index(voxel)] = class;
    }
    let answer = put(&running, "/correction/0?saves=0", &classes);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let saved: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        (&saved["saves"], &saved["voxels_changed"]),
        (&1.into(), &3.into())
    );
    let file = folder.join("labels/sub-01.nii.gz");
    assert_eq!(saved["file"], file.to_str().unwrap());
    let written = read_labels(&file).unwrap();
    let image = lacuna_io::read_image(place.path("sub-01/FLAIR.nii.gz")).unwrap();
    assert_eq!(written.grid(), image.grid());
    let expected: Vec<i32> = classes.iter().map(|&class| class.into()).collect();
    assert_eq!(written.data(), expected);

    let correction = Correction::read(&folder, "sub-01").unwrap().unwrap();
    assert_eq!(correction.started_from, Start::Prediction);
    assert_eq!(correction.sha256, sha256_of(&file).unwrap());
    let source = correction.source.unwrap();
    assert_eq!(source.path, place.path("predictions/sub-01.nii.gz"));
    assert_eq!(source.sha256, sha256_of(&source.path).unwrap());
    assert_eq!(correction.provenance.version, env!("CARGO_PKG_VERSION"));

    // The manifest to train on: this label, and what else there was.
    let corrected = Manifest::read(&folder.join("dataset.toml")).unwrap();
    let label = corrected.subject("sub-01").unwrap().label.clone().unwrap();
    assert_eq!(label.canonicalize().unwrap(), file.canonicalize().unwrap());
    let second = corrected.subject("sub-02").unwrap();
    assert_eq!(second.label, None);
    assert!(second.images["T1"].path.exists());

    // Another window, which has seen no save, and this one, which has.
    let answer = put(&running, "/correction/0?saves=0", &classes);
    assert_eq!(answer.status, 409, "{}", answer.text());
    classes[Place::index([6, 3, 2])] = 1;
    let answer = put(&running, "/correction/0?saves=1", &classes);
    assert_eq!(answer.status, 200, "{}", answer.text());
    drop(running);

    // The viewer started again goes on.
    let running = start(&place.path("predictions"), Some(&dataset), &folder);
    assert_eq!(running.labels("/volume/0/correction"), classes);
    let detail = running.json("/subject/0");
    assert_eq!(detail["correction"]["saves"], 2);
    assert_eq!(detail["correction"]["voxels_changed"], 2);
    assert_eq!(running.json("/subjects")["subjects"][0]["corrected"], true);
    // What was judged is what was predicted.
    assert_eq!(running.labels("/volume/0/prediction"), place.prediction());
}

#[test]
fn a_reference_or_nothing_is_a_start_too() {
    let place = Place::new();
    let folder = place.path("corrected");
    let running = start(&place.path("dataset.toml"), None, &folder);
    assert_eq!(running.labels("/volume/0/correction"), place.reference());
    let detail = |number: usize| running.json(&format!("/subject/{number}"));
    assert_eq!(detail(0)["correction"]["started_from"], "reference");
    assert_eq!(running.labels("/volume/1/correction"), [0; 96]);
    assert_eq!(detail(1)["correction"]["started_from"], "nothing");
    let mut classes = [0; 96];
    classes[5] = 1;
    assert_eq!(put(&running, "/correction/1?saves=0", &classes).status, 200);
    let corrected = Manifest::read(&folder.join("dataset.toml")).unwrap();
    let first = corrected.subject("sub-01").unwrap().label.clone().unwrap();
    let reference = place.path("sub-01/lesion.nii.gz");
    assert_eq!(
        first.canonicalize().unwrap(),
        reference.canonicalize().unwrap()
    );
    assert!(corrected.subject("sub-02").unwrap().label.is_some());
}

/// What the manifest says beside its subjects goes along, and voxels that it leaves out stay so.
#[test]
fn voxels_that_are_left_out_stay_so_and_regions_go_along() {
    let place = Place::new();
    let reference = read_labels(place.path("sub-01/lesion.nii.gz")).unwrap();
    let out = Place::index([0, 0, 0]);
    let mut values = reference.map(|&value| value as u8);
    values.data_mut()[out] = 9;
    let grid = Reference::from_grid(&values.grid());
    write_labels(place.path("sub-01/lesion.nii.gz"), &values, &grid).unwrap();
    let dataset = place.path("dataset.toml");
    let text = std::fs::read_to_string(&dataset).unwrap();
    let more = "ignore = 9\n[[region]]\nname = \"whole\"\nclasses = [\"lesion\"]\n[[subject]]";
    std::fs::write(&dataset, text.replacen("[[subject]]", more, 1)).unwrap();

    let folder = place.path("corrected");
    let running = start(&dataset, None, &folder);
    let mut classes = running.labels("/volume/0/correction");
    // The page shows them as background.
    assert_eq!(classes[out], 0);
    classes[Place::index([5, 1, 1])] = 1;
    let answer = put(&running, "/correction/0?saves=0", &classes);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let saved = read_labels(folder.join("labels/sub-01.nii.gz")).unwrap();
    assert_eq!(saved.data()[out], 9);
    assert_eq!(saved.data()[Place::index([5, 1, 1])], 1);
    let corrected = Manifest::read(&folder.join("dataset.toml")).unwrap();
    let original = Manifest::read(&dataset).unwrap();
    assert_eq!(corrected.ignore, Some(9));
    assert_eq!(corrected.regions, original.regions);
    // And goes on from there.
    assert_eq!(running.labels("/volume/0/correction"), classes);
}

/// x of the file to the left, its second axis up, its third to the front; and label values
/// that are no class indices.
#[test]
fn voxels_stay_where_they_are_in_images_of_other_axes() {
    let place = Place::new();
    let affine = Affine([
        [-2.0, 0.0, 0.0, 30.0],
        [0.0, 0.0, 3.0, -7.0],
        [0.0, 1.0, 0.0, 4.0],
    ]);
    let image = Volume::filled([4, 3, 2], affine, 1.0f32).unwrap();
    let reference = Reference::from_grid(&image.grid());
    write_image(place.path("sub-01/lsa.nii.gz"), &image, &reference).unwrap();
    // The label in axes to the right, the front and up: shape 4 x 2 x 3, with one voxel at
    // (24, -4, 5) mm, which is (3, 1, 1) in the image.
    let ras = Affine([
        [2.0, 0.0, 0.0, 24.0],
        [0.0, 3.0, 0.0, -7.0],
        [0.0, 0.0, 1.0, 4.0],
    ]);
    let mut label = Volume::filled([4, 2, 3], ras, 0u8).unwrap();
    let here = label.index([0, 1, 1]);
    label.data_mut()[here] = 7;
    let reference = Reference::from_grid(&label.grid());
    write_labels(place.path("sub-01/ras.nii.gz"), &label, &reference).unwrap();
    let manifest = place.path("lsa.toml");
    let text = "name = \"lsa\"\nmodalities = [\"FLAIR\"]\nclasses = [\"background\", \"a\", \"b\"]\n\
                label_values = { 0 = \"background\", 3 = \"a\", 7 = \"b\", 9 = \"b\" }\n\
                [[subject]]\nid = \"s\"\nimages = { FLAIR = \"sub-01/lsa.nii.gz\" }\n\
                label = \"sub-01/ras.nii.gz\"\n";
    std::fs::write(&manifest, text).unwrap();
    let folder = place.path("corrected");
    let running = start(&manifest, None, &folder);
    let mut classes = running.labels("/volume/0/correction");
    // 3 + 4 x (1 + 3 x 1) = 19
    let mut expected = [0; 24];
    expected[19] = 2;
    assert_eq!(classes, expected);
    // (1, 2, 0) of the file, at (28, -7, 6) mm: 1 + 4 x 2 = 9.
    classes[9] = 1;
    let answer = put(&running, "/correction/0?saves=0", &classes);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let written = read_labels(folder.join("labels/s.nii.gz")).unwrap();
    assert_eq!(written.shape(), [4, 3, 2]);
    assert_eq!(written.affine(), &affine);
    let found: Vec<(usize, i32)> = (written.data().iter().copied().enumerate())
        .filter(|(_, value)| *value != 0)
        .collect();
    assert_eq!(found, [(9, 3), (19, 7)]);
    assert_eq!(running.labels("/volume/0/correction"), classes);
}

#[test]
fn only_this_page_writes_and_only_what_fits() {
    let place = Place::new();
    let folder = place.path("corrected");
    let running = start(&place.path("dataset.toml"), None, &folder);
    let octets = "application/octet-stream";
    let own = format!("http://{}", running.host());
    let path = "/correction/0?saves=0";
    for foreign in [
        "https://evil.example",
        "null",
        &format!("https://{}", running.host()),
    ] {
        let answer = put_from(&running, path, foreign, octets, &[0; 96]);
        assert_eq!(answer.status, 403, "{foreign}");
    }
    // Without any origin, as no browser sends it.
    let bare = running.ask(&format!("PUT {path}"), &["Content-Length: 0"]);
    assert_eq!(bare.status, 403);
    // Without the cookie, and to another host.
    let head = |host: &str, cookie: &str| {
        let own = format!("http://{host}");
        running.send(format!(
            "PUT {path} HTTP/1.1\r\nHost: {host}\r\n{cookie}Origin: {own}\r\n\
             Content-Type: {octets}\r\nContent-Length: 96\r\n\r\n"
        ))
    };
    assert_eq!(head(&running.host(), "").status, 403);
    let cookie = format!("{}\r\n", running.cookie());
    assert_eq!(head("evil.example", &cookie).status, 421);
    let form = "application/x-www-form-urlencoded";
    assert_eq!(put_from(&running, path, &own, form, &[0; 96]).status, 415);

    let answer = put(&running, path, &vec![0; 1 << 20]);
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert!(answer.text().contains("96 voxels"), "{}", answer.text());
    assert_eq!(put(&running, path, &[0; 95]).status, 400);
    let answer = put(&running, path, &[2; 96]);
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("no class 2"), "{}", answer.text());
    for (path, status) in [
        ("/correction/0", 400),
        ("/correction/0?saves=-1", 400),
        ("/correction/0?saves=00", 400),
        ("/correction/9?saves=0", 404),
        ("/correction/..%2f..%2fetc?saves=0", 404),
        ("/correction/../0?saves=0", 405),
        ("/volume/0/correction", 405),
        ("/subjects", 405),
        ("/", 405),
        ("/?token=0", 405),
    ] {
        assert_eq!(put(&running, path, &[0; 96]).status, status, "{path}");
    }
    assert!(!folder.exists(), "something was written");

    let without = Running::of(shown(&place.path("dataset.toml"), None));
    let answer = put(&without, path, &[0; 96]);
    assert_eq!(answer.status, 403);
    assert!(
        answer.text().contains("--corrections DIR"),
        "{}",
        answer.text()
    );
    assert_eq!(without.get("/volume/0/correction").status, 404);
}

#[test]
fn folders_that_cannot_take_corrections_are_told() {
    let place = Place::new();
    let dataset = place.path("dataset.toml");
    let predictions = place.predictions();
    // The dataset's own folder, that of the predictions, a file, a run.
    refused(
        &dataset,
        None,
        &place.path("."),
        "dataset.toml is what is looked at",
    );
    refused(&predictions, Some(&dataset), &predictions, "no corrections");
    refused(&dataset, None, &dataset, "is no folder");
    let run = place.path("run");
    std::fs::create_dir(&run).unwrap();
    std::fs::write(run.join("run.toml"), "").unwrap();
    refused(&dataset, None, &run, "it holds a run");
    if cfg!(target_os = "linux") {
        // Nobody, not even root, may make a folder there.
        let closed = Path::new("/proc/self/fdinfo/corrected");
        refused(
            &dataset,
            None,
            closed,
            "/proc/self/fdinfo cannot be written",
        );
    }

    let folder = place.path("corrected");
    let running = start(&dataset, None, &folder);
    assert_eq!(put(&running, "/correction/0?saves=0", &[0; 96]).status, 200);
    refused(&place.pictures(), None, &folder, "it holds corrections of");
    // Looking at the corrected dataset is well, but not correcting it into itself.
    let corrected = folder.join("dataset.toml");
    refused(&corrected, None, &folder, "its own dataset.toml");
    let again = start(&corrected, None, &place.path("again"));
    assert_eq!(again.labels("/volume/0/correction"), [0; 96]);
}

#[cfg(unix)]
#[test]
fn an_input_is_not_written_through_a_link() {
    let place = Place::new();
    let folder = place.path("corrected");
    let running = start(&place.path("dataset.toml"), None, &folder);
    std::fs::create_dir_all(folder.join("labels")).unwrap();
    let reference = place.path("sub-01/lesion.nii.gz");
    let before = std::fs::read(&reference).unwrap();
    std::os::unix::fs::symlink(&reference, folder.join("labels/sub-01.nii.gz")).unwrap();
    let answer = put(&running, "/correction/0?saves=0", &[0; 96]);
    assert_eq!(answer.status, 500);
    assert!(
        answer.text().contains("would be written over"),
        "{}",
        answer.text()
    );
    assert_eq!(std::fs::read(&reference).unwrap(), before);
}

#[test]
fn a_picture_gets_a_label_of_its_pixels() {
    let place = Place::new();
    let folder = place.path("corrected");
    let manifest = place.pictures();
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(
        &manifest,
        text.replace("[[subject]]", "spacing = [0.5, 0.25]\n[[subject]]"),
    )
    .unwrap();
    let running = start(&manifest, None, &folder);
    let answer = put(&running, "/correction/0?saves=0", &[0, 1, 0, 0, 0, 1]);
    assert_eq!(answer.status, 200, "{}", answer.text());
    let corrected = Manifest::read(&folder.join("dataset.toml")).unwrap();
    assert_eq!(corrected.spacing, Some([0.5, 0.25]));
    let subject = corrected.subject("a").unwrap();
    let label = corrected
        .read_labels(subject, subject.label.as_ref().unwrap())
        .unwrap();
    let image = corrected
        .read_image(subject, &subject.images["grey"])
        .unwrap();
    assert!(label.grid().shows_the_voxels_of(&image.grid()));
    assert_eq!(label.data(), [0, 1, 0, 0, 0, 1]);
}
