//! Predictions of trained runs, from file to file.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use lacuna_auto::Opened;
use lacuna_record::Inputs;
use lacuna_train::apply::Files;
use lacuna_train::checkpoint::Choice;
use lacuna_train::config::PredictOverrides;
use lacuna_train::device::DeviceName;
use lacuna_train::postprocess::Postprocess;
use lacuna_train::predict::Session;
use lacuna_volume::PatchSize;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::interrupt::{failed, interruptible};
use crate::windows::overrides;

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
    overlap: Option<f64>,
    blend: Option<&str>,
    mirror: Option<Vec<String>>,
    average: Option<&str>,
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
    let overrides = PredictOverrides {
        window,
        ..overrides(overlap, blend, mirror, average)?
    };
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
            .predictor(rules, choice, &device, None, overrides)
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
            ..predictor.session(&stop)
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
