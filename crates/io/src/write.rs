//! Writing NIfTI files.
//!
//! A file gets the geometry fields of a reference header bit for bit, so that
//! viewers show it exactly over the image it belongs to. Voxels are little
//! endian; values are stored as they are (slope 1, intercept 0).

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use lacuna_volume::{Volume, corner_displacement_mm};

use crate::NiftiError;
use crate::atomic::write_atomic;
use crate::datatype::Datatype;
use crate::header::Header;
use crate::layout::{Fields, Version};

/// Bytes converted at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// Label maps shrink a hundredfold at any level and probabilities hardly at
/// all, so a fast level costs little space.
const LEVEL: u32 = 3;

/// Corners of a volume may lie this share of a voxel from the reference's, as
/// a header may hold the affine in fewer digits.
const GRID_TOLERANCE: f64 = 1e-3;

const DESCRIPTION: &[u8] = b"lacuna";

/// Writes a label map as unsigned bytes on the grid of `reference`, atomically.
/// The name must end with `.nii` or `.nii.gz`.
///
/// # Errors
/// When the labels do not lie on the reference's grid, the name has another
/// ending, or the file cannot be written.
pub fn write_labels(
    path: impl AsRef<Path>,
    labels: &Volume<u8>,
    reference: &Header,
) -> Result<(), NiftiError> {
    let volumes = std::slice::from_ref(labels);
    write(path.as_ref(), volumes, reference, spatial_axes(reference))
}

/// Writes an image as 32-bit floating point on the grid of `reference`,
/// atomically. The name must end with `.nii` or `.nii.gz`.
///
/// # Errors
/// As [`write_labels`].
pub fn write_image(
    path: impl AsRef<Path>,
    image: &Volume<f32>,
    reference: &Header,
) -> Result<(), NiftiError> {
    let volumes = std::slice::from_ref(image);
    write(path.as_ref(), volumes, reference, spatial_axes(reference))
}

/// Writes volumes along a fourth axis as 32-bit floating point, as
/// [`write_image`] writes one.
///
/// # Errors
/// When there is no volume; and as [`write_labels`].
pub fn write_image_4d(
    path: impl AsRef<Path>,
    volumes: &[Volume<f32>],
    reference: &Header,
) -> Result<(), NiftiError> {
    let mut axes = reference.shape().to_vec();
    axes.push(volumes.len());
    write(path.as_ref(), volumes, reference, axes)
}

/// The axes of one volume: as many as the reference has, so that a label map
/// of a 2-D image is 2-D.
fn spatial_axes(reference: &Header) -> Vec<usize> {
    reference.shape()[..reference.rank().min(3)].to_vec()
}

fn write<T: Voxel>(
    path: &Path,
    volumes: &[Volume<T>],
    reference: &Header,
    axes: Vec<usize>,
) -> Result<(), NiftiError> {
    let gzip = is_compressed(path)?;
    check_grids(path, volumes, reference)?;
    let header = encode_header(path, reference, axes, T::DATATYPE)?;
    write_atomic(path, |file| {
        if gzip {
            let mut encoder = GzEncoder::new(file, Compression::new(LEVEL));
            write_parts(&mut encoder, &header, volumes)?;
            encoder.finish().map(|_| ())
        } else {
            write_parts(file, &header, volumes)
        }
    })?;
    Ok(())
}

fn is_compressed(path: &Path) -> Result<bool, NiftiError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if name.ends_with(".nii.gz") {
        Ok(true)
    } else if name.ends_with(".nii") {
        Ok(false)
    } else {
        Err(NiftiError::Extension {
            path: path.to_owned(),
        })
    }
}

fn check_grids<T>(
    path: &Path,
    volumes: &[Volume<T>],
    reference: &Header,
) -> Result<(), NiftiError> {
    if volumes.is_empty() {
        return Err(NiftiError::NoVolume {
            path: path.to_owned(),
        });
    }
    let grid = reference.grid();
    let edges = grid.spacing().0;
    let tolerance = GRID_TOLERANCE * edges.into_iter().fold(f64::INFINITY, f64::min);
    for volume in volumes {
        let displacement_mm = corner_displacement_mm(&volume.grid(), &grid);
        if displacement_mm > tolerance {
            return Err(NiftiError::Grid {
                path: path.to_owned(),
                found: volume.shape(),
                expected: grid.shape,
                displacement_mm,
            });
        }
    }
    Ok(())
}

fn encode_header(
    path: &Path,
    reference: &Header,
    axes: Vec<usize>,
    datatype: Datatype,
) -> Result<Vec<u8>, NiftiError> {
    let version = reference.version;
    let longest = match version {
        Version::Nifti1 => i16::MAX as usize,
        Version::Nifti2 => i64::MAX as usize,
    };
    if axes.iter().any(|&n| n > longest) {
        return Err(NiftiError::AxisTooLong {
            path: path.to_owned(),
            found: axes,
        });
    }
    let mut dim = [1; 8];
    dim[0] = axes.len() as i64;
    for (d, &n) in dim[1..].iter_mut().zip(&axes) {
        *d = n as i64;
    }
    let single = version.magics()[0];
    let mut magic = [0; 8];
    magic[..single.len()].copy_from_slice(single);
    let fields = Fields {
        version,
        big_endian: false,
        magic,
        dim,
        datatype: datatype.code(),
        vox_offset: version.header_bytes() as f64 + 4.0,
        scl_slope: 1.0,
        scl_inter: 0.0,
        placement: reference.placement,
    };
    Ok(fields.encode(8 * datatype.bytes() as i16, DESCRIPTION))
}

fn write_parts<T: Voxel>(
    file: &mut (impl Write + ?Sized),
    header: &[u8],
    volumes: &[Volume<T>],
) -> io::Result<()> {
    file.write_all(header)?;
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    for volume in volumes {
        for voxels in volume.data().chunks(CHUNK_BYTES / size_of::<T>()) {
            chunk.clear();
            T::encode(voxels, &mut chunk);
            file.write_all(&chunk)?;
        }
    }
    Ok(())
}

/// A voxel value that can be written.
trait Voxel: Copy {
    const DATATYPE: Datatype;
    fn encode(voxels: &[Self], out: &mut Vec<u8>);
}

impl Voxel for u8 {
    const DATATYPE: Datatype = Datatype::U8;
    fn encode(voxels: &[Self], out: &mut Vec<u8>) {
        out.extend_from_slice(voxels);
    }
}

impl Voxel for f32 {
    const DATATYPE: Datatype = Datatype::F32;
    fn encode(voxels: &[Self], out: &mut Vec<u8>) {
        out.extend(voxels.iter().flat_map(|v| v.to_le_bytes()));
    }
}
