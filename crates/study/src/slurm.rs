//! Runs of a study as tasks of Slurm job arrays.
//!
//! All runs to do are submitted as one array; a task is the process `BINARY
//! study-run -- FOLDER NAME`. What ended without an outcome and can go on is
//! submitted again. Slurm is asked for the states of its jobs (`squeue`) and
//! for their ends (`scontrol`, and `sacct` where a database runs: it remembers
//! longer and knows the memory held); what both have forgotten, the run's own
//! files tell.
//!
//! ```text
//! STUDY/slurm/jobs.json      the arrays submitted, and their runs
//! STUDY/slurm/runs-N.txt     the run of each task of array N
//! STUDY/slurm/submit-N.sh    its script
//! STUDY/slurm/JOB_TASK.out   what Slurm itself said, until it is in the run's log
//! ```

mod cluster;
mod command;
mod driver;
mod jobs;
mod parse;
mod script;
mod settings;
mod verdict;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use lacuna_record::{Status, StudyFolder};

pub use settings::SlurmSettings;

use crate::StudyError;

/// Refuses settings that the cluster cannot honour, before anything is written.
///
/// # Errors
/// When Slurm's commands, the partition or a setting are wrong.
pub fn check(settings: &SlurmSettings) -> Result<(), StudyError> {
    settings.check()?;
    cluster::Cluster::connect("lacuna", settings).map(drop)
}

/// Works through the runs `names` of a study, and returns when each has ended
/// and is not submitted again; how each ended is in its [`Status`].
///
/// `binary` is started on the nodes of the cluster with the arguments
/// `--threads CPUS study-run -- FOLDER NAME`; it and `folder` must lie on a file
/// system that they share. `on_change` hears of each change that is seen.
/// When `stop` becomes true, jobs are left to go on; a later call takes them up.
///
/// # Errors
/// When Slurm's commands, the partition or a setting are wrong, Slurm refuses or
/// does not answer for long, no job can ever start, a file cannot be written, or
/// with [`StudyError::SlurmLeft`] when `stop` is set while jobs go on.
pub fn execute(
    folder: &StudyFolder,
    names: &[String],
    settings: &SlurmSettings,
    binary: &Path,
    stop: &AtomicBool,
    on_change: &mut dyn FnMut(&str, &Status),
) -> Result<(), StudyError> {
    settings.check()?;
    driver::Driver::start(folder, settings, binary, on_change)?.run(names, stop)
}
