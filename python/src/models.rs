//! From a dataset to a model, and predictions compared, as the command does it. What comes
//! back is the JSON of the files that are written.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use lacuna_auto::plan::Asked;
use lacuna_data::fingerprint;
use lacuna_data::manifest::Manifest;
use lacuna_evaluate::{CompareRequest, compare as compare_folders};
use lacuna_metrics::Options;
use lacuna_train::device::DeviceName;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::interrupt::{Outcome, failed, interruptible, told};

fn whole(path: &Path) -> PathBuf {
    let absolute = std::fs::canonicalize(path).or_else(|_| std::path::absolute(path));
    absolute.unwrap_or_else(|_| path.to_owned())
}

/// Plans, and with `carry_out` trains, tunes and judges; the JSON of the plan, or of the
/// scores of the held-out subjects ("null" where nothing could be held out or Ctrl-C ended
/// it).
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different thing")]
pub fn auto(
    py: Python<'_>,
    dataset: PathBuf,
    out: PathBuf,
    budget: &str,
    structure: Option<&str>,
    overrides: Vec<String>,
    splits: Option<PathBuf>,
    skip_bad: bool,
    seed: u64,
    carry_out: bool,
) -> PyResult<String> {
    let named = |name: &str| name.parse().map_err(PyValueError::new_err);
    let asked = Asked {
        dataset: whole(&dataset),
        budget: budget.parse().map_err(PyValueError::new_err)?,
        structure: structure.map(named).transpose()?,
        sets: overrides,
        splits: splits.as_deref().map(whole),
        skip_bad,
        seed,
    };
    let stop = AtomicBool::new(false);
    let work = || -> Outcome<String> {
        let device = DeviceName::Cpu.open().map_err(told)?;
        if !carry_out {
            let plan = lacuna_auto::make_plan(&asked, &out, &device, &stop, &mut |_| {});
            return serde_json::to_string(&plan.map_err(told)?).map_err(told);
        }
        let made = lacuna_auto::auto(&asked, &out, &device, &stop, &mut |_| {}).map_err(told)?;
        let judged = made.and_then(|made| made.judged);
        serde_json::to_string(&judged.map(|judged| judged.after)).map_err(told)
    };
    interruptible(py, &stop, work)?.map_err(failed)
}

/// Writes the model of a folder of `auto` into one file.
#[pyfunction]
pub fn export(auto: PathBuf, file: PathBuf, force: bool) -> PyResult<()> {
    if file.exists() && !force {
        let text = "is there already; choose another file, or replace it with force=True";
        return Err(failed(format!("{} {text}", file.display())));
    }
    lacuna_auto::export(&auto, &file).map_err(|e| failed(told(e)))
}

/// What a dataset looks like; written to `out` where there is one.
#[pyfunction]
pub fn dataset_fingerprint(
    py: Python<'_>,
    dataset: PathBuf,
    out: Option<PathBuf>,
    skip_bad: bool,
) -> PyResult<String> {
    let stop = AtomicBool::new(false);
    let work = || -> Outcome<String> {
        let manifest = Manifest::read(&dataset).map_err(told)?;
        let found = fingerprint::of(&manifest, &[], &mut |_, _| {}).map_err(told)?;
        if !skip_bad {
            fingerprint::refuse_faults(&manifest, &found).map_err(told)?;
        }
        if let Some(out) = &out {
            std::fs::create_dir_all(out).map_err(told)?;
            found.write(out).map_err(told)?;
            lacuna_report::write_fingerprint_page(&found, out).map_err(told)?;
        }
        serde_json::to_string(&found).map_err(told)
    };
    interruptible(py, &stop, work)?.map_err(failed)
}

/// Compares folders of predictions of the same subjects.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "each is a different thing")]
pub fn compare(
    py: Python<'_>,
    folders: Vec<PathBuf>,
    dataset: PathBuf,
    out: PathBuf,
    names: Vec<String>,
    label_values: Vec<String>,
    subjects: Vec<String>,
    pictures: usize,
    force: bool,
) -> PyResult<String> {
    let stop = AtomicBool::new(false);
    let work = || -> Outcome<String> {
        let manifest = Manifest::read(&dataset).map_err(told)?;
        let request = CompareRequest {
            manifest: &manifest,
            folders: &folders,
            names: &names,
            label_values: &label_values,
            out: &out,
            subjects: &subjects,
            options: Options::default(),
            force,
            overlay: None,
            pictures,
        };
        let compared = compare_folders(&request, &mut |_, _| {}).map_err(told)?;
        serde_json::to_string(&compared).map_err(told)
    };
    interruptible(py, &stop, work)?.map_err(failed)
}
