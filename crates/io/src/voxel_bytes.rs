//! Volumes as the bytes of a file.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use lacuna_volume::Volume;

use crate::Datatype;
use crate::source::Packing;

/// Bytes converted at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// Label maps shrink a hundredfold at any level and probabilities hardly at
/// all, so a fast level costs little space.
const LEVEL: u32 = 3;

/// A file to write: a header, and how the voxels follow.
pub(crate) struct Draft {
    pub header: Vec<u8>,
    /// How the voxels are compressed.
    pub packing: Option<Packing>,
    /// The header is compressed with them.
    pub whole: bool,
    pub big_endian: bool,
}

impl Draft {
    /// Writes the header, and the voxels of volume after volume.
    pub fn write<T: Voxel>(
        &self,
        file: &mut (impl Write + ?Sized),
        volumes: &[Volume<T>],
    ) -> io::Result<()> {
        let level = Compression::new(LEVEL);
        if !self.whole {
            file.write_all(&self.header)?;
        }
        match self.packing {
            None => self.write_parts(file, volumes),
            Some(Packing::Gzip) => {
                let mut encoder = GzEncoder::new(file, level);
                self.write_parts(&mut encoder, volumes)?;
                encoder.finish().map(drop)
            }
            Some(Packing::Zlib) => {
                let mut encoder = ZlibEncoder::new(file, level);
                self.write_parts(&mut encoder, volumes)?;
                encoder.finish().map(drop)
            }
        }
    }

    fn write_parts<T: Voxel>(
        &self,
        file: &mut (impl Write + ?Sized),
        volumes: &[Volume<T>],
    ) -> io::Result<()> {
        if self.whole {
            file.write_all(&self.header)?;
        }
        let mut chunk = Vec::with_capacity(CHUNK_BYTES);
        for volume in volumes {
            for voxels in volume.data().chunks(CHUNK_BYTES / size_of::<T>()) {
                chunk.clear();
                T::encode(voxels, &mut chunk);
                if self.big_endian {
                    chunk
                        .chunks_exact_mut(size_of::<T>())
                        .for_each(<[u8]>::reverse);
                }
                file.write_all(&chunk)?;
            }
        }
        Ok(())
    }
}

/// A voxel value that can be written, its bytes least significant first.
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
