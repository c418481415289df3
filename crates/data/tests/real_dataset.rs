//! Manifests and checks of the real images in the folder `LACUNA_DATA`.
//!
//! The lesion counts, their sizes and the voxels outside the mask are those
//! that SciPy gives: `label(foreground, ones((3, 3, 3)))`, `bincount` and
//! `foreground & ~rint(mask)`.

use std::path::PathBuf;

use lacuna_data::check::{self, CheckReport, Severity};
use lacuna_data::discover::{self, Search};
use lacuna_data::manifest::Manifest;

/// The data folder, known when `LACUNA_DATA` was set while building.
const DATA: Option<&str> = option_env!("LACUNA_DATA_FOLDER");

fn data() -> PathBuf {
    DATA.expect("LACUNA_DATA names the data folder").into()
}

/// The manifest made from patterns, written to a file and read back, so that
/// paths out of the manifest's folder are tried too.
fn manifest(folder: &str, modalities: &[&str], label: &str, mask: Option<&str>) -> Manifest {
    let search = Search {
        images: (modalities.iter())
            .map(|m| ((*m).to_owned(), format!("*/{m}.nii.gz")))
            .collect(),
        label: Some(format!("*/{label}.nii.gz")),
        mask: mask.map(|m| format!("*/{m}.nii.gz")),
        foreground: vec![label.to_owned()],
        ..Search::default()
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let out = elsewhere.path().join("dataset.toml");
    let made = discover::by_patterns(&data().join(folder), &search, &out).unwrap();
    made.write().unwrap();
    let read = Manifest::read(&out).unwrap();
    assert_eq!(
        (&read.name, &read.label_values),
        (&made.name, &made.label_values)
    );
    let ids = |m: &Manifest| -> Vec<String> { m.subjects.iter().map(|s| s.id.clone()).collect() };
    assert_eq!(ids(&read), ids(&made));
    for image in read.subjects.iter().flat_map(|s| s.images.values()) {
        assert!(image.path.is_file(), "{image}");
    }
    made
}

fn assert_sound(report: &CheckReport) {
    assert!(report.exit_ok(), "{:#?}", report.problems);
    for image in report.subjects.iter().flat_map(|s| &s.images) {
        assert_eq!(image.not_finite, 0);
        assert_eq!(image.grid.corner_displacement_mm, Some(0.0));
    }
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_brats_is_sound() {
    let manifest = manifest("brats2015", &["FLAIR", "T1c"], "tumour", Some("brain_mask"));
    assert_eq!(manifest.label_values.len(), 5);
    let report = check::check(&manifest, |_| {});
    assert_sound(&report);
    assert_eq!(report.subjects.len(), 4);
    // Lesions, voxels of the largest, foreground voxels, those outside the mask.
    let expected = [
        (4, 173_907.0, 173_928, 120),
        (1, 120_674.0, 120_674, 14),
        (9, 77_676.0, 80_682, 2),
        (2, 217_379.0, 217_380, 481),
    ];
    for (subject, (lesions, largest, voxels, outside)) in report.subjects.iter().zip(expected) {
        let grid = &subject.images[0].grid;
        assert_eq!(grid.shape, [240, 240, 155]);
        assert_eq!(grid.orientation, "LPS");
        let label = subject.label.as_ref().unwrap();
        // From the data's description: 0.7 to 2.4 % of the whole grid.
        let percent = 100.0 * label.foreground_share;
        assert!((0.65..2.45).contains(&percent), "{}: {percent}", subject.id);
        assert_eq!(label.lesions.count, lesions);
        assert_eq!(label.lesions.volume_mm3.unwrap().max, largest);
        assert_eq!(label.foreground[0].voxels, voxels);
        let share = outside as f64 / voxels as f64;
        assert_eq!(label.foreground_outside_mask, Some(share));
    }
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_ms_lesions_have_the_described_share() {
    let manifest = manifest("ms_lesion", &["T1", "T2", "FLAIR"], "lesion", None);
    let report = check::check(&manifest, |_| {});
    assert_sound(&report);
    assert_eq!(report.count(Severity::Warning), 0, "{:#?}", report.problems);
    // Shares from the data's description, in percent of the whole grid.
    let expected = [
        ("0.018", [3, 8, 2, 14, 9, 1, 0], [1.0, 17.0, 210.0]),
        ("0.69", [9, 20, 15, 41, 10, 2, 1], [1.0, 12.0, 46_870.0]),
    ];
    for (subject, (percent, bins, volumes)) in report.subjects.iter().zip(expected) {
        let digits = percent.len() - 2;
        let label = subject.label.as_ref().unwrap();
        let share = 100.0 * label.foreground_share;
        let found: Vec<usize> = label.lesions.histogram.iter().map(|b| b.lesions).collect();
        assert_eq!(found, bins);
        assert_eq!(label.lesions.count, bins.iter().sum::<usize>());
        let volume = label.lesions.volume_mm3.unwrap();
        assert_eq!([volume.min, volume.median, volume.max], volumes);
        assert_eq!(format!("{share:.digits$}"), percent, "{}", subject.id);
        assert_eq!(subject.images[0].grid.shape, [182, 218, 182]);
        assert_eq!(subject.images[0].grid.orientation, "LAS");
    }
}
