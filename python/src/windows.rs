//! How windows are predicted and averaged, by name.

use lacuna_data::transform::AnatomicalAxis;
use lacuna_train::config::PredictOverrides;
use lacuna_train::predict::{Average, Blend};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// What is predicted otherwise than the run says, by the names of a call.
pub fn overrides(
    overlap: Option<f64>,
    blend: Option<&str>,
    mirror: Option<Vec<String>>,
    average: Option<&str>,
) -> PyResult<PredictOverrides> {
    Ok(PredictOverrides {
        window: None,
        overlap,
        blend: blend.map(blend_named).transpose()?,
        mirror: mirror.as_deref().map(axes_named).transpose()?,
        average: average.map(average_named).transpose()?,
    })
}

/// The weights of that name.
fn blend_named(name: &str) -> PyResult<Blend> {
    match name {
        "linear" => Ok(Blend::Linear),
        "gaussian" => Ok(Blend::Gaussian),
        "nnunet" => Ok(Blend::Nnunet),
        other => Err(PyValueError::new_err(format!(
            "blend: found {other:?}, expected linear, gaussian or nnunet"
        ))),
    }
}

/// The mean of that name.
fn average_named(name: &str) -> PyResult<Average> {
    match name {
        "probabilities" => Ok(Average::Probabilities),
        "logits" => Ok(Average::Logits),
        other => Err(PyValueError::new_err(format!(
            "average: found {other:?}, expected probabilities or logits"
        ))),
    }
}

/// The axes of those names, as run files have them.
fn axes_named(names: &[String]) -> PyResult<Vec<AnatomicalAxis>> {
    let axis = |name: &String| {
        serde_json::from_value(name.as_str().into())
            .map_err(|error| PyValueError::new_err(format!("mirror: {error}")))
    };
    names.iter().map(axis).collect()
}
