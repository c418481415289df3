//! Written files: geometry copied bit for bit, values as given, and nothing
//! left behind by a write that fails.

use std::fs;
use std::path::{Path, PathBuf};

use lacuna_io::nifti::{NiftiError, Version};
use lacuna_io::{
    Classes, ImageError, Reference, read, read_image, read_labels, read_reference,
    write_class_labels, write_image, write_image_4d, write_labels,
};
use lacuna_volume::{Affine, Grid, Volume, corner_displacement_mm};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/golden/nifti")
        .join(name)
}

fn numbered(header: &Reference) -> Volume<u8> {
    let n = header.shape().iter().product::<usize>();
    Volume::new(header.shape(), *header.affine(), (0..n as u8).collect()).unwrap()
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Byte ranges of the fields that place the voxels: pixdim, xyzt_units, codes,
/// quaternion, offsets, sform.
const PLACEMENT_1: [(usize, usize); 3] = [(76, 108), (123, 124), (252, 328)];
const PLACEMENT_2: [(usize, usize); 3] = [(104, 168), (344, 496), (500, 504)];

#[test]
fn the_references_geometry_is_kept_bit_for_bit() {
    let dir = tempfile::tempdir().unwrap();
    for (name, ranges, bytes) in [
        ("both.nii", PLACEMENT_1, 348),
        ("qform_left_handed.nii", PLACEMENT_1, 348),
        ("neither.nii", PLACEMENT_1, 348),
        ("micron.nii", PLACEMENT_1, 348),
        ("nifti2_le.nii", PLACEMENT_2, 540),
    ] {
        let reference = read_reference(golden(name)).unwrap();
        let path = dir.path().join(name);
        write_labels(&path, &numbered(&reference), &reference).unwrap();
        let (old, new) = (fs::read(golden(name)).unwrap(), fs::read(&path).unwrap());
        for (from, to) in ranges {
            assert_eq!(old[from..to], new[from..to], "{name} {from}..{to}");
        }
        assert_eq!(new[0..4], old[0..4]);
        assert_eq!(new.len(), bytes + 4 + numbered(&reference).len());
        assert_eq!(read_reference(&path).unwrap().affine(), reference.affine());
    }
}

#[test]
fn a_big_endian_reference_keeps_its_geometry() {
    let dir = tempfile::tempdir().unwrap();
    for (name, version) in [
        ("i16_be.nii", Version::Nifti1),
        ("nifti2_qform.nii", Version::Nifti2),
    ] {
        let reference = read_reference(golden(name)).unwrap();
        let path = dir.path().join(name);
        write_labels(&path, &numbered(&reference), &reference).unwrap();
        let header = read_reference(&path).unwrap();
        assert_eq!(header.nifti().version(), version);
        assert_eq!(header.affine(), reference.affine());
    }
}

#[test]
fn the_other_fields_say_what_is_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    // Its own slope and intercept must not be copied.
    let reference = read_reference(golden("scaled_i16.nii")).unwrap();
    let path = dir.path().join("labels.nii");
    write_labels(&path, &numbered(&reference), &reference).unwrap();
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes[40..48], [3, 0, 3, 0, 2, 0, 2, 0]); // dim
    assert_eq!(bytes[70..74], [2, 0, 8, 0]); // datatype, bitpix
    assert_eq!(bytes[108..112], 352f32.to_le_bytes()); // vox_offset
    assert_eq!(bytes[112..120], [0, 0, 0x80, 0x3f, 0, 0, 0, 0]); // slope 1, intercept 0
    assert_eq!(&bytes[148..155], b"lacuna\0");
    assert_eq!(&bytes[344..352], b"n+1\0\0\0\0\0");
    assert_eq!(bytes[352..], (0..12).collect::<Vec<u8>>());
}

#[test]
fn values_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let reference = read_reference(golden("both.nii")).unwrap();
    for ending in ["nii", "nii.gz"] {
        let path = dir.path().join(format!("a.{ending}"));
        let labels = numbered(&reference);
        write_labels(&path, &labels, &reference).unwrap();
        assert_eq!(read_labels(&path).unwrap(), labels.map(|&v| v.into()));

        let image = labels.map(|&v| f32::from(v) / 3.0 - 1.0);
        write_image(&path, &image, &reference).unwrap();
        assert_eq!(read_image(&path).unwrap(), image);

        let volumes = [image.clone(), image.map(|v| v * 2.0)];
        write_image_4d(&path, &volumes, &reference).unwrap();
        assert_eq!(read(&path).unwrap().volumes, volumes);
    }
    assert_eq!(names(dir.path()).len(), 2);
}

#[test]
fn values_that_are_not_finite_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nii.gz");
    let data = vec![f32::NAN, f32::INFINITY, -0.0, f32::MIN_POSITIVE / 2.0];
    let image = Volume::new([4, 1, 1], Affine::identity(), data).unwrap();
    write_image(&path, &image, &Reference::from_grid(&image.grid())).unwrap();
    let bits = |v: &Volume<f32>| v.data().iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&read_image(&path).unwrap()), bits(&image));
}

#[test]
fn the_same_labels_make_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let reference = read_reference(golden("both.nii")).unwrap();
    let (a, b) = (dir.path().join("a.nii.gz"), dir.path().join("b.nii.gz"));
    write_labels(&a, &numbered(&reference), &reference).unwrap();
    write_labels(&b, &numbered(&reference), &reference).unwrap();
    assert_eq!(fs::read(a).unwrap(), fs::read(b).unwrap());
}

#[test]
fn a_2d_reference_gives_2d_labels() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nii");
    let reference = read_reference(golden("two_d.nii")).unwrap();
    write_labels(&path, &numbered(&reference), &reference).unwrap();
    let header = read_reference(&path).unwrap();
    assert_eq!((header.nifti().rank(), header.shape()), (2, [4, 3, 1]));
    assert_eq!(header.affine(), reference.affine());
}

#[test]
fn a_4d_reference_gives_3d_labels() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nii");
    let reference = read_reference(golden("four_d.nii")).unwrap();
    write_labels(&path, &numbered(&reference), &reference).unwrap();
    assert_eq!(read_reference(&path).unwrap().nifti().rank(), 3);
}

#[test]
fn a_fresh_header_has_the_grid() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nii.gz");
    let grid = Grid {
        shape: [3, 2, 4],
        affine: Affine([
            [-0.9, 0.1, 0.0, 12.3],
            [0.1, 0.9, 0.0, -45.6],
            [0.0, 0.0, 1.1, 7.8],
        ]),
    };
    let image = Volume::filled(grid.shape, grid.affine, 1.0f32).unwrap();
    let header = Reference::from_grid(&grid);
    write_image(&path, &image, &header).unwrap();
    assert_eq!(read_reference(&path).unwrap(), header);
    assert_eq!(header.shape(), grid.shape);
    for (a, b) in header
        .affine()
        .0
        .iter()
        .flatten()
        .zip(grid.affine.0.iter().flatten())
    {
        assert_eq!(*a, f64::from(*b as f32));
    }
    // More voxels than NIfTI-1 can count.
    let long = Volume::filled([40_000, 1, 1], grid.affine, 3u8).unwrap();
    let header = Reference::from_grid(&long.grid());
    write_labels(&path, &long, &header).unwrap();
    assert_eq!(
        read_reference(&path).unwrap().nifti().version(),
        Version::Nifti2
    );
    assert_eq!(read_labels(&path).unwrap().shape(), [40_000, 1, 1]);
}

#[test]
fn what_does_not_fit_the_reference_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.nii");
    let reference = read_reference(golden("both.nii")).unwrap();
    let error = write_labels(
        &path,
        &numbered(&reference),
        &Reference::from_grid(&Grid {
            shape: reference.shape(),
            affine: Affine::identity(),
        }),
    )
    .unwrap_err();
    assert!(matches!(error, ImageError::Grid { .. }), "{error}");
    let small = Volume::filled([1, 1, 1], *reference.affine(), 0u8).unwrap();
    let error = write_labels(&path, &small, &reference).unwrap_err();
    assert!(matches!(error, ImageError::Grid { .. }), "{error}");
    let error = write_image_4d(&path, &[], &reference).unwrap_err();
    assert!(matches!(error, ImageError::NoVolume { .. }), "{error}");
    let one = Volume::filled([1, 1, 1], Affine::identity(), 0f32).unwrap();
    let many = vec![one.clone(); 32_768];
    let error = write_image_4d(&path, &many, &Reference::from_grid(&one.grid())).unwrap_err();
    assert!(
        matches!(error, ImageError::Nifti(NiftiError::AxisTooLong { .. })),
        "{error}"
    );
    for name in ["a", "a.img", "a.nii.zip", "nii"] {
        let error = write_labels(dir.path().join(name), &numbered(&reference), &reference);
        assert!(matches!(error.unwrap_err(), ImageError::Extension { .. }));
    }
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_folder_that_is_missing_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let reference = read_reference(golden("both.nii")).unwrap();
    let path = dir.path().join("no/a.nii.gz");
    let error = write_labels(&path, &numbered(&reference), &reference).unwrap_err();
    assert!(matches!(error, ImageError::Write(_)));
    assert!(error.to_string().contains(path.to_str().unwrap()));
    assert!(names(dir.path()).is_empty());
}

/// What is written as another format is read back the same, in the same place: its readers agree
/// with SimpleITK and nibabel, see `golden.rs`.
#[test]
fn other_formats_come_back() {
    let dir = tempfile::tempdir().unwrap();
    for of in ["both.nii", "qform_left_handed.nii", "neither.nii"] {
        let reference = read_reference(golden(of)).unwrap();
        let labels = numbered(&reference);
        let image = labels.map(|v| f32::from(*v) / 7.0);
        let frames = [image.clone(), image.map(|v| -v)];
        for ending in ["mha", "nrrd", "mgh", "mgz"] {
            let path = |what: &str| dir.path().join(format!("{of}.{what}.{ending}"));
            write_labels(path("labels"), &labels, &reference).unwrap();
            let found = read_labels(path("labels")).unwrap();
            assert_eq!(found.data(), labels.map(|v| i32::from(*v)).data());
            assert!(corner_displacement_mm(&found.grid(), &labels.grid()) < 1e-4);
            write_image_4d(path("frames"), &frames, &reference).unwrap();
            let found = read(path("frames")).unwrap().volumes;
            assert_eq!(found.len(), 2);
            for (found, frame) in found.iter().zip(&frames) {
                assert_eq!(found.data(), frame.data(), "{of} as {ending}");
            }
            let wide = [0, 700];
            let two = labels.map(|v| v % 2);
            let classes = Classes {
                names: &["background".to_owned(), "lesion".to_owned()],
                values: Some(&wide),
            };
            write_class_labels(path("values"), &two, classes, &reference).unwrap();
            let found = read_labels(path("values")).unwrap();
            let expected = two.map(|v| i32::from(wide[usize::from(*v)]));
            assert_eq!(found.data(), expected.data());
        }
    }
}

#[test]
fn a_segmentation_lists_its_segments() {
    let dir = tempfile::tempdir().unwrap();
    let grid = Grid {
        shape: [4, 3, 2],
        affine: Affine::identity(),
    };
    let reference = Reference::from_grid(&grid);
    let mut labels = Volume::filled(grid.shape, grid.affine, 0u8).unwrap();
    labels.data_mut()[1] = 1;
    labels.data_mut()[23] = 1;
    let names = ["background", "a\\b", "Ödem"].map(str::to_owned);
    let path = dir.path().join("a.seg.nrrd");
    let write = |values: &[u16]| {
        let classes = Classes {
            names: &names,
            values: Some(values),
        };
        write_class_labels(&path, &labels, classes, &reference)
    };
    write(&[0, 7, 9]).unwrap();
    let bytes = fs::read(&path).unwrap();
    let header = String::from_utf8_lossy(&bytes);
    for line in [
        "Segment0_Extent:=1 3 0 2 0 1",
        "Segment0_ID:=Segment_1",
        "Segment0_LabelValue:=7",
        "Segment0_Layer:=0",
        "Segment0_Name:=a\\\\b",
        "Segment1_Extent:=0 -1 0 -1 0 -1",
        "Segment1_LabelValue:=9",
        "Segment1_Name:=Ödem",
    ] {
        assert!(header.contains(&format!("\n{line}\n")), "{line}");
    }
    let found = read_labels(&path).unwrap();
    assert_eq!(
        (found.data()[1], found.data()[2], found.data()[23]),
        (7, 0, 7)
    );
    let error = write(&[3, 7, 9]).unwrap_err().to_string();
    assert!(error.contains("0 is the background"), "{error}");
    // The file of before is as it was.
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn segments_in_layers_are_no_label_map() {
    let layers = golden("../formats/layers.seg.nrrd");
    assert_eq!(read(&layers).unwrap().volumes.len(), 3);
    let error = read_labels(&layers).unwrap_err().to_string();
    assert!(error.contains("segments that overlap"), "{error}");
}
