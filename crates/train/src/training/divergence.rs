//! What is left and told of a training whose numbers ceased to be finite.

use std::path::Path;

use lacuna_data::sampler::PatchPlace;
use lacuna_record::write_json;

use crate::run::RunError;

/// Writes `non_finite.json` beside the checkpoints and makes the error that names
/// it. `kept` is the iteration of the newest checkpoint, 0 without one.
pub(super) fn report(
    run: &Path,
    iteration: u64,
    kept: u64,
    found: String,
    places: &[PatchPlace],
) -> Result<RunError, RunError> {
    let report = run.join("non_finite.json");
    write_json(
        &report,
        &serde_json::json!({
            "iteration": iteration,
            "found": found,
            "last_good_checkpoint": kept,
            "patches": places,
        }),
    )?;
    let mut subjects: Vec<&str> = places.iter().map(|p| p.subject.as_str()).collect();
    subjects.sort_unstable();
    subjects.dedup();
    Ok(RunError::NonFinite {
        iteration,
        found,
        report,
        kept,
        subjects: subjects.join(", "),
    })
}
