//! Segmentations of DICOM: read as highdicom reads them, see `tests/golden/dicom_seg.py`, and
//! written onto a series.

use std::path::PathBuf;

use dicom_object::{InMemDicomObject, Tag, open_file};
use lacuna_io::{Classes, ImageError, read_image, read_labels, read_reference, write_class_labels};
use lacuna_volume::{Volume, corner_displacement_mm};
use serde_json::Value;

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden")
        .join(name)
}

fn numbers(value: &Value) -> Vec<f64> {
    let list = value.as_array().unwrap();
    list.iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn every_segmentation_is_as_highdicom_reads_it() {
    let text = std::fs::read_to_string(golden("dicom_seg/expected.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(cases.len(), 3);
    for case in cases {
        let name = case["file"].as_str().unwrap();
        let labels = read_labels(golden(&format!("dicom_seg/{name}")));
        let labels = labels.unwrap_or_else(|e| panic!("{e}"));
        let shape = labels.shape().map(|n| n as f64);
        assert_eq!(shape.to_vec(), numbers(&case["shape"]), "{name}");
        let values: Vec<f64> = labels.data().iter().map(|v| f64::from(*v)).collect();
        assert_eq!(values, numbers(&case["values"]), "{name}");
        let rows = case["affine"].as_array().unwrap();
        for (found, expected) in labels.affine().0.iter().zip(rows) {
            for (found, expected) in found.iter().zip(numbers(expected)) {
                assert!(
                    (found - expected).abs() < 1e-5,
                    "{name}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn what_is_no_label_map_is_refused_by_name() {
    for (name, part) in [
        ("overlap", "segments that overlap (1 and 2)"),
        ("fractional", "of the type FRACTIONAL"),
    ] {
        let error = read_labels(golden(&format!("dicom_seg/{name}.dcm"))).unwrap_err();
        assert!(matches!(error, ImageError::NotRead { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[test]
fn a_segmentation_that_is_cut_off_is_damaged() {
    let bytes = std::fs::read(golden("dicom_seg/whole.dcm")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.dcm");
    for length in (0..bytes.len()).step_by(97).chain([bytes.len() - 2]) {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let error = read_labels(&path).unwrap_err().to_string();
        assert!(error.contains("a.dcm"), "{error}");
    }
}

fn items(object: &InMemDicomObject, tag: Tag) -> Vec<InMemDicomObject> {
    object.element(tag).unwrap().items().unwrap().to_vec()
}

fn text(object: &InMemDicomObject, tag: Tag) -> String {
    object
        .element(tag)
        .unwrap()
        .to_str()
        .unwrap()
        .trim()
        .to_owned()
}

#[test]
fn a_label_map_is_written_onto_its_series() {
    let series = golden("dicom/explicit");
    let reference = read_reference(&series).unwrap();
    let mut labels = read_image(&series).unwrap().map(|_| 0u8);
    // Frames of 20 pixels.
    for (voxel, class) in [(7, 1), (12, 1), (40, 2), (59, 1)] {
        labels.data_mut()[voxel] = class;
    }
    let names = ["background", "Ödem", "core", "never"].map(str::to_owned);
    let classes = Classes {
        names: &names,
        values: None,
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seg.dcm");
    write_class_labels(&path, &labels, classes, &reference).unwrap();

    let found = read_labels(&path).unwrap();
    assert_eq!(found.data(), labels.map(|v| i32::from(*v)).data());
    assert!(corner_displacement_mm(&found.grid(), &labels.grid()) < 1e-4);

    let object = open_file(&path).unwrap().into_inner();
    // All three slices of the first class, one of the second, none of the third.
    assert_eq!(text(&object, Tag(0x0028, 0x0008)), "4");
    let pixels = object
        .element(Tag(0x7FE0, 0x0010))
        .unwrap()
        .to_bytes()
        .unwrap();
    // 80 bits: numbers 7 and 12, 59, and 60 of the first pixel of the last frame.
    assert_eq!(pixels[..], [0x80, 0x10, 0, 0, 0, 0, 0, 0x18, 0, 0]);
    let segments = items(&object, Tag(0x0062, 0x0002));
    let labels_of: Vec<String> = (segments.iter())
        .map(|segment| text(segment, Tag(0x0062, 0x0005)))
        .collect();
    assert_eq!(labels_of, names[1..]);
    let first = open_file(series.join("c.dcm")).unwrap().into_inner();
    for tag in [Tag(0x0020, 0x000D), Tag(0x0020, 0x0037)] {
        let shared = items(&object, Tag(0x5200, 0x9229));
        let orientation = items(&shared[0], Tag(0x0020, 0x9116));
        let found = match tag.element() {
            0x000D => text(&object, tag),
            _ => text(&orientation[0], tag),
        };
        assert_eq!(found, text(&first, tag));
    }
    let frames = items(&object, Tag(0x5200, 0x9230));
    // The first slice along the normal is that of the file c, the last that of b.
    for (frame, file) in [(0, "c"), (2, "b"), (3, "b")] {
        let slice = open_file(series.join(format!("{file}.dcm")))
            .unwrap()
            .into_inner();
        let derivation = items(&frames[frame], Tag(0x0008, 0x9124));
        let source = items(&derivation[0], Tag(0x0008, 0x2112));
        let uid = text(&source[0], Tag(0x0008, 0x1155));
        assert_eq!(uid, text(&slice, Tag(0x0008, 0x0018)));
        let place = items(&frames[frame], Tag(0x0020, 0x9113));
        let position = Tag(0x0020, 0x0032);
        assert_eq!(text(&place[0], position), text(&slice, position));
    }
}

#[test]
fn what_cannot_be_a_segmentation_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seg.dcm");
    let names = ["background", "lesion"].map(str::to_owned);
    let refused = |of: &str, values: Option<&[u16]>| {
        let reference = read_reference(golden(of)).unwrap();
        let labels = Volume::filled(reference.shape(), *reference.affine(), 1u8).unwrap();
        let classes = Classes {
            names: &names,
            values,
        };
        let error = write_class_labels(&path, &labels, classes, &reference).unwrap_err();
        assert!(!path.exists());
        error.to_string()
    };
    let error = refused("nifti/both.nii", None);
    assert!(error.contains("refers to the series"), "{error}");
    let error = refused("dicom/explicit", Some(&[0, 4]));
    assert!(error.contains("numbered 1, 2"), "{error}");
}
