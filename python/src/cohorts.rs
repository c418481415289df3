//! Whole datasets: checked, trained on, predicted and scored, as the command does it.
//! What comes back is the JSON of the files that are written.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use lacuna_auto::Opened;
use lacuna_data::check::check as check_manifest;
use lacuna_data::manifest::Manifest;
use lacuna_evaluate::{Request, evaluate as score, regions as score_regions};
use lacuna_io::ENDINGS;
use lacuna_metrics::Options;
use lacuna_record::Existing;
use lacuna_train::checkpoint::Choice;
use lacuna_train::choice::Part;
use lacuna_train::config::RunConfig;
use lacuna_train::dataset::ids_named;
use lacuna_train::device::DeviceName;
use lacuna_train::into_folder::Target;
use lacuna_train::postprocess::Postprocess;
use lacuna_train::training::train as train_run;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::interrupt::{Outcome, failed, interruptible, told};
use crate::windows::overrides;

/// What `check` finds in a manifest.
#[pyfunction]
pub fn check(py: Python<'_>, dataset: PathBuf) -> PyResult<String> {
    let work = || -> Outcome<String> {
        let manifest = Manifest::read(&dataset).map_err(told)?;
        serde_json::to_string(&check_manifest(&manifest, |_| {})).map_err(told)
    };
    py.detach(work).map_err(failed)
}

/// Trains as a run file says into `out`; the summary is given back. Ctrl-C ends it with
/// a checkpoint.
#[pyfunction]
pub fn train(
    py: Python<'_>,
    config: PathBuf,
    out: PathBuf,
    overrides: Vec<String>,
    resume: bool,
) -> PyResult<String> {
    let stop = AtomicBool::new(false);
    let work = || -> Outcome<String> {
        let config = RunConfig::read(&config, &overrides).map_err(told)?;
        let device = DeviceName::Cpu.open().map_err(told)?;
        let summary =
            train_run(&config, &out, resume, &device, &stop, &mut |_| {}).map_err(told)?;
        serde_json::to_string(&summary).map_err(told)
    };
    interruptible(py, &stop, work)?.map_err(failed)
}

/// Predicts subjects of a manifest into the folder `out`; their ids are given back.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different thing")]
pub fn predict_dataset(
    py: Python<'_>,
    runs: Vec<PathBuf>,
    dataset: PathBuf,
    out: PathBuf,
    split: Option<String>,
    subjects: Vec<String>,
    probabilities: bool,
    uncertainty: bool,
    label_values: bool,
    format: &str,
    existing: &str,
    overlap: Option<f64>,
    blend: Option<&str>,
    mirror: Option<Vec<String>>,
    average: Option<&str>,
    postprocess: Option<PathBuf>,
    checkpoint: &str,
) -> PyResult<Vec<String>> {
    let part = match split.as_deref() {
        None => None,
        Some("train") => Some(Part::Train),
        Some("validation") => Some(Part::Validation),
        Some("test") => Some(Part::Test),
        Some("unlabelled") => Some(Part::Unlabelled),
        Some(other) => {
            return Err(PyValueError::new_err(format!(
                "split: found {other:?}, expected train, validation, test or unlabelled"
            )));
        }
    };
    let ending = (ENDINGS.into_iter()).find(|ending| &ending[1..] == format);
    let ending = ending.ok_or_else(|| {
        let known = ENDINGS.map(|ending| &ending[1..]).join(", ");
        PyValueError::new_err(format!("format: found {format:?}, expected one of {known}"))
    })?;
    let existing = match existing {
        "refuse" => Existing::Refuse,
        "replace" => Existing::Replace,
        "skip" => Existing::Skip,
        other => {
            return Err(PyValueError::new_err(format!(
                "existing: found {other:?}, expected refuse, replace or skip"
            )));
        }
    };
    let overrides = overrides(overlap, blend, mirror, average)?;
    let choice: Choice = (checkpoint.parse())
        .map_err(|e| PyValueError::new_err(format!("checkpoint: found {checkpoint:?}, {e}")))?;
    let stop = AtomicBool::new(false);
    let work = || -> Outcome<Vec<String>> {
        let device = DeviceName::Cpu.open().map_err(told)?;
        let own_rules = postprocess.is_some();
        let rules = postprocess.as_deref().map(Postprocess::read);
        let rules = rules.transpose().map_err(told)?;
        let model = Opened::open(&runs).map_err(told)?;
        let predictor = model.predictor(rules, choice, &device, None, overrides);
        let predictor = predictor.map_err(told)?;
        let manifest = Manifest::read(&dataset).map_err(told)?;
        let ids = predictor.choose(&manifest, part, &subjects);
        let ids = ids.map_err(told)?;
        let target = Target {
            folder: &out,
            ending,
            probabilities,
            spread: uncertainty,
            label_values,
            existing,
        };
        let session = predictor.session(&stop);
        let written = predictor.predict_into(&manifest, &ids, &target, session, &mut |_| {});
        written.map_err(told)?;
        // By other rules the intervals would be of other predictions.
        if let Some(tuned) = model.tuned.as_ref().filter(|_| !own_rules) {
            lacuna_auto::write_burden(tuned, &predictor, &out).map_err(told)?;
        }
        Ok(ids)
    };
    interruptible(py, &stop, work)?.map_err(failed)
}

/// Scores a folder of predictions into the folder `out`; the evaluation is given back.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different thing")]
pub fn evaluate_folder(
    py: Python<'_>,
    dataset: PathBuf,
    predictions: PathBuf,
    out: PathBuf,
    subjects: Vec<String>,
    regions: Vec<String>,
    label_values: bool,
    tolerance_mm: f64,
    force: bool,
) -> PyResult<String> {
    let work = || -> Outcome<String> {
        let manifest = Manifest::read(&dataset).map_err(told)?;
        let regions = score_regions(&manifest, &predictions, &regions).map_err(told)?;
        let request = Request {
            manifest: &manifest,
            predictions: &predictions,
            out: &out,
            subjects: &ids_named(&manifest, &subjects),
            options: Options {
                nsd_tolerance_mm: tolerance_mm,
                regions,
                ..Options::default()
            },
            label_values,
            force,
            overlay: None,
        };
        let evaluation = score(&request, &mut |_, _| {}).map_err(told)?;
        serde_json::to_string(&evaluation).map_err(told)
    };
    py.detach(work).map_err(failed)
}
