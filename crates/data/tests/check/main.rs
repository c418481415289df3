//! The pre-flight check on tiny datasets with one fault each.

#[path = "../nifti_file/mod.rs"]
mod nifti_file;

mod contents;
mod geometry;

use lacuna_data::check::{self, CheckReport, Problem, Severity};
use lacuna_data::manifest::Manifest;
use nifti_file::UNIT;
use tempfile::TempDir;

const SHAPE: [usize; 3] = [4, 3, 2];

/// 24 different values, which `offset` makes different from other images.
fn ramp(offset: f32) -> Vec<f32> {
    (0..24).map(|i| i as f32 + offset).collect()
}

/// Zero but at some positions.
fn sparse(marked: &[(usize, f32)]) -> Vec<f32> {
    let mut values = vec![0.0; 24];
    for &(at, value) in marked {
        values[at] = value;
    }
    values
}

/// Subjects a and b with images, label and mask that have no problem.
///
/// The mask is the first slice (12 voxels). Subject a has lesions of 2 and 1
/// voxels: 0 and 5 touch by an edge, 11 lies apart. Subject b has one of 1.
fn dataset() -> (TempDir, Manifest) {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "name = 'tiny'\nmodalities = ['FLAIR', 'T1']\n\
        classes = ['background', 'core', 'oedema']\n\
        label_values = { 0 = 'background', 1 = 'core', 2 = 'oedema', 3 = 'oedema' }\n"
        .to_owned();
    for (id, offset) in [("a", 0.0), ("b", 100.0)] {
        write(&folder, id, "FLAIR", &ramp(offset));
        write(&folder, id, "T1", &ramp(offset + 0.5));
        let mask: Vec<(usize, f32)> = (0..12).map(|i| (i, 1.0)).collect();
        write(&folder, id, "mask", &sparse(&mask));
        text += &format!(
            "[[subject]]\nid = '{id}'\nimages = {{ FLAIR = '{id}/FLAIR.nii', T1 = '{id}/T1.nii' }}\n\
             label = '{id}/label.nii'\nmask = '{id}/mask.nii'\n"
        );
    }
    write(
        &folder,
        "a",
        "label",
        &sparse(&[(0, 1.0), (5, 3.0), (11, 2.0)]),
    );
    write(&folder, "b", "label", &sparse(&[(6, 1.0)]));
    let path = folder.path().join("dataset.toml");
    std::fs::write(&path, text).unwrap();
    let manifest = Manifest::read(&path).unwrap();
    (folder, manifest)
}

fn file(folder: &TempDir, id: &str, role: &str) -> std::path::PathBuf {
    folder.path().join(id).join(format!("{role}.nii"))
}

fn write(folder: &TempDir, id: &str, role: &str, values: &[f32]) {
    nifti_file::write(&file(folder, id, role), &SHAPE, UNIT, values);
}

fn check(manifest: &Manifest) -> CheckReport {
    check::check(manifest, |_| {})
}

/// The one problem of a dataset.
fn problem(manifest: &Manifest) -> Problem {
    let problems = check(manifest).problems;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.into_iter().next().unwrap()
}

fn assert_problem(manifest: &Manifest, severity: Severity, subject: &str, finding: &str) {
    let problem = problem(manifest);
    assert_eq!(problem.severity, severity, "{problem:#?}");
    assert_eq!(problem.subject.as_deref(), Some(subject));
    assert!(problem.finding.contains(finding), "{problem:#?}");
    assert!(!problem.remedy.is_empty());
}
