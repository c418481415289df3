//! Reading agrees with nibabel and SimpleITK on every golden file; see
//! `tests/golden/nifti.py` and `formats.py` in the workspace root.

use std::path::PathBuf;

use lacuna_io::nifti::Version;
use lacuna_io::{ImageError, read, read_image, read_labels, read_reference};
use serde_json::Value;

fn folder(of: &str) -> PathBuf {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    golden.join(of)
}

fn golden(name: &str) -> PathBuf {
    folder("nifti").join(name)
}

fn cases_in(of: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(folder(of).join("expected.json")).unwrap();
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
fn every_file_has_its_values() {
    let cases = |of: &'static str| cases_in(of).into_iter().map(move |case| (of, case));
    let all: Vec<_> = cases("nifti").chain(cases("formats")).collect();
    assert_eq!(all.len(), 59 + 63);
    for (of, case) in all {
        let name = case["file"].as_str().unwrap();
        let volumes = read(folder(of).join(name))
            .unwrap_or_else(|e| panic!("{e}"))
            .volumes;
        assert_eq!(volumes.len() as u64, case["volumes"], "{name}");
        let shape = volumes[0].shape().map(|n| n as f64);
        assert_eq!(shape.to_vec(), numbers(&case["shape"]), "{name}");
        let values: Vec<f32> = volumes.iter().flat_map(|v| v.data()).copied().collect();
        let expected: Vec<f32> = numbers(&case["values"]).iter().map(|&v| v as f32).collect();
        match case.get("tolerance").and_then(Value::as_f64) {
            None => assert_eq!(values, expected, "{name}"),
            Some(tolerance) => {
                let apart = |(a, b): (&f32, &f32)| f64::from((a - b).abs());
                let largest = values.iter().zip(&expected).map(apart).fold(0.0, f64::max);
                assert_eq!(values.len(), expected.len(), "{name}");
                assert!(largest <= tolerance, "{name}: {largest} apart");
            }
        }
    }
}

#[test]
fn every_nifti_file_has_nibabels_affine() {
    // What sform and qform hold is in double precision.
    affines("nifti", 1e-12);
}

#[test]
fn every_other_file_has_the_affine_of_its_peer() {
    // As a NIfTI file of the same place would have it.
    affines("formats", 1e-7);
}

fn affines(of: &str, relative: f64) {
    for case in cases_in(of) {
        let name = case["file"].as_str().unwrap();
        let header = read_reference(folder(of).join(name)).unwrap();
        let expected = case["affine"].as_array().unwrap();
        for (row, expected) in header.affine().0.iter().zip(expected) {
            for (found, expected) in row.iter().zip(numbers(expected)) {
                let tolerance = relative * expected.abs().max(1.0);
                assert!(
                    (found - expected).abs() <= tolerance,
                    "{name}: {found} is not {expected}"
                );
            }
        }
        assert_eq!(
            header.affine(),
            read(folder(of).join(name)).unwrap().volumes[0].affine()
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
