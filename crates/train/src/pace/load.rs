//! How fast an image is read.

use std::path::Path;

use lacuna_io::{read_image, read_reference};

use super::timed;
use crate::run::RunError;

/// Reading one image into memory as 32-bit numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadPace {
    /// Seconds from the file's name to a volume in memory, of each repetition.
    pub seconds: Vec<f64>,
    /// Voxels along x, y, z.
    pub shape: [usize; 3],
    /// Voxels of all volumes.
    pub voxels: usize,
    /// Bytes on the disk.
    pub bytes_file: u64,
    /// Bytes of all voxels, uncompressed, in the file's datatype.
    pub bytes_voxels: u64,
}

impl LoadPace {
    /// Reads `file` once untimed, so that it is in the system's cache, and then `repeat`
    /// times.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn measure(file: &Path, repeat: u32) -> Result<Self, RunError> {
        let header = read_reference(file)?;
        let voxels = read_image(file)?.data().len();
        let mut bytes_file = 0;
        for part in lacuna_io::files_of(file)? {
            bytes_file += std::fs::metadata(&part).map_err(RunError::io(&part))?.len();
        }
        let mut seconds = Vec::new();
        for _ in 0..repeat {
            let (image, taken) = timed(|| read_image(file));
            image?;
            seconds.push(taken);
        }
        Ok(Self {
            seconds,
            shape: header.shape(),
            voxels,
            bytes_file,
            bytes_voxels: voxels as u64 * header.voxel_bytes() as u64,
        })
    }
}
