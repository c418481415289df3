//! Files of another format, or of none.

use crate::{MAGIC, changed, gzipped, put, refused, sound};
use lacuna_io::nifti::NiftiError;
use lacuna_io::{Format, ImageError, read_image};

#[test]
fn a_sound_file_is_read() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.nii", sound()), ("a.nii.gz", gzipped(&sound()))] {
        let image = read_image(put(&dir, name, &bytes)).unwrap();
        assert_eq!(image.data()[23], 23.0);
    }
}

#[test]
fn an_empty_file_and_half_a_header() {
    for bytes in [&[][..], &sound()[..3], &sound()[..347]] {
        let error = refused("case.nii", bytes);
        let found = bytes.len() as u64;
        assert!(
            matches!(error, ImageError::Truncated { found: f, expected: 348, .. } if f == found),
            "{error}"
        );
    }
}

#[test]
fn no_nifti_file() {
    for field in [b"\0\0\0\0", b"n+2\0"] {
        let error = refused("case.nii", &changed(MAGIC, field));
        assert!(
            matches!(error, ImageError::Nifti(NiftiError::NotNifti { .. })),
            "{error}"
        );
    }
}

#[test]
fn another_format_is_named() {
    for (at, mark, name) in [
        (0, &b"\x89HDF\r\n"[..], "HDF5 or MINC content"),
        (0, b"PK\x03\x04", "zip content"),
        (0, b"\0\0\0\0", "sizeof_hdr 0"),
    ] {
        let error = refused("case.nii", &changed(at, mark));
        assert!(matches!(error, ImageError::UnknownFormat { .. }), "{error}");
        assert!(error.to_string().contains(name), "{error}");
    }
    // The mark of DICOM comes after 128 bytes of anything.
    let mut dicom = vec![0; 128];
    dicom.extend(b"DICM");
    let error = refused("case.nii", &dicom);
    assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
}

#[test]
fn the_format_is_told_by_the_content() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [("a.mha", sound()), ("a", gzipped(&sound()))] {
        let path = put(&dir, name, &bytes);
        assert_eq!(Format::of(&path).unwrap(), Format::Nifti);
        assert_eq!(read_image(&path).unwrap().shape(), [4, 3, 2]);
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_says_where_it_leads() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("FLAIR.nii.gz");
    std::os::unix::fs::symlink("../annex/objects/key.nii.gz", &link).unwrap();
    let error = read_image(&link).unwrap_err();
    assert!(matches!(error, ImageError::DanglingLink { .. }), "{error}");
    let text = "FLAIR.nii.gz: a link to ../annex/objects/key.nii.gz, which is not there";
    assert!(error.to_string().contains(text), "{error}");
}

#[test]
fn no_file_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let error = read_image(dir.path()).unwrap_err();
    assert!(matches!(error, ImageError::NotAFile { .. }), "{error}");
    let error = read_image(dir.path().join("none.nii")).unwrap_err();
    assert!(matches!(error, ImageError::Read { .. }), "{error}");
    assert!(error.to_string().contains("none.nii"));
    assert!(read_image("").is_err());
}

#[test]
fn half_a_pair() {
    let dir = tempfile::tempdir().unwrap();
    let header = put(&dir, "a.hdr", &changed(MAGIC, b"ni1\0")[..348]);
    let image = put(&dir, "b.img", &[0; 96]);
    for path in [header, image] {
        let error = read_image(&path).unwrap_err();
        assert!(
            matches!(error, ImageError::Nifti(NiftiError::NoPair { .. })),
            "{error}"
        );
    }
    let error = refused("case.nii", &changed(MAGIC, b"ni1\0"));
    assert!(
        matches!(error, ImageError::Nifti(NiftiError::NotNifti { .. })),
        "{error}"
    );
    let error = refused("case.hdr", &sound());
    assert!(
        matches!(error, ImageError::Nifti(NiftiError::NotNifti { .. })),
        "{error}"
    );
}
