//! Headers that are lines of text before the voxels.

use std::fmt::Display;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use lacuna_volume::Affine;

use crate::ImageError;
use crate::source::Source;

/// Bytes of the longest header. Those of segmentations list every segment.
const MOST_BYTES: u64 = 1 << 22;

/// A header that is being read.
pub(crate) struct TextHeader {
    pub source: Source,
    format: &'static str,
}

impl TextHeader {
    pub fn open(path: &Path, format: &'static str) -> Result<Self, ImageError> {
        Ok(Self {
            source: Source::open(path)?,
            format,
        })
    }

    /// The next line, without its end; `None` at the end of the file.
    pub fn line(&mut self) -> Result<Option<String>, ImageError> {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            let read = self.source.read(&mut byte);
            let position = self.source.position();
            match read.map_err(|e| self.source.error(e, "header", position, position + 1))? {
                0 if line.is_empty() => return Ok(None),
                0 => break,
                _ if byte[0] == b'\n' => break,
                _ if position > MOST_BYTES => {
                    let found = format!("more than {MOST_BYTES} bytes");
                    return Err(self.wrong("end", found, "a line that ends the header"));
                }
                _ => line.push(byte[0]),
            }
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    pub fn wrong(&self, field: &str, found: impl Display, expected: &str) -> ImageError {
        ImageError::header(self.source.path(), self.format, field, found, expected)
    }

    pub fn not_read(&self, what: impl Display, remedy: &'static str) -> ImageError {
        ImageError::not_read(self.source.path(), self.format, what, remedy)
    }

    /// Numbers between spaces.
    pub fn numbers<T: FromStr>(&self, field: &str, text: &str) -> Result<Vec<T>, ImageError> {
        let words = text.split_whitespace();
        let numbers: Result<Vec<T>, _> = words.map(str::parse).collect();
        numbers.map_err(|_| self.wrong(field, format!("`{text}`"), "numbers between spaces"))
    }

    /// Axis lengths, of `ranks` of them.
    pub fn axes(
        &self,
        field: &str,
        text: &str,
        ranks: std::ops::RangeInclusive<usize>,
    ) -> Result<Vec<usize>, ImageError> {
        let axes: Vec<usize> = self.numbers(field, text)?;
        match ranks.contains(&axes.len()) && !axes.contains(&0) {
            true => Ok(axes),
            false => Err(self.wrong(
                field,
                format!("`{text}`"),
                &format!("{ranks:?} lengths of at least 1, as many as there are axes"),
            )),
        }
    }

    /// Refuses an affine that places no voxels.
    pub fn affine(&self, affine: Affine) -> Result<Affine, ImageError> {
        match affine.places_voxels() {
            true => Ok(affine),
            false => Err(self.wrong(
                "the directions and spacings of the axes",
                format!("{:?}", affine.0),
                "finite numbers, and axes in three directions",
            )),
        }
    }

    /// The file of voxels that the header names, in its own folder or below.
    pub fn beside(&self, name: &str) -> Result<PathBuf, ImageError> {
        let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
        match Path::new(name).components().all(plain) && !name.is_empty() {
            true => Ok(self.source.path().with_file_name(name)),
            false => Err(self.not_read(
                format!("its voxels in `{name}`"),
                "move that file beside the header, and name it there",
            )),
        }
    }
}

/// Numbers between spaces.
pub(crate) fn spaced<T: ToString>(numbers: impl IntoIterator<Item = T>) -> String {
    let numbers: Vec<String> = numbers.into_iter().map(|n| n.to_string()).collect();
    numbers.join(" ")
}
