//! Metrics.

use lacuna_metrics::{Options, evaluate_pair};
use lacuna_volume::{Affine, LabelMap, Spacing, Volume};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::dlpack::Array;

/// Scores of each class as JSON. `prediction` and `reference` are uint8 with axes
/// z, y, x; `spacing` is of x, y, z.
#[pyfunction]
pub fn evaluate(
    py: Python<'_>,
    prediction: &Bound<'_, PyCapsule>,
    reference: &Bound<'_, PyCapsule>,
    spacing: [f64; 3],
    classes: Vec<String>,
    tolerance_mm: f64,
    regions: Vec<Vec<String>>,
) -> PyResult<String> {
    if !spacing.iter().all(|s| s.is_finite() && *s > 0.0) {
        return Err(PyValueError::new_err(format!(
            "spacing: found {spacing:?}, expected three lengths above 0 in mm"
        )));
    }
    let prediction = label_map(prediction, spacing, "prediction")?;
    let reference = label_map(reference, spacing, "reference")?;
    let options = Options {
        nsd_tolerance_mm: tolerance_mm,
        regions,
        ..Options::default()
    };
    let scores = py
        .detach(|| evaluate_pair(&reference, &prediction, &classes, &options))
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    serde_json::to_string(&scores).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn label_map(capsule: &Bound<'_, PyCapsule>, spacing: [f64; 3], name: &str) -> PyResult<LabelMap> {
    let array = Array::take(capsule)?;
    let shape = array.shape();
    let &[z, y, x] = &shape[..] else {
        return Err(PyValueError::new_err(format!(
            "{name}: found {} axes, expected three (x, y, z)",
            shape.len()
        )));
    };
    let affine = Affine::from_spacing(Spacing(spacing));
    let labels = array.read::<u8>(name)?.to_vec();
    Volume::new([x, y, z], affine, labels)
        .map_err(|error| PyValueError::new_err(format!("{name}: {error}")))
}
