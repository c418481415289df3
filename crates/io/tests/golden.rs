//! Reading agrees with nibabel on every golden file; see
//! `tests/golden/nifti.py` in the workspace root.

use std::path::PathBuf;

use lacuna_io::nifti::Version;
use lacuna_io::{ImageError, read, read_image, read_labels, read_reference};
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/nifti")
        .join(name)
}

fn cases() -> Vec<Value> {
    let text = std::fs::read_to_string(golden("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}

#[test]
fn every_file_has_nibabels_values() {
    let cases = cases();
    assert_eq!(cases.len(), 59);
    for case in cases {
        let name = case["file"].as_str().unwrap();
        let volumes = read(golden(name)).unwrap().volumes;
        assert_eq!(volumes.len() as u64, case["volumes"], "{name}");
        let shape = volumes[0].shape().map(|n| n as f64);
        assert_eq!(shape.to_vec(), numbers(&case["shape"]), "{name}");
        let values: Vec<f32> = volumes.iter().flat_map(|v| v.data()).copied().collect();
        let expected: Vec<f32> = numbers(&case["values"]).iter().map(|&v| v as f32).collect();
        assert_eq!(values, expected, "{name}");
    }
}

#[test]
fn every_file_has_nibabels_affine() {
    for case in cases() {
        let name = case["file"].as_str().unwrap();
        let header = read_reference(golden(name)).unwrap();
        let expected = case["affine"].as_array().unwrap();
        for (row, expected) in header.affine().0.iter().zip(expected) {
            for (found, expected) in row.iter().zip(numbers(expected)) {
                let tolerance = 1e-12 * expected.abs().max(1.0);
                assert!(
                    (found - expected).abs() <= tolerance,
                    "{name}: {found} is not {expected}"
                );
            }
        }
        assert_eq!(
            header.affine(),
            read(golden(name)).unwrap().volumes[0].affine()
        );
    }
}

#[test]
fn headers_tell_their_axes_and_version() {
    let header = read_reference(golden("two_d.nii")).unwrap();
    assert_eq!((header.nifti().rank(), header.shape()), (2, [4, 3, 1]));
    let header = read_reference(golden("five_d.nii")).unwrap();
    assert_eq!((header.nifti().rank(), header.volumes()), (4, 2));
    let header = read_reference(golden("nifti2_be.nii")).unwrap();
    assert_eq!(header.nifti().version(), Version::Nifti2);
}

#[test]
fn one_volume_is_read_and_several_are_counted() {
    assert_eq!(
        read_image(golden("four_d_one.nii")).unwrap().shape(),
        [3, 2, 2]
    );
    for error in [
        read_image(golden("four_d.nii")).unwrap_err(),
        read_labels(golden("four_d.nii")).unwrap_err(),
    ] {
        assert!(matches!(error, ImageError::VolumeCount { found: 3, .. }));
        assert!(error.to_string().contains("four_d.nii"));
    }
}

#[test]
fn labels_of_any_type_are_whole_numbers() {
    let labels = read_labels(golden("i16_be.nii")).unwrap();
    assert_eq!(labels.data()[0], -32768);
    assert_eq!(labels.data()[11], 32767);
    // 2 x stored, the intercept not a number.
    let labels = read_labels(golden("scaled_i16_nan_inter.nii")).unwrap();
    assert_eq!(labels.data()[0], -65536);
    // The first value of the ramp is 1/7, and u32 reaches beyond 32 signed bits.
    let error = read_labels(golden("f64_le.nii")).unwrap_err();
    assert!(
        matches!(error, ImageError::NotALabel { voxel: [0, 0, 0], value, .. } if value == 1.0 / 7.0)
    );
    let error = read_labels(golden("u32_le.nii")).unwrap_err();
    assert!(
        matches!(
            error,
            ImageError::NotALabel {
                voxel: [0, 0, 1],
                ..
            }
        ),
        "{error}"
    );
}
