//! Writing volumes onto a reference. The name's ending chooses the format.

use std::path::Path;

use lacuna_volume::{Volume, corner_displacement_mm};

use crate::atomic::write_atomic;
use crate::source::Packing;
use crate::voxel_bytes::{Draft, Voxel};
use crate::{ImageError, Reference, metaimage, mgh, nifti, nrrd};

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
    write(
        path.as_ref(),
        std::slice::from_ref(labels),
        reference,
        false,
    )
}

/// Writes the classes of a label map as [`write_labels`] does, each by its value where
/// `values` are given, in the order of the classes: as bytes, or as unsigned 16-bit
/// numbers where a value is larger.
///
/// # Errors
/// When a class has no value; and as [`write_labels`].
pub fn write_class_labels(
    path: impl AsRef<Path>,
    labels: &Volume<u8>,
    values: Option<&[u16]>,
    reference: &Reference,
) -> Result<(), ImageError> {
    let Some(values) = values else {
        return write_labels(path, labels, reference);
    };
    let path = path.as_ref();
    if let Some(&class) = labels
        .data()
        .iter()
        .find(|c| usize::from(**c) >= values.len())
    {
        return Err(ImageError::NoValue {
            path: path.to_owned(),
            class,
            values: values.len(),
        });
    }
    let bytes: Option<Vec<u8>> = values.iter().map(|v| u8::try_from(*v).ok()).collect();
    match bytes {
        Some(bytes) => write_labels(path, &labels.map(|c| bytes[usize::from(*c)]), reference),
        None => {
            let wide = labels.map(|c| values[usize::from(*c)]);
            write(path, std::slice::from_ref(&wide), reference, false)
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
    write(path.as_ref(), std::slice::from_ref(image), reference, false)
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
    write(path.as_ref(), volumes, reference, true)
}

fn write<T: Voxel>(
    path: &Path,
    volumes: &[Volume<T>],
    reference: &Reference,
    fourth_axis: bool,
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
        Kind::Nrrd => nrrd::draft(reference, fourth, T::DATATYPE),
        Kind::Mgh { compressed } => mgh::draft(path, reference, fourth, T::DATATYPE, compressed)?,
    };
    write_atomic(path, |file| draft.write(file, volumes))?;
    Ok(())
}

/// Endings of the names of files that are written, longest first.
pub const ENDINGS: [&str; 6] = [".nii.gz", ".nii", ".nrrd", ".mha", ".mgz", ".mgh"];

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
            Some(".nrrd") => Self::Nrrd,
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
