//! The manifest's written form, what it refuses, and its label values.

use std::path::{Path, PathBuf};

use lacuna_data::manifest::{ImageRef, Manifest, ManifestError, closest};
use lacuna_volume::{Affine, Volume};

/// The form that the format's specification shows.
const BRATS: &str = r#"
name = "brats2015"
modalities = ["FLAIR", "T1c"]
classes = ["background", "tumour"]
label_values = { 0 = "background", 1 = "tumour", 2 = "tumour", 3 = "tumour", 4 = "tumour" }
[[subject]]
id = "pat0003"
images = { FLAIR = "pat0003/FLAIR.nii.gz", T1c = "pat0003/T1c.nii.gz" }
label = "pat0003/tumour.nii.gz"       # absent for subjects to predict
mask = "pat0003/brain_mask.nii.gz"
[[subject]]
id = "pat0004"
images = { FLAIR = "pat0004/4d.nii.gz#0", T1c = "pat0004/4d.nii.gz#1" }
white_matter = "pat0004/wm.nii.gz"
weight = "../weights/pat0004.nii.gz"
"#;

fn write(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("dataset.toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn read(text: &str) -> Result<Manifest, ManifestError> {
    let folder = tempfile::tempdir().unwrap();
    Manifest::read(&write(folder.path(), text))
}

/// The message for [`BRATS`] with `from` replaced, without the folder's name.
fn refusal(from: &str, to: &str) -> String {
    assert!(BRATS.contains(from), "{from}");
    let message = read(&BRATS.replace(from, to)).unwrap_err().to_string();
    let at = message.find("dataset.toml: ").expect("names the file");
    message[at + "dataset.toml: ".len()..].to_owned()
}

#[test]
fn the_specified_form_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = Manifest::read(&write(folder.path(), BRATS)).unwrap();
    assert_eq!(manifest.name, "brats2015");
    assert_eq!(manifest.modalities, ["FLAIR", "T1c"]);
    assert_eq!(manifest.folder, folder.path());
    let first = manifest.subject("pat0003").unwrap();
    let t1c = folder.path().join("pat0003/T1c.nii.gz");
    assert_eq!(first.images["T1c"], ImageRef::from(t1c));
    assert_eq!(
        first.mask,
        Some(folder.path().join("pat0003/brain_mask.nii.gz"))
    );
    let second = manifest.subject("pat0004").unwrap();
    assert_eq!(second.label, None);
    assert_eq!(second.images["T1c"].volume, Some(1));
    assert_eq!(
        second.white_matter,
        Some(folder.path().join("pat0004/wm.nii.gz"))
    );
    let classes = [0, 1, 4, 5, -1, i32::MAX].map(|v| manifest.class_of(v));
    assert_eq!(classes, [Some(0), Some(1), Some(1), None, None, None]);
}

#[test]
fn label_values_default_to_the_class_indices() {
    let from = BRATS
        .lines()
        .find(|l| l.starts_with("label_values"))
        .unwrap();
    let manifest = read(&BRATS.replace(from, "")).unwrap();
    assert_eq!(
        [0, 1, 2].map(|v| manifest.class_of(v)),
        [Some(0), Some(1), None]
    );
}

#[test]
fn writing_and_reading_gives_the_same_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), BRATS);
    let manifest = Manifest::read(&path).unwrap();
    let text = manifest.to_toml().unwrap();
    assert!(
        text.contains(r#"images = { FLAIR = "pat0003/FLAIR.nii.gz", T1c = "pat0003/T1c.nii.gz" }"#),
        "{text}"
    );
    assert!(text.contains(r#"T1c = "pat0004/4d.nii.gz#1""#), "{text}");
    let mut again = Manifest::read(&write(folder.path(), &text)).unwrap();
    // The folder of `../weights` does not exist, so the way there is written in full.
    let weight = again.subjects[1].weight.take().unwrap();
    assert_eq!(weight, folder.path().join("../weights/pat0004.nii.gz"));
    again.subjects[1].weight = manifest.subjects[1].weight.clone();
    assert_eq!(again, manifest);
}

#[test]
fn odd_names_survive_writing() {
    let text = BRATS
        .replace("FLAIR =", "\"FLAIR \\\"2\\\"\" =")
        .replace("[\"FLAIR\"", "[\"FLAIR \\\"2\\\"\"")
        .replace("brats2015", "a \\\"b\\\" \\\\ é");
    let folder = tempfile::tempdir().unwrap();
    let manifest = Manifest::read(&write(folder.path(), &text)).unwrap();
    assert_eq!(manifest.modalities[0], "FLAIR \"2\"");
    let again = write(folder.path(), &manifest.to_toml().unwrap());
    let again = Manifest::read(&again).unwrap();
    assert_eq!(again.name, "a \"b\" \\ é");
    assert_eq!(again.modalities, manifest.modalities);
}

#[test]
fn a_manifest_beside_the_data_reaches_them_through_the_parent() {
    let root = tempfile::tempdir().unwrap();
    let (data, lists) = (root.path().join("data/a"), root.path().join("lists"));
    std::fs::create_dir_all(&data).unwrap();
    std::fs::create_dir(&lists).unwrap();
    let manifest = read(BRATS).unwrap();
    let mut subject = manifest.subjects[0].clone();
    for image in subject.images.values_mut() {
        image.path = data.join("i.nii");
    }
    subject.label = Some("/elsewhere/l.nii".into());
    subject.mask = None;
    let moved = Manifest::new(
        &lists.join("dataset.toml"),
        manifest.name,
        manifest.modalities,
        manifest.classes,
        manifest.label_values,
        vec![subject],
    );
    let text = moved.unwrap().to_toml().unwrap();
    assert!(text.contains("FLAIR = \"../data/a/i.nii\""), "{text}");
    assert!(text.contains("label = \"/elsewhere/l.nii\""), "{text}");
}

#[test]
fn unknown_keys_are_refused_with_a_suggestion() {
    assert_eq!(
        refusal("mask =", "maks ="),
        "unknown key `maks` in subject `pat0003` (did you mean `mask`?); expected one of id, \
         group, scanner, spacing, images, label, mask, weight, white_matter; correct or remove it"
    );
    assert!(
        refusal("label_values =", "label-values =").starts_with(
            "unknown key `label-values` at the top level (did you mean `label_values`?)"
        )
    );
    assert!(refusal("id = \"pat0003\"", "ids = \"a\"").contains("in [[subject]] number 1"));
}

#[test]
fn wrong_toml_shows_the_line() {
    let message = refusal("name = \"brats2015\"", "name = 3");
    assert!(
        message.contains("line 2") && message.contains("expected a string"),
        "{message}"
    );
    let message = refusal("name = \"brats2015\"", "");
    assert!(message.contains("missing field `name`"), "{message}");
    let message = refusal("id = \"pat0003\"", "id = \"a\"\nid = \"b\"");
    assert!(message.contains("duplicate key"), "{message}");
    let message = Manifest::read(Path::new("none/dataset.toml"))
        .unwrap_err()
        .to_string();
    assert!(
        message.starts_with("none/dataset.toml: cannot read"),
        "{message}"
    );
}

#[test]
fn bad_label_values_are_refused() {
    for key in ["-1", "65536", "01", "one", "1_0"] {
        let message = refusal("{ 0 =", &format!("{{ {key} ="));
        assert!(
            message.contains(&format!("key `{key}`, expected a whole number")),
            "{message}"
        );
    }
    assert_eq!(
        refusal("1 = \"tumour\"", "1 = \"tumor\""),
        "label_values gives 1 to the class `tumor` (did you mean `tumour`?); expected one of \
         background, tumour; correct the name or add it to `classes`"
    );
    assert!(refusal("0 = \"background\"", "0 = \"tumour\"").contains("the class `background`"));
}

#[test]
fn bad_lists_are_refused() {
    let message = refusal("[\"FLAIR\", \"T1c\"]", "[\"T1c\", \"T1c\"]");
    assert!(
        message.starts_with("`modalities` lists `T1c` twice"),
        "{message}"
    );
    let message = refusal("[\"FLAIR\", \"T1c\"]", "[]");
    assert!(
        message.starts_with("`modalities` has 0 entries"),
        "{message}"
    );
    let message = refusal("[\"background\", \"tumour\"]", "[\"background\"]");
    assert!(
        message.starts_with("`classes` has 1 entries, expected 2 to 255"),
        "{message}"
    );
    let many: Vec<String> = (0..256).map(|i| format!("\"c{i}\"")).collect();
    let message = refusal("\"background\", \"tumour\"", &many.join(","));
    assert!(
        message.starts_with("`classes` has 256 entries"),
        "{message}"
    );
    for (name, reason) in [("", "is empty"), ("a\\nb", "contains a control character")] {
        let message = refusal("\"FLAIR\", ", &format!("\"{name}\", "));
        assert!(
            message.starts_with("`modalities` has the name"),
            "{message}"
        );
        assert!(message.contains(reason), "{message}");
    }
    let none = &BRATS[..BRATS.find("[[subject]]").unwrap()];
    let message = read(none).unwrap_err().to_string();
    assert!(message.contains("`subject` has 0 entries"), "{message}");
}

#[test]
fn bad_subjects_are_refused() {
    assert!(refusal("pat0004\"\n", "pat0003\"\n").starts_with("`subject` lists `pat0003` twice"));
    for id in ["a/b", "..", " a", "a\\\\b", ""] {
        let message = refusal("id = \"pat0004\"", &format!("id = \"{id}\""));
        assert!(message.starts_with("`subject` has the name"), "{message}");
    }
    assert_eq!(
        refusal(", T1c = \"pat0003/T1c.nii.gz\"", ""),
        "subject `pat0003` has no image of T1c; expected one each of FLAIR, T1c; add the files, \
         or remove the subject or the modality"
    );
    assert!(refusal("T1c = \"pat0003", "T1C = \"pat0003").contains("`T1C` (did you mean `T1c`?)"));
    let message = refusal("mask = \"pat0003/brain_mask.nii.gz\"", "mask = \"\"");
    assert!(
        message.starts_with("subject `pat0003` has the file name \"\" for mask"),
        "{message}"
    );
    let message = read(BRATS)
        .unwrap()
        .subject("pat003")
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("no subject `pat003` among its 2 (did you mean `pat0003`?)"),
        "{message}"
    );
}

#[test]
fn labels_become_class_indices() {
    let manifest = read(BRATS).unwrap();
    let subject = &manifest.subjects[0];
    let values = Volume::new([2, 2, 2], Affine::identity(), vec![0, 1, 2, 3, 4, 0, 0, 1]).unwrap();
    let labels = manifest.map_labels(subject, &values).unwrap();
    assert_eq!(labels.data(), [0, 1, 1, 1, 1, 0, 0, 1]);

    let values = Volume::new([2, 2, 2], Affine::identity(), vec![0, 1, 0, 0, 4, 7, 9, 7]).unwrap();
    let message = manifest
        .map_labels(subject, &values)
        .unwrap_err()
        .to_string();
    let at = message.find("pat0003/tumour").unwrap();
    assert_eq!(
        message[at..],
        *"pat0003/tumour.nii.gz: subject `pat0003` has the label value 7 in 2 voxels, first at \
          [1, 0, 1]; expected one of 0, 1, 2, 3, 4; add the value to label_values in the manifest \
          or correct the label file"
    );
}

#[test]
fn a_volume_of_a_4d_file_is_named_by_a_number() {
    let image = ImageRef::parse("imagesTr/a.nii.gz#12");
    assert_eq!(
        (image.path.to_str(), image.volume),
        (Some("imagesTr/a.nii.gz"), Some(12))
    );
    assert_eq!(image.to_string(), "imagesTr/a.nii.gz#12");
    for plain in [
        "a#1.nii.gz",
        "a.nii#",
        "a.nii#+1",
        "a.nii#-1",
        "a.nii#99999999999999999999",
    ] {
        assert_eq!(ImageRef::parse(plain), ImageRef::from(PathBuf::from(plain)));
    }
}

#[test]
fn a_suggestion_is_near_or_absent() {
    let keys = ["images", "label", "mask"];
    assert_eq!(closest("lable", keys).as_deref(), Some("label"));
    assert_eq!(closest("MASK", keys).as_deref(), Some("mask"));
    assert_eq!(
        closest("pat3", ["pat02", "pat03"]).as_deref(),
        Some("pat03")
    );
    assert_eq!(closest("zzz", keys), None);
}

#[test]
fn pixels_have_the_edges_that_the_manifest_gives() {
    let formats = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/formats");
    let formats = formats.canonicalize().unwrap();
    let file = |name: &str| formats.join(name).display().to_string();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dataset.toml");
    let read = |top: &str, own: &str, image: &str| {
        let text = format!(
            "name = 'a'\nmodalities = ['grey']\nclasses = ['background', 'spot']\n{top}\n\
             [[subject]]\nid = 'a'\n{own}\nimages = {{ grey = '{}' }}\nlabel = '{}'\n",
            file(image),
            file("mask.png")
        );
        std::fs::write(&path, text).unwrap();
        Manifest::read(&path)
    };
    let spacing = "spacing = [0.01, 0.02]";
    let manifest = read("", "spacing = [0.5, 0.25]", "grey.png").unwrap();
    let both = read(spacing, "spacing = [0.5, 0.25]", "grey.png").unwrap();
    for (manifest, edges) in [
        (&manifest, [0.5, 0.25, 1.0]),
        (&both, [0.5, 0.25, 1.0]),
        (&read(spacing, "", "grey.png").unwrap(), [0.01, 0.02, 1.0]),
        (&read("", "", "grey.png").unwrap(), [1.0; 3]),
    ] {
        let subject = &manifest.subjects[0];
        let image = &subject.images["grey"];
        let label = subject.label.as_ref().unwrap();
        let near = |found: [f64; 3]| {
            assert!(
                (0..3).all(|a| (found[a] - edges[a]).abs() < 1e-7),
                "{found:?}"
            );
        };
        let reference = manifest.read_reference(subject, image).unwrap();
        near(reference.grid().spacing().0);
        let volume = manifest.read_image(subject, image).unwrap();
        near(volume.spacing().0);
        assert!(reference.grid().shows_the_voxels_of(&volume.grid()));
        near(manifest.read_labels(subject, label).unwrap().spacing().0);
        let again = folder.path().join("again.toml");
        std::fs::write(&again, manifest.to_toml().unwrap()).unwrap();
        let again = Manifest::read(&again).unwrap();
        // Paths are written relative to the manifest where they lie near it.
        let edges = |m: &Manifest| (m.spacing, m.subjects[0].spacing);
        assert_eq!(edges(&again), edges(manifest));
    }
    let error = read("spacing = [0.01, 0.0]", "", "grey.png")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("[0.01, 0.0] at the top level") && error.contains("above 0"),
        "{error}"
    );
    let error = read("", "spacing = [-1, 1]", "grey.png")
        .unwrap_err()
        .to_string();
    assert!(error.contains("in subject `a`"), "{error}");
    let own = read(spacing, "", "i2.nrrd").unwrap();
    let subject = &own.subjects[0];
    let error = own
        .read_image(subject, &subject.images["grey"])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("i2.nrrd has a spacing of its own") && error.contains("remove"),
        "{error}"
    );
}

#[test]
fn ids_that_share_a_file_or_name_none_are_refused() {
    for ending in [".probabilities", ".uncertainty"] {
        let message = refusal("id = \"pat0004\"", &format!("id = \"pat0003{ending}\""));
        assert!(message.contains("beside the prediction"), "{message}");
        read(&BRATS.replace("id = \"pat0004\"", &format!("id = \"pat0005{ending}\""))).unwrap();
    }
    let id = |bytes: usize| format!("id = \"{}\"", "é".repeat(bytes / 2));
    read(&BRATS.replace("id = \"pat0004\"", &id(200))).unwrap();
    let message = refusal("id = \"pat0004\"", &id(202));
    assert!(message.contains("more than 200 bytes"), "{message}");
}

#[test]
fn a_subject_named_twice_is_one() {
    let manifest = read(BRATS).unwrap();
    let ids = ["pat0004", "pat0003", "pat0004"].map(str::to_owned);
    let found = manifest.named(&ids).unwrap();
    assert_eq!(found, [&manifest.subjects[1], &manifest.subjects[0]]);
    manifest.named(&["pat".to_owned()]).unwrap_err();
}

#[test]
fn deep_tables_and_devices_are_refused() {
    let key = vec!["a"; 20_000].join(".");
    let message = read(&format!("{key} = 1\n{BRATS}"))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("line 1: tables in more than 64"),
        "{message}"
    );
    #[cfg(unix)]
    {
        let message = Manifest::read(Path::new("/dev/zero"))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("a pipe or a device, expected a file"),
            "{message}"
        );
    }
}
