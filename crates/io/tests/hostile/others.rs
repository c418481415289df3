//! Files of other formats than NIfTI that lie, are damaged, or hold what is not read.

use std::path::{Path, PathBuf};

use crate::{gzipped, put, read_whatever, refused};
use lacuna_io::{Format, ImageError, read, read_image, read_labels};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const VOXELS: [u8; 24] = [7; 24];

/// A sound MetaImage header of 4x3x2 bytes, up to the last line.
const META: &str = "ObjectType = Image\nNDims = 3\nDimSize = 4 3 2\nElementType = MET_UCHAR\n";

/// A sound NRRD header of 4x3x2 bytes, up to the empty line.
const NRRD: &str = "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 4 3 2\nencoding: raw\n";

fn meta(header: &str, voxels: &[u8]) -> Vec<u8> {
    [header.as_bytes(), b"ElementDataFile = LOCAL\n", voxels].concat()
}

fn nrrd(header: &str, voxels: &[u8]) -> Vec<u8> {
    [header.as_bytes(), b"\n", voxels].concat()
}

fn golden(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/formats");
    folder.join(name)
}

#[test]
fn sound_files_are_read_whatever_their_name() {
    let dir = tempfile::tempdir().unwrap();
    for (bytes, format) in [
        (meta(META, &VOXELS), Format::MetaImage),
        (nrrd(NRRD, &VOXELS), Format::Nrrd),
        (std::fs::read(golden("u1.mgh")).unwrap(), Format::Mgh),
    ] {
        for (name, bytes) in [("a.nii", bytes.clone()), ("a.nii.gz", gzipped(&bytes))] {
            let path = put(&dir, name, &bytes);
            assert_eq!(Format::of(&path).unwrap(), format);
            assert_eq!(read_image(&path).unwrap().shape(), [4, 3, 2]);
        }
    }
}

#[test]
fn headers_that_cannot_be_are_refused_by_field() {
    let changed = |header: &str, from: &str, to: &str| header.replace(from, to);
    for (from, to, field) in [
        ("4 3 2", "4 3 0", "`DimSize`"),
        ("4 3 2", "4 3 -2", "`DimSize`"),
        ("4 3 2", "4 3", "`NDims`"),
        ("DimSize = 4 3 2\n", "", "`DimSize` is absent"),
        ("MET_UCHAR", "MET_STRING", "`ElementType`"),
        (
            "NDims = 3\n",
            "NDims = 3\nElementSpacing = 1 1\n",
            "`ElementSpacing`",
        ),
        (
            "NDims = 3\n",
            "NDims = 3\nElementSpacing = 1 1 0\n",
            "directions and spacings",
        ),
        (
            "NDims = 3\n",
            "NDims = 3\nTransformMatrix = 1 0 0 1 0 0 0 0 1\n",
            "directions",
        ),
        (
            "NDims = 3\n",
            "NDims = 3\nOffset = 0 0 nan\n",
            "directions and spacings",
        ),
        (
            "NDims = 3\n",
            "NDims = 3\nElementNumberOfChannels = 0\n",
            "Channels",
        ),
        (
            "NDims = 3\n",
            "NDims = 3\nno equals sign\n",
            "`no equals sign`",
        ),
    ] {
        let error = refused("case.mha", &meta(&changed(META, from, to), &VOXELS));
        assert!(matches!(error, ImageError::Header { .. }), "{error}");
        assert!(error.to_string().contains(field), "{error}");
    }
    for (from, to, field) in [
        ("4 3 2", "4 3", "`dimension`"),
        ("sizes: 4 3 2\n", "", "`sizes` is absent"),
        ("type: uchar\n", "", "`type` is absent"),
        ("uchar", "block", "`type`"),
        ("uchar", "short", "`endian` is absent"),
        ("encoding: raw\n", "", "`encoding` is absent"),
        (
            "encoding: raw\n",
            "encoding: raw\nbyte skip: -2\n",
            "`byte skip`",
        ),
        (
            "encoding: raw\n",
            "encoding: raw\nspacings: 1 1\n",
            "`spacings`",
        ),
        (
            "encoding: raw\n",
            "encoding: raw\nspacings: 1 1 nan\n",
            "directions and spacings",
        ),
        (
            "encoding: raw\n",
            "encoding: raw\nspace directions: (1,0,0) (0,1,0\n",
            "directions",
        ),
        ("encoding: raw\n", "encoding: raw\nno colon\n", "`no colon`"),
    ] {
        let error = refused("case.nrrd", &nrrd(&changed(NRRD, from, to), &VOXELS));
        assert!(matches!(error, ImageError::Header { .. }), "{error}");
        assert!(error.to_string().contains(field), "{error}");
    }
    let sound = std::fs::read(golden("u1.mgh")).unwrap();
    for (at, bytes, field) in [
        (4, &[0xFF; 4][..], "width"),
        (20, &[0, 0, 0, 2], "type"),
        (30, &[0x7F, 0xC0, 0, 0], "directions and spacings"),
    ] {
        let mut file = sound.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        let error = refused("case.mgh", &file);
        assert!(error.to_string().contains(field), "{error}");
    }
    let endless = [META.as_bytes(), &vec![b'a'; 5 << 20]].concat();
    assert!(matches!(
        refused("case.mha", &endless),
        ImageError::Header { .. }
    ));
}

/// Each with a shift that shows: the second voxel is 9 where the bytes are read right.
#[test]
fn flags_and_offsets_are_as_metaio_reads_them() {
    let dir = tempfile::tempdir().unwrap();
    let short = META
        .replace("MET_UCHAR", "MET_SHORT")
        .replace("4 3 2", "3 2 2");
    for (lines, pad) in [
        ("BinaryDataByteOrderMSB = 1\n", 0),
        ("ElementByteOrderMSB = t\n", 0),
        (
            "ElementByteOrderMSB = False\nBinaryDataByteOrderMSB = True\n",
            0,
        ),
        ("BinaryDataByteOrderMSB = T\nHeaderSize = 512\n", 512),
        ("BinaryDataByteOrderMSB = T\nHeaderSize = -1\n", 300),
    ] {
        let mut voxels = vec![0; 24];
        voxels[3] = 9;
        let mut file = meta(&format!("{short}{lines}"), &[]);
        file.resize(file.len().max(pad), 0);
        file.extend(voxels);
        let image = read_image(put(&dir, "a.mha", &file)).unwrap();
        assert_eq!(image.data()[..3], [0.0, 9.0, 0.0], "{lines}");
    }
    for (lines, what) in [
        ("CompressedData = maybe\n", "`CompressedData` is `maybe`"),
        ("HeaderSize = 3\n", "`HeaderSize`"),
        ("CompressedData = True\nHeaderSize = -1\n", "`HeaderSize`"),
        ("DistanceUnits = um\n", "lengths in um"),
    ] {
        let error = refused("case.mha", &meta(&format!("{META}{lines}"), &VOXELS));
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn fields_of_nrrd_may_be_written_in_several_ways() {
    let dir = tempfile::tempdir().unwrap();
    let place = "Space: RAS\nSpaceDirections: (2,0,0) (0,3,0) (0,0,4)\nspaceorigin: (5,6,7)\n";
    let path = put(&dir, "a.nrrd", &nrrd(&format!("{NRRD}{place}"), &VOXELS));
    let affine = *read_image(path).unwrap().affine();
    assert_eq!(affine.apply([0.0; 3]), [5.0, 6.0, 7.0]);
    assert_eq!(affine.spacing().0, [2.0, 3.0, 4.0]);
    // A space with time has the same axes.
    let frames = NRRD
        .replace("dimension: 3", "dimension: 4")
        .replace("4 3 2", "4 3 1 2");
    let place = "space: RAST\nspace directions: (2,0,0,0) (0,3,0,0) (0,0,4,0) (0,0,0,1)\n";
    let path = put(&dir, "b.nrrd", &nrrd(&format!("{frames}{place}"), &VOXELS));
    let image = read(path).unwrap();
    assert_eq!(
        (image.volumes.len(), image.reference.affine().0[0][0]),
        (2, 2.0)
    );
    for (lines, what) in [
        ("space units: \"um\" \"um\" \"um\"\n", "lengths in um"),
        ("space origin: (1,2,3)\n", "`space origin`"),
    ] {
        let error = refused("case.nrrd", &nrrd(&format!("{NRRD}{lines}"), &VOXELS));
        assert!(error.to_string().contains(what), "{error}");
    }
}

#[test]
fn what_is_not_read_is_named() {
    for (line, what) in [
        ("BinaryData = False\n", "text"),
        (
            "ElementToIntensityFunctionSlope = 2\n",
            "ElementToIntensityFunctionSlope = 2",
        ),
        ("ElementDataFile = LIST\n", "slices in files of their own"),
        (
            "ElementDataFile = s%03d.raw 1 9 1\n",
            "slices in files of their own",
        ),
        (
            "ElementDataFile = ../../secret.raw\n",
            "its voxels in `../../secret.raw`",
        ),
        (
            "ElementDataFile = /etc/passwd\n",
            "its voxels in `/etc/passwd`",
        ),
    ] {
        let error = refused("case.mhd", &meta(&format!("{META}{line}"), &VOXELS));
        assert!(matches!(error, ImageError::NotRead { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    for (from, to, what) in [
        ("raw", "bzip2", "`bzip2`"),
        ("raw", "raw\naxis mins: 0 0 0", "`axis mins`"),
        ("raw", "raw\nkinds: domain list domain", "axes"),
        ("raw", "raw\ndata file: LIST", "several files"),
        ("raw", "raw\ndata file: ../a.raw", "`../a.raw`"),
    ] {
        let error = refused("case.nrrd", &nrrd(&NRRD.replace(from, to), &VOXELS));
        assert!(matches!(error, ImageError::NotRead { .. }), "{error}");
        assert!(error.to_string().contains(what), "{error}");
    }
    let twice = gzipped(&nrrd(&NRRD.replace("raw", "gzip"), &gzipped(&VOXELS)));
    let error = refused("case.nrrd.gz", &twice);
    assert!(
        error.to_string().contains("compressed as a whole"),
        "{error}"
    );
}

#[test]
fn files_that_end_early_are_refused() {
    for bytes in [meta(META, &VOXELS[1..]), nrrd(NRRD, &VOXELS[1..])] {
        let error = refused("case", &bytes);
        assert!(matches!(error, ImageError::Truncated { .. }), "{error}");
    }
    let huge = META.replace("4 3 2", "40000 40000 40000");
    let error = refused("case.mha", &meta(&huge, &VOXELS));
    assert!(matches!(error, ImageError::Truncated { .. }), "{error}");
    let vast = META.replace("4 3 2", "4000000000 4000000000 4000000000");
    let error = refused("case.mha", &meta(&vast, &VOXELS));
    assert!(matches!(error, ImageError::TooLarge { .. }), "{error}");
    for name in ["i2.mha", "f4.nrrd", "i2.mgz", "layers.seg.nrrd"] {
        let whole = std::fs::read(golden(name)).unwrap();
        for end in [whole.len() - 1, whole.len() - 9, whole.len() / 2, 5] {
            let dir = tempfile::tempdir().unwrap();
            let path = put(&dir, "case", &whole[..end]);
            assert!(read(&path).is_err(), "{name} cut off at {end}");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let header = format!("{META}ElementDataFile = gone.raw\n");
    let error = read_image(put(&dir, "a.mhd", header.as_bytes())).unwrap_err();
    assert!(error.to_string().contains("gone.raw"), "{error}");
}

#[test]
fn pictures_that_are_not_read_say_why() {
    for (name, what) in [
        ("palette.png", "a palette of colours"),
        ("palette.tif", "a palette of colours"),
        ("transparent.png", "transparent"),
        ("cmyk.jpg", "CMYK"),
        ("bits.tif", "values of 1 bits"),
        ("pages.tif", "several pages"),
        ("turned.tif", "an orientation"),
        ("turned.jpg", "an orientation"),
    ] {
        let error = read(golden(name)).unwrap_err();
        assert!(matches!(error, ImageError::NotRead { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains(what) && text.contains(name), "{text}");
    }
    let error = read_labels(golden("grey.jpg")).unwrap_err();
    assert!(
        error.to_string().contains("labels, whose values"),
        "{error}"
    );
    let error = read_labels(golden("colours.png")).unwrap_err();
    assert!(
        matches!(error, ImageError::VolumeCount { found: 3, .. }),
        "{error}"
    );
    assert_eq!(read_labels(golden("mask.png")).unwrap().shape(), [7, 5, 1]);
}

#[test]
fn damaged_pictures_are_refused() {
    for name in [
        "grey.png",
        "smooth.jpg",
        "progressive.jpg",
        "u1.tif",
        "colours.tif",
    ] {
        let whole = std::fs::read(golden(name)).unwrap();
        for end in [whole.len() / 2, whole.len() * 3 / 4, 20] {
            let error = refused(name, &whole[..end]);
            assert!(
                matches!(error, ImageError::Damaged { .. }),
                "{name}: {error}"
            );
        }
    }
    // 2^31 - 1 pixels along each edge.
    let mut png = std::fs::read(golden("grey.png")).unwrap();
    png[16..24].copy_from_slice(&[0x7F, 0xFF, 0xFF, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF]);
    assert!(matches!(refused("a.png", &png), ImageError::Damaged { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 600, rng_seed: RngSeed::Fixed(0), ..ProptestConfig::default()
    })]

    #[test]
    fn damage_never_panics(
        which in 0usize..18,
        changes in proptest::collection::vec((any::<u16>(), any::<u8>()), 1..6),
        keep in any::<u16>(),
    ) {
        let name = [
            "i2.mha", "f4.mha", "old.mha", "channels.mha", "f4.nrrd", "layers.seg.nrrd",
            "spacings.nrrd", "frames.nrrd", "u1.mgh", "i2.mgz", "frames.mgz", "flat.nrrd",
            "grey.png", "4bits.png", "smooth.jpg", "progressive.jpg", "u2.tif", "colours.tif",
        ][which];
        let mut bytes = std::fs::read(golden(name)).unwrap();
        for (at, byte) in changes {
            let at = usize::from(at) % bytes.len();
            bytes[at] = byte;
        }
        let dir = tempfile::tempdir().unwrap();
        read_whatever(&put(&dir, "whole", &bytes));
        bytes.truncate(usize::from(keep) % bytes.len());
        read_whatever(&put(&dir, "part", &bytes));
    }

    #[test]
    fn any_fields_never_panic(
        header in "(NRRD0004\n|NDims = 3\n)((sizes|spacings|DimSize|HeaderSize|byte skip|space directions|kinds)( = |: )[-0-9(),. a-z]{0,24}\n){0,7}\n?",
    ) {
        let dir = tempfile::tempdir().unwrap();
        read_whatever(&put(&dir, "a", &meta(&header, &VOXELS)));
        read_whatever(&put(&dir, "b", &nrrd(&header, &VOXELS)));
    }
}
