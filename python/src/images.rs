//! Images in files.

use std::path::PathBuf;

use lacuna_io::{ImageError, Reference};
use lacuna_volume::{Affine, Grid, Volume, VolumeError};
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::dlpack::Array;
use crate::interrupt::failed;

/// Voxels (float32, x fastest, volume after volume), shape (x, y, z), number of volumes and
/// affine (4 rows) of a file. One volume, unless `several` may be there.
#[pyfunction]
#[allow(
    clippy::type_complexity,
    reason = "unpacked at once by the Python half"
)]
pub fn read_nifti(
    py: Python<'_>,
    path: PathBuf,
    several: bool,
) -> PyResult<(Bound<'_, PyArray1<f32>>, [usize; 3], usize, [[f64; 4]; 4])> {
    let work = || match several {
        true => lacuna_io::read(&path).map(|image| image.volumes),
        false => lacuna_io::read_image(&path).map(|volume| vec![volume]),
    };
    let mut volumes = py.detach(work).map_err(failed)?;
    let count = volumes.len();
    let first = volumes.remove(0);
    let (shape, rows) = (first.shape(), first.affine().0);
    let affine = [rows[0], rows[1], rows[2], [0.0, 0.0, 0.0, 1.0]];
    let mut all = first.into_data();
    volumes.iter().for_each(|volume| all.extend(volume.data()));
    Ok((PyArray1::from_vec(py, all), shape, count, affine))
}

/// Writes an image (float32) or a label map (uint8) with axes z, y, x, atomically.
#[pyfunction]
pub fn write_nifti(
    py: Python<'_>,
    path: PathBuf,
    array: &Bound<'_, PyCapsule>,
    affine: [[f64; 4]; 3],
) -> PyResult<()> {
    let array = Array::take(array)?;
    let shape = array.shape();
    let &[z, y, x] = &shape[..] else {
        return Err(PyValueError::new_err(format!(
            "array: found {} axes, expected three (x, y, z)",
            shape.len()
        )));
    };
    let grid = Grid {
        shape: [x, y, z],
        affine: Affine(affine),
    };
    if array.is::<u8>() {
        let labels = array.read::<u8>("array")?.to_vec();
        return written(py, grid, labels, |volume, onto| {
            lacuna_io::write_labels(&path, volume, onto)
        });
    }
    let voxels = array.read::<f32>("array")?.to_vec();
    written(py, grid, voxels, |volume, onto| {
        lacuna_io::write_image(&path, volume, onto)
    })
}

fn written<T: Send + Sync>(
    py: Python<'_>,
    grid: Grid,
    voxels: Vec<T>,
    write: impl FnOnce(&Volume<T>, &Reference) -> Result<(), ImageError> + Send,
) -> PyResult<()> {
    let refused = |error: VolumeError| PyValueError::new_err(error.to_string());
    // The file keeps the affine in 32 bits: the volume is to lie where the file will.
    let onto = Reference::from_grid(&grid);
    let volume = Volume::new(grid.shape, *onto.affine(), voxels).map_err(refused)?;
    py.detach(|| write(&volume, &onto)).map_err(failed)
}
