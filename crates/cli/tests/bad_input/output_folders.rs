//! Output that finds no place.

use crate::trained;

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
