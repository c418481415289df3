//! One prepared subject in a file.
//!
//! Eight bytes of magic, the length and the CRC-32C of the header as little-endian
//! `u32`, the header as JSON, and the parts one after the other, each the table of
//! its values and its voxels (x fastest), see [`super::elements`]. The header has
//! the key that the file stands for, so that a file of another key is never taken,
//! and the CRC-32C of each part.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use lacuna_io::atomic::{WriteError, write_atomic};
use lacuna_volume::{Affine, Grid, Volume};
use serde::{Deserialize, Serialize};

use super::elements::{Element, Encoded, bytes_of, decode, encode};
use super::{CohortError, Window, part_of};
use crate::subject::{Case, LossMaps, LostLesions, Source};
use crate::window::{append_rows, reach};

const MAGIC: [u8; 8] = *b"LacCase1";
/// Longer headers are not ours.
const LONGEST_HEADER: u32 = 1 << 24;

/// What a part of a subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    Channel,
    Label,
    Mask,
    Weight,
    Distance,
    Lesion,
    LossWeight,
    /// The mask on the grid of the subject's first image.
    SourceMask,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Part {
    role: Role,
    bits: u32,
    /// Entries of the table.
    values: u64,
    /// First byte of the table, from the end of the header.
    start: u64,
    /// Bytes of table and voxels.
    length: u64,
    crc32c: u32,
}

#[derive(Serialize, Deserialize)]
struct Header {
    key: String,
    shape: [usize; 3],
    affine: [[f64; 4]; 3],
    lost: LostLesions,
    parts: Vec<Part>,
}

/// A prepared subject in a file of the cache.
#[derive(Debug)]
pub(crate) struct Cached {
    pub(super) id: String,
    pub(super) grid: Grid,
    pub(super) lost: LostLesions,
    path: PathBuf,
    parts: Vec<Part>,
    /// First byte of the parts.
    start: u64,
    /// Without its mask, which is a part.
    source: Source,
}

/// Writes a case to `path`, atomically.
pub(super) fn write(path: &Path, key: &str, case: &Case) -> Result<(), WriteError> {
    let mut parts = Parts::default();
    let maps = &case.maps;
    parts.add(Role::Channel, &case.channels);
    parts.add(Role::Label, &case.label);
    parts.add(Role::Mask, &case.mask);
    parts.add(Role::Weight, &case.weight);
    parts.add(Role::Distance, &maps.distance);
    parts.add(Role::Lesion, &maps.lesion);
    parts.add(Role::LossWeight, &maps.weight);
    parts.add(Role::SourceMask, &case.source.mask);
    let Grid { shape, affine } = case.channels[0].grid();
    let header = Header {
        key: key.to_owned(),
        shape,
        affine: affine.0,
        lost: case.lost,
        parts: parts.list,
    };
    write_atomic(path, |w| {
        let header = serde_json::to_vec(&header)?;
        w.write_all(&MAGIC)?;
        w.write_all(&(header.len() as u32).to_le_bytes())?;
        w.write_all(&crc32c::crc32c(&header).to_le_bytes())?;
        w.write_all(&header)?;
        parts.bytes.iter().try_for_each(|bytes| w.write_all(bytes))
    })
}

#[derive(Default)]
struct Parts {
    list: Vec<Part>,
    bytes: Vec<Vec<u8>>,
}

impl Parts {
    fn add<'a, T: Element + 'a>(
        &mut self,
        role: Role,
        volumes: impl IntoIterator<Item = &'a Volume<T>>,
    ) {
        for volume in volumes {
            let Encoded { bits, table, bytes } = encode(volume.data());
            let mut all: Vec<u8> = table.iter().flat_map(|v| v.to_le_bytes()).collect();
            all.extend(bytes);
            self.list.push(Part {
                role,
                bits,
                values: table.len() as u64,
                start: self.list.last().map_or(0, |part| part.start + part.length),
                length: all.len() as u64,
                crc32c: crc32c::crc32c(&all),
            });
            self.bytes.push(all);
        }
    }
}

impl Cached {
    /// Opens a file and reads it once to check it; `None` where there is none, and
    /// what is wrong with it where it cannot be used.
    pub(super) fn open(
        path: &Path,
        key: &str,
        id: &str,
        source: Source,
    ) -> Result<Option<Self>, String> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e.to_string()),
        };
        let Some((header, start)) = read_header(&mut file).map_err(|e| e.to_string())? else {
            return Err("it is damaged, or no file of this cache".to_owned());
        };
        if header.key != key {
            return Err("it holds a subject prepared in another way".to_owned());
        }
        let mut buffer = Vec::new();
        for part in &header.parts {
            buffer.clear();
            let read = (&mut file).take(part.length).read_to_end(&mut buffer);
            if read.is_err() || crc32c::crc32c(&buffer) != part.crc32c {
                return Err("it is damaged".to_owned());
            }
        }
        // Lasts as long as runs use it, see `Store`.
        let _ = file.set_modified(std::time::SystemTime::now());
        Ok(Some(Self {
            id: id.to_owned(),
            grid: Grid {
                shape: header.shape,
                affine: Affine(header.affine),
            },
            lost: header.lost,
            path: path.to_owned(),
            parts: header.parts,
            start,
            source,
        }))
    }

    /// The whole subject.
    pub(super) fn case(&self) -> Result<Case, CohortError> {
        self.reading(|reader| {
            let grid = self.source.grid;
            Ok(Case {
                id: self.id.clone(),
                channels: reader.volumes(Role::Channel)?,
                label: reader.volumes(Role::Label)?.pop(),
                mask: reader.volumes(Role::Mask)?.pop(),
                weight: reader.volumes(Role::Weight)?.pop(),
                lost: self.lost,
                maps: LossMaps {
                    distance: reader.volumes(Role::Distance)?,
                    lesion: reader.volumes(Role::Lesion)?.pop(),
                    weight: reader.volumes(Role::LossWeight)?.pop(),
                },
                source: Source {
                    mask: reader.whole(Role::SourceMask, &grid)?.pop(),
                    ..self.source.clone()
                },
            })
        })
    }

    /// Opens the file for `read`.
    pub(super) fn reading<R>(
        &self,
        read: impl FnOnce(&mut Reader<'_>) -> io::Result<R>,
    ) -> Result<R, CohortError> {
        let opened = File::open(&self.path);
        opened
            .and_then(|file| read(&mut Reader { file, cached: self }))
            .map_err(|source| CohortError::Read {
                subject: self.id.clone(),
                path: self.path.clone(),
                source,
            })
    }
}

/// The header and where it ends; `None` when it is none.
fn read_header(file: &mut File) -> io::Result<Option<(Header, u64)>> {
    let mut fixed = [0; 16];
    match file.read_exact(&mut fixed) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let word = |at: usize| {
        let bytes = fixed[at..at + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes)
    };
    if fixed[..8] != MAGIC || word(8) > LONGEST_HEADER {
        return Ok(None);
    }
    let mut text = Vec::new();
    file.take(word(8).into()).read_to_end(&mut text)?;
    if crc32c::crc32c(&text) != word(12) {
        return Ok(None);
    }
    let header = serde_json::from_slice(&text).ok();
    Ok(header.map(|header| (header, 16 + u64::from(word(8)))))
}

/// A file that is being read from.
pub(crate) struct Reader<'a> {
    file: File,
    cached: &'a Cached,
}

impl Reader<'_> {
    /// The parts of one role, as whole volumes.
    pub(super) fn volumes<T: Element>(&mut self, role: Role) -> io::Result<Vec<Volume<T>>> {
        self.whole(role, &self.cached.grid)
    }

    fn whole<T: Element>(&mut self, role: Role, grid: &Grid) -> io::Result<Vec<Volume<T>>> {
        let count = grid.shape.iter().product::<usize>() as u64;
        self.each(role, |reader, part, table| {
            let mut data = Vec::new();
            reader.elements(part, table, 0, count, &mut data)?;
            Ok(part_of(grid, [0; 3], grid.shape, data))
        })
    }

    /// A box of the parts of one role, filled by reflection beyond the volume.
    pub(super) fn windows<T: Element>(
        &mut self,
        role: Role,
        (origin, size): Window,
    ) -> io::Result<Vec<Volume<T>>> {
        let grid = self.cached.grid;
        let [nx, ny, nz] = grid.shape;
        let [ys, zs] = [(1, ny), (2, nz)].map(|(a, n)| reach(origin[a], size[a], n));
        self.each(role, |reader, part, table| {
            let mut rows = Vec::new();
            for z in zs.clone() {
                let first = (nx * (ys.start + ny * z)) as u64;
                let count = (nx * ys.len()) as u64;
                reader.elements(part, table, first, count, &mut rows)?;
            }
            let row = |y: usize, z: usize| {
                let row = (y - ys.start) + ys.len() * (z - zs.start);
                &rows[row * nx..][..nx]
            };
            let mut data = Vec::new();
            append_rows(&mut data, grid.shape, origin, size, row);
            Ok(part_of(&grid, origin, size, data))
        })
    }

    /// Calls `read` with each part of a role and its table.
    fn each<R>(
        &mut self,
        role: Role,
        mut read: impl FnMut(&mut Self, &Part, &[u32]) -> io::Result<R>,
    ) -> io::Result<Vec<R>> {
        let parts = self.cached.parts.iter().filter(|part| part.role == role);
        parts
            .map(|part| {
                let bytes = self.bytes(part.start, 4 * part.values)?;
                let words = bytes.as_chunks().0.iter();
                let table: Vec<u32> = words.map(|word| u32::from_le_bytes(*word)).collect();
                read(self, part, &table)
            })
            .collect()
    }

    fn elements<T: Element>(
        &mut self,
        part: &Part,
        table: &[u32],
        first: u64,
        count: u64,
        out: &mut Vec<T>,
    ) -> io::Result<()> {
        let (start, length) = bytes_of(part.bits, first, count);
        let bytes = self.bytes(part.start + 4 * part.values + start, length)?;
        decode(part.bits, table, &bytes, first, count, out)
    }

    fn bytes(&mut self, start: u64, length: u64) -> io::Result<Vec<u8>> {
        self.file.seek(SeekFrom::Start(self.cached.start + start))?;
        let mut bytes = vec![0; length as usize];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
