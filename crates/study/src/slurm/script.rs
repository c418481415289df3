//! The script of an array, and how it is submitted.

use std::path::Path;

use super::command::{quoted, words};
use super::settings::SlurmSettings;
use crate::StudyError;

/// Seconds before the time limit at which a run is asked to save and stop.
/// Slurm may ask up to 60 s earlier.
const NOTICE_SECONDS: u32 = 90;

/// One submission.
pub(super) struct Array<'a> {
    /// Folder of the study.
    pub folder: &'a str,
    /// The program.
    pub binary: &'a str,
    /// Name of the job.
    pub name: &'a str,
    /// Counted from 1 over all submissions of the study.
    pub number: usize,
    /// Runs in it.
    pub runs: usize,
    /// Most that run at once.
    pub at_once: Option<usize>,
}

impl Array<'_> {
    /// The file that says which run each task is.
    pub fn list(&self) -> String {
        format!("{}/slurm/runs-{}.txt", self.folder, self.number)
    }

    /// The script's file.
    pub fn script(&self) -> String {
        format!("{}/slurm/submit-{}.sh", self.folder, self.number)
    }

    /// Arguments of `sbatch`.
    pub fn arguments(&self, settings: &SlurmSettings) -> Vec<String> {
        let mut arguments = vec![
            "--parsable".to_owned(),
            format!("--job-name={}", self.name),
            format!("--array={}", self.tasks()),
            format!("--time={}", settings.time),
            format!("--mem={}", settings.memory),
            "--nodes=1".into(),
            "--ntasks=1".into(),
            format!("--cpus-per-task={}", settings.cpus),
            // A run that Slurm put back itself would escape the count of attempts.
            "--no-requeue".into(),
            format!("--signal=B:TERM@{NOTICE_SECONDS}"),
            // `%` is Slurm's sign for its own names.
            format!(
                "--output={}/slurm/%A_%a.out",
                self.folder.replace('%', "%%")
            ),
        ];
        let keyed = [
            ("--partition", &settings.partition),
            ("--account", &settings.account),
        ];
        for (option, value) in keyed {
            arguments.extend(value.iter().map(|value| format!("{option}={value}")));
        }
        arguments.extend(settings.options.iter().cloned());
        arguments.push(self.script());
        arguments
    }

    /// The script: a task takes its run from the list and becomes its process.
    pub fn text(&self, settings: &SlurmSettings) -> String {
        let submitted = words("sbatch", &self.arguments(settings));
        let list = quoted(&self.list());
        let folder = quoted(self.folder);
        let binary = quoted(self.binary);
        format!(
            r#"#!/bin/bash
# {submitted}
set -euo pipefail
mapfile -t names <{list}
name=${{names[$SLURM_ARRAY_TASK_ID]}}
exec >>{folder}/logs/"$name.log" 2>&1
# In place of this shell, so that Slurm's signals reach it.
exec {binary} --threads "$SLURM_CPUS_PER_TASK" study-run -- {folder} "$name"
"#
        )
    }

    fn tasks(&self) -> String {
        let tasks = format!("0-{}", self.runs - 1);
        match self.at_once {
            Some(limit) => format!("{tasks}%{limit}"),
            None => tasks,
        }
    }
}

/// A path for a script.
///
/// # Errors
/// [`StudyError::SlurmPath`] when it cannot stand in one.
pub(super) fn plain(path: &Path) -> Result<&str, StudyError> {
    match path.to_str() {
        Some(text) if !text.contains(['\n', '\r']) => Ok(text),
        _ => Err(StudyError::SlurmPath {
            path: path.to_owned(),
        }),
    }
}

/// Name of a study's jobs: the folder's own name for people, and a hash of its
/// path, so that jobs are found by it (FNV-1a, 64 bits).
pub(super) fn job_name(folder: &str) -> String {
    let hash = folder
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let last = folder.rsplit('/').next().unwrap_or_default();
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let last: String = last.chars().take(40).map(plain).collect();
    format!("lacuna-{last}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array() -> Array<'static> {
        Array {
            folder: "/data/my study 100%",
            binary: "/opt/lacuna",
            name: "lacuna-x",
            number: 2,
            runs: 3,
            at_once: Some(2),
        }
    }

    #[test]
    fn the_arguments_hold_every_setting() {
        let settings = SlurmSettings {
            partition: Some("main".into()),
            account: Some("brain".into()),
            options: vec!["--constraint=avx2".into()],
            cpus: 8,
            ..SlurmSettings::default()
        };
        assert_eq!(
            array().arguments(&settings),
            [
                "--parsable",
                "--job-name=lacuna-x",
                "--array=0-2%2",
                "--time=04:00:00",
                "--mem=8G",
                "--nodes=1",
                "--ntasks=1",
                "--cpus-per-task=8",
                "--no-requeue",
                "--signal=B:TERM@90",
                "--output=/data/my study 100%%/slurm/%A_%a.out",
                "--partition=main",
                "--account=brain",
                "--constraint=avx2",
                "/data/my study 100%/slurm/submit-2.sh",
            ]
        );
    }

    #[test]
    fn a_task_becomes_the_process_of_its_run() {
        let text = array().text(&SlurmSettings::default());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "#!/bin/bash");
        assert!(lines[1].starts_with("# sbatch --parsable --job-name=lacuna-x"));
        assert_eq!(
            lines[3],
            "mapfile -t names <'/data/my study 100%/slurm/runs-2.txt'"
        );
        assert_eq!(
            lines[5],
            "exec >>'/data/my study 100%'/logs/\"$name.log\" 2>&1"
        );
        assert_eq!(
            lines[7],
            "exec /opt/lacuna --threads \"$SLURM_CPUS_PER_TASK\" study-run -- '/data/my study 100%' \"$name\""
        );
    }

    #[test]
    fn a_folder_has_one_job_name() {
        // FNV-1a of "a" is af63dc4c8601ec8c.
        assert_eq!(job_name("a"), "lacuna-a-af63dc4c8601ec8c");
        assert!(job_name("/x/my study,1").starts_with("lacuna-my_study_1-"));
        assert_ne!(job_name("/x/a"), job_name("/y/a"));
    }
}
