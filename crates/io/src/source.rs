//! The bytes of a file, plain or compressed, read front to back.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

use crate::ImageError;

const BUFFER_BYTES: usize = 1 << 17;

/// Deflate spends at least two bits on a run of up to 258 bytes, so no stream
/// grows by more than this factor.
const DEFLATE_LIMIT: u64 = 258 * 8 / 2;

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
    /// After the last gzip member; anything further is padding.
    Ended,
}

impl Source {
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let read = |source| ImageError::opening(path, source);
        // Asked before opening, as opening a pipe would wait for its writer.
        let metadata = std::fs::metadata(path).map_err(read)?;
        if !metadata.is_file() {
            return Err(ImageError::NotAFile {
                path: path.to_owned(),
            });
        }
        let file = File::open(path).map_err(read)?;
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

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn is_compressed(&self) -> bool {
        !matches!(self.stream, Stream::Plain(_))
    }

    /// The most bytes that the file can hold, uncompressed.
    pub fn most_bytes(&self) -> u64 {
        match self.stream {
            Stream::Plain(_) => self.file_bytes,
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

    /// Reads on to byte `offset`; returns the position reached.
    pub fn skip_to(&mut self, offset: u64) -> io::Result<u64> {
        let mut waste = [0; 4096];
        while self.position < offset {
            let step = (offset - self.position).min(waste.len() as u64) as usize;
            if self.read(&mut waste[..step])? == 0 {
                break;
            }
        }
        Ok(self.position)
    }

    /// Reads the current gzip member to its end, which checks its checksum.
    pub fn finish(&mut self) -> io::Result<()> {
        if let Stream::Gzip(decoder) = &mut self.stream {
            io::copy(decoder, &mut io::sink())?;
        }
        Ok(())
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
            Stream::Gzip(_) if corrupt => ImageError::Gzip {
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
