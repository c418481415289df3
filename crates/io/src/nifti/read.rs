//! Reading the header of NIfTI files.

use std::path::Path;

use super::error::NiftiError;
use super::header::Header;
use super::layout::{self, BYTES_1, BYTES_2, Fields, Version};
use super::pair::{header_of, image_of, is_header_half};
use crate::ImageError;
use crate::source::Source;
use crate::voxels::Voxels;

/// Opens the file at `path`; of a pair either half will do.
pub(crate) fn open(path: &Path) -> Result<(Header, Voxels), ImageError> {
    let (header, mut header_source) = open_header(path)?;
    let source = if header.pair {
        header_source.finish_header()?;
        Source::open(&image_of(header_source.path())?)?
    } else {
        header_source
    };
    let voxels = Voxels::open(source, header.layout())?;
    Ok((header, voxels))
}

/// Opens the file that holds the header and reads that.
fn open_header(path: &Path) -> Result<(Header, Source), ImageError> {
    let path = &header_of(path)?;
    let mut source = Source::open(path)?;
    let fields = read_fields(&mut source)?;
    let header = Header::from_fields(&fields, path)?;
    if header.pair != is_header_half(path) {
        let (found, expected) = if header.pair {
            (
                "the magic of a .hdr/.img pair",
                "a name that ends with .hdr",
            )
        } else {
            ("the magic of a single file", "a name that ends with .nii")
        };
        return Err(ImageError::Nifti(NiftiError::NotNifti {
            path: path.to_owned(),
            found: found.to_owned(),
            expected,
            remedy: "rename the file",
        }));
    }
    Ok((header, source))
}

fn read_fields(source: &mut Source) -> Result<Fields, ImageError> {
    let mut bytes = [0; BYTES_2];
    read_part(source, &mut bytes, 0, 4, BYTES_1)?;
    let first = [bytes[0], bytes[1], bytes[2], bytes[3]];
    let (version, big_endian) = layout::recognise(first).ok_or_else(|| NiftiError::NotNifti {
        path: source.path().to_owned(),
        found: format!("sizeof_hdr {} (bytes {first:?})", i32::from_le_bytes(first)),
        expected: "348 or 540",
        remedy: "give a NIfTI file, or convert this one",
    })?;
    read_part(
        source,
        &mut bytes,
        4,
        version.header_bytes(),
        version.header_bytes(),
    )?;
    Ok(match version {
        Version::Nifti1 => {
            let mut start = [0; BYTES_1];
            start.copy_from_slice(&bytes[..BYTES_1]);
            Fields::parse_1(&start, big_endian)
        }
        Version::Nifti2 => Fields::parse_2(&bytes, big_endian),
    })
}

/// Reads bytes `from..to` of the header, which has `expected` bytes in all.
fn read_part(
    source: &mut Source,
    header: &mut [u8; BYTES_2],
    from: usize,
    to: usize,
    expected: usize,
) -> Result<(), ImageError> {
    match source.read(&mut header[from..to]) {
        Ok(n) if n < to - from => Err(ImageError::Truncated {
            path: source.path().to_owned(),
            what: "header",
            found: source.position(),
            expected: expected as u64,
        }),
        Ok(_) => Ok(()),
        Err(e) => Err(source.error(e, "header", source.position(), expected as u64)),
    }
}
