//! One volume of many, headers in files of their own, and places that are no places.

use std::path::Path;

use crate::{MAGIC, VOX_OFFSET, changed, gzipped, put, refused};
use lacuna_io::nifti::NiftiError;
use lacuna_io::{ImageError, read, read_image, read_reference, read_volume};

/// An NRRD file of `sizes`, its voxels compressed.
fn nrrd(sizes: &str, kinds: &str, voxels: &[u8]) -> Vec<u8> {
    let dimension = sizes.split(' ').count();
    let header = format!(
        "NRRD0004\ntype: uint8\ndimension: {dimension}\nsizes: {sizes}\nkinds: {kinds}\n\
         encoding: gzip\n\n"
    );
    [header.as_bytes(), &gzipped(voxels)].concat()
}

/// A NIfTI-2 file of 2x2x2 bytes with that diagonal.
fn nifti_2(diagonal: [f64; 3], vox_offset: i64) -> Vec<u8> {
    let mut bytes = vec![0; 552];
    let mut put = |at: usize, field: &[u8]| bytes[at..at + field.len()].copy_from_slice(field);
    put(0, &540i32.to_le_bytes());
    put(4, b"n+2\0\r\n\x1a\n");
    put(12, &2i16.to_le_bytes());
    put(14, &8i16.to_le_bytes());
    for (axis, length) in [3i64, 2, 2, 2, 1, 1, 1, 1].iter().enumerate() {
        put(16 + 8 * axis, &length.to_le_bytes());
    }
    put(168, &vox_offset.to_le_bytes());
    put(348, &1i32.to_le_bytes());
    for (axis, edge) in diagonal.iter().enumerate() {
        put(400 + 40 * axis, &edge.to_le_bytes());
    }
    bytes
}

#[test]
fn a_volume_alone_is_that_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/formats");
    let voxels: Vec<u8> = (0..70 * 60 * 90 * 3u32)
        .map(|i| (i.wrapping_mul(i) % 251) as u8)
        .collect();
    // The volumes one after the other, in chunks and not, and their values side by side.
    let mut files = vec![
        put(
            &dir,
            "after.nrrd",
            &nrrd("70 60 90 3", "domain domain domain list", &voxels),
        ),
        put(
            &dir,
            "small.nrrd",
            &nrrd("2 3 4 3", "domain domain domain list", &voxels[..72]),
        ),
        put(
            &dir,
            "beside.nrrd",
            &nrrd("3 70 60 90", "vector domain domain domain", &voxels),
        ),
    ];
    let goldens = std::fs::read_dir(goldens)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    files.extend(goldens.filter(|path| path.is_file()));
    let mut of_many = 0;
    for file in files {
        let Ok(all) = read(&file) else { continue };
        of_many += usize::from(all.volumes.len() > 1);
        for (at, volume) in all.volumes.iter().enumerate() {
            assert_eq!(
                read_volume(&file, at).unwrap(),
                *volume,
                "{} {at}",
                file.display()
            );
        }
        let error = read_volume(&file, all.volumes.len()).unwrap_err();
        assert!(matches!(error, ImageError::NoSuchVolume { .. }), "{error}");
    }
    assert!(of_many > 4, "{of_many}");
}

#[test]
fn a_volume_of_ten_million_costs_one() {
    let dir = tempfile::tempdir().unwrap();
    let many = 10_000_000;
    let kinds = "domain domain domain list";
    let file = nrrd(&format!("1 1 1 {many}"), kinds, &vec![7; many]);
    assert!(file.len() < 100_000, "{}", file.len());
    let path = put(&dir, "many.nrrd", &file);
    for at in [0, 1, many - 1] {
        assert_eq!(read_volume(&path, at).unwrap().data(), [7.0]);
    }
    let error = read(&path).unwrap_err();
    assert!(matches!(error, ImageError::TooManyVolumes { found, .. } if found == many));
    // As values of a voxel.
    let path = put(
        &dir,
        "beside.nrrd",
        &nrrd("10000000 1 1", "vector domain domain", &vec![7; many]),
    );
    assert_eq!(read_volume(&path, 9_999_999).unwrap().data(), [7.0]);
}

#[test]
fn the_checksum_behind_a_volume_that_is_near_is_compared() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = nrrd("2 2 2 8", "domain domain domain list", &[1; 64]);
    let checksum = file.len() - 6;
    file[checksum] ^= 1;
    let error = read_volume(put(&dir, "a.nrrd", &file), 0).unwrap_err();
    assert!(matches!(error, ImageError::Gzip { .. }), "{error}");
}

#[test]
fn the_checksum_of_a_header_is_compared() {
    let dir = tempfile::tempdir().unwrap();
    put(&dir, "a.img", &[0; 96]);
    let mut header = changed(MAGIC, b"ni1\0");
    header[VOX_OFFSET..][..4].fill(0);
    let header = gzipped(&header[..348]);
    read_image(put(&dir, "a.hdr.gz", &header)).unwrap();
    put(&dir, "voxels.raw", &[0; 8]);
    let text = "DimSize = 2 2 2\nElementType = MET_UCHAR\nElementDataFile = voxels.raw\n";
    let text = gzipped(format!("ObjectType = Image\n{text}").as_bytes());
    read_image(put(&dir, "a.mhd", &text)).unwrap();
    let fields = "type: uint8\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n";
    let fields = format!("NRRD0004\n{fields}data file: voxels.raw\n\n");
    let fields = gzipped(fields.as_bytes());
    read_image(put(&dir, "a.nhdr", &fields)).unwrap();

    for (name, bytes) in [("a.hdr.gz", header), ("a.mhd", text), ("a.nhdr", fields)] {
        // Of the checksum, and of the length.
        for from_end in [8, 1] {
            let mut damaged = bytes.clone();
            let at = damaged.len() - from_end;
            damaged[at] ^= 1;
            let path = put(&dir, name, &damaged);
            for error in [
                read_image(&path).unwrap_err(),
                read_reference(&path).unwrap_err(),
            ] {
                assert!(matches!(error, ImageError::Gzip { .. }), "{name}: {error}");
            }
        }
    }
    // One that has no end in sight.
    let long = [&changed(MAGIC, b"ni1\0")[..348], &vec![0; 100 << 20]].concat();
    let error = read_reference(put(&dir, "a.hdr.gz", &gzipped(&long))).unwrap_err();
    assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
}

#[test]
fn voxels_inside_the_header_of_nifti_2() {
    let dir = tempfile::tempdir().unwrap();
    read_image(put(&dir, "a.nii", &nifti_2([1.0; 3], 544))).unwrap();
    for offset in [540, 541, 543] {
        let error = refused("case.nii", &nifti_2([1.0; 3], offset));
        let ImageError::Nifti(NiftiError::Field {
            field, expected, ..
        }) = error
        else {
            panic!("{error}")
        };
        assert_eq!(field, "vox_offset");
        assert!(expected.contains("from 544"), "{expected}");
    }
}

#[test]
fn voxels_of_infinite_length_or_none() {
    // Each has a determinant, and an inverse.
    for edges in [
        [1e300, 1e-150, 1e-150],
        [1e-170, 1e100, 1e100],
        [1e200, 1e50, 1e50],
    ] {
        let error = refused("case.nii", &nifti_2(edges, 544));
        let geometry = matches!(error, ImageError::Nifti(NiftiError::Geometry { .. }));
        assert!(geometry, "{error}");
        let [x, y, z] = edges;
        let meta = format!(
            "ObjectType = Image\nDimSize = 2 2 2\nElementSpacing = {x:e} {y:e} {z:e}\n\
             ElementType = MET_UCHAR\nElementDataFile = LOCAL\n12345678"
        );
        let nrrd = format!(
            "NRRD0004\ntype: uint8\ndimension: 3\nsizes: 2 2 2\nspacings: {x:e} {y:e} {z:e}\n\
             encoding: raw\n\n12345678"
        );
        for (name, text) in [("case.mha", meta), ("case.nrrd", nrrd)] {
            let error = refused(name, text.as_bytes());
            assert!(
                matches!(error, ImageError::Header { .. }),
                "{name}: {error}"
            );
        }
    }
}
