//! Reading images of any format.
//!
//! Every size in a header is checked against what the file can hold before
//! anything is done with it, and memory grows with the voxels found, so a lying
//! header costs neither memory nor time. Values that are not finite are legal
//! here; the caller judges them.

use std::path::Path;

use lacuna_volume::Volume;

use crate::picture::{self, Picture};
use crate::voxels::Voxels;
use crate::{Format, ImageError, Reference, dicom, metaimage, mgh, nifti, nrrd};

/// How far from a whole number a label may be: some tools store masks as
/// floating-point numbers that were interpolated or scaled.
const LABEL_TOLERANCE: f64 = 1e-3;

/// The most volumes that [`read`] gives, more than NIfTI-1 can have: each costs an allocation,
/// were it of a single voxel.
pub(crate) const MOST_VOLUMES: usize = 1 << 15;

/// An image with what results are written onto.
#[derive(Clone, Debug)]
pub struct Image {
    /// Geometry of the file.
    pub reference: Reference,
    /// Its volumes, one for each index along the fourth axis; never none.
    pub volumes: Vec<Volume<f32>>,
}

/// Reads all volumes of a file, its values scaled as its header says. A 2-D
/// image gets a last axis of length 1.
///
/// # Errors
/// When the file is missing, of no known format, damaged or cut off.
pub fn read(path: impl AsRef<Path>) -> Result<Image, ImageError> {
    let path = path.as_ref();
    let mut file = Opened::open(path)?;
    let count = file.reference.volumes();
    if count > MOST_VOLUMES {
        return Err(ImageError::TooManyVolumes {
            path: path.to_owned(),
            found: count,
        });
    }
    let volumes = (0..count)
        .map(|_| file.voxels.next_volume(|value| value as f32))
        .collect::<Result<_, _>>()?;
    Ok(Image {
        volumes,
        reference: file.finish()?,
    })
}

/// Reads the geometry alone. A file that cannot hold the voxels its header
/// claims is refused.
///
/// # Errors
/// When the file is missing, of no known format, too short, or its header is
/// unusable.
pub fn read_reference(path: impl AsRef<Path>) -> Result<Reference, ImageError> {
    Ok(Opened::open(path.as_ref())?.reference)
}

/// Reads a file of one volume, as [`read`].
///
/// # Errors
/// When the file holds several volumes; and as [`read`].
pub fn read_image(path: impl AsRef<Path>) -> Result<Volume<f32>, ImageError> {
    let mut file = Opened::open(path.as_ref())?.one(path.as_ref())?;
    let volume = file.voxels.next_volume(|value| value as f32)?;
    file.finish()?;
    Ok(volume)
}

/// Reads one volume of a file of several, counted from 0, as [`read`]. Neither time nor memory go
/// to those after it, but to compare a checksum that is not far.
///
/// # Errors
/// [`ImageError::NoSuchVolume`]; and as [`read`].
pub fn read_volume(path: impl AsRef<Path>, volume: usize) -> Result<Volume<f32>, ImageError> {
    let path = path.as_ref();
    let mut file = Opened::open(path)?;
    let found = file.reference.volumes();
    if volume >= found {
        return Err(ImageError::NoSuchVolume {
            path: path.to_owned(),
            volume,
            found,
        });
    }
    let values = file.voxels.volume(volume, |value| value as f32)?;
    file.voxels.finish_near()?;
    Ok(values)
}

/// Reads a label map stored as numbers of any kind. Values within 0.001 of a
/// whole number count as that number.
///
/// # Errors
/// When a voxel is farther from a whole number, not finite or beyond 32 bits; of a
/// JPEG file, which changes values; and as [`read_image`].
pub fn read_labels(path: impl AsRef<Path>) -> Result<Volume<i32>, ImageError> {
    let path = path.as_ref();
    let file = Opened::open(path)?;
    if file.format == Format::Picture(Picture::Jpeg) {
        let what = "labels, whose values the format changes";
        let remedy = "give the label map as PNG, TIFF or NIfTI";
        return Err(ImageError::not_read(path, "JPEG", what, remedy));
    }
    if file.format == Format::Nrrd && file.reference.volumes() > 1 && nrrd::is_segmentation(path)? {
        let what = "segments that overlap, in several layers";
        let remedy = "export them from Slicer as one label map, or keep those that do not overlap";
        return Err(ImageError::not_read(path, "NRRD", what, remedy));
    }
    let mut file = file.one(path)?;
    let mut position = 0;
    let mut bad = None;
    let labels = file.voxels.next_volume(|value| {
        let label = label(value);
        if label.is_none() && bad.is_none() {
            bad = Some((position, value));
        }
        position += 1;
        label.unwrap_or(0)
    })?;
    file.finish()?;
    match bad {
        None => Ok(labels),
        Some((position, value)) => {
            let [nx, ny, _] = labels.shape();
            Err(ImageError::NotALabel {
                path: path.to_owned(),
                voxel: [position % nx, position / nx % ny, position / nx / ny],
                value,
            })
        }
    }
}

fn label(value: f64) -> Option<i32> {
    // The cast saturates and makes NaN 0, so only true whole numbers pass.
    let whole = value as i32;
    if f64::from(whole) == value {
        return Some(whole);
    }
    let whole = value.round();
    let fits = whole >= f64::from(i32::MIN) && whole <= f64::from(i32::MAX);
    (fits && (value - whole).abs() <= LABEL_TOLERANCE).then_some(whole as i32)
}

/// A file opened at its voxels, whose size is known to fit the file.
struct Opened {
    format: Format,
    reference: Reference,
    voxels: Voxels,
}

impl Opened {
    fn open(path: &Path) -> Result<Self, ImageError> {
        log::debug!("reading: {}", path.display());
        let format = Format::of(path)?;
        let (reference, voxels) = match format {
            Format::Nifti => {
                let (header, voxels) = nifti::open(path)?;
                (header.into(), voxels)
            }
            Format::MetaImage => metaimage::open(path)?,
            Format::Nrrd => nrrd::open(path)?,
            Format::Mgh => mgh::open(path)?,
            Format::Dicom => dicom::open(path)?,
            Format::Picture(picture) => picture::open(path, picture)?,
        };
        // It was rounded to the 32 bits of NIfTI.
        if !reference.affine().places_voxels() {
            let found = format!("{:?}", reference.affine().0);
            return Err(ImageError::header(
                path,
                "image",
                "the place of the voxels",
                found,
                "numbers that 32 bits can hold",
            ));
        }
        Ok(Self {
            format,
            reference,
            voxels,
        })
    }

    /// Refuses several volumes.
    fn one(self, path: &Path) -> Result<Self, ImageError> {
        match self.reference.volumes() {
            1 => Ok(self),
            found => Err(ImageError::VolumeCount {
                path: path.to_owned(),
                found,
            }),
        }
    }

    /// Reads to the end, so that a checksum is compared.
    fn finish(self) -> Result<Reference, ImageError> {
        self.voxels.finish()?;
        Ok(self.reference)
    }
}
