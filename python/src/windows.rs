//! How windows are predicted, by name.

use lacuna_data::transform::AnatomicalAxis;
use lacuna_train::predict::Blend;
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

/// The axes of those names.
pub fn axes_named(names: &[String]) -> PyResult<Vec<AnatomicalAxis>> {
    let axis = |name: &String| match name.as_str() {
        "left-right" => Ok(AnatomicalAxis::LeftRight),
        "posterior-anterior" => Ok(AnatomicalAxis::PosteriorAnterior),
        "inferior-superior" => Ok(AnatomicalAxis::InferiorSuperior),
        other => Err(PyValueError::new_err(format!(
            "mirror: found {other:?}, expected left-right, posterior-anterior or \
             inferior-superior"
        ))),
    };
    names.iter().map(axis).collect()
}
