//! Writing NIfTI files.
//!
//! A file gets the geometry fields of a reference header bit for bit, so that
//! viewers show it exactly over the image it belongs to. Voxels are little
//! endian; values are stored as they are (slope 1, intercept 0).

use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use lacuna_volume::Volume;

use super::datatype::Datatype;
use super::error::NiftiError;
use super::header::Header;
use super::layout::{Fields, Version};
use crate::ImageError;
use crate::atomic::write_atomic;

/// Bytes converted at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// Label maps shrink a hundredfold at any level and probabilities hardly at
/// all, so a fast level costs little space.
const LEVEL: u32 = 3;

const DESCRIPTION: &[u8] = b"lacuna";

/// Writes volumes that lie on the grid of `reference`, atomically; along a
/// fourth axis, or one volume on as many axes as the reference has, so that a
/// label map of a 2-D image is 2-D.
pub(crate) fn write<T: Voxel>(
    path: &Path,
    volumes: &[Volume<T>],
    reference: &Header,
    fourth_axis: bool,
    compressed: bool,
) -> Result<(), ImageError> {
    let axes = if fourth_axis {
        let mut axes = reference.shape().to_vec();
        axes.push(volumes.len());
        axes
    } else {
        reference.shape()[..reference.rank().min(3)].to_vec()
    };
    let header = encode_header(path, reference, axes, T::DATATYPE)?;
    write_atomic(path, |file| {
        if compressed {
            let mut encoder = GzEncoder::new(file, Compression::new(LEVEL));
            write_parts(&mut encoder, &header, volumes)?;
            encoder.finish().map(|_| ())
        } else {
            write_parts(file, &header, volumes)
        }
    })?;
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
pub(crate) trait Voxel: Copy {
    const DATATYPE: Datatype;
    fn encode(voxels: &[Self], out: &mut Vec<u8>);
}

impl Voxel for u8 {
    const DATATYPE: Datatype = Datatype::U8;
    fn encode(voxels: &[Self], out: &mut Vec<u8>) {
        out.extend_from_slice(voxels);
    }
}

impl Voxel for u16 {
    const DATATYPE: Datatype = Datatype::U16;
    fn encode(voxels: &[Self], out: &mut Vec<u8>) {
        out.extend(voxels.iter().flat_map(|v| v.to_le_bytes()));
    }
}

impl Voxel for f32 {
    const DATATYPE: Datatype = Datatype::F32;
    fn encode(voxels: &[Self], out: &mut Vec<u8>) {
        out.extend(voxels.iter().flat_map(|v| v.to_le_bytes()));
    }
}
