//! How windows are predicted and averaged, by name.

use lacuna_data::transform::AnatomicalAxis;
use lacuna_train::predict::{Average, Blend};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The weights of that name.
pub fn blend_named(name: &str) -> PyResult<Blend> {
    match name {
        "linear" => Ok(Blend::Linear),
        "gaussian" => Ok(Blend::Gaussian),
        other => Err(PyValueError::new_err(format!(
            "blend: found {other:?}, expected linear or gaussian"
        ))),
    }
}

/// The mean of that name.
pub fn average_named(name: &str) -> PyResult<Average> {
    match name {
        "probabilities" => Ok(Average::Probabilities),
        "logits" => Ok(Average::Logits),
        other => Err(PyValueError::new_err(format!(
            "average: found {other:?}, expected probabilities or logits"
        ))),
    }
}

/// The axes of those names, as run files have them.
pub fn axes_named(names: &[String]) -> PyResult<Vec<AnatomicalAxis>> {
    let axis = |name: &String| {
        serde_json::from_value(name.as_str().into())
            .map_err(|error| PyValueError::new_err(format!("mirror: {error}")))
    };
    names.iter().map(axis).collect()
}
