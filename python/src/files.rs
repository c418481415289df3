//! NIfTI files, and predictions of trained runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use lacuna_auto::Opened;
use lacuna_io::{ImageError, Reference};
use lacuna_record::Inputs;
use lacuna_train::apply::Files;
use lacuna_train::checkpoint::Choice;
use lacuna_train::device::DeviceName;
use lacuna_train::postprocess::Postprocess;
use lacuna_train::predict::{Session, WindowOptions};
use lacuna_volume::{Affine, Grid, PatchSize, Volume, VolumeError};
use numpy::PyArray1;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::dlpack::Array;
use crate::interrupt::{failed, interruptible};
use crate::windows::{average_named, axes_named, blend_named};

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

/// Predicts one subject into `out`; the class names are given back. Ctrl-C
/// stops it, with nothing half-written.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different thing")]
pub fn predict(
    py: Python<'_>,
    runs: Vec<PathBuf>,
    images: BTreeMap<String, PathBuf>,
    out: PathBuf,
    mask: Option<PathBuf>,
    probabilities: Option<PathBuf>,
    uncertainty: Option<PathBuf>,
    window: Option<Vec<usize>>,
    overlap: f64,
    blend: &str,
    mirror: Vec<String>,
    average: &str,
    postprocess: Option<PathBuf>,
    checkpoint: &str,
) -> PyResult<Vec<String>> {
    let window = match window.as_deref() {
        None => None,
        Some(&[edge]) => Some(PatchSize::Edge(edge)),
        Some(&[x, y]) => Some(PatchSize::Plane([x, y])),
        Some(&[x, y, z]) => Some(PatchSize::Cuboid([x, y, z])),
        Some(_) => {
            return Err(PyValueError::new_err(
                "window: expected one to three numbers",
            ));
        }
    };
    let windows = WindowOptions {
        window,
        overlap,
        blend: blend_named(blend)?,
    };
    let mirror = axes_named(&mirror)?;
    let average = average_named(average)?;
    let choice: Choice = (checkpoint.parse())
        .map_err(|e| PyValueError::new_err(format!("checkpoint: found {checkpoint:?}, {e}")))?;
    let stop = AtomicBool::new(false);
    let work = || -> Result<Vec<String>, String> {
        let told = |error: &dyn std::fmt::Display| error.to_string();
        let device = DeviceName::Cpu.open().map_err(|e| told(&e))?;
        let rules = postprocess.as_deref().map(Postprocess::read);
        let rules = rules.transpose().map_err(|e| told(&e))?;
        let model = Opened::open(&runs).map_err(|e| told(&e))?;
        let predictor = model
            .predictor(rules, choice, &device, None, average)
            .map_err(|e| told(&e))?;
        let images = images
            .into_iter()
            .map(|(modality, path)| (modality, path.to_string_lossy().into_owned()));
        let manifest = predictor
            .one_subject("images", images, mask)
            .map_err(|e| told(&e))?;
        let files = Files {
            labels: out,
            values: None,
            probabilities,
            spread: uncertainty,
        };
        let session = Session {
            spread: files.spread.is_some(),
            windows,
            mirror: &mirror,
            ..Session::new(&stop)
        };
        predictor.check_session(&session).map_err(|e| told(&e))?;
        let inputs = Inputs::of(manifest.files());
        let written = [
            Some(&files.labels),
            files.probabilities.as_ref(),
            files.spread.as_ref(),
        ];
        for file in written.into_iter().flatten() {
            inputs.spare(file).map_err(|e| told(&e))?;
        }
        let subject = &manifest.subjects[0];
        let written =
            predictor.predict_to_files(&manifest, subject, &files, session, &mut |_, _| {});
        written.map_err(|e| told(&e))?;
        Ok(predictor.first().facts.classes.clone())
    };
    interruptible(py, &stop, work).and_then(|result| result.map_err(failed))
}
