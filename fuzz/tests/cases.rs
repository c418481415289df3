//! The harness itself; `.ci/run` runs more cases of the program that this test builds.

use std::process::Command;

#[test]
fn every_target_reads_its_corpus_and_some_damage() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_lacuna-fuzz"))
        .args(["all", "--cases", "40", "--failures"])
        .arg(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{errors}");
    let mut lines: Vec<&str> = text.lines().skip(1).collect();
    let cells =
        |line: &str| -> Vec<String> { line.split_whitespace().map(str::to_owned).collect() };
    let last = lines.pop().unwrap();
    assert_eq!(last, "920 cases, 0 faults");
    for line in lines {
        // A target whose corpus is not read, or nothing of which is refused, tests nothing.
        let cells = cells(line);
        assert!(cells[2] != "0" && cells[3] != "0", "{line}");
    }
}

#[test]
fn a_case_is_the_same_again() {
    let case = || {
        let output = Command::new(env!("CARGO_BIN_EXE_lacuna-fuzz"))
            .args(["nifti", "--case", "7"])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (place, outcome) = text.split_once('\n').unwrap();
        let folder = place.rsplit_once(" in ").unwrap().1;
        let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().flatten().collect();
        files.sort_by_key(|file| file.file_name());
        let bytes = files.iter().map(|file| std::fs::read(file.path()).unwrap());
        let bytes: Vec<_> = bytes.collect();
        std::fs::remove_dir_all(folder).unwrap();
        (
            bytes,
            outcome
                .lines()
                .next()
                .map(|l| l.split('/').next().map(str::to_owned)),
        )
    };
    let first = case();
    assert!(!first.0.is_empty());
    assert_eq!(first, case());
}
