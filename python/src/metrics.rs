//! Metrics.

use lacuna_metrics::{
    Counts, Lesions, MaskPair, MetricsError, Options, PrecisionRecall, SurfaceConvention,
    SurfaceDistances, evaluate_pair,
};
use lacuna_volume::{Affine, LabelMap, Region, Spacing, Volume};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::dlpack::Array;

/// One metric, by its name in [`evaluate`]'s scores, of all that is not 0. What it does not
/// need is not computed.
#[pyfunction]
pub fn measure(
    py: Python<'_>,
    metric: &str,
    prediction: &Bound<'_, PyCapsule>,
    reference: &Bound<'_, PyCapsule>,
    spacing: [f64; 3],
    tolerance_mm: f64,
) -> PyResult<f64> {
    let (prediction, reference) = two_maps(prediction, reference, spacing)?;
    let refused = |error: MetricsError| PyValueError::new_err(error.to_string());
    py.detach(|| {
        let pair = MaskPair::of_labels(&reference, &prediction, |label| label > 0);
        let pair = pair.map_err(refused)?;
        let counts = || Counts::of_foreground(reference.data(), prediction.data()).map_err(refused);
        let surfaces = || SurfaceDistances::measure(&pair, SurfaceConvention::default());
        let lesions = || Lesions::find(&pair).wmh();
        Ok(match metric {
            "dsc" => counts()?.dsc(),
            "sensitivity" => counts()?.sensitivity(),
            "precision" => counts()?.precision(),
            "hd95_mm" => surfaces().hd95_mm(),
            "nsd" => surfaces().nsd(tolerance_mm),
            "lesion_recall" => lesions().recall,
            "lesion_precision" => lesions().precision,
            "lesion_f1" => lesions().f1,
            other => {
                return Err(PyValueError::new_err(format!(
                    "there is no metric {other:?}"
                )));
            }
        })
    })
}

/// The area under precision and recall of voxels; `None` without foreground. `probability` is
/// float32, `reference` uint8, as many in the same order.
#[pyfunction]
pub fn average_precision(
    py: Python<'_>,
    probability: &Bound<'_, PyCapsule>,
    reference: &Bound<'_, PyCapsule>,
) -> PyResult<Option<f64>> {
    let [probability, reference] = [Array::take(probability)?, Array::take(reference)?];
    if probability.shape() != reference.shape() {
        return Err(PyValueError::new_err(format!(
            "the probabilities have shape {:?} and the reference {:?}; they must be the same \
             voxels",
            probability.shape(),
            reference.shape()
        )));
    }
    let probability = probability.read::<f32>("probability")?;
    let reference = reference.read::<u8>("reference")?;
    let voxels = probability.iter().copied().zip(reference);
    py.detach(|| {
        let mut counted = PrecisionRecall::default();
        counted.add(voxels.map(|(p, label)| (p, *label > 0)))?;
        Ok(counted.average_precision().average_precision)
    })
    .map_err(|error: MetricsError| PyValueError::new_err(error.to_string()))
}

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
    let (prediction, reference) = two_maps(prediction, reference, spacing)?;
    let options = Options {
        nsd_tolerance_mm: tolerance_mm,
        regions: regions.into_iter().map(Region::from).collect(),
        ..Options::default()
    };
    let scores = py
        .detach(|| evaluate_pair(&reference, &prediction, &classes, &options))
        .map_err(|error| PyValueError::new_err(error.to_string()))?;
    serde_json::to_string(&scores).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn two_maps(
    prediction: &Bound<'_, PyCapsule>,
    reference: &Bound<'_, PyCapsule>,
    spacing: [f64; 3],
) -> PyResult<(LabelMap, LabelMap)> {
    if !spacing.iter().all(|s| s.is_finite() && *s > 0.0) {
        return Err(PyValueError::new_err(format!(
            "spacing: found {spacing:?}, expected three lengths above 0 in mm"
        )));
    }
    Ok((
        label_map(prediction, spacing, "prediction")?,
        label_map(reference, spacing, "reference")?,
    ))
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
