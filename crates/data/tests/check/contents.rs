//! Faults of the voxels' values.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::nifti_file::{self, UNIT};
use crate::{SHAPE, assert_problem, check, dataset, file, problem, ramp, sparse, write};
use lacuna_data::check::Severity;
use lacuna_data::manifest::Manifest;
use lacuna_data::subject::{Preprocess, load_case};

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

#[test]
fn an_ignored_value_is_known_and_no_part_of_the_whole() {
    let (folder, manifest) = dataset();
    write(
        &folder,
        "a",
        "label",
        &sparse(&[(0, 1.0), (1, 2.0), (5, 9.0), (11, 9.0), (20, 9.0)]),
    );
    assert!(
        check(&manifest)
            .problems
            .iter()
            .any(|p| p.finding.contains("[9] in 3 voxels"))
    );
    let manifest = manifest.with_ignore(9).unwrap();
    let report = check(&manifest);
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    let label = report.subjects[0].label.as_ref().unwrap();
    assert_eq!((label.foreground[0].voxels, label.lesions.count), (1, 1));
    // 24 voxels and 12 of the mask, without 3 and 2.
    assert_eq!(label.foreground[0].share, 1.0 / 21.0);
    assert_eq!(label.foreground[0].share_in_mask, Some(1.0 / 10.0));
}
