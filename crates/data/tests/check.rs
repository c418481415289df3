//! The pre-flight check on tiny datasets with one fault each.

mod nifti_file;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use lacuna_data::check::{self, CheckReport, Problem, Severity};
use lacuna_data::manifest::Manifest;
use lacuna_data::subject::{Preprocess, load_case};
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

#[test]
fn a_sound_dataset_is_measured() {
    let (_folder, manifest) = dataset();
    let done = AtomicUsize::new(0);
    let report = check::check(&manifest, |n| {
        done.fetch_max(n, Ordering::Relaxed);
    });
    assert_eq!(done.into_inner(), 2);
    assert_eq!(report.problems, []);
    assert!(report.exit_ok());
    let a = &report.subjects[0];
    assert_eq!(a.images[1].modality, "T1");
    assert_eq!((a.images[1].min, a.images[1].max), (0.5, 23.5));
    assert_eq!(a.images[0].grid.shape, SHAPE);
    assert_eq!(a.images[0].grid.spacing_mm, [1.0; 3]);
    assert_eq!(a.images[0].grid.orientation, "RAS");
    assert_eq!(a.images[1].grid.corner_displacement_mm, Some(0.0));
    let label = a.label.as_ref().unwrap();
    assert_eq!(
        label.values.clone().into_iter().collect::<Vec<_>>(),
        [(0, 21), (1, 1), (2, 1), (3, 1)]
    );
    let shares: Vec<_> = label
        .foreground
        .iter()
        .map(|c| (c.voxels, c.share, c.share_in_mask))
        .collect();
    assert_eq!(
        shares,
        [
            (1, 1.0 / 24.0, Some(1.0 / 12.0)),
            (2, 2.0 / 24.0, Some(2.0 / 12.0))
        ]
    );
    assert_eq!(label.foreground_share, 0.125);
    assert_eq!(label.foreground_share_in_mask, Some(0.25));
    assert_eq!(label.foreground_outside_mask, Some(0.0));
    assert_eq!(label.lesions.count, 2);
    let bins: Vec<usize> = label.lesions.histogram.iter().map(|b| b.lesions).collect();
    assert_eq!(bins, [1, 1, 0, 0, 0, 0, 0]);
    assert_eq!(label.lesions.volume_mm3.unwrap().median, 1.5);
    assert_eq!(a.mask.as_ref().unwrap().share, 0.5);
    assert_eq!(report.lesions.as_ref().unwrap().count, 3);
    assert_eq!(report.labelled, 2);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["subjects"][0]["label"]["values"]["3"], 1);
    assert_eq!(json["lesions"]["histogram"][1]["voxels"], "2-5");
}

#[test]
fn the_result_does_not_depend_on_the_threads() {
    let (folder, manifest) = dataset();
    write(&folder, "b", "FLAIR", &ramp(0.0));
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| check(&manifest))
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn a_file_that_cannot_be_read_does_not_end_the_check() {
    let (folder, manifest) = dataset();
    std::fs::remove_file(file(&folder, "a", "FLAIR")).unwrap();
    let report = check(&manifest);
    assert_problem(&manifest, Severity::Error, "a", "cannot read the file");
    // The file stands once, in the problem's place.
    let file = report.problems[0].file.as_deref().unwrap();
    assert!(file.ends_with("FLAIR.nii") && !report.problems[0].finding.contains(file));
    assert!(!report.exit_ok());
    assert_eq!(report.subjects[0].images.len(), 1);
    assert_eq!(report.subjects[0].label.as_ref().unwrap().lesions.count, 2);
    assert_eq!(report.subjects[1].images.len(), 2);
}

#[test]
fn faults_of_images_are_found() {
    let (folder, manifest) = dataset();
    let mut values = ramp(0.5);
    values[3] = f32::NAN;
    values[4] = f32::NEG_INFINITY;
    write(&folder, "a", "T1", &values);
    assert_problem(
        &manifest,
        Severity::Error,
        "a",
        "T1 has 2 of 24 voxels that are NaN or infinite",
    );
    write(&folder, "a", "T1", &[7.0; 24]);
    assert_problem(
        &manifest,
        Severity::Error,
        "a",
        "the same value 7 everywhere",
    );
}

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
fn faults_of_labels_are_found() {
    let (folder, manifest) = dataset();
    write(
        &folder,
        "a",
        "label",
        &sparse(&[(0, 1.0), (1, 2.0), (2, 9.0), (3, 9.0)]),
    );
    assert_problem(
        &manifest,
        Severity::Error,
        "a",
        "label values [9] in 2 voxels, expected only [0, 1, 2, 3]",
    );
    let label = check(&manifest).subjects[0].label.clone().unwrap();
    assert_eq!(
        (label.unknown_values, label.foreground_share),
        (vec![9], 2.0 / 24.0)
    );

    write(
        &folder,
        "a",
        "label",
        &sparse(&[(0, 1.0), (1, 2.0), (2, 1.0), (23, 1.0)]),
    );
    assert_problem(
        &manifest,
        Severity::Warning,
        "a",
        "1 of 4 foreground voxels (25.00 %) lie outside the mask",
    );

    write(&folder, "a", "label", &sparse(&[(0, 2.0)]));
    write(&folder, "b", "label", &[0.0; 24]);
    let report = check(&manifest);
    let findings: Vec<&str> = report.problems.iter().map(|p| p.finding.as_str()).collect();
    assert_eq!(
        findings,
        [
            "the label has no foreground",
            "the class `core` occurs in no label"
        ]
    );
    assert!(report.exit_ok());

    write(&folder, "a", "label", &[0.0; 24]);
    let report = check(&manifest);
    assert!(
        report.problems[2]
            .finding
            .contains("no label has any foreground")
    );
    assert_eq!(
        (
            report.count(Severity::Warning),
            report.count(Severity::Error)
        ),
        (2, 1)
    );
}

#[test]
fn an_empty_mask_is_found() {
    let (folder, manifest) = dataset();
    write(&folder, "b", "mask", &[0.0; 24]);
    assert_problem(&manifest, Severity::Error, "b", "the mask is empty");
    let label = check(&manifest).subjects[1].label.clone().unwrap();
    assert_eq!(
        (
            label.foreground_share_in_mask,
            label.foreground_outside_mask
        ),
        (None, None)
    );
}

#[test]
fn a_useless_weight_map_is_found() {
    let (folder, mut manifest) = dataset();
    manifest.subjects[0].weight = Some(file(&folder, "a", "weight"));
    write(&folder, "a", "weight", &ramp(0.0));
    // The weights are no image, so that a map equal to FLAIR is no duplicate.
    assert_eq!(check(&manifest).problems, []);
    write(&folder, "a", "weight", &ramp(-1.0));
    assert_problem(
        &manifest,
        Severity::Error,
        "a",
        "sampling weights from -1 to 22",
    );
    write(&folder, "a", "weight", &[0.0; 24]);
    assert_problem(
        &manifest,
        Severity::Error,
        "a",
        "sampling weights from 0 to 0",
    );
}

#[test]
fn duplicates_are_found() {
    let (folder, manifest) = dataset();
    write(&folder, "b", "FLAIR", &ramp(0.0));
    assert_problem(&manifest, Severity::Warning, "a", "FLAIR.nii (subject `b`)");
    write(&folder, "b", "FLAIR", &ramp(100.5));
    assert_problem(&manifest, Severity::Warning, "b", "T1.nii (subject `b`)");
    assert!(
        problem(&manifest)
            .remedy
            .contains("each modality its own image")
    );
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
fn a_volume_of_a_4d_file_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<f32> = ramp(0.0).into_iter().chain(ramp(50.0)).collect();
    nifti_file::write(&folder.path().join("x.nii"), &[4, 3, 2, 2], UNIT, &values);
    let manifest = |volume: usize| {
        let text = format!(
            "name = '4d'\nmodalities = ['T1', 'T2']\nclasses = ['background', 'lesion']\n\
             [[subject]]\nid = 'x'\nimages = {{ T1 = 'x.nii#0', T2 = 'x.nii#{volume}' }}\n"
        );
        let path = folder.path().join("dataset.toml");
        std::fs::write(&path, text).unwrap();
        Manifest::read(Path::new(&path)).unwrap()
    };
    let report = check(&manifest(1));
    let ranges: Vec<(f32, f32)> = report.subjects[0]
        .images
        .iter()
        .map(|i| (i.min, i.max))
        .collect();
    assert_eq!(ranges, [(0.0, 23.0), (50.0, 73.0)]);
    assert_eq!(report.problems.len(), 1);
    assert!(
        report.problems[0]
            .finding
            .contains("no subject has a label")
    );
    let report = check(&manifest(2));
    assert!(
        report.problems[0]
            .finding
            .contains("has 2 volumes, expected at least 3")
    );
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

#[test]
fn a_file_that_claims_more_than_it_holds_is_refused_at_once() {
    let (folder, manifest) = dataset();
    let path = file(&folder, "a", "FLAIR");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(352);
    for axis in 0..3 {
        bytes[42 + 2 * axis..44 + 2 * axis].copy_from_slice(&i16::MAX.to_le_bytes());
    }
    // Axes L A S, which are to be turned.
    bytes[280..284].copy_from_slice(&(-1f32).to_le_bytes());
    std::fs::write(&path, bytes).unwrap();
    let problem = check(&manifest).problems.remove(0);
    assert_eq!(problem.severity, Severity::Error);
    // 32767^3 voxels of 4 bytes; the path stands once, in the problem's place.
    assert_eq!(
        problem.finding,
        "the file ends early: 0 bytes of voxels found, 140724603846652 expected"
    );
    assert!(
        problem.remedy.starts_with("it was cut off"),
        "{}",
        problem.remedy
    );
    let loaded = load_case(&manifest, &manifest.subjects[0], &Preprocess::default());
    assert!(
        loaded
            .unwrap_err()
            .to_string()
            .contains("the file ends early")
    );
}
