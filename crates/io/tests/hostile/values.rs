//! Types, geometry and labels that cannot be used, and random damage.

use crate::{
    DATATYPE, MAGIC, PIXDIM, QFORM_CODE, QUATERN, SFORM_CODE, SLOPE, SROW_X, changed, gzipped, put,
    read_whatever, refused, refused_field, sound,
};
use lacuna_io::nifti::NiftiError;
use lacuna_io::{ImageError, Reference, read_labels, write_image};
use lacuna_volume::{Affine, Volume};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

#[test]
fn unsupported_datatypes() {
    for (code, name) in [
        (1i16, "single bits"),
        (32, "complex"),
        (128, "RGB"),
        (1536, "128-bit"),
        (1792, "complex"),
        (2304, "RGB"),
        (0, "unknown"),
        (999, "999"),
        (-4, "-4"),
    ] {
        let error = refused("case.nii", &changed(DATATYPE, &code.to_le_bytes()));
        assert!(matches!(
            error,
            ImageError::Nifti(NiftiError::Datatype { .. })
        ));
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn unusable_geometry() {
    let form = |bytes: &[u8]| match refused("case.nii", bytes) {
        ImageError::Nifti(NiftiError::Geometry { form, .. }) => form,
        other => panic!("{other}"),
    };
    assert_eq!(form(&changed(SROW_X, &[0; 16])), "sform");
    assert_eq!(form(&changed(SROW_X, &f32::NAN.to_le_bytes())), "sform");

    let mut pixdim = changed(SFORM_CODE, &[0, 0]);
    pixdim[PIXDIM + 8..PIXDIM + 12].copy_from_slice(&0f32.to_le_bytes());
    assert_eq!(form(&pixdim), "pixdim");

    let mut qform = changed(SFORM_CODE, &[0, 0]);
    qform[QFORM_CODE] = 1;
    for quaternion in [2.0, f32::NAN, f32::INFINITY] {
        qform[QUATERN..QUATERN + 4].copy_from_slice(&quaternion.to_le_bytes());
        assert_eq!(form(&qform), "qform");
    }
}

#[test]
fn an_infinite_slope() {
    let bytes = changed(SLOPE, &f32::INFINITY.to_le_bytes());
    assert_eq!(refused_field(&bytes), "scl_slope");
}

fn labels(values: &[f32]) -> Result<Volume<i32>, ImageError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("labels.nii");
    let shape = [2, values.len() / 2, 1];
    let image = Volume::new(shape, Affine::identity(), values.to_vec()).unwrap();
    write_image(&path, &image, &Reference::from_grid(&image.grid())).unwrap();
    read_labels(&path)
}

#[test]
fn values_that_are_no_labels() {
    assert_eq!(
        labels(&[0.999_999_94, -0.0005, 3.0009, -2.0])
            .unwrap()
            .data(),
        [1, 0, 3, -2]
    );
    for bad in [1.5, 0.0011, f32::NAN, f32::INFINITY, 3e9, -3e9] {
        let error = labels(&[0.0, 1.0, 2.0, 3.0, 4.0, bad]).unwrap_err();
        let ImageError::NotALabel { voxel, value, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(*voxel, [1, 2, 0]);
        assert_eq!(value.to_bits(), f64::from(bad).to_bits());
        assert!(error.to_string().contains("labels.nii"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 400, rng_seed: RngSeed::Fixed(0), ..ProptestConfig::default()
    })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..700)) {
        let dir = tempfile::tempdir().unwrap();
        let mut header = bytes;
        read_whatever(&put(&dir, "a.nii", &header));
        // A right start, so that the rest is looked at.
        if header.len() >= 348 {
            header[..4].copy_from_slice(&348i32.to_le_bytes());
            header[MAGIC..MAGIC + 4].copy_from_slice(b"n+1\0");
            read_whatever(&put(&dir, "b.nii", &header));
            header[..4].copy_from_slice(&540i32.to_be_bytes());
            header[4..12].copy_from_slice(b"n+2\0\r\n\x1a\n");
            read_whatever(&put(&dir, "c.nii", &header));
        }
    }

    #[test]
    fn random_changes_never_panic(
        changes in proptest::collection::vec((0usize..448, any::<u8>()), 1..12),
        compressed in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = sound();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let bytes = if compressed { gzipped(&bytes) } else { bytes };
        read_whatever(&put(&dir, "a.nii", &bytes));
    }

    #[test]
    fn damaged_gzip_never_panics(at in 0usize..1000, byte in any::<u8>()) {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes = gzipped(&sound());
        let at = at % bytes.len();
        bytes[at] = byte;
        read_whatever(&put(&dir, "a.nii.gz", &bytes));
    }
}
