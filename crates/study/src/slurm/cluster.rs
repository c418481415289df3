//! Questions to Slurm and orders to it.

use std::time::Duration;

use super::command::{missing, output, words};
use super::parse::{self, Ended, Row};
use super::settings::SlurmSettings;
use crate::StudyError;

/// A busy controller can take long, a dead one for ever.
const LIMIT: Duration = Duration::from_secs(120);

/// The cluster that this machine submits to, and the jobs of one name on it.
pub(super) struct Cluster {
    name: String,
    /// `sacct` has a database to ask.
    accounting: bool,
}

impl Cluster {
    /// Checks that the commands, the controller and the partition are there.
    ///
    /// # Errors
    /// When they are not.
    pub fn connect(name: &str, settings: &SlurmSettings) -> Result<Self, StudyError> {
        let missing = missing(&["sbatch", "squeue", "scontrol", "scancel"]);
        if !missing.is_empty() {
            return Err(StudyError::SlurmMissing {
                missing: missing.join(", "),
            });
        }
        check_partition(settings)?;
        let mut cluster = Self {
            name: name.to_owned(),
            accounting: true,
        };
        cluster.accounting = cluster.sacct(&format!("--name={name}")).is_ok();
        Ok(cluster)
    }

    /// The tasks of all arrays of this name that Slurm still remembers.
    ///
    /// # Errors
    /// When `squeue` fails.
    pub fn queue(&self) -> Result<Vec<Row>, StudyError> {
        let arguments = [
            "--noheader".to_owned(),
            "--array".into(),
            "--all".into(),
            "--states=all".into(),
            format!("--name={}", self.name),
            "--format=%F|%K|%T|%r".into(),
        ];
        let text = output("squeue", &arguments, LIMIT)?;
        parse::rows(&text).map_err(|found| StudyError::SlurmCommand {
            command: words("squeue", &arguments),
            found,
        })
    }

    /// How a task ended; `None` when Slurm does not say that it has.
    pub fn ended(&self, array: &str, index: usize) -> Option<Ended> {
        // Either may have forgotten the job or fail; then the run's files tell.
        let arguments = ["--oneliner", "show", "job", array].map(str::to_owned);
        let shown = output("scontrol", &arguments, LIMIT).ok();
        let shown = shown.and_then(|text| parse::scontrol(&text, index));
        if !self.accounting {
            return shown;
        }
        let accounted = self.sacct(&format!("--jobs={array}_{index}")).ok();
        let accounted = accounted.and_then(|text| parse::sacct(&text, array, index));
        match (shown, accounted) {
            // `sacct` takes 128 off exit codes from there up, so that 130 reads as 2.
            (Some(shown), Some(accounted)) => Some(Ended {
                memory: accounted.memory,
                ..shown
            }),
            (shown, accounted) => shown.or(accounted),
        }
    }

    fn sacct(&self, which: &str) -> Result<String, StudyError> {
        let arguments = [
            which,
            "--noheader",
            "--parsable2",
            "--format=JobID,State,ExitCode,ElapsedRaw,MaxRSS",
        ];
        output("sacct", &arguments.map(str::to_owned), LIMIT)
    }
}

/// Submits a script and returns the id of its array.
///
/// # Errors
/// When Slurm refuses, or does not answer.
pub(super) fn submit(arguments: &[String]) -> Result<String, StudyError> {
    let text = output("sbatch", arguments, LIMIT)?;
    parse::job_id(&text).ok_or_else(|| StudyError::SlurmCommand {
        command: words("sbatch", arguments),
        found: format!("expected a job id, found {text:?}"),
    })
}

/// Cancels arrays.
///
/// # Errors
/// When Slurm refuses, or does not answer.
pub(super) fn cancel(arrays: &[String]) -> Result<(), StudyError> {
    output("scancel", arrays, LIMIT).map(drop)
}

fn check_partition(settings: &SlurmSettings) -> Result<(), StudyError> {
    let arguments = ["--all", "--oneliner", "show", "partition"].map(str::to_owned);
    let text = output("scontrol", &arguments, LIMIT)?;
    let known = parse::partitions(&text);
    for name in settings.partition.iter().flat_map(|list| list.split(',')) {
        if !known.contains(&name) {
            return Err(StudyError::SlurmPartition {
                found: name.to_owned(),
                known: known.join(", "),
            });
        }
    }
    Ok(())
}
