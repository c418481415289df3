//! Damaged and lying files: each is refused with an error that names it, and
//! none of them panics or takes memory for voxels that are not there.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use flate2::{Compression, write::GzEncoder};
use lacuna_io::nifti::NiftiError;
use lacuna_io::{
    Format, ImageError, Reference, read_image, read_labels, read_reference, write_image,
};
use lacuna_volume::{Affine, Volume};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use tempfile::TempDir;

const DIM: usize = 40;
const DATATYPE: usize = 70;
const PIXDIM: usize = 76;
const VOX_OFFSET: usize = 108;
const SLOPE: usize = 112;
const QFORM_CODE: usize = 252;
const SFORM_CODE: usize = 254;
const QUATERN: usize = 256;
const SROW_X: usize = 280;
const MAGIC: usize = 344;

/// A sound 4x3x2 image of 32-bit floating point, in bytes.
fn sound() -> Vec<u8> {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sound.nii");
        let data = (0..24).map(|v| v as f32).collect();
        let image = Volume::new([4, 3, 2], Affine::identity(), data).unwrap();
        write_image(&path, &image, &Reference::from_grid(&image.grid())).unwrap();
        fs::read(path).unwrap()
    });
    bytes.clone()
}

fn changed(at: usize, field: &[u8]) -> Vec<u8> {
    let mut bytes = sound();
    bytes[at..at + field.len()].copy_from_slice(field);
    bytes
}

fn dims(dim: &[i16]) -> Vec<u8> {
    dim.iter().flat_map(|d| d.to_le_bytes()).collect()
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn put(dir: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// The error of reading `bytes` as a file called `name`, which it must name.
fn refused(name: &str, bytes: &[u8]) -> ImageError {
    let dir = tempfile::tempdir().unwrap();
    let path = put(&dir, name, bytes);
    let error = read_image(&path).unwrap_err();
    assert!(error.to_string().contains(name), "{error}");
    error
}

fn refused_field(bytes: &[u8]) -> &'static str {
    match refused("case.nii", bytes) {
        ImageError::Nifti(NiftiError::Field { field, .. }) => field,
        other => panic!("{other}"),
    }
}

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
        (0, &b"\x89PNG"[..], "PNG content"),
        (0, b"NRRD0004\n", "NRRD content"),
        (0, b"ObjectType = Image\n", "MetaImage content"),
        (0, b"\x89HDF\r\n", "HDF5 or MINC content"),
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
    assert!(error.to_string().contains("DICOM content"), "{error}");
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
fn a_claimed_size_is_refused_by_the_reference_too() {
    let dir = tempfile::tempdir().unwrap();
    let mut claim = changed(DIM, &dims(&[3, 32767, 32767, 32767]));
    claim.truncate(352);
    for (name, bytes) in [("a.nii", claim.clone()), ("a.nii.gz", gzipped(&claim))] {
        let error = read_reference(put(&dir, name, &bytes)).unwrap_err();
        assert!(
            matches!(
                error,
                ImageError::Truncated { expected, .. } if expected == 32767u64.pow(3) * 4
            ),
            "{error}"
        );
    }
}

#[test]
fn impossible_axes() {
    assert_eq!(refused_field(&changed(DIM, &dims(&[0]))), "dim");
    assert_eq!(refused_field(&changed(DIM, &dims(&[9]))), "dim");
    assert_eq!(refused_field(&changed(DIM, &dims(&[-3]))), "dim");
    assert_eq!(refused_field(&changed(DIM, &dims(&[3, 4, -3, 2]))), "dim");
    assert_eq!(refused_field(&changed(DIM, &dims(&[3, 4, 0, 2]))), "dim");
    for dim in [&[1, 24][..], &[5, 2, 2, 2, 1, 3], &[7, 2, 2, 2, 2, 2, 2, 2]] {
        let error = refused("case.nii", &changed(DIM, &dims(dim)));
        assert!(
            matches!(error, ImageError::Nifti(NiftiError::Axes { .. })),
            "{error}"
        );
    }
}

#[test]
fn more_voxels_than_the_file_has() {
    let error = refused("case.nii", &changed(DIM, &dims(&[3, 4, 3, 3])));
    assert!(
        matches!(
            error,
            ImageError::Truncated {
                found: 96,
                expected: 144,
                ..
            }
        ),
        "{error}"
    );
    // 3.5e13 voxels, plain and compressed.
    let vast = changed(DIM, &dims(&[3, 32767, 32767, 32767]));
    for (name, bytes) in [("case.nii", vast.clone()), ("case.nii.gz", gzipped(&vast))] {
        let error = refused(name, &bytes);
        assert!(matches!(error, ImageError::Truncated { .. }), "{error}");
    }
    // 1.1e18 voxels of 4 bytes are beyond any memory.
    let vast = changed(DIM, &dims(&[4, 32767, 32767, 32767, 32767]));
    let error = refused("case.nii", &vast);
    assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
}

#[test]
fn a_compressed_file_that_could_hold_the_voxels_but_does_not() {
    // Enough compressed bytes that only decoding can tell.
    let mut bytes = changed(DIM, &dims(&[3, 32, 32, 32]));
    bytes.extend((0..50_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8));
    let error = refused("case.nii.gz", &gzipped(&bytes));
    assert!(
        matches!(
            error,
            ImageError::Truncated {
                found: 50_096,
                expected: 131_072,
                ..
            }
        ),
        "{error}"
    );
}

/// A 64x64x100 image of 1.6 MB, which is read in several chunks.
fn long() -> Vec<u8> {
    let mut bytes = changed(DIM, &dims(&[3, 64, 64, 100]));
    bytes.truncate(352);
    bytes.extend((0..64 * 64 * 100).flat_map(|v| (v as f32).to_le_bytes()));
    bytes
}

#[test]
fn a_long_file_is_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    // Two gzip members that meet inside a voxel.
    let whole = long();
    let (start, end) = whole.split_at(700_001);
    let members = [gzipped(start), gzipped(end)].concat();
    for (name, bytes) in [
        ("a.nii", long()),
        ("a.nii.gz", gzipped(&long())),
        ("b.nii.gz", members),
    ] {
        let image = read_image(put(&dir, name, &bytes)).unwrap();
        assert_eq!(image.shape(), [64, 64, 100]);
        for (at, value) in image.data().iter().enumerate() {
            assert_eq!(*value, at as f32, "{name}");
        }
    }
}

#[test]
fn a_long_file_that_breaks_off() {
    // Plain, the length gives it away; compressed, only decoding does.
    let cut = &long()[..352 + 1_400_002];
    for (name, bytes) in [("case.nii", cut.to_vec()), ("case.nii.gz", gzipped(cut))] {
        let error = refused(name, &bytes);
        assert!(
            matches!(
                error,
                ImageError::Truncated {
                    found: 1_400_002,
                    expected: 1_638_400,
                    ..
                }
            ),
            "{error}"
        );
    }
    let whole = gzipped(&long());
    let error = refused("case.nii.gz", &whole[..whole.len() - 1000]);
    assert!(matches!(error, ImageError::Gzip { .. }), "{error}");
    let mut damaged = whole.clone();
    let checksum = whole.len() - 6;
    damaged[checksum] ^= 1;
    let error = refused("case.nii.gz", &damaged);
    assert!(matches!(error, ImageError::Gzip { .. }), "{error}");
}

#[test]
fn a_gzip_stream_that_breaks_off() {
    let whole = gzipped(&sound());
    for cut in [2, 9, whole.len() / 2, whole.len() - 1] {
        let error = refused("case.nii.gz", &whole[..cut]);
        assert!(matches!(error, ImageError::Gzip { .. }), "{cut}: {error}");
    }
}

#[test]
fn a_gzip_stream_with_a_flipped_bit() {
    let noise: Vec<u8> = (0..96u32).map(|i| (i * i * 89 % 251) as u8).collect();
    let mut bytes = sound();
    bytes[352..].copy_from_slice(&noise);
    let whole = gzipped(&bytes);
    for at in [whole.len() - 60, whole.len() - 5] {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        let error = refused("case.nii.gz", &damaged);
        assert!(
            matches!(
                error,
                ImageError::Gzip { .. } | ImageError::Truncated { .. }
            ),
            "{at}: {error}"
        );
    }
}

#[test]
fn voxels_at_an_impossible_place() {
    for offset in [f32::NAN, f32::INFINITY, -352.0, 0.0, 347.0, 352.5, 1e38] {
        let bytes = changed(VOX_OFFSET, &offset.to_le_bytes());
        assert_eq!(refused_field(&bytes), "vox_offset");
    }
    let bytes = changed(VOX_OFFSET, &1e12f32.to_le_bytes());
    for (name, bytes) in [
        ("case.nii", bytes.clone()),
        ("case.nii.gz", gzipped(&bytes)),
    ] {
        let error = refused(name, &bytes);
        assert!(
            matches!(error, ImageError::Truncated { found: 0, .. }),
            "{error}"
        );
    }
}

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

fn read_whatever(path: &Path) {
    let _ = read_reference(path);
    let _ = read_image(path);
    let _ = read_labels(path);
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
