//! Runs that were done before, elsewhere: taken from what was kept of them.

use std::path::Path;

use lacuna_record::{KeptResults, KeptRun, State, without_paths};

use crate::plan::{differences, phantom_text};
use crate::{Plan, StudyError};

/// The runs of `plan` that are done in the results of `file` and not begun in its folder, to be
/// put there ([`KeptRun::restore`]): they are reported and not run again. Writes nothing.
///
/// # Errors
/// When the file cannot be read, is of another study or device, or a run that it holds was made
/// with other values or from other phantoms.
pub fn taken_over(file: &Path, plan: &Plan) -> Result<Vec<KeptRun>, StudyError> {
    let kept = KeptResults::read(file)?;
    let refused = |found: String| StudyError::OtherResults {
        results: file.to_owned(),
        found,
    };
    let ours = plan.study();
    let what = [
        ("study", &kept.study.name, &ours.name),
        ("device", &kept.study.device, &ours.device),
    ];
    for (what, theirs, ours) in what {
        if theirs != ours {
            return Err(refused(format!(
                "they are of the {what} `{theirs}`, not `{ours}`"
            )));
        }
    }
    let mut taken = Vec::new();
    for planned in &plan.runs {
        let name = &planned.run.name;
        let Some(run) = kept.done(name) else { continue };
        if plan.folder.status(name)?.state != State::Waiting {
            continue;
        }
        let placed = |text: &str| format!("dataset = \"\"\n{}", without_paths(text));
        let differences = differences(&placed(&run.config), &placed(&planned.config));
        if !differences.is_empty() {
            return Err(refused(format!(
                "run `{name}` was made otherwise: {differences}"
            )));
        }
        taken.push(run.clone());
    }
    if !taken.is_empty() {
        for (cohort, config) in plan.phantoms() {
            let text = without_paths(&phantom_text(config, Path::new("phantom.toml"))?);
            if kept.study.phantoms.get(cohort) != Some(&text) {
                return Err(refused(format!(
                    "the cohort `{cohort}` was made from another [phantom]"
                )));
            }
        }
    }
    Ok(taken)
}
