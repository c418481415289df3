//! DICOM series against GDCM, see `tests/golden/dicom.py`, and series that are refused by name.

use std::path::PathBuf;

use lacuna_io::{Format, ImageError, read, read_image, read_reference};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::Value;

fn series(name: &str) -> PathBuf {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/dicom");
    golden.join(name)
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn every_series_is_as_gdcm_reads_it() {
    let text = std::fs::read_to_string(series("expected.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 10);
    for case in cases {
        let name = case["file"].as_str().unwrap();
        assert_eq!(Format::of(series(name)).unwrap(), Format::Dicom);
        let image = read_image(series(name)).unwrap_or_else(|e| panic!("{e}"));
        let shape = image.shape().map(|n| n as f64);
        assert_eq!(shape.to_vec(), numbers(&case["shape"]), "{name}");
        let values: Vec<f64> = image.data().iter().map(|v| f64::from(*v)).collect();
        assert_eq!(values, numbers(&case["values"]), "{name}");
        let rows = case["affine"].as_array().unwrap();
        for (found, expected) in image.affine().0.iter().zip(rows) {
            for (found, expected) in found.iter().zip(numbers(expected)) {
                // Positions are decimals of 12 digits, affines are kept in 32 bits.
                let tolerance = 2e-7 * expected.abs().max(1.0);
                assert!(
                    (found - expected).abs() < tolerance,
                    "{name}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_series_is_refused_by_name() {
    for (name, parts) in [
        (
            "gap",
            &["5.000 mm between", "b.dcm and d.dcm", "2.500 mm"][..],
        ),
        ("tilt", &["tilted gantry", "13.5 degrees"]),
        (
            "two",
            &[
                "2 series in one folder",
                "\"series 1\" of 3 slices",
                "\"series 2\" of 1",
            ],
        ),
        ("twice", &["two slices in one place", "b.dcm", "d.dcm"]),
        ("turned", &["size, spacing or direction", "d.dcm"]),
        ("mosaic", &["mosaic"]),
        ("colours", &["colours (RGB)"]),
        ("palette", &["colours (PALETTE COLOR)"]),
        ("bits", &["16 bits"]),
        ("square", &["`ImageOrientationPatient`", "right angles"]),
        ("frames", &["2 frames"]),
        ("nowhere", &["`ImagePositionPatient` is absent"]),
        ("report", &["no image in it"]),
    ] {
        let error = read(series(name)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(name), "{text}");
        for part in parts {
            assert!(text.contains(part), "{text}");
        }
    }
}

#[test]
fn one_file_is_one_slice() {
    let one = read_image(series("explicit").join("a.dcm")).unwrap();
    let all = read_image(series("explicit")).unwrap();
    assert_eq!(one.shape(), [5, 4, 1]);
    assert_eq!(one.data(), &all.data()[20..40]);
    // The thickness of the slice, as there is no next one.
    assert!((one.affine().spacing().0[2] - 2.0).abs() < 1e-6);
}

#[test]
fn a_folder_without_slices_and_slices_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("notes.txt"), "nothing").unwrap();
    let error = read_reference(dir.path()).unwrap_err();
    assert!(matches!(error, ImageError::NotAFile { .. }), "{error}");
    std::fs::write(dir.path().join("empty.dcm"), "").unwrap();
    let error = read_reference(dir.path()).unwrap_err();
    assert!(error.to_string().contains("empty.dcm"), "{error}");
    std::fs::remove_file(dir.path().join("empty.dcm")).unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", dir.path().join("z.dcm")).unwrap();
        let error = read_reference(dir.path()).unwrap_err();
        assert!(matches!(error, ImageError::DanglingLink { .. }), "{error}");
        std::fs::remove_file(dir.path().join("z.dcm")).unwrap();
    }
    for name in ["explicit", "rle", "jpeg2000", "deflated"] {
        let whole = std::fs::read(series(name).join("a.dcm")).unwrap();
        for end in [140, whole.len() / 2, whole.len() - 30] {
            let path = dir.path().join("cut.dcm");
            std::fs::write(&path, &whole[..end]).unwrap();
            let error = read(&path).map(|image| image.volumes.len());
            assert!(error.is_err(), "{name} cut off at {end} of {}", whole.len());
        }
    }
}

/// Sequences in sequences, 20 bytes each, on which a reader that recurses would run out of stack.
#[test]
fn nested_sequences_are_refused() {
    let mut file = std::fs::read(series("explicit").join("a.dcm")).unwrap();
    let open = [
        0x08, 0x00, 0x40, 0x11, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, // a sequence
        0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF, // its first item
    ];
    // After the meta group, whose length comes first.
    let meta = 132 + 12 + u32::from_le_bytes([file[140], file[141], file[142], file[143]]) as usize;
    file.splice(meta..meta, open.repeat(20_000));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep.dcm");
    std::fs::write(&path, file).unwrap();
    let error = read(&path).unwrap_err();
    assert!(error.to_string().contains("nested too deep"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200, rng_seed: RngSeed::Fixed(0), ..ProptestConfig::default()
    })]

    #[test]
    fn damage_never_panics(
        which in 0usize..5,
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..8),
        keep in any::<u16>(),
    ) {
        let name = ["explicit", "implicit", "big", "rle", "deflated"][which];
        let mut bytes = std::fs::read(series(name).join("a.dcm")).unwrap();
        for (at, byte) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.dcm");
        std::fs::write(&path, &bytes).unwrap();
        let _ = read(&path);
        bytes.truncate(usize::from(keep) % bytes.len());
        std::fs::write(&path, &bytes).unwrap();
        let _ = read(dir.path());
    }
}
