//! Which NIfTI files every program places alike.

use lacuna_io::{nifti_of_labels, read_labels, read_reference};
use lacuna_volume::{Affine, Volume};

/// A label map of 2 x 3 x 4 voxels of 1 x 2 x 3 mm as the bytes of a file.
fn file() -> (Volume<u8>, Vec<u8>) {
    let affine = Affine([
        [1.0, 0.0, 0.0, -5.0],
        [0.0, 2.0, 0.0, 6.0],
        [0.0, 0.0, 3.0, 7.0],
    ]);
    let map = Volume::new([2, 3, 4], affine, (0..24).collect()).unwrap();
    let bytes = nifti_of_labels(&map).unwrap();
    (map, bytes)
}

/// `reads_alike` of the file with some of its bytes replaced. Offsets are those of `nifti1.h`.
fn reads_alike(changes: &[(usize, &[u8])]) -> bool {
    let (_, mut bytes) = file();
    for (at, new) in changes {
        bytes[*at..at + new.len()].copy_from_slice(new);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.nii");
    std::fs::write(&path, bytes).unwrap();
    read_reference(&path).unwrap().nifti().reads_alike()
}

#[test]
fn what_is_made_in_memory_is_read_again() {
    let (map, bytes) = file();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("map.nii");
    std::fs::write(&path, bytes).unwrap();
    assert_eq!(read_labels(&path).unwrap().map(|&v| v as u8), map);
    assert!(read_reference(&path).unwrap().nifti().is_single_file());
}

#[test]
fn two_placements_must_agree_and_lengths_be_millimetres() {
    const UNITS: usize = 123;
    const QFORM: usize = 252;
    const SFORM: usize = 254;
    let offset: Vec<u8> = [-5.0f32, 6.0, 7.0]
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    let moved: Vec<u8> = [-5.0f32, 6.0, 7.1]
        .into_iter()
        .flat_map(f32::to_le_bytes)
        .collect();
    let (one, zero) = (&1i16.to_le_bytes()[..], &0i16.to_le_bytes()[..]);
    assert!(reads_alike(&[]));
    // No quaternion is no turn, and `qoffset` is the origin.
    assert!(reads_alike(&[(QFORM, one), (268, &offset)]));
    assert!(!reads_alike(&[(QFORM, one), (268, &moved)]));
    assert!(reads_alike(&[(QFORM, one), (268, &moved), (SFORM, zero)]));
    // Voxel sizes alone: some programs centre the volume, and some do not.
    assert!(!reads_alike(&[(SFORM, zero)]));
    // No unit, metres, micrometres.
    assert!(reads_alike(&[(UNITS, &[0])]));
    assert!(!reads_alike(&[(UNITS, &[1])]));
    assert!(!reads_alike(&[(UNITS, &[3])]));
}
