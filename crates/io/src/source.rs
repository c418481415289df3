//! The bytes of a file, plain or compressed, read front to back.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::{GzDecoder, ZlibDecoder};

use crate::ImageError;
use crate::text::open_file;

const BUFFER_BYTES: usize = 1 << 17;

/// Deflate spends at least two bits on a run of up to 258 bytes, so no stream
/// grows by more than this factor.
const DEFLATE_LIMIT: u64 = 258 * 8 / 2;

/// Bytes that may follow a header in its own file, as extensions do.
const MOST_AFTER_HEADER: u64 = 1 << 26;

/// An open file, uncompressed on the fly when it begins like a gzip stream.
pub(crate) struct Source {
    path: PathBuf,
    stream: Stream,
    file_bytes: u64,
    position: u64,
}

enum Stream {
    Plain(BufReader<File>),
    Gzip(Box<GzDecoder<BufReader<File>>>),
    Zlib(Box<ZlibDecoder<BufReader<File>>>),
    /// What another decoder gave.
    Decoded(Cursor<Vec<u8>>),
    /// After the last gzip member; anything further is padding.
    Ended,
}

/// How the voxels after a plain header are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Zlib,
}

impl Source {
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let read = |source| ImageError::opening(path, source);
        // Asked before opening, as opening a pipe would wait for its writer.
        if !std::fs::metadata(path).map_err(read)?.is_file() {
            return Err(ImageError::NotAFile {
                path: path.to_owned(),
            });
        }
        let (file, metadata) = open_file(path).map_err(read)?;
        let mut file = BufReader::with_capacity(BUFFER_BYTES, file);
        let gzip = file.fill_buf().map_err(read)?.starts_with(&[0x1f, 0x8b]);
        Ok(Self {
            path: path.to_owned(),
            stream: if gzip {
                Stream::Gzip(Box::new(GzDecoder::new(file)))
            } else {
                Stream::Plain(file)
            },
            file_bytes: metadata.len(),
            position: 0,
        })
    }

    /// What was decoded from the file at `path`.
    pub fn of_bytes(path: &Path, bytes: Vec<u8>) -> Self {
        Self {
            path: path.to_owned(),
            file_bytes: bytes.len() as u64,
            stream: Stream::Decoded(Cursor::new(bytes)),
            position: 0,
        }
    }

    /// All that is left, refused when there are more bytes than `most`.
    pub fn read_all(&mut self, most: usize) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        let mut chunk = vec![0; BUFFER_BYTES];
        loop {
            let read = self.read(&mut chunk);
            let position = self.position;
            match read.map_err(|e| self.error(e, "file", position, position + 1))? {
                0 => return Ok(bytes),
                found if found > most - bytes.len() => {
                    return Err(ImageError::TooLarge {
                        path: self.path.clone(),
                        bytes: most as u128 + 1,
                    });
                }
                found => bytes.extend_from_slice(&chunk[..found]),
            }
        }
    }

    /// The rest of a plain file, as what a stream of that `packing` holds; positions
    /// count from its start. What is compressed as a whole stays as it is.
    pub fn unpacked(self, packing: Packing) -> Self {
        let Stream::Plain(file) = self.stream else {
            return self;
        };
        Self {
            stream: match packing {
                Packing::Gzip => Stream::Gzip(Box::new(GzDecoder::new(file))),
                Packing::Zlib => Stream::Zlib(Box::new(ZlibDecoder::new(file))),
            },
            file_bytes: self.file_bytes.saturating_sub(self.position),
            position: 0,
            path: self.path,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn is_compressed(&self) -> bool {
        !matches!(self.stream, Stream::Plain(_) | Stream::Decoded(_))
    }

    /// The most bytes that the file can hold, uncompressed.
    pub fn most_bytes(&self) -> u64 {
        match self.stream {
            Stream::Plain(_) | Stream::Decoded(_) => self.file_bytes,
            _ => self.file_bytes.saturating_mul(DEFLATE_LIMIT),
        }
    }

    /// Fills `buffer`, or as much of it as the file has left.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_some(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => {
                    self.position += filled as u64;
                    return Err(e);
                }
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    /// Reads on to byte `offset`, or goes there at once; returns the position reached.
    pub fn skip_to(&mut self, offset: u64) -> io::Result<u64> {
        if let Stream::Plain(file) = &mut self.stream {
            let step = offset.min(self.file_bytes).saturating_sub(self.position);
            file.seek_relative(i64::try_from(step).unwrap_or(i64::MAX))?;
            self.position += step;
            return Ok(self.position);
        }
        let mut waste = [0; 4096];
        while self.position < offset {
            let step = (offset - self.position).min(waste.len() as u64) as usize;
            if self.read(&mut waste[..step])? == 0 {
                break;
            }
        }
        Ok(self.position)
    }

    /// Reads the compressed stream, or the current gzip member, to its end, which checks its
    /// checksum.
    pub fn finish(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Gzip(decoder) => io::copy(decoder, &mut io::sink()).map(drop),
            Stream::Zlib(decoder) => io::copy(decoder, &mut io::sink()).map(drop),
            Stream::Plain(_) | Stream::Decoded(_) | Stream::Ended => Ok(()),
        }
    }

    /// Reads the same to its end where that is at most `bytes` away; whether it is.
    pub fn finish_within(&mut self, bytes: u64) -> io::Result<bool> {
        let mut rest: Box<dyn Read> = match &mut self.stream {
            Stream::Gzip(decoder) => Box::new(decoder),
            Stream::Zlib(decoder) => Box::new(decoder),
            Stream::Plain(_) | Stream::Decoded(_) | Stream::Ended => return Ok(true),
        };
        io::copy(&mut rest.by_ref().take(bytes), &mut io::sink())?;
        // The last read, which finds the end, compares the checksum.
        loop {
            match rest.read(&mut [0]) {
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                read => return Ok(read? == 0),
            }
        }
    }

    /// Reads a header that is in a file of its own to its end, so that its checksum is compared.
    pub fn finish_header(&mut self) -> Result<(), ImageError> {
        let (found, expected) = (self.position, self.position + MOST_AFTER_HEADER);
        match self.finish_within(MOST_AFTER_HEADER) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ImageError::TooLarge {
                path: self.path.clone(),
                bytes: u128::from(expected) + 1,
            }),
            Err(e) => Err(self.error(e, "header", found, found + 1)),
        }
    }

    /// Uncompressed bytes read so far.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Puts an I/O error into the words of the reader.
    pub fn error(
        &self,
        source: io::Error,
        what: &'static str,
        found: u64,
        expected: u64,
    ) -> ImageError {
        let path = self.path.clone();
        let corrupt = matches!(
            source.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData | ErrorKind::InvalidInput
        );
        match self.stream {
            Stream::Gzip(_) | Stream::Zlib(_) if corrupt => ImageError::Gzip {
                path,
                what,
                found,
                expected,
                source,
            },
            _ => ImageError::Read { path, source },
        }
    }

    fn read_some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let decoder = match &mut self.stream {
                Stream::Plain(file) => return file.read(buffer),
                Stream::Zlib(decoder) => return decoder.read(buffer),
                Stream::Decoded(bytes) => return bytes.read(buffer),
                Stream::Ended => return Ok(0),
                Stream::Gzip(decoder) => decoder,
            };
            let n = decoder.read(buffer)?;
            if n > 0 {
                return Ok(n);
            }
            // The member is complete; block-compressed files have many.
            let more = decoder.get_mut().fill_buf()?.first() == Some(&0x1f);
            let Stream::Gzip(decoder) = std::mem::replace(&mut self.stream, Stream::Ended) else {
                return Ok(0);
            };
            if more {
                let next = GzDecoder::new(decoder.into_inner());
                self.stream = Stream::Gzip(Box::new(next));
            }
        }
    }
}
