//! Real scans, against values that nibabel and NumPy give for them.

use std::path::PathBuf;

use lacuna_io::{read_image, read_labels, read_reference, write_labels};
use lacuna_volume::Orientation;

/// The data folder, known when `LACUNA_DATA` was set while building.
const DATA: Option<&str> = option_env!("LACUNA_DATA_FOLDER");

fn data(name: &str) -> PathBuf {
    let folder = DATA.expect("LACUNA_DATA names the data folder");
    PathBuf::from(folder).join(name)
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_image_has_numpys_sum() {
    let path = data("brats2015/pat0003/FLAIR.nii.gz");
    let image = read_image(&path).unwrap();
    assert_eq!(image.shape(), [240, 240, 155]);
    assert_eq!(Orientation::of(image.affine()).codes(), "LPS");
    assert_eq!(image.data()[image.index([100, 120, 80])], -0.286_992_58);
    let sum: f64 = image.data().iter().map(|&v| f64::from(v)).sum();
    assert!((sum - -22_864_254.220_341_17).abs() < 1e-3, "{sum}");
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_mask_of_almost_ones_is_a_label_map() {
    let mask = read_labels(data("brats2015/pat0003/brain_mask.nii.gz")).unwrap();
    let count = |label| mask.data().iter().filter(|&&v| v == label).count();
    assert_eq!([count(0), count(1)], [7_237_530, 1_690_470]);
}

#[test]
#[cfg_attr(not(lacuna_data), ignore = "set LACUNA_DATA to the data folder")]
fn real_labels_survive_canonical_order_and_a_file() {
    let path = data("brats2015/pat0003/tumour.nii.gz");
    let header = read_reference(&path).unwrap();
    let labels = read_labels(&path).unwrap();
    let count = |label| labels.data().iter().filter(|&&v| v == label).count();
    assert_eq!(
        [0, 1, 2, 3, 4].map(count),
        [8_754_072, 1_252, 148_264, 3_162, 21_250]
    );

    let orientation = Orientation::of(header.affine());
    let canonical = orientation.to_canonical(&labels).unwrap();
    let back = orientation.from_canonical(&canonical).unwrap();
    assert_eq!(back, labels);

    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("tumour.nii.gz");
    write_labels(&out, &back.map(|&v| v as u8), &header).unwrap();
    assert_eq!(read_labels(&out).unwrap(), labels);
}
