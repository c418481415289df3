//! Writing volumes onto a reference. The name's ending chooses the format.

use std::path::Path;

use lacuna_volume::{Volume, corner_displacement_mm};

use crate::atomic::write_atomic;
use crate::source::Packing;
use crate::voxel_bytes::{Draft, Voxel};
use crate::{ImageError, Reference, dicom, metaimage, mgh, nifti, nrrd};

/// Corners of a volume may lie this share of a voxel from the reference's, as
/// a header may hold the affine in fewer digits.
const GRID_TOLERANCE: f64 = 1e-3;

/// Writes a label map as unsigned bytes onto `reference`, atomically. The name
/// must end with one of [`ENDINGS`].
///
/// # Errors
/// When the labels do not lie on the reference's grid, the name has another
/// ending, or the file cannot be written.
pub fn write_labels(
    path: impl AsRef<Path>,
    labels: &Volume<u8>,
    reference: &Reference,
) -> Result<(), ImageError> {
    let labels = std::slice::from_ref(labels);
    write(path.as_ref(), labels, reference, false, "")
}

/// What the class indices of a label map stand for, background first.
#[derive(Clone, Copy, Debug)]
pub struct Classes<'a> {
    /// Their names, which a `.seg.nrrd` gets.
    pub names: &'a [String],
    /// What a file holds for each, when not the class index.
    pub values: Option<&'a [u16]>,
}

impl Classes<'_> {
    /// What a file holds for a class.
    pub(crate) fn value(&self, class: usize) -> u16 {
        let value = self.values.and_then(|values| values.get(class).copied());
        value.unwrap_or(class as u16)
    }

    /// Refuses classes of a label map that have no value, or one that the format cannot say.
    fn check(&self, path: &Path, labels: &Volume<u8>, ending: &str) -> Result<(), ImageError> {
        let known = self.values.map_or(self.names.len(), <[u16]>::len);
        let mut labels = labels.data().iter();
        if let Some(&class) = labels.find(|class| usize::from(**class) >= known) {
            return Err(ImageError::NoValue {
                path: path.to_owned(),
                class,
                values: known,
            });
        }
        let found: Vec<u16> = (0..known).map(|class| self.value(class)).collect();
        let expected = match ending {
            SEGMENTATION if found.first() != Some(&0) || found[1..].contains(&0) => {
                "in a segmentation 0 is the background, and nothing else"
            }
            DICOM if !found.iter().enumerate().all(|(n, v)| n == usize::from(*v)) => {
                "segments of DICOM are numbered 1, 2, ... in order"
            }
            _ => return Ok(()),
        };
        Err(ImageError::SegmentValues {
            path: path.to_owned(),
            found,
            expected,
        })
    }
}

/// Writes a label map as [`write_labels`] does, each class by its value: as bytes, or as
/// unsigned 16-bit numbers where a value is larger. A `.seg.nrrd` lists the classes as the
/// segments of Slicer, with name, colour and extent; a `.dcm` is a segmentation of DICOM, which
/// refers to the slices of the series that the reference is of.
///
/// # Errors
/// When a class has no value, or one that the format cannot say; when the reference of a `.dcm`
/// is no series; and as [`write_labels`].
pub fn write_class_labels(
    path: impl AsRef<Path>,
    labels: &Volume<u8>,
    classes: Classes,
    reference: &Reference,
) -> Result<(), ImageError> {
    let path = path.as_ref();
    let ending = ending_of(path).unwrap_or_default();
    classes.check(path, labels, ending)?;
    if ending == DICOM {
        check_grids(path, std::slice::from_ref(labels), reference)?;
        return dicom::write_segmentation(path, labels, classes, reference);
    }
    let keys = match ending {
        SEGMENTATION => nrrd::segment_keys(labels, classes),
        _ => String::new(),
    };
    let Some(values) = classes.values else {
        return write(path, std::slice::from_ref(labels), reference, false, &keys);
    };
    let bytes: Option<Vec<u8>> = values.iter().map(|v| u8::try_from(*v).ok()).collect();
    match bytes {
        Some(bytes) => {
            let labels = labels.map(|class| bytes[usize::from(*class)]);
            write(path, &[labels], reference, false, &keys)
        }
        None => {
            let wide = labels.map(|class| values[usize::from(*class)]);
            write(path, &[wide], reference, false, &keys)
        }
    }
}

/// Writes an image as 32-bit floating point onto `reference`, atomically. The
/// name must end as for [`write_labels`].
///
/// # Errors
/// As [`write_labels`].
pub fn write_image(
    path: impl AsRef<Path>,
    image: &Volume<f32>,
    reference: &Reference,
) -> Result<(), ImageError> {
    let image = std::slice::from_ref(image);
    write(path.as_ref(), image, reference, false, "")
}

/// Writes volumes along a fourth axis as 32-bit floating point, as
/// [`write_image`] writes one.
///
/// # Errors
/// When there is no volume; and as [`write_labels`].
pub fn write_image_4d(
    path: impl AsRef<Path>,
    volumes: &[Volume<f32>],
    reference: &Reference,
) -> Result<(), ImageError> {
    write(path.as_ref(), volumes, reference, true, "")
}

/// The bytes of an uncompressed NIfTI file with a label map.
///
/// # Errors
/// When an axis is too long for the format.
pub fn nifti_of_labels(labels: &Volume<u8>) -> Result<Vec<u8>, ImageError> {
    nifti_bytes(labels)
}

/// The bytes of an uncompressed NIfTI file with an image, as 32-bit floating point.
///
/// # Errors
/// As [`nifti_of_labels`].
pub fn nifti_of_image(image: &Volume<f32>) -> Result<Vec<u8>, ImageError> {
    nifti_bytes(image)
}

fn nifti_bytes<T: Voxel>(volume: &Volume<T>) -> Result<Vec<u8>, ImageError> {
    let path = Path::new("volume.nii");
    let reference = Reference::from_grid(&volume.grid());
    let draft = Draft {
        header: nifti::header(path, reference.nifti(), None, T::DATATYPE)?,
        packing: None,
        whole: false,
        big_endian: false,
    };
    let mut bytes = Vec::with_capacity(draft.header.len() + size_of_val(volume.data()));
    let written = draft.write(&mut bytes, std::slice::from_ref(volume));
    written.expect("memory takes every byte");
    Ok(bytes)
}

fn write<T: Voxel>(
    path: &Path,
    volumes: &[Volume<T>],
    reference: &Reference,
    fourth_axis: bool,
    keys: &str,
) -> Result<(), ImageError> {
    let kind = Kind::of(path)?;
    check_grids(path, volumes, reference)?;
    let fourth = fourth_axis.then_some(volumes.len());
    let draft = match kind {
        Kind::Nifti { compressed } => Draft {
            header: nifti::header(path, reference.nifti(), fourth, T::DATATYPE)?,
            packing: compressed.then_some(Packing::Gzip),
            whole: compressed,
            big_endian: false,
        },
        Kind::MetaImage => metaimage::draft(reference, fourth, T::DATATYPE),
        Kind::Nrrd => nrrd::draft(reference, fourth, T::DATATYPE, keys),
        Kind::Mgh { compressed } => mgh::draft(path, reference, fourth, T::DATATYPE, compressed)?,
    };
    write_atomic(path, |file| draft.write(file, volumes))?;
    Ok(())
}

/// Endings of the names of files that are written, longest first.
pub const ENDINGS: [&str; 8] = [
    SEGMENTATION,
    ".nii.gz",
    ".nii",
    ".nrrd",
    ".mha",
    ".mgz",
    ".mgh",
    DICOM,
];

/// Ending of segmentations of DICOM, which only label maps can be written as.
const DICOM: &str = ".dcm";

/// Ending of Slicer's segmentations.
const SEGMENTATION: &str = ".seg.nrrd";

/// The one of [`ENDINGS`] that a file's name has.
pub fn ending_of(path: &Path) -> Option<&'static str> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ENDINGS.into_iter().find(|end| name.ends_with(end))
}

/// Ending of the names of probabilities and the like, which are large, beside label maps whose
/// names end in `ending`.
pub fn ending_of_maps(ending: &str) -> &str {
    match ending {
        ".nii" => ".nii.gz",
        SEGMENTATION => ".nrrd",
        DICOM => ".nii.gz",
        ending => ending,
    }
}

/// A format that is written.
enum Kind {
    Nifti { compressed: bool },
    MetaImage,
    Nrrd,
    Mgh { compressed: bool },
}

impl Kind {
    /// By the ending of the name.
    fn of(path: &Path) -> Result<Self, ImageError> {
        Ok(match ending_of(path) {
            Some(end @ (".nii.gz" | ".nii")) => Self::Nifti {
                compressed: end == ".nii.gz",
            },
            Some(".nrrd" | SEGMENTATION) => Self::Nrrd,
            Some(".mha") => Self::MetaImage,
            Some(end @ (".mgz" | ".mgh")) => Self::Mgh {
                compressed: end == ".mgz",
            },
            _ => {
                return Err(ImageError::Extension {
                    path: path.to_owned(),
                });
            }
        })
    }
}

fn check_grids<T>(
    path: &Path,
    volumes: &[Volume<T>],
    reference: &Reference,
) -> Result<(), ImageError> {
    if volumes.is_empty() {
        return Err(ImageError::NoVolume {
            path: path.to_owned(),
        });
    }
    let grid = reference.grid();
    let edges = grid.spacing().0;
    let tolerance = GRID_TOLERANCE * edges.into_iter().fold(f64::INFINITY, f64::min);
    for volume in volumes {
        let displacement_mm = corner_displacement_mm(&volume.grid(), &grid);
        if displacement_mm > tolerance {
            return Err(ImageError::Grid {
                path: path.to_owned(),
                found: volume.shape(),
                expected: grid.shape,
                displacement_mm,
            });
        }
    }
    Ok(())
}
