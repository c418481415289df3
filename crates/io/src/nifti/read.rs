//! Reading NIfTI files: the header first, then the voxels it announces, once
//! the file is known to be long enough for them.

use std::collections::TryReserveError;
use std::path::Path;

use lacuna_volume::Volume;

use super::error::NiftiError;
use super::header::Header;
use super::layout::{self, BYTES_1, BYTES_2, Fields, Version};
use super::pair::{header_of, image_of, is_header_half};
use crate::ImageError;
use crate::ahead::{Stopped, read_ahead};
use crate::source::Source;

/// Memory asked for before the first voxel is found, in voxels: enough for most
/// volumes, so that they never move. What is not filled is not touched either.
const FIRST_VOXELS: usize = 1 << 24;

/// A file whose header is read and whose voxels have room in it.
pub(crate) struct Voxels {
    header: Header,
    source: Source,
    voxels: usize,
    /// Bytes of all volumes.
    bytes: u64,
}

impl Voxels {
    /// Opens the file at `path`; of a pair either half will do.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let (header, header_source) = open_header(path)?;
        let source = if header.pair {
            Source::open(&image_of(header_source.path())?)?
        } else {
            header_source
        };
        let (voxels, bytes) = header.sizes(source.path())?;
        let most = source.most_bytes().saturating_sub(header.vox_offset);
        if most < bytes {
            return Err(ImageError::Truncated {
                path: source.path().to_owned(),
                what: if source.is_compressed() {
                    "voxels (the most that so small a compressed file can hold)"
                } else {
                    "voxels"
                },
                found: most,
                expected: bytes,
            });
        }
        Ok(Self {
            header,
            source,
            voxels,
            bytes,
        })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Goes to the first voxel, unless a volume was read before.
    fn seek_first_voxel(&mut self) -> Result<(), ImageError> {
        let offset = self.header.vox_offset;
        match self.source.skip_to(offset) {
            Ok(reached) if reached < offset => Err(self.truncated()),
            Ok(_) => Ok(()),
            Err(e) => Err(self.source.error(e, "voxels", 0, self.bytes)),
        }
    }

    /// Reads the next volume, each value turned by `to`.
    pub fn next_volume<T>(
        &mut self,
        mut to: impl FnMut(f64) -> T,
    ) -> Result<Volume<T>, ImageError> {
        self.seek_first_voxel()?;
        let encoding = self.header.encoding;
        let voxel_bytes = encoding.datatype.bytes();
        let bytes = self.voxels.saturating_mul(voxel_bytes);
        let mut data = Vec::new();
        let read = read_ahead(&mut self.source, bytes, |chunk| {
            reserve(&mut data, chunk.len() / voxel_bytes, self.voxels)?;
            encoding.decode(chunk, &mut data, &mut to);
            Ok(())
        });
        read.map_err(|stopped| match stopped {
            Stopped::Short => self.truncated(),
            Stopped::Read(e) => self.source.error(e, "voxels", self.found(), self.bytes),
            Stopped::Memory => ImageError::TooLarge {
                path: self.source.path().to_owned(),
                bytes: self.voxels as u128 * size_of::<T>() as u128,
            },
        })?;
        Volume::new(self.header.shape(), *self.header.affine(), data).map_err(|source| {
            ImageError::Volume {
                path: self.source.path().to_owned(),
                source: Box::new(source),
            }
        })
    }

    /// Reads a compressed stream to its end, so that its checksum is compared.
    pub fn finish(mut self) -> Result<(), ImageError> {
        self.source
            .finish()
            .map_err(|e| self.source.error(e, "voxels", self.found(), self.bytes))
    }

    fn found(&self) -> u64 {
        let offset = self.header.vox_offset;
        self.source.position().saturating_sub(offset)
    }

    fn truncated(&self) -> ImageError {
        ImageError::Truncated {
            path: self.source.path().to_owned(),
            what: "voxels",
            found: self.found(),
            expected: self.bytes,
        }
    }
}

/// Makes room for `more` of `voxels`, and for as many again as are there.
fn reserve<T>(data: &mut Vec<T>, more: usize, voxels: usize) -> Result<(), TryReserveError> {
    if data.capacity() - data.len() >= more {
        return Ok(());
    }
    data.try_reserve_exact(data.len().max(FIRST_VOXELS).min(voxels - data.len()))
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
