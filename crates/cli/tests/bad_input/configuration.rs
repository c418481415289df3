//! Keys, values and options of the command line.

use lacuna_io::{read_image, read_reference, write_image};

use crate::harness::Place;
use crate::{no_training, trained};

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
        "batch = 2",
        "batch = 2\nweight_decay = 0.1",
        &["`train.weight_decay` does nothing", "adamw"],
    );
    with(
        "batch = 2",
        "batch = 2\nnesterov = true",
        &["`train.nesterov`", "optimiser \"sgd\""],
    );
    with(
        "batch = 2",
        "batch = 2\ndeep_supervision = 1",
        &["`train.deep_supervision` is 1", "unet has 0 output(s)"],
    );
    with(
        "width = 0.05",
        "width = 0.05\nstages = { axes = 3 }",
        &["unet has fixed stages", "plain-conv-unet"],
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
fn grey_matter_that_is_not_there() {
    let place = Place::new();
    let method = "--set normalise.method=grey-matter";
    let manifest = place.text("cohort/dataset.toml");
    place.write(
        "cohort/dataset.toml",
        manifest
            .replace("\"T1\"", "\"PD\"")
            .replace("T1 = ", "PD = "),
    );
    no_training(
        &place,
        method,
        &["sub-01", "needs a T1-weighted image", "z-score"],
    );
    place.write("cohort/dataset.toml", &manifest);
    // As it comes from another pipeline: with another zero.
    let path = place.path("cohort/sub-01/FLAIR.nii.gz");
    let image = read_image(&path).unwrap();
    let centred = image.map(|v| v - 1e4);
    write_image(&path, &centred, &read_reference(&path).unwrap()).unwrap();
    no_training(
        &place,
        method,
        &["sub-01", "FLAIR.nii.gz", "earlier normalisation", "z-score"],
    );
}

#[test]
fn a_recipe_that_contradicts_itself() {
    let place = Place::new();
    let good = place.text("run.toml");
    for (key, parts) in [
        (
            "budget = \"1.5h\"",
            &["budget = \"1.5h\"", "is no time", "\"1h30m\""][..],
        ),
        (
            "budget = \"1h\"\nschedule = \"cosine\"",
            &["`train.warm_up` is 0", "set it to 10 or more"],
        ),
        ("ema = 1.0", &["`train.ema` is 1", "from 0 to below 1"]),
        ("accumulate = 0", &["`train.accumulate` is 0", "1 to 4096"]),
        (
            "restarts = 1\nfrom = \"other\"",
            &["`train.restarts`", "`train.from`", "train.restarts = 0"],
        ),
        ("from = \"other\"", &["other", "run.toml"]),
    ] {
        place.edit("run.toml", "batch = 2", &format!("batch = 2\n{key}"));
        no_training(&place, "", parts);
        place.write("run.toml", &good);
    }
    for (sampler, told) in [
        ("[]", "names no part"),
        ("[{ components = 0.5 }, { mask = 0.1 }]", "add up to 0.600"),
        ("\"errors\"", "cannot stand alone"),
    ] {
        place.edit(
            "run.toml",
            "size = 44",
            &format!("size = 44\nsampler = {sampler}"),
        );
        no_training(&place, "", &["run.toml", told]);
        place.write("run.toml", &good);
    }
}

/// The speed is that of ten steps, which take longer than this budget.
#[test]
fn a_budget_too_short_for_a_step() {
    let place = Place::new();
    let set = "--set train.budget=1s --set train.batch=64 --set train.accumulate=8";
    let parts = ["train.budget is 1s", "give at least"];
    place.refused(&format!("train run.toml --out run {set}"), &parts);
}

#[test]
fn a_checkpoint_that_a_run_does_not_have() {
    let place = trained();
    let predict = "predict run --dataset cohort/dataset.toml --out pred --checkpoint";
    let has = "it has: 1";
    place.refused(
        &format!("{predict} best"),
        &["run", "no checkpoint best", has],
    );
    place.refused(&format!("{predict} 5"), &["run", "no checkpoint 5", has]);
    let outcome = place.run(&format!("{predict} newest"));
    assert_eq!(outcome.code, Some(2), "{outcome}");
    assert!(outcome.stderr.contains("\"best\", \"last\""), "{outcome}");
    assert!(!place.path("pred").exists());
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
