//! Files that are damaged, or not what they are named as.

use std::time::{Duration, Instant};

use crate::harness::Place;
use crate::{change, moved, no_training, relabel, trained};
use lacuna_io::{Reference, read_image, write_image};
use lacuna_volume::Volume;

#[test]
fn a_truncated_file() {
    let place = trained();
    for (id, words) in [
        ("sub-01", "train run.toml --out new"),
        (
            "sub-02",
            "predict run --dataset cohort/dataset.toml --split test --out pred",
        ),
    ] {
        let name = format!("cohort/{id}/T2.nii.gz");
        let bytes = place.read(&name);
        place.write(&name, &bytes[..bytes.len() / 2]);
        let parts = [
            &name[..],
            id,
            "cut off or corrupt",
            "bytes of",
            "expected",
            "copy or download",
        ];
        place.refused(words, &parts);
    }
    assert!(!place.path("new").exists());
    // The list of what was asked for is there, so that no evaluation forgets it.
    assert_eq!(place.names("pred"), ["predictions.json"]);
    place.refused(
        "evaluate --dataset cohort/dataset.toml --predictions pred --out eval",
        &["pred", "no prediction", "sub-02", "predict them"],
    );
    assert!(!place.path("eval").exists());
}

#[test]
fn a_corrupt_gzip_stream() {
    let place = Place::new();
    let mut bytes = place.read("cohort/sub-01/FLAIR.nii.gz");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8]
        .iter_mut()
        .for_each(|b| *b ^= 0xff);
    place.write("cohort/sub-01/FLAIR.nii.gz", bytes);
    no_training(
        &place,
        "",
        &[
            "cohort/sub-01/FLAIR.nii.gz",
            "corrupt",
            "expected",
            "copy or download",
        ],
    );
}

#[test]
fn a_header_that_lies_about_the_size() {
    let place = Place::new();
    let path = place.path("cohort/sub-01/T1.nii");
    let image = read_image(place.path("cohort/sub-01/T1.nii.gz")).unwrap();
    write_image(&path, &image, &Reference::from_grid(&image.grid())).unwrap();
    place.edit("cohort/dataset.toml", "sub-01/T1.nii.gz", "sub-01/T1.nii");
    place.edit(
        "cohort/dataset.toml",
        "mask = \"sub-01/brain_mask.nii.gz\"",
        "",
    );
    let whole = place.read("cohort/sub-01/T1.nii");
    // dim[1], dim[2] and dim[3]: 2 bytes each from byte 42. 40 x 44 x 10 voxels of 4 bytes are there.
    let set = |axes: [i16; 3]| {
        let mut bytes = whole.clone();
        for (axis, n) in axes.into_iter().enumerate() {
            bytes[42 + 2 * axis..44 + 2 * axis].copy_from_slice(&n.to_le_bytes());
        }
        place.write("cohort/sub-01/T1.nii", bytes);
    };
    let file = "cohort/sub-01/T1.nii";
    set([40, 44, 11]);
    no_training(
        &place,
        "",
        &[
            file,
            "ends early",
            "70400 bytes",
            "77440 expected",
            "export it again",
        ],
    );
    set([i16::MAX; 3]);
    no_training(&place, "", &[file, "ends early", "70400 bytes", "expected"]);
    set([40, -44, 10]);
    no_training(&place, "", &[file, "dim", "-44", "at least one voxel"]);
}

/// 140 TB of voxels in a file of 352 bytes: refused from the header, not by trying.
#[test]
fn a_header_without_voxels_that_claims_the_most() {
    let place = trained();
    let image = read_image(place.path("cohort/sub-02/T1.nii.gz")).unwrap();
    let path = place.path("cohort/sub-02/T1.nii");
    write_image(&path, &image, &Reference::from_grid(&image.grid())).unwrap();
    let mut header = place.read("cohort/sub-02/T1.nii");
    header.truncate(352);
    for axis in 0..3 {
        header[42 + 2 * axis..44 + 2 * axis].copy_from_slice(&i16::MAX.to_le_bytes());
    }
    place.write("cohort/sub-02/T1.nii", &header);
    place.edit("cohort/dataset.toml", "sub-02/T1.nii.gz", "sub-02/T1.nii");
    let claimed = format!("{} expected", 32767u64.pow(3) * 4);
    let begun = Instant::now();
    for words in [
        "predict run --image T1=cohort/sub-02/T1.nii --image T2=cohort/sub-02/T2.nii.gz \
         --image FLAIR=cohort/sub-02/FLAIR.nii.gz --out seg.nii",
        "predict run --dataset cohort/dataset.toml --split test --out pred",
        "train run.toml --out new --set split.train=[\"sub-02\"] --set split.test=[\"sub-01\"]",
    ] {
        let parts = ["sub-02/T1.nii", "ends early", "0 bytes", &claimed];
        place.refused(words, &parts);
    }
    // Each takes some hundredths of a second.
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(!place.path("seg.nii").exists() && !place.path("new").exists());
}

#[test]
fn not_an_image_or_no_file_at_all() {
    let place = Place::new();
    place.write("cohort/sub-01/T1.nii.gz", "no image");
    no_training(
        &place,
        "",
        &["cohort/sub-01/T1.nii.gz", "found", "expected"],
    );
    std::fs::remove_file(place.path("cohort/sub-01/T1.nii.gz")).unwrap();
    no_training(
        &place,
        "",
        &[
            "cohort/sub-01/T1.nii.gz",
            "sub-01",
            "cannot read",
            "check the path",
        ],
    );
    std::fs::create_dir(place.path("cohort/sub-01/T1.nii.gz")).unwrap();
    no_training(
        &place,
        "",
        &[
            "cohort/sub-01/T1.nii.gz",
            "not an image file",
            "give the path",
        ],
    );
}

#[test]
fn an_image_with_nan() {
    let place = trained();
    for id in ["sub-01", "sub-02"] {
        change(&place, &format!("{id}/FLAIR.nii.gz"), |mut image| {
            let at = image.index([3, 2, 1]);
            image.data_mut()[at] = f32::NAN;
            image.data_mut()[at + 5] = f32::INFINITY;
            image
        });
    }
    let parts = [
        "FLAIR.nii.gz",
        "2 voxels that are NaN or infinite",
        "[3, 2, 1]",
        "replace them",
    ];
    place.refused("train run.toml --out new", &parts);
    assert!(!place.path("new").exists());
    place.refused(
        "predict run --dataset cohort/dataset.toml --split test --out pred",
        &parts,
    );
    let images = "--image T1=cohort/sub-02/T1.nii.gz --image T2=cohort/sub-02/T2.nii.gz";
    place.refused(
        &format!("predict run {images} --image FLAIR=cohort/sub-02/FLAIR.nii.gz --out seg.nii.gz"),
        &parts,
    );
    assert!(!place.path("seg.nii.gz").exists());
}

#[test]
fn files_on_different_grids() {
    let place = Place::new();
    relabel(&place, "sub-01/lesion.nii.gz", |label| moved(&label, 5.0));
    no_training(
        &place,
        "",
        &[
            "sub-01",
            "lesion.nii.gz",
            "T1.nii.gz",
            "5.00 mm apart",
            "2.50 voxels, at most 0.1 expected",
            "resample",
        ],
    );
    relabel(&place, "sub-01/lesion.nii.gz", |label| {
        Volume::new(
            [40, 44, 5],
            *label.affine(),
            label.data()[..40 * 44 * 5].to_vec(),
        )
        .unwrap()
    });
    no_training(
        &place,
        "",
        &["lesion.nii.gz", "[40, 44, 5]", "[40, 44, 10]", "resample"],
    );
}
