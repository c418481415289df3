//! Reading images of any format.
//!
//! Every size in a header is checked against what the file can hold before
//! anything is done with it, and memory grows with the voxels found, so a lying
//! header costs neither memory nor time. Values that are not finite are legal
//! here; the caller judges them.

use std::path::Path;

use lacuna_volume::Volume;

use crate::nifti;
use crate::{Format, ImageError, Reference};

/// How far from a whole number a label may be: some tools store masks as
/// floating-point numbers that were interpolated or scaled.
const LABEL_TOLERANCE: f64 = 1e-3;

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
    let mut file = Voxels::open(path.as_ref())?;
    let volumes = (0..file.reference.volumes())
        .map(|_| file.next_volume(|value| value as f32))
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
    Ok(Voxels::open(path.as_ref())?.reference)
}

/// Reads a file of one volume, as [`read`].
///
/// # Errors
/// When the file holds several volumes; and as [`read`].
pub fn read_image(path: impl AsRef<Path>) -> Result<Volume<f32>, ImageError> {
    let mut file = Voxels::open_one(path.as_ref())?;
    let volume = file.next_volume(|value| value as f32)?;
    file.finish()?;
    Ok(volume)
}

/// Reads a label map stored as numbers of any kind. Values within 0.001 of a
/// whole number count as that number.
///
/// # Errors
/// When a voxel is farther from a whole number, not finite or beyond 32 bits;
/// and as [`read_image`].
pub fn read_labels(path: impl AsRef<Path>) -> Result<Volume<i32>, ImageError> {
    let mut file = Voxels::open_one(path.as_ref())?;
    let mut position = 0;
    let mut bad = None;
    let labels = file.next_volume(|value| {
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
                path: path.as_ref().to_owned(),
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
struct Voxels {
    reference: Reference,
    form: Form,
}

/// The reader of each format.
enum Form {
    Nifti(nifti::Voxels),
}

impl Voxels {
    fn open(path: &Path) -> Result<Self, ImageError> {
        match Format::of(path)? {
            Format::Nifti => {
                let voxels = nifti::Voxels::open(path)?;
                Ok(Self {
                    reference: voxels.header().clone().into(),
                    form: Form::Nifti(voxels),
                })
            }
        }
    }

    fn open_one(path: &Path) -> Result<Self, ImageError> {
        let file = Self::open(path)?;
        match file.reference.volumes() {
            1 => Ok(file),
            found => Err(ImageError::VolumeCount {
                path: path.to_owned(),
                found,
            }),
        }
    }

    fn next_volume<T>(&mut self, to: impl FnMut(f64) -> T) -> Result<Volume<T>, ImageError> {
        match &mut self.form {
            Form::Nifti(voxels) => voxels.next_volume(to),
        }
    }

    /// Reads to the end, so that a checksum is compared.
    fn finish(self) -> Result<Reference, ImageError> {
        match self.form {
            Form::Nifti(voxels) => voxels.finish()?,
        }
        Ok(self.reference)
    }
}
