//! The voxels of a file whose header was read, once the file is known to be long
//! enough for them.

use std::collections::TryReserveError;
use std::path::Path;

use lacuna_volume::{Affine, Volume};

use crate::ImageError;
use crate::ahead::{Stopped, read_ahead};
use crate::encoding::Encoding;
use crate::source::Source;

/// Memory asked for before the first voxel is found, in voxels: enough for most
/// volumes, so that they never move. What is not filled is not touched either.
const FIRST_VOXELS: usize = 1 << 24;

/// How far the rest of a file may be, in what was read of it, to be read for its checksum: one
/// volume of up to 16 is compared, and one of a thousand costs no thousand.
const NEAR: u64 = 16;

/// The same in bytes, for what is read at once.
const NEAR_BYTES: u64 = 1 << 20;

/// Values picked at a time from between those of other volumes.
const PICKED: usize = 1 << 14;

/// What a header says about the voxels.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub shape: [usize; 3],
    pub volumes: usize,
    pub affine: Affine,
    pub encoding: Encoding,
    /// Byte at which they start.
    pub offset: u64,
    /// The values of a voxel, one of each volume, lie side by side.
    pub interleaved: bool,
}

impl Layout {
    /// Bytes of all volumes.
    pub fn bytes(&self) -> u128 {
        let value = self.encoding.datatype.bytes() as u128;
        let axes = self.shape.iter().chain([&self.volumes]);
        axes.fold(value, |n, &axis| n.saturating_mul(axis as u128))
    }

    /// Where they start when they end with the source.
    pub fn offset_at_end(&self, source: &Source) -> u64 {
        let before = u128::from(source.most_bytes()).saturating_sub(self.bytes());
        u64::try_from(before).unwrap_or(0)
    }

    /// Voxels of one volume and bytes of all, if they can be addressed.
    fn sizes(&self, path: &Path) -> Result<(usize, u64), ImageError> {
        let elements = |axes: &[usize]| axes.iter().try_fold(1usize, |n, &a| n.checked_mul(a));
        let bytes = self.bytes();
        // Voxels become numbers of 4 bytes in memory.
        let in_memory = bytes.saturating_mul(4);
        match elements(&self.shape) {
            Some(voxels) if in_memory <= isize::MAX as u128 => Ok((voxels, bytes as u64)),
            _ => Err(ImageError::TooLarge {
                path: path.to_owned(),
                bytes,
            }),
        }
    }
}

/// A file opened at its voxels, which have room in it.
pub(crate) struct Voxels {
    layout: Layout,
    source: Source,
    /// Of one volume.
    voxels: usize,
    /// Bytes of all volumes.
    bytes: u64,
    /// Volumes read so far.
    read: usize,
    /// All bytes, where the volumes are interleaved and the first was read.
    all: Vec<u8>,
    /// Gives the source, where it is not yet decoded.
    decode: Option<Decode>,
}

type Decode = Box<dyn FnOnce() -> Result<Vec<u8>, ImageError>>;

impl Voxels {
    /// Refuses a source that cannot hold what the layout announces.
    pub fn open(source: Source, layout: Layout) -> Result<Self, ImageError> {
        let most = source.most_bytes().saturating_sub(layout.offset);
        let voxels = Self::of(source, layout)?;
        if most < voxels.bytes {
            return Err(ImageError::Truncated {
                path: voxels.source.path().to_owned(),
                what: if voxels.source.is_compressed() {
                    "voxels (the most that so small a compressed file can hold)"
                } else {
                    "voxels"
                },
                found: most,
                expected: voxels.bytes,
            });
        }
        Ok(voxels)
    }

    /// Voxels that `decode` gives when the first is read.
    pub fn decoded_later(
        path: &Path,
        layout: Layout,
        decode: impl FnOnce() -> Result<Vec<u8>, ImageError> + 'static,
    ) -> Result<Self, ImageError> {
        Ok(Self {
            decode: Some(Box::new(decode)),
            ..Self::of(Source::of_bytes(path, Vec::new()), layout)?
        })
    }

    fn of(source: Source, layout: Layout) -> Result<Self, ImageError> {
        let (voxels, bytes) = layout.sizes(source.path())?;
        Ok(Self {
            layout,
            source,
            voxels,
            bytes,
            read: 0,
            all: Vec::new(),
            decode: None,
        })
    }

    /// Goes to the byte `offset`, unless it lies behind.
    fn seek(&mut self, offset: u64) -> Result<(), ImageError> {
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
        self.start()?;
        self.seek(self.layout.offset)?;
        let data = match self.are_mixed() {
            true => self.pick(&mut to)?,
            false => self.take_volume(&mut to)?,
        };
        self.read += 1;
        self.volume_of(data)
    }

    /// Reads volume `index` of the file, the first that is read, and holds no other.
    pub fn volume<T>(
        &mut self,
        index: usize,
        mut to: impl FnMut(f64) -> T,
    ) -> Result<Volume<T>, ImageError> {
        self.start()?;
        let offset = self.layout.offset;
        let data = match self.are_mixed() {
            true => {
                self.seek(offset)?;
                self.take_from_between(index, &mut to)?
            }
            false => {
                let before = self.bytes / self.layout.volumes as u64 * index as u64;
                self.seek(offset.saturating_add(before))?;
                self.take_volume(&mut to)?
            }
        };
        self.volume_of(data)
    }

    fn start(&mut self) -> Result<(), ImageError> {
        if let Some(decode) = self.decode.take() {
            self.source = Source::of_bytes(self.source.path(), decode()?);
        }
        Ok(())
    }

    /// The values of the volumes lie between one another.
    fn are_mixed(&self) -> bool {
        self.layout.interleaved && self.layout.volumes > 1
    }

    fn volume_of<T>(&self, data: Vec<T>) -> Result<Volume<T>, ImageError> {
        let Layout { shape, affine, .. } = self.layout;
        Volume::new(shape, affine, data).map_err(|source| ImageError::Volume {
            path: self.source.path().to_owned(),
            source: Box::new(source),
        })
    }

    /// The values from here on that a volume takes.
    fn take_volume<T>(&mut self, to: &mut impl FnMut(f64) -> T) -> Result<Vec<T>, ImageError> {
        let encoding = self.layout.encoding;
        self.take(self.voxels, encoding.datatype.bytes(), |chunk, out| {
            encoding.decode(chunk, out, &mut *to);
        })
    }

    /// The values of volume `index` from between those of the others, which are not kept.
    fn take_from_between<T>(
        &mut self,
        index: usize,
        to: &mut impl FnMut(f64) -> T,
    ) -> Result<Vec<T>, ImageError> {
        let encoding = self.layout.encoding;
        let value = encoding.datatype.bytes();
        let (volumes, voxels) = (self.layout.volumes, self.voxels);
        let mut at = 0;
        let mut picked = Vec::new();
        let mut data = Vec::new();
        let read = read_ahead(&mut self.source, self.bytes as usize, |chunk| {
            picked.clear();
            // Chunks hold whole values, though not whole voxels.
            let values = chunk.chunks_exact(value);
            let first = (index + volumes - at % volumes) % volumes;
            at += values.len();
            for value in values.skip(first).step_by(volumes) {
                picked.extend_from_slice(value);
            }
            reserve(&mut data, picked.len() / value, voxels)?;
            encoding.decode(&picked, &mut data, &mut *to);
            Ok(())
        });
        self.all_read(read, size_of::<T>())?;
        Ok(data)
    }

    /// Reads `items` of so many bytes each, appended to the result by `put`.
    fn take<T>(
        &mut self,
        items: usize,
        item_bytes: usize,
        mut put: impl FnMut(&[u8], &mut Vec<T>),
    ) -> Result<Vec<T>, ImageError> {
        let mut data = Vec::new();
        let bytes = items.saturating_mul(item_bytes);
        let read = read_ahead(&mut self.source, bytes, |chunk| {
            reserve(&mut data, chunk.len() / item_bytes, items)?;
            put(chunk, &mut data);
            Ok(())
        });
        self.all_read(read, items / self.voxels.max(1) * size_of::<T>())?;
        Ok(data)
    }

    /// Why not all was read, to be kept as so many bytes for each voxel.
    fn all_read(&self, read: Result<(), Stopped>, bytes: usize) -> Result<(), ImageError> {
        read.map_err(|stopped| match stopped {
            Stopped::Short => self.truncated(),
            Stopped::Read(e) => self.source.error(e, "voxels", self.found(), self.bytes),
            Stopped::Memory => self.too_large(self.voxels * bytes),
        })
    }

    /// The values of the next volume from between those of the others.
    fn pick<T>(&mut self, to: &mut impl FnMut(f64) -> T) -> Result<Vec<T>, ImageError> {
        if self.all.is_empty() {
            let bytes = self.bytes as usize;
            self.all = self.take(bytes, 1, |chunk, out: &mut Vec<u8>| {
                out.extend_from_slice(chunk);
            })?;
        }
        let encoding = self.layout.encoding;
        let value = encoding.datatype.bytes();
        let from = self.read * value;
        let mut data = Vec::new();
        (data.try_reserve_exact(self.voxels))
            .map_err(|_| self.too_large(self.voxels * size_of::<T>()))?;
        let stride = value * self.layout.volumes;
        let mut chunk = Vec::with_capacity(PICKED * value);
        for voxels in self.all.chunks(PICKED * stride) {
            chunk.clear();
            for voxel in voxels.chunks_exact(stride) {
                chunk.extend_from_slice(&voxel[from..from + value]);
            }
            encoding.decode(&chunk, &mut data, &mut *to);
        }
        Ok(data)
    }

    /// Reads a compressed stream to its end, so that its checksum is compared.
    pub fn finish(mut self) -> Result<(), ImageError> {
        self.source
            .finish()
            .map_err(|e| self.source.error(e, "voxels", self.found(), self.bytes))
    }

    /// The same where its end is at most [`NEAR`] times as far from here as the start is.
    pub fn finish_near(mut self) -> Result<(), ImageError> {
        let within = self.source.position().saturating_mul(NEAR).max(NEAR_BYTES);
        let finished = self.source.finish_within(within);
        finished
            .map(drop)
            .map_err(|e| self.source.error(e, "voxels", self.found(), self.bytes))
    }

    fn found(&self) -> u64 {
        let offset = self.layout.offset;
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

    fn too_large(&self, bytes: usize) -> ImageError {
        ImageError::TooLarge {
            path: self.source.path().to_owned(),
            bytes: bytes as u128,
        }
    }
}

/// Makes room for `more` of `items`, and for as many again as are there.
fn reserve<T>(data: &mut Vec<T>, more: usize, items: usize) -> Result<(), TryReserveError> {
    if data.capacity() - data.len() >= more {
        return Ok(());
    }
    data.try_reserve_exact(data.len().max(FIRST_VOXELS).min(items - data.len()))
}
