//! The header of NIfTI files to write.
//!
//! A file gets the geometry fields of a reference header bit for bit, so that
//! viewers show it exactly over the image it belongs to. Voxels are little
//! endian; values are stored as they are (slope 1, intercept 0).

use std::path::Path;

use super::datatype;
use super::error::NiftiError;
use super::header::Header;
use super::layout::{Fields, Version};
use crate::{Datatype, ImageError};

const DESCRIPTION: &[u8] = b"lacuna";

/// The header of volumes that lie on the grid of `reference`: so many along a fourth axis, or
/// one on as many axes as the reference has, so that a label map of a 2-D image is 2-D.
pub(crate) fn header(
    path: &Path,
    reference: &Header,
    fourth_axis: Option<usize>,
    datatype: Datatype,
) -> Result<Vec<u8>, ImageError> {
    let axes = match fourth_axis {
        Some(volumes) => {
            let mut axes = reference.shape().to_vec();
            axes.push(volumes);
            axes
        }
        None => reference.shape()[..reference.rank().min(3)].to_vec(),
    };
    Ok(encode_header(path, reference, axes, datatype)?)
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
        datatype: datatype::code(datatype),
        vox_offset: version.header_bytes() as f64 + 4.0,
        scl_slope: 1.0,
        scl_inter: 0.0,
        placement: reference.placement,
    };
    Ok(fields.encode(8 * datatype.bytes() as i16, DESCRIPTION))
}
