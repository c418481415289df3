//! The native half of the Python package `lacuna`; `lacuna/*.py` is the other.
//! Arrays come in by DLPack without a copy, and the interpreter is released
//! while work is done on them.

#![allow(unsafe_code, reason = "arrays of other libraries come as addresses")]

mod cohorts;
mod command;
mod dlpack;
mod files;
mod images;
mod interrupt;
mod loss;
mod metrics;
mod models;
mod windows;

use pyo3::prelude::*;

/// As in the command: the system's allocator asks for fresh pages too often.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
fn _lacuna(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("ENDINGS", lacuna_io::ENDINGS)?;
    module.add_function(wrap_pyfunction!(command::command, module)?)?;
    module.add_class::<loss::Loss>()?;
    module.add_function(wrap_pyfunction!(loss::default_losses, module)?)?;
    module.add_function(wrap_pyfunction!(loss::coarser_labels, module)?)?;
    module.add_function(wrap_pyfunction!(metrics::average_precision, module)?)?;
    module.add_function(wrap_pyfunction!(metrics::evaluate, module)?)?;
    module.add_function(wrap_pyfunction!(metrics::measure, module)?)?;
    module.add_function(wrap_pyfunction!(images::read_nifti, module)?)?;
    module.add_function(wrap_pyfunction!(images::write_nifti, module)?)?;
    module.add_function(wrap_pyfunction!(files::predict, module)?)?;
    module.add_function(wrap_pyfunction!(cohorts::check, module)?)?;
    module.add_function(wrap_pyfunction!(cohorts::train, module)?)?;
    module.add_function(wrap_pyfunction!(cohorts::predict_dataset, module)?)?;
    module.add_function(wrap_pyfunction!(models::auto, module)?)?;
    module.add_function(wrap_pyfunction!(models::export, module)?)?;
    module.add_function(wrap_pyfunction!(models::dataset_fingerprint, module)?)?;
    module.add_function(wrap_pyfunction!(models::compare, module)?)?;
    module.add_function(wrap_pyfunction!(cohorts::evaluate_folder, module)?)
}
