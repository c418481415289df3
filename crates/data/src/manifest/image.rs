//! An image as the manifest names it.

use std::fmt;
use std::path::PathBuf;

use lacuna_io::{ImageError, read_image, read_volume};
use lacuna_volume::Volume;

use super::ManifestError;

/// An image file, or one volume of a 4-D file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageRef {
    /// The file.
    pub path: PathBuf,
    /// Volume of a 4-D file, counted from 0.
    pub volume: Option<usize>,
}

impl ImageRef {
    /// Takes `path` or `path#volume`. No NIfTI file name ends in `#` and
    /// digits, so the two forms cannot be confused.
    pub fn parse(text: &str) -> Self {
        let split = text.rsplit_once('#').and_then(|(path, digits)| {
            let decimal = digits.bytes().all(|b| b.is_ascii_digit());
            Some((path, digits.parse().ok().filter(|_| decimal)?))
        });
        match split {
            Some((path, volume)) => Self {
                path: path.into(),
                volume: Some(volume),
            },
            None => Self {
                path: text.into(),
                volume: None,
            },
        }
    }

    /// Reads the image, on its own grid.
    ///
    /// # Errors
    /// A file that cannot be read, several volumes of which none is named, or
    /// a number that the file has no volume for.
    pub fn read(&self) -> Result<Volume<f32>, ManifestError> {
        let Some(volume) = self.volume else {
            return Ok(read_image(&self.path)?);
        };
        read_volume(&self.path, volume).map_err(|error| match error {
            ImageError::NoSuchVolume { found, .. } => ManifestError::NoSuchVolume {
                file: self.path.clone(),
                volume,
                found,
            },
            other => other.into(),
        })
    }
}

impl From<PathBuf> for ImageRef {
    fn from(path: PathBuf) -> Self {
        Self { path, volume: None }
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.volume.map_or(Ok(()), |v| write!(f, "#{v}"))
    }
}
