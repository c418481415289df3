//! The studies that were run: tables, figures and findings of docs/results are what their
//! results say.

use std::fs;
use std::path::{Path, PathBuf};

use lacuna_record::{Inputs, StudyFolder, StudyResults};
use lacuna_report::study::findings::{text, verify};
use lacuna_report::study::{Cells, StudyReport, finding_cells, write};

fn kept() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/results")
}

/// The files of `folder`, by name.
fn files(folder: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(folder).unwrap();
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).unwrap())
    };
    let mut files: Vec<_> = entries.map(|e| read(e.unwrap().path())).collect();
    files.sort();
    files
}

#[test]
fn what_is_told_of_the_studies_is_what_they_found() {
    let entries = fs::read_dir(kept()).unwrap().map(|e| e.unwrap().path());
    let studies: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    assert!(!studies.is_empty());
    for study in studies {
        let results = StudyResults::read(&StudyFolder(study.clone())).unwrap();
        let report = StudyReport::of(&results, &|_, _| Ok(None)).unwrap();
        let made = tempfile::tempdir().unwrap();
        write(
            &report,
            made.path(),
            false,
            &Inputs::of([study.join("results.jsonl.gz")]),
        )
        .unwrap();
        let again = "make it again with studies/keep.sh";
        for below in ["tables", "figures"] {
            let [made, kept] = [made.path(), &study].map(|folder| files(&folder.join(below)));
            let names = |files: &[(String, String)]| -> Vec<String> {
                files.iter().map(|(name, _)| name.clone()).collect()
            };
            assert_eq!(names(&made), names(&kept), "{}: {again}", study.display());
            for ((name, made), (_, kept)) in made.iter().zip(&kept) {
                assert!(made == kept, "{}/{below}/{name}: {again}", study.display());
            }
        }
        let said = text(&verify(&finding_cells(&Cells::of(&results))));
        let kept = fs::read_to_string(study.join("findings.txt")).unwrap();
        assert_eq!(said, kept, "{}: {again}", study.display());
    }
}
