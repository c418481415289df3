//! Input that cannot be used: one clear message that names the file, what was
//! found, what was expected and the remedy, exit code 1, and nothing half done.

mod harness;

use harness::Place;
use lacuna_io::{Reference, read_image, write_image, write_labels};
use lacuna_volume::{Affine, LabelMap, Volume};

/// A run folder `run` of one iteration, for what comes after training.
fn trained() -> Place {
    let place = Place::new();
    place.ok("train run.toml --out run --set train.iterations=1");
    place
}

/// Changes an image of the cohort.
fn change(place: &Place, name: &str, change: impl Fn(Volume<f32>) -> Volume<f32>) {
    let path = place.path(format!("cohort/{name}"));
    let image = change(read_image(&path).unwrap());
    write_image(&path, &image, &Reference::from_grid(&image.grid())).unwrap();
}

/// Changes a label map of the cohort.
fn relabel(place: &Place, name: &str, change: impl Fn(LabelMap) -> LabelMap) {
    let path = place.path(format!("cohort/{name}"));
    let labels = change(read_image(&path).unwrap().map(|v| *v as u8));
    write_labels(&path, &labels, &Reference::from_grid(&labels.grid())).unwrap();
}

fn moved<T: Clone>(volume: &Volume<T>, mm: f64) -> Volume<T> {
    let mut affine: Affine = *volume.affine();
    affine.0[0][3] += mm;
    Volume::new(volume.shape(), affine, volume.data().to_vec()).unwrap()
}

/// Training is refused with these parts in the message, and leaves no folder.
fn no_training(place: &Place, set: &str, parts: &[&str]) {
    place.refused(&format!("train run.toml --out run {set}"), parts);
    assert!(!place.path("run").exists(), "a folder was left behind");
}

// ---------------------------------------------------------------- image files

#[test]
fn a_truncated_file() {
    let place = trained();
    for (id, words) in [
        ("sub-01", "train run.toml --out new"),
        (
            "sub-02",
            "predict run --dataset cohort/dataset.toml --split test --out pred",
        ),
    ] {
        let name = format!("cohort/{id}/T2.nii.gz");
        let bytes = place.read(&name);
        place.write(&name, &bytes[..bytes.len() / 2]);
        let parts = [
            &name[..],
            id,
            "cut off or corrupt",
            "bytes of",
            "expected",
            "copy or download",
        ];
        place.refused(words, &parts);
    }
    assert!(!place.path("new").exists());
    // The list of what was asked for is there, so that no evaluation forgets it.
    assert_eq!(place.names("pred"), ["predictions.json"]);
    place.refused(
        "evaluate --dataset cohort/dataset.toml --predictions pred --out eval",
        &["pred", "no prediction", "sub-02", "predict them"],
    );
    assert!(!place.path("eval").exists());
}

#[test]
fn a_corrupt_gzip_stream() {
    let place = Place::new();
    let mut bytes = place.read("cohort/sub-01/FLAIR.nii.gz");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8]
        .iter_mut()
        .for_each(|b| *b ^= 0xff);
    place.write("cohort/sub-01/FLAIR.nii.gz", bytes);
    no_training(
        &place,
        "",
        &[
            "cohort/sub-01/FLAIR.nii.gz",
            "corrupt",
            "expected",
            "copy or download",
        ],
    );
}

#[test]
fn a_header_that_lies_about_the_size() {
    let place = Place::new();
    let path = place.path("cohort/sub-01/T1.nii");
    let image = read_image(place.path("cohort/sub-01/T1.nii.gz")).unwrap();
    write_image(&path, &image, &Reference::from_grid(&image.grid())).unwrap();
    place.edit("cohort/dataset.toml", "sub-01/T1.nii.gz", "sub-01/T1.nii");
    place.edit(
        "cohort/dataset.toml",
        "mask = \"sub-01/brain_mask.nii.gz\"",
        "",
    );
    let whole = place.read("cohort/sub-01/T1.nii");
    // dim[1], dim[2] and dim[3]: 2 bytes each from byte 42. 40 x 44 x 10 voxels of 4 bytes are there.
    let set = |axes: [i16; 3]| {
        let mut bytes = whole.clone();
        for (axis, n) in axes.into_iter().enumerate() {
            bytes[42 + 2 * axis..44 + 2 * axis].copy_from_slice(&n.to_le_bytes());
        }
        place.write("cohort/sub-01/T1.nii", bytes);
    };
    let file = "cohort/sub-01/T1.nii";
    set([40, 44, 11]);
    no_training(
        &place,
        "",
        &[
            file,
            "ends early",
            "70400 bytes",
            "77440 expected",
            "export it again",
        ],
    );
    set([i16::MAX; 3]);
    no_training(&place, "", &[file, "ends early", "70400 bytes", "expected"]);
    set([40, -44, 10]);
    no_training(&place, "", &[file, "dim", "-44", "at least one voxel"]);
}

#[test]
fn not_an_image_or_no_file_at_all() {
    let place = Place::new();
    place.write("cohort/sub-01/T1.nii.gz", "no image");
    no_training(
        &place,
        "",
        &["cohort/sub-01/T1.nii.gz", "found", "expected"],
    );
    std::fs::remove_file(place.path("cohort/sub-01/T1.nii.gz")).unwrap();
    no_training(
        &place,
        "",
        &[
            "cohort/sub-01/T1.nii.gz",
            "sub-01",
            "cannot read",
            "check the path",
        ],
    );
    std::fs::create_dir(place.path("cohort/sub-01/T1.nii.gz")).unwrap();
    no_training(
        &place,
        "",
        &[
            "cohort/sub-01/T1.nii.gz",
            "not a regular file",
            "give the path",
        ],
    );
}

#[test]
fn an_image_with_nan() {
    let place = trained();
    for id in ["sub-01", "sub-02"] {
        change(&place, &format!("{id}/FLAIR.nii.gz"), |mut image| {
            let at = image.index([3, 2, 1]);
            image.data_mut()[at] = f32::NAN;
            image.data_mut()[at + 5] = f32::INFINITY;
            image
        });
    }
    let parts = [
        "FLAIR.nii.gz",
        "2 voxels that are NaN or infinite",
        "[3, 2, 1]",
        "replace them",
    ];
    place.refused("train run.toml --out new", &parts);
    assert!(!place.path("new").exists());
    place.refused(
        "predict run --dataset cohort/dataset.toml --split test --out pred",
        &parts,
    );
    let images = "--image T1=cohort/sub-02/T1.nii.gz --image T2=cohort/sub-02/T2.nii.gz";
    place.refused(
        &format!("predict run {images} --image FLAIR=cohort/sub-02/FLAIR.nii.gz --out seg.nii.gz"),
        &parts,
    );
    assert!(!place.path("seg.nii.gz").exists());
}

#[test]
fn files_on_different_grids() {
    let place = Place::new();
    relabel(&place, "sub-01/lesion.nii.gz", |label| moved(&label, 5.0));
    no_training(
        &place,
        "",
        &[
            "sub-01",
            "lesion.nii.gz",
            "T1.nii.gz",
            "5.00 mm apart",
            "2.50 voxels, at most 0.1 expected",
            "resample",
        ],
    );
    relabel(&place, "sub-01/lesion.nii.gz", |label| {
        Volume::new(
            [40, 44, 5],
            *label.affine(),
            label.data()[..40 * 44 * 5].to_vec(),
        )
        .unwrap()
    });
    no_training(
        &place,
        "",
        &["lesion.nii.gz", "[40, 44, 5]", "[40, 44, 10]", "resample"],
    );
}

// ---------------------------------------------------------- labels and manifest

#[test]
fn a_label_value_outside_the_map() {
    let place = Place::new();
    relabel(&place, "sub-01/lesion.nii.gz", |mut label| {
        let at = label.index([7, 8, 9]);
        label.data_mut()[at] = 3;
        label
    });
    no_training(
        &place,
        "",
        &[
            "lesion.nii.gz",
            "sub-01",
            "label value 3 in 1 voxels",
            "[7, 8, 9]",
            "one of 0, 1",
            "label_values",
        ],
    );
}

#[test]
fn a_label_map_of_fractions() {
    let place = Place::new();
    change(&place, "sub-01/lesion.nii.gz", |label| {
        label.map(|v| 0.5 * v)
    });
    no_training(
        &place,
        "",
        &["lesion.nii.gz", "holds 0.5", "whole numbers", "round it"],
    );
}

#[test]
fn no_foreground_anywhere() {
    let place = Place::new();
    relabel(&place, "sub-01/lesion.nii.gz", |label| label.map(|_| 0));
    no_training(
        &place,
        "",
        &["none of the 1 subjects", "foreground", "lacuna check"],
    );
    // One subject without lesions among others only gets a warning.
    let warned = place.ok("train run.toml --out run --set split.train=[] --set split.test=[]");
    assert_eq!(
        warned.stderr.matches("skips 1 of 2 subjects").count(),
        1,
        "{warned}"
    );
    assert!(
        warned.stderr.contains("nothing to draw: sub-01"),
        "{warned}"
    );
}

#[test]
fn a_missing_modality() {
    let place = Place::new();
    let text = place.text("cohort/dataset.toml");
    let line = text
        .lines()
        .find(|l| l.contains("sub-01/T2.nii.gz"))
        .unwrap();
    let entry = line
        .split_inclusive(',')
        .find(|e| e.contains("T2 ="))
        .unwrap();
    let entry = entry.trim_start_matches("images = {");
    place.write("cohort/dataset.toml", text.replace(entry, " "));
    no_training(
        &place,
        "",
        &[
            "cohort/dataset.toml",
            "sub-01",
            "no image of T2",
            "one each of T1, T2, FLAIR",
            "add the files",
        ],
    );
}

#[test]
fn an_unknown_key_in_the_manifest() {
    let place = Place::new();
    place.edit("cohort/dataset.toml", "classes = ", "clases = ");
    let parts = [
        "cohort/dataset.toml",
        "unknown key `clases`",
        "did you mean `classes`?",
        "correct or remove",
    ];
    no_training(&place, "", &parts);
    place.refused("check cohort/dataset.toml", &parts);
    place.edit("cohort/dataset.toml", "clases = ", "classes = ");
    place.edit(
        "cohort/dataset.toml",
        "id = \"sub-02\"",
        "id = \"sub-02\"\nlable = \"x\"",
    );
    no_training(
        &place,
        "",
        &[
            "unknown key `lable` in subject `sub-02`",
            "did you mean `label`?",
        ],
    );
}

#[test]
fn a_manifest_that_is_not_there_or_not_toml() {
    let place = Place::new();
    no_training(
        &place,
        "--set dataset=nowhere.toml",
        &["nowhere.toml", "cannot read", "give the path"],
    );
    place.write("cohort/dataset.toml", "name = ");
    no_training(
        &place,
        "",
        &["cohort/dataset.toml", "not a dataset manifest", "line 1"],
    );
}

#[test]
fn an_unknown_subject() {
    let place = trained();
    let parts = [
        "cohort/dataset.toml",
        "no subject `sub-2`",
        "did you mean `sub-02`?",
    ];
    place.refused(
        "predict run --dataset cohort/dataset.toml --subjects sub-2 --out pred",
        &parts,
    );
    assert!(!place.path("pred").exists());
    place.refused(
        "evaluate --dataset cohort/dataset.toml --predictions cohort --subjects sub-2 --out eval",
        &parts,
    );
    assert!(!place.path("eval").exists());
    place.refused(
        "train run.toml --out new --set split.train=[\"sub-1\"]",
        &["[split] train", "`sub-1`", "did you mean `sub-01`?"],
    );
    place.refused(
        "predict run --dataset cohort/dataset.toml --split validation --out pred",
        &["run", "no subject in that part", "--subjects"],
    );
}

// -------------------------------------------------------------- configuration

#[test]
fn an_unknown_key_or_a_wrong_value_in_the_run() {
    let place = Place::new();
    let good = place.text("run.toml");
    let with = |old: &str, new: &str, parts: &[&str]| {
        place.edit("run.toml", old, new);
        no_training(&place, "", parts);
        place.write("run.toml", &good);
    };
    let help = "lacuna config";
    with(
        "learning_rate = 1e-3",
        "learning_rat = 1e-3",
        &[
            "run.toml",
            "unknown key `train.learning_rat`",
            "did you mean `train.learning_rate`?",
            help,
        ],
    );
    with(
        "batch = 2",
        "batch = \"two\"",
        &["run.toml", "batch = \"two\"", "expected usize"],
    );
    with(
        "batch = 2",
        "batch = 0",
        &["run.toml", "`train.batch` is 0", "1 to 4096"],
    );
    with(
        "batch = 2",
        "batch = 1000000000",
        &["`train.batch` is 1000000000", "1 to 4096"],
    );
    with(
        "\"z-score\"",
        "\"zscore\"",
        &["run.toml", "zscore", "`z-score`"],
    );
    with(
        "width = 0.05",
        "width = 0.0",
        &["width", "unet is 0", "above 0"],
    );
    with("dataset = ", "dataset : ", &["run.toml", "line 1"]);

    no_training(
        &place,
        "--set trian.batch=2",
        &[
            "--set trian.batch=2",
            "unknown key `trian.batch`",
            "did you mean `train.batch`?",
            help,
        ],
    );
    no_training(
        &place,
        "--set train.batch=two",
        &["--set train.batch=two", "\"two\"", "expected usize"],
    );
    no_training(
        &place,
        "--set train.batch",
        &["--set train.batch", "key=value"],
    );
    no_training(
        &place,
        "--set loss.name=gdl",
        &["--set loss.name=gdl", "`gdl`", "`generalised-dice`"],
    );
    no_training(
        &place,
        "--set loss.name=dice --set loss.weight=square",
        &[
            "--set loss.weight=square",
            "`weight`",
            "\"dice\"",
            "remove it",
            "`form`, `classes`",
        ],
    );
    no_training(
        &place,
        "--set split.test_fraction=0.5",
        &["[split]", "test_fraction", "remove"],
    );
    place.refused(
        "train nowhere.toml --out run",
        &["nowhere.toml", "cannot read"],
    );
}

#[test]
fn regions_that_are_none() {
    let place = Place::new();
    let sigmoid = "--set loss.activation=sigmoid";
    no_training(
        &place,
        "--set regions=[[\"lesion\"]]",
        &["run.toml", "`regions`", "\"softmax\"", "\"sigmoid\""],
    );
    for (regions, parts) in [
        ("[[\"tumour\"]]", ["region 1", "`tumour`", "lesion"]),
        (
            "[[\"lesion\"],[]]",
            ["region 2", "no class", "larger regions first"],
        ),
        ("[[\"background\"]]", ["region 1", "`background`", "lesion"]),
    ] {
        no_training(
            &place,
            &format!("{sigmoid} --set regions={regions}"),
            &parts,
        );
    }
    no_training(
        &place,
        &format!("{sigmoid} --set regions=[[\"lesion\"]] --set loss.ignore_label=1"),
        &["`loss.ignore_label` is 1", "regions", "train.voxel_weights"],
    );
}

#[test]
fn an_illegal_patch_size() {
    let place = Place::new();
    no_training(
        &place,
        "--set patch.size=50",
        &[
            "unet",
            "a patch of 50 voxels",
            "44 + k * 4",
            "choose 48 or 52",
        ],
    );
    no_training(
        &place,
        "--set patch.size=10",
        &["a patch of 10 voxels", "choose 44"],
    );
    no_training(
        &place,
        "--set model.name=deep-medic --set patch.size=55",
        &["deep-medic", "a patch of 55 voxels", "choose 51 or 57"],
    );
}

#[test]
fn an_effective_patch_larger_than_the_volume_is_filled_and_told() {
    let place = Place::new();
    // 88 voxels leave 48, the volume is 40 x 44.
    let told = place.ok("train run.toml --out run --set patch.size=88");
    let note = "1 of 1 subjects are smaller than the effective patch of 48 x 48 x 1 voxels";
    assert!(told.stderr.contains(note), "{told}");
    place.ok("predict run --dataset cohort/dataset.toml --split test --out p");
    let labels = lacuna_io::read_labels(place.path("p/sub-02.nii.gz")).unwrap();
    assert_eq!(labels.shape(), [40, 44, 10]);
}

#[test]
fn a_device_that_is_not_in_this_binary() {
    let place = trained();
    if !cfg!(feature = "vulkan") {
        let parts = [
            "--device vulkan",
            "built without it",
            "--features vulkan",
            "--device cpu",
        ];
        place.refused("train run.toml --out new --device vulkan", &parts);
        let predict = "predict run --dataset cohort/dataset.toml --out pred --device vulkan";
        place.refused(predict, &parts);
        assert!(!place.path("new").exists() && !place.path("pred").exists());
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let place = Place::empty();
    for (words, part) in [
        ("train run.toml", "--out"),
        ("tarin run.toml --out run", "train"),
        ("train run.toml --out run --device gpu", "cpu"),
        ("predict run --out pred", "--dataset"),
        (
            "predict run --dataset d.toml --image T1=a.nii --out pred",
            "cannot be used with",
        ),
        (
            "predict run --dataset d.toml --out pred --overlap 1",
            "0 to 0.9",
        ),
        (
            "predict run --dataset d.toml --out pred --split tset",
            "test",
        ),
        ("evaluate --dataset d.toml --out eval", "--predictions"),
        ("check", "<DATASET>"),
    ] {
        let outcome = place.run(words);
        assert_eq!(outcome.code, Some(2), "{outcome}");
        assert!(outcome.stderr.contains(part), "{part}: {outcome}");
    }
    assert!(place.names("").is_empty());
}

// ------------------------------------------------------------------ run folders

#[test]
fn a_folder_that_holds_a_run_or_something_else() {
    let place = trained();
    let before = place.read("run/checkpoint-000001/weights.safetensors");
    place.refused(
        "train run.toml --out run",
        &["run", "already holds a run", "--resume", "another --out"],
    );
    assert_eq!(
        place.read("run/checkpoint-000001/weights.safetensors"),
        before
    );
    place.refused(
        "train run.toml --out cohort",
        &["cohort", "not empty", "--out"],
    );
    assert_eq!(place.names("cohort"), ["dataset.toml", "sub-01", "sub-02"]);
    // Checkpoints without their configuration are not taken up unasked.
    std::fs::remove_file(place.path("run/run.toml")).unwrap();
    place.refused(
        "train run.toml --out run",
        &["run", "not empty", "found checkpoint-000001"],
    );
}

#[test]
fn nothing_to_resume_or_to_predict_with() {
    let place = trained();
    place.write("empty/.keep", "");
    for folder in ["empty", "nowhere"] {
        let parts = [folder, "holds no run.toml", "lacuna train"];
        place.refused(&format!("train run.toml --out {folder} --resume"), &parts);
        place.refused(
            &format!("predict {folder} --dataset cohort/dataset.toml --out pred"),
            &parts,
        );
    }
    assert_eq!(place.names("empty"), [".keep"]);
    assert!(!place.path("nowhere").exists() && !place.path("pred").exists());
    std::fs::remove_dir_all(place.path("run/checkpoint-000001")).unwrap();
    place.refused(
        "predict run --dataset cohort/dataset.toml --out pred",
        &["run", "holds no checkpoint-NNNNNN", "lacuna train"],
    );
}

#[test]
fn a_resume_with_another_configuration_or_dataset() {
    let place = Place::new();
    place.ok("train run.toml --out run --set train.iterations=2");
    let words = "train run.toml --out run --resume";
    let parts = [
        "run",
        "train.learning_rate was 0.001, now 0.01",
        "restore these values",
        "--out",
    ];
    place.refused(&format!("{words} --set train.learning_rate=0.01"), &parts);
    place.refused(
        &format!("{words} --set loss.name=dice --set seed=5"),
        &[
            "loss.name was \"generalised-dice\", now \"dice\"",
            "seed was 0, now 5",
        ],
    );
    place.refused(
        &format!("{words} --set loss.smoothing=0.1 --set loss.name=dice"),
        &["loss.smoothing was unset, now 0.1"],
    );
    place.refused(
        &format!("{words} --set train.iterations=1"),
        &["train.iterations was 2, now 1"],
    );
    // The manifest has the same name, but other contents.
    place.edit(
        "cohort/dataset.toml",
        "[\"T1\", \"T2\", \"FLAIR\"]",
        "[\"T2\", \"T1\", \"FLAIR\"]",
    );
    place.refused(
        words,
        &["modalities was [\"T1\", \"T2\", \"FLAIR\"], now [\"T2\", \"T1\", \"FLAIR\"]"],
    );
    assert_eq!(place.text("run/events.jsonl").lines().count(), 2);
    assert!(place.text("run/run.toml").contains("iterations = 2"));
}

#[test]
fn a_checkpoint_of_another_network() {
    let place = trained();
    place.edit("run/run.toml", "width = 0.05", "width = 0.1");
    place.refused(
        "predict run --dataset cohort/dataset.toml --out pred",
        &[
            "run/checkpoint-000001/weights.safetensors",
            "do not belong to this network",
            "has shape",
            "expected",
            "trained with",
        ],
    );
    place.refused(
        "train run.toml --out run --resume --set model.width=0.1 --set train.iterations=2",
        &["weights.safetensors", "do not belong to this network"],
    );
    assert!(!place.path("pred").exists());
}

#[test]
fn damaged_checkpoints() {
    let place = Place::new();
    place.ok("train run.toml --out run");
    let folder = "run/checkpoint-000006";
    let predict = "predict run --dataset cohort/dataset.toml --out pred";
    let resume = "train run.toml --out run --resume --set train.iterations=7";
    let remedy = [
        "restore the file",
        "run/checkpoint-000006",
        "the checkpoint before it",
    ];

    let weights = format!("{folder}/weights.safetensors");
    let whole = place.read(&weights);
    let mut lying = whole.clone();
    lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let cuts = [
        &whole[..0],
        &whole[..5],
        &whole[..200],
        &whole[..whole.len() - 1],
        &lying,
        b"{}",
    ];
    for bytes in cuts {
        place.write(&weights, bytes);
        for words in [predict, resume] {
            place.refused(words, &[&[&weights[..]], &remedy[..]].concat());
        }
    }
    std::fs::remove_file(place.path(&weights)).unwrap();
    place.refused(predict, &[&[&weights[..]], &remedy[..]].concat());
    place.write(&weights, &whole);

    let optimiser = format!("{folder}/optimiser.bin");
    let whole = place.read(&optimiser);
    for bytes in [
        &whole[..0],
        &whole[..20],
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 1],
    ] {
        place.write(&optimiser, bytes);
        place.refused(resume, &[&[&optimiser[..]], &remedy[..]].concat());
    }
    place.write(
        &optimiser,
        b"not an optimiser state, but long enough to look like one at first",
    );
    place.refused(resume, &[&[&optimiser[..]], &remedy[..]].concat());
    // Prediction does not need it.
    place.ok(predict);
    place.write(&optimiser, whole);

    place.write(format!("{folder}/state.json"), "{\"iteration\": 6");
    place.refused(
        resume,
        &["run/checkpoint-000006/state.json", "restore the file"],
    );
    // The remedy works.
    std::fs::remove_dir_all(place.path(folder)).unwrap();
    place.ok(resume);
}

#[test]
fn a_diverging_training_names_its_patches_and_keeps_the_last_good_checkpoint() {
    let place = Place::new();
    // A step that overflows at once: nothing good was saved before.
    place.refused(
        "train run.toml --out at-once --set train.learning_rate=1e38",
        &[
            "diverged at iteration",
            "at-once/non_finite.json",
            "no checkpoint was written before",
            "lower train.learning_rate",
            "sub-01",
        ],
    );
    let report = place.json("at-once/non_finite.json");
    assert_eq!(report["last_good_checkpoint"], 0);
    assert_eq!(report["patches"].as_array().unwrap().len(), 2);
    assert_eq!(report["patches"][0]["subject"], "sub-01");
    let origin = report["patches"][0]["origin"].as_array().unwrap();
    let inside = |axis: usize, most: u64| origin[axis].as_u64().unwrap() <= most;
    assert!(inside(0, 36) && inside(1, 40) && inside(2, 9), "{origin:?}");
    assert!(
        place
            .names("at-once")
            .iter()
            .all(|n| !n.starts_with("checkpoint"))
    );

    // Good for three iterations, then not: as a run whose rate is too high later on.
    place.ok("train run.toml --out run --set train.iterations=3");
    let good = place.read("run/checkpoint-000003/weights.safetensors");
    place.edit(
        "run/run.toml",
        "learning_rate = 0.001",
        "learning_rate = 1e38",
    );
    place.refused(
        "train run.toml --out run --resume --set train.learning_rate=1e38",
        &[
            "diverged",
            "run/non_finite.json",
            "last good checkpoint is iteration 3",
            "sub-01",
        ],
    );
    assert_eq!(place.json("run/non_finite.json")["last_good_checkpoint"], 3);
    assert_eq!(
        place.read("run/checkpoint-000003/weights.safetensors"),
        good
    );
    place.ok("predict run --dataset cohort/dataset.toml --split test --out pred");
    assert_eq!(place.json("pred/predictions.json")["iteration"], 3);
}

// ----------------------------------------------------------------- predictions

#[test]
fn a_dataset_of_other_modalities() {
    let place = trained();
    let text = place
        .text("cohort/dataset.toml")
        .replace("FLAIR", "PD")
        .replace("PD.nii", "FLAIR.nii");
    place.write("cohort/other.toml", text);
    place.refused(
        "predict run --dataset cohort/other.toml --out pred",
        &[
            "cohort/other.toml",
            "run",
            "\"PD\"",
            "\"FLAIR\"",
            "give images",
        ],
    );
    place.refused(
        "predict run --image T1=cohort/sub-02/T1.nii.gz --image T2=cohort/sub-02/T2.nii.gz --out seg.nii.gz",
        &["no image of FLAIR", "one each of T1, T2, FLAIR"],
    );
    assert!(!place.path("pred").exists() && !place.path("seg.nii.gz").exists());
}

#[test]
fn images_that_are_given_wrongly() {
    let place = trained();
    let [t1, t2, flair] =
        ["T1", "T2", "FLAIR"].map(|m| format!("--image {m}=cohort/sub-02/{m}.nii.gz"));
    let predict = |images: &str, out: &str, parts: &[&str]| {
        place.refused(&format!("predict run {images} --out {out}"), parts);
        assert!(!place.path(out).exists());
    };
    let all = format!("{t1} {t2} {flair}");
    predict(&all, "seg.img", &["seg.img", ".nii.gz or .nii"]);
    predict(
        &all,
        "nowhere/seg.nii.gz",
        &["nowhere", "no folder", "create it"],
    );
    predict(
        "--image cohort/sub-02/T1.nii.gz",
        "seg.nii",
        &["MODALITY=FILE"],
    );
    predict(&format!("{all} {t1}"), "seg.nii", &["T1 is given twice"]);
    predict(
        &format!("{all} --image PD=x.nii"),
        "seg.nii",
        &["unknown modality `PD`", "T1, T2, FLAIR"],
    );
}

#[test]
fn an_illegal_window() {
    let place = trained();
    let predict = |window: &str, parts: &[&str]| {
        let parts = [&["--window", window], parts].concat();
        let words =
            format!("predict run --dataset cohort/dataset.toml --out pred --window {window}");
        place.refused(&words, &parts);
        assert!(!place.path("pred").exists());
    };
    predict("50", &["44 + k * 4", "choose 48 or 52"]);
    predict("0", &["choose 44"]);
    predict("1000000", &["memory", "at most 8192"]);
    predict("18446744073709551615", &["memory", "at most 8192"]);
}

#[test]
fn predictions_that_cannot_be_scored() {
    let place = trained();
    place.ok("predict run --dataset cohort/dataset.toml --out pred");
    let evaluate = |parts: &[&str]| {
        place.refused(
            "evaluate --dataset cohort/dataset.toml --predictions pred --out eval",
            parts,
        );
        assert!(
            !place.path("eval").exists(),
            "half an evaluation was left behind"
        );
    };
    let path = place.path("pred/sub-02.nii.gz");
    let good = place.read("pred/sub-02.nii.gz");
    let labels = read_image(&path).unwrap().map(|v| *v as u8);
    let write = |labels: &LabelMap| {
        write_labels(&path, labels, &Reference::from_grid(&labels.grid())).unwrap();
    };
    write(&moved(&labels, 2.0));
    evaluate(&["pred/sub-02.nii.gz", "has changed", "predict it again"]);
    // Without its list, the folder is another tool's.
    let list = place.read("pred/predictions.json");
    std::fs::remove_file(place.path("pred/predictions.json")).unwrap();
    evaluate(&[
        "pred/sub-02.nii.gz",
        "lesion.nii.gz",
        "2.000 mm apart",
        "predict on",
    ]);
    write(&Volume::new([44, 40, 10], *labels.affine(), labels.data().to_vec()).unwrap());
    evaluate(&["pred/sub-02.nii.gz", "[44, 40, 10]", "[40, 44, 10]"]);
    write(&labels.map(|_| 7));
    evaluate(&[
        "pred/sub-02.nii.gz",
        "the value 7",
        "0 to 1",
        "map the values",
    ]);
    place.write("pred/sub-02.nii.gz", &good[..good.len() / 2]);
    evaluate(&["pred/sub-02.nii.gz", "cut off or corrupt"]);
    std::fs::remove_file(&path).unwrap();
    evaluate(&[
        "pred",
        "no prediction",
        "1 of 2 subjects: sub-02",
        "--subjects",
    ]);
    place.write("pred/sub-02.nii.gz", &good);
    place.write("pred/predictions.json", &list);

    // Class indices mean nothing under another order of classes.
    place.edit(
        "cohort/dataset.toml",
        "[\"background\", \"lesion\"]",
        "[\"lesion\", \"background\"]",
    );
    evaluate(&[
        "pred",
        "background, lesion",
        "lesion, background",
        "cohort/dataset.toml",
    ]);
    place.edit(
        "cohort/dataset.toml",
        "[\"lesion\", \"background\"]",
        "[\"background\", \"lesion\"]",
    );

    let words = "evaluate --dataset cohort/dataset.toml --predictions pred --out eval";
    place.refused(&format!("{words} --tolerance=-1"), &["tolerance", "-1"]);
    place.refused(&format!("{words} --overlay PD"), &["PD", "T1, T2, FLAIR"]);
    assert!(!place.path("eval").exists());
    place.ok(words);
}

// --------------------------------------------------------------- output folders

#[test]
fn an_output_that_cannot_be_made() {
    let place = trained();
    place.ok("predict run --dataset cohort/dataset.toml --split test --out pred");
    place.write("file", "a regular file");
    let all = "--image T1=cohort/sub-02/T1.nii.gz --image T2=cohort/sub-02/T2.nii.gz \
               --image FLAIR=cohort/sub-02/FLAIR.nii.gz";
    for words in [
        "train run.toml --out file/new".to_owned(),
        "predict run --dataset cohort/dataset.toml --split test --out file/new".to_owned(),
        format!("predict run {all} --out file/new.nii.gz"),
        "evaluate --dataset cohort/dataset.toml --predictions pred --out file/new".to_owned(),
        "check cohort/dataset.toml --json file/new.json".to_owned(),
        "dataset cohort --images T1=*/T1.nii.gz --label */lesion.nii.gz --out file/new.toml"
            .to_owned(),
    ] {
        place.refused(&words, &["file", "folder"]);
    }
    assert_eq!(place.text("file"), "a regular file");
}

/// A limit on the size of files stands for a full disk: writing fails midway.
#[cfg(unix)]
#[test]
fn a_disk_that_fills_up() {
    let place = trained();
    let full = |words: &str| {
        let script = format!(
            "trap '' XFSZ; ulimit -f 8; exec {} {words}",
            env!("CARGO_BIN_EXE_lacuna")
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .current_dir(place.path(""))
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
        assert!(stderr.contains("error: cannot write"), "{stderr}");
        stderr
    };
    let stderr =
        full("predict run --dataset cohort/dataset.toml --split test --out pred --probabilities");
    assert!(
        stderr.contains("pred/sub-02.probabilities.nii.gz"),
        "{stderr}"
    );
    assert_eq!(place.names("pred"), ["predictions.json"]);

    let stderr = full("train run.toml --out new");
    assert!(stderr.contains("weights.safetensors"), "{stderr}");
    assert_eq!(
        place.names("new"),
        [
            ".lock",
            "dataset.json",
            "events.jsonl",
            "provenance.json",
            "run.toml",
            "tensorboard"
        ]
    );
    // With room again, the run goes on.
    place.ok("train run.toml --out new --resume");
}

/// `lacuna ... | head` closes the pipe early.
#[test]
fn a_reader_that_has_gone_is_no_error() {
    let place = trained();
    for words in [
        "config",
        "networks",
        "check cohort/dataset.toml",
        "train run.toml --out new",
        "predict run --dataset cohort/dataset.toml --out pred",
        "evaluate --dataset cohort/dataset.toml --predictions pred --out eval",
        "dataset cohort --images T1=*/T1.nii.gz --label */lesion.nii.gz --out new.toml",
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = place.command(words).stdout(writer).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{words}: {stderr}");
        assert!(
            !stderr.contains("error") && !stderr.contains("panicked"),
            "{words}: {stderr}"
        );
    }
}
