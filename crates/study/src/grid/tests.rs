use std::path::PathBuf;

use super::*;
use crate::file::Executor;

fn study(text: &str) -> Result<Vec<GridRun>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.toml");
    std::fs::write(&path, format!("name = \"s\"\n{text}")).unwrap();
    let study = StudyFile::read(&path).map_err(|e| e.to_string())?;
    assert_eq!(study.executor, Executor::default());
    study.runs().map_err(|e| e.to_string())
}

fn names(text: &str) -> Vec<String> {
    study(text).unwrap().into_iter().map(|r| r.name).collect()
}

#[test]
fn the_last_axis_varies_fastest_and_names_are_labels() {
    let text = r#"
        [[axis]]
        "model.name" = ["unet", "two-path-cnn"]
        [[axis]]
        "train.learning_rate" = [1e-3, 0.5]
        [[axis]]
        seed = [1, 2]
    "#;
    assert_eq!(
        names(text),
        [
            "unet_learning_rate1e-3_seed1",
            "unet_learning_rate1e-3_seed2",
            "unet_learning_rate0.5_seed1",
            "unet_learning_rate0.5_seed2",
            "two-path-cnn_learning_rate1e-3_seed1",
            "two-path-cnn_learning_rate1e-3_seed2",
            "two-path-cnn_learning_rate0.5_seed1",
            "two-path-cnn_learning_rate0.5_seed2",
        ]
    );
}

#[test]
fn keys_of_one_axis_vary_together() {
    let runs = study(
        r#"
        [run.train]
        iterations = 9
        [[axis]]
        patch.size = [56, 64]
        train.batch = [5, 3]
        labels = ["S", "M"]
    "#,
    )
    .unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!((runs[0].name.as_str(), runs[1].name.as_str()), ("S", "M"));
    let batch = |i: usize| runs[i].run["train"]["batch"].as_integer();
    let size = |i: usize| runs[i].run["patch"]["size"].as_integer();
    assert_eq!((batch(0), size(0)), (Some(5), Some(56)));
    assert_eq!((batch(1), size(1)), (Some(3), Some(64)));
    assert_eq!(runs[1].run["train"]["iterations"].as_integer(), Some(9));
    assert_eq!(runs[0].axes[0].axis, "patch.size+train.batch");
}

#[test]
fn a_table_is_laid_over_its_section() {
    let runs = study(
        r#"
        [run.loss]
        reduction = "sample"
        [[axis]]
        loss = [{ name = "dice" }, { form = "symmetric", name = "sensitivity-specificity" }]
    "#,
    )
    .unwrap();
    assert_eq!(runs[0].name, "dice");
    assert_eq!(runs[1].name, "sensitivity-specificity-symmetric");
    let loss = &runs[1].run["loss"];
    assert_eq!(loss["form"].as_str(), Some("symmetric"));
    assert_eq!(loss["reduction"].as_str(), Some("sample"));
    assert!(runs[0].run["loss"].get("form").is_none());
}

#[test]
fn phantom_keys_name_the_cohort() {
    let runs = study(
        r#"
        [phantom]
        subjects = 3
        [[axis]]
        "phantom.foreground_share" = [0.1, 1e-5]
        labels = ["share1", "share5"]
        [[axis]]
        seed = [1, 2]
    "#,
    )
    .unwrap();
    let (cohort, table) = runs[3].phantom.clone().unwrap();
    assert_eq!(cohort, "share5");
    assert_eq!(table["foreground_share"].as_float(), Some(1e-5));
    assert_eq!(table["subjects"].as_integer(), Some(3));
    assert_eq!(runs[2].phantom, runs[3].phantom);
    assert!(runs[0].run.get("phantom").is_none());
}

#[test]
fn malformed_axes_are_refused() {
    let refused = |text: &str, words: &[&str]| {
        let error = study(text).unwrap_err();
        for word in words {
            assert!(error.contains(word), "{error}");
        }
    };
    refused("[[axis]]\nseed = []", &["axis 1", "`seed`", "empty list"]);
    refused("[[axis]]\nseed = 3", &["`seed` is 3", "[3]"]);
    refused("[[axis]]\n", &["names no key"]);
    refused(
        "[[axis]]\n\"patch.size\" = [1, 2]\n\"train.batch\" = [1]",
        &["2 values", "equal length"],
    );
    refused("[[axis]]\nseed = [1, 1]", &["runs 1 and 2", "`seed1`"]);
    refused(
        "[[axis]]\n\"phantom.subjects\" = [1]",
        &["no [phantom] section"],
    );
    refused("[[axis]]\nseed = [1]\nlabels = [\"a/b\"]", &["a/b"]);
    refused(
        "[[axis]]\nseed = [1]\nlabels = [\"a\", \"b\"]",
        &["2 entries"],
    );
    refused("surprise = 1", &["unknown field `surprise`"]);
    let many = "[[axis]]\nseed = [1, 2]\n".repeat(14);
    refused(&many, &["more than 10000 runs"]);
}

#[test]
fn a_base_file_is_read_and_its_dataset_stays_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    std::fs::create_dir(&base).unwrap();
    let text = "dataset = \"d.toml\"\n[train]\nbatch = 2\niterations = 7\n";
    std::fs::write(base.join("run.toml"), text).unwrap();
    let path = folder.path().join("study.toml");
    let text = "name = \"s\"\nbase = \"base/run.toml\"\n[run.train]\nbatch = 4\n";
    std::fs::write(&path, text).unwrap();
    let runs = StudyFile::read(&path).unwrap().runs().unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].name, "s");
    let run = &runs[0].run;
    assert_eq!(
        run["dataset"].as_str().map(PathBuf::from),
        Some(base.join("d.toml"))
    );
    assert_eq!(run["train"]["batch"].as_integer(), Some(4));
    assert_eq!(run["train"]["iterations"].as_integer(), Some(7));
}
