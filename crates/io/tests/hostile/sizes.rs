//! Files that hold less than they claim.

use crate::{DIM, VOX_OFFSET, changed, gzipped, put, refused, refused_field, sound};
use lacuna_io::nifti::NiftiError;
use lacuna_io::{ImageError, read_image, read_reference};

fn dims(dim: &[i16]) -> Vec<u8> {
    dim.iter().flat_map(|d| d.to_le_bytes()).collect()
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
    for offset in [
        f32::NAN,
        f32::INFINITY,
        -352.0,
        0.0,
        347.0,
        348.0,
        351.0,
        352.5,
        1e38,
    ] {
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
