//! Faults of grids and affines.

use crate::nifti_file::{self, UNIT};
use crate::{SHAPE, assert_problem, check, dataset, file, problem, ramp, sparse};
use lacuna_data::check::{CheckReport, Severity};

#[test]
fn faults_of_geometry_are_found() {
    let (folder, manifest) = dataset();
    let shifted = |by: f32| {
        let mut sform = UNIT;
        sform[1][3] = by;
        nifti_file::write(&file(&folder, "a", "T1"), &SHAPE, sform, &ramp(0.5));
    };
    shifted(0.25);
    assert_problem(
        &manifest,
        Severity::Error,
        "a",
        "T1 lie up to 0.2500 mm from those of FLAIR",
    );
    shifted(0.0625);
    assert_problem(
        &manifest,
        Severity::Note,
        "a",
        "T1 lie up to 0.0625 mm from those of FLAIR",
    );
    let displacement =
        |report: &CheckReport| report.subjects[0].images[1].grid.corner_displacement_mm;
    assert_eq!(displacement(&check(&manifest)), Some(0.0625));

    nifti_file::write(&file(&folder, "a", "T1"), &[3, 4, 2], UNIT, &ramp(0.5));
    assert_problem(
        &manifest,
        Severity::Error,
        "a",
        "shape [3, 4, 2], expected [4, 3, 2] as FLAIR",
    );
    assert_eq!(displacement(&check(&manifest)), None);
}

#[test]
fn a_flip_is_as_far_as_the_field_of_view() {
    let (folder, manifest) = dataset();
    let mut sform = UNIT;
    // The same voxels run to the left from x = 3 mm: corners 4 mm apart.
    (sform[0][0], sform[0][3]) = (-1.0, 3.0);
    nifti_file::write(
        &file(&folder, "b", "label"),
        &SHAPE,
        sform,
        &sparse(&[(6, 1.0)]),
    );
    assert_problem(&manifest, Severity::Error, "b", "label lie up to 4.0000 mm");
    let label = check(&manifest).subjects[1].label.clone().unwrap();
    assert_eq!(label.grid.orientation, "LAS");
}

#[test]
fn subjects_of_different_spacing_are_noted() {
    let (folder, manifest) = dataset();
    // Slices of 3 mm stored first: the axes run S, R, A.
    let sform = [
        [0.0, 1.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0],
        [3.0, 0.0, 0.0, 0.0],
    ];
    let marked: Vec<(usize, f32)> = (0..12).map(|i| (i, 1.0)).collect();
    for (role, values) in [
        ("FLAIR", ramp(100.0)),
        ("T1", ramp(100.5)),
        ("label", sparse(&[(6, 1.0)])),
        ("mask", sparse(&marked)),
    ] {
        nifti_file::write(&file(&folder, "b", role), &SHAPE, sform, &values);
    }
    let problem = problem(&manifest);
    assert_eq!((problem.severity, problem.subject), (Severity::Note, None));
    assert!(
        problem
            .finding
            .contains("from 1.000 x 1.000 x 1.000 mm to 1.000 x 1.000 x 3.000 mm"),
        "{}",
        problem.finding
    );
    let lesions = check(&manifest).subjects[1].label.clone().unwrap().lesions;
    assert_eq!(lesions.volume_mm3.unwrap().max, 3.0);
}

#[test]
fn a_shift_is_judged_by_the_voxel() {
    let (folder, manifest) = dataset();
    // 0.05 mm voxels; the label lies 1.5 of them to the right.
    let mouse = UNIT.map(|row| row.map(|v| v * 0.05));
    let mut moved = mouse;
    moved[0][3] = 0.075;
    for role in ["FLAIR", "T1", "mask"] {
        let values = match role {
            "mask" => sparse(&(0..12).map(|i| (i, 1.0)).collect::<Vec<_>>()),
            _ => ramp(if role == "T1" { 0.5 } else { 0.0 }),
        };
        nifti_file::write(&file(&folder, "a", role), &SHAPE, mouse, &values);
    }
    let label = sparse(&[(0, 1.0)]);
    nifti_file::write(&file(&folder, "a", "label"), &SHAPE, moved, &label);
    let finding = "label lie up to 0.0750 mm from those of FLAIR (1.50 voxels)";
    let problems = check(&manifest).problems;
    assert!(
        problems
            .iter()
            .any(|p| p.severity == Severity::Error && p.finding.contains(finding)),
        "{problems:#?}"
    );
}

/// Subject a's files with another affine, told in one problem.
fn with_affine(sform: [[f32; 4]; 3], finding: &str) {
    let (folder, manifest) = dataset();
    for (role, values) in [
        ("FLAIR", ramp(0.0)),
        ("T1", ramp(0.5)),
        ("label", sparse(&[(0, 1.0), (5, 3.0), (11, 2.0)])),
        (
            "mask",
            sparse(&(0..12).map(|i| (i, 1.0)).collect::<Vec<_>>()),
        ),
    ] {
        nifti_file::write(&file(&folder, "a", role), &SHAPE, sform, &values);
    }
    let problems = check(&manifest).problems;
    let found: Vec<_> = problems
        .iter()
        .filter(|p| p.severity == Severity::Warning)
        .collect();
    assert_eq!(found.len(), 1, "{problems:#?}");
    assert!(found[0].finding.contains(finding), "{}", found[0].finding);
}

#[test]
fn sheared_axes_are_told() {
    // A gantry tilted by atan(1 / 2).
    let mut tilted = UNIT;
    tilted[2][1] = 0.5;
    with_affine(tilted, "the voxel axes are sheared by 26.6 degrees");
}

#[test]
fn voxels_of_400_mm_are_told() {
    let metres = UNIT.map(|row| row.map(|v| v * 400.0));
    with_affine(metres, "voxels of 400.000x400.000x400.000 mm");
}

#[test]
fn two_placements_that_differ_are_told() {
    let (folder, manifest) = dataset();
    let path = file(&folder, "a", "FLAIR");
    let mut bytes = std::fs::read(&path).unwrap();
    // A qform without rotation, its origin 3 mm to the right and 4 mm to the front.
    bytes[252..254].copy_from_slice(&1i16.to_le_bytes());
    bytes[268..272].copy_from_slice(&3f32.to_le_bytes());
    bytes[272..276].copy_from_slice(&4f32.to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    assert_problem(
        &manifest,
        Severity::Note,
        "a",
        "sform and qform differ: the corners lie up to 5.00 mm apart",
    );
}
