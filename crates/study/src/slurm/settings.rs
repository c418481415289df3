//! What a study file says about the Slurm cluster.

use serde::{Deserialize, Serialize};

use super::parse::duration;
use crate::StudyError;

/// Options of `sbatch` that are set here or have a key of their own.
const TAKEN: [(&str, &str); 26] = [
    ("-p", "set `partition`"),
    ("--partition", "set `partition`"),
    ("-t", "set `time`"),
    ("--time", "set `time`"),
    ("--mem", "set `memory`"),
    ("--mem-per-cpu", "set `memory`"),
    ("-c", "set `cpus`"),
    ("--cpus-per-task", "set `cpus`"),
    ("-A", "set `account`"),
    ("--account", "set `account`"),
    ("-a", "set `at_once`"),
    ("--array", "set `at_once`"),
    ("-J", OWN),
    ("--job-name", OWN),
    ("-o", OWN),
    ("--output", OWN),
    ("-e", OWN),
    ("--error", OWN),
    ("--signal", OWN),
    ("--requeue", OWN),
    ("--no-requeue", OWN),
    ("--parsable", OWN),
    ("-W", OWN),
    ("--wait", OWN),
    ("--wrap", OWN),
    ("--test-only", OWN),
];
/// Short options of `sbatch` without a value, behind which others may stand.
const FLAGS: [char; 10] = ['H', 'h', 'I', 'k', 'O', 'Q', 's', 'v', 'V', 'W'];

const OWN: &str = "options that the sweep does not set itself";

/// The shortest time limit: the signal to save comes up to 150 s before its end.
const SHORTEST_SECONDS: f64 = 180.0;

/// How runs are submitted; the keys of `[executor]` with `kind = "slurm"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SlurmSettings {
    /// Partition, or several with commas between; the cluster's own choice without it.
    pub partition: Option<String>,
    /// Time limit of a job, as `HH:MM:SS` or another form of `sbatch --time`.
    /// A run that needs longer goes on in a further job.
    pub time: String,
    /// Memory of a job, as `8G`.
    pub memory: String,
    /// Processors of a job, and threads of its run.
    pub cpus: u16,
    /// Most jobs that run at once; as many as the cluster has room for without it.
    pub at_once: Option<usize>,
    /// Account to charge.
    pub account: Option<String>,
    /// Further options of `sbatch`, each one argument such as `--constraint=avx2`.
    pub options: Vec<String>,
    /// Most times that one sweep submits a run.
    pub attempts: u32,
    /// Seconds between two looks at the queue.
    pub poll_seconds: u64,
}

impl Default for SlurmSettings {
    fn default() -> Self {
        Self {
            partition: None,
            time: "04:00:00".into(),
            memory: "8G".into(),
            cpus: 4,
            at_once: None,
            account: None,
            options: Vec::new(),
            attempts: 5,
            poll_seconds: 15,
        }
    }
}

impl SlurmSettings {
    /// Checks ranges and forms.
    ///
    /// # Errors
    /// [`StudyError::SlurmSetting`] for the first key that is wrong.
    pub fn check(&self) -> Result<(), StudyError> {
        if let Some(partition) = &self.partition {
            check_word("partition", partition)?;
        }
        if let Some(account) = &self.account {
            check_word("account", account)?;
        }
        if duration(&self.time).is_none_or(|seconds| seconds < SHORTEST_SECONDS) {
            return Err(wrong(
                "time",
                &self.time,
                "a time limit of at least 3 minutes, as \"04:00:00\", \"240\" (minutes) or \"2-00:00:00\" (2 days)",
            ));
        }
        if !is_memory(&self.memory) {
            let expected = "a whole number above 0 with K, M, G or T after it, as \"8G\"";
            return Err(wrong("memory", &self.memory, expected));
        }
        if self.cpus == 0 {
            return Err(wrong("cpus", &self.cpus, "at least 1"));
        }
        if self.at_once == Some(0) {
            return Err(wrong("at_once", &0, "at least 1, or no such key"));
        }
        if self.attempts == 0 {
            return Err(wrong("attempts", &self.attempts, "at least 1"));
        }
        if !(1..=3600).contains(&self.poll_seconds) {
            return Err(wrong("poll_seconds", &self.poll_seconds, "1 to 3600"));
        }
        self.options.iter().try_for_each(|o| check_option(o))
    }
}

fn check_word(key: &'static str, value: &str) -> Result<(), StudyError> {
    let plain = |c: char| c.is_alphanumeric() || "_-.,".contains(c);
    if value.is_empty() || value.starts_with('-') || !value.chars().all(plain) {
        return Err(wrong(key, &value, "a name without spaces, as \"main\""));
    }
    Ok(())
}

fn is_memory(value: &str) -> bool {
    let digits = value.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or("");
    digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u64>().is_ok_and(|n| n > 0)
}

fn check_option(option: &str) -> Result<(), StudyError> {
    let written = option.trim_start_matches('-').len();
    if !option.starts_with('-') || written == 0 || option.contains('\n') {
        let expected = "options of sbatch, each one string as \"--constraint=avx2\"";
        return Err(wrong("options", &option, expected));
    }
    match TAKEN.iter().find(|(name, _)| sets(option, name)) {
        Some((_, expected)) => Err(wrong("options", &option, expected)),
        None => Ok(()),
    }
}

/// Whether sbatch, which understands abbreviations, may take `option` for `name`.
fn sets(option: &str, name: &str) -> bool {
    if let Some(long) = option.strip_prefix("--") {
        let long = long.split('=').next().unwrap_or(long);
        return name
            .strip_prefix("--")
            .is_some_and(|name| name.starts_with(long));
    }
    // A value may stand right behind a short option, and that behind flags.
    let mut letters = option.chars().skip(1);
    let mut name = name.chars().skip(1);
    let (Some(wanted), None) = (name.next(), name.next()) else {
        return false;
    };
    letters
        .by_ref()
        .find(|letter| *letter == wanted || !FLAGS.contains(letter))
        .is_some_and(|letter| letter == wanted)
}

fn wrong(
    key: &'static str,
    found: &(impl std::fmt::Debug + ?Sized),
    expected: &'static str,
) -> StudyError {
    StudyError::SlurmSetting {
        key,
        found: format!("{found:?}"),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(change: impl FnOnce(&mut SlurmSettings)) -> String {
        let mut settings = SlurmSettings::default();
        change(&mut settings);
        settings.check().unwrap_err().to_string()
    }

    #[test]
    fn the_defaults_and_all_forms_pass() {
        SlurmSettings::default().check().unwrap();
        for time in ["240", "240:30", "04:00:00", "2-12", "2-12:30", "2-12:30:15"] {
            let settings = SlurmSettings {
                time: time.into(),
                partition: Some("cpu,gpu-2".into()),
                options: vec![
                    "--constraint=avx2".into(),
                    "--time-min=60".into(),
                    "-n1".into(),
                    "-Hn1".into(),
                    "--mem-bind=local".into(),
                ],
                ..SlurmSettings::default()
            };
            settings.check().unwrap();
        }
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_expected() {
        assert_eq!(
            error_of(|s| s.memory = "8 GB".into()),
            "[executor] memory = \"8 GB\": expected a whole number above 0 with K, M, G or T after it, as \"8G\""
        );
        assert!(error_of(|s| s.memory = "0G".into()).contains("memory"));
        assert!(error_of(|s| s.memory = "+1G".into()).contains("memory"));
        assert!(error_of(|s| s.time = "02:59".into()).contains("3 minutes"));
        assert!(error_of(|s| s.time = "soon".into()).contains("\"soon\""));
        assert!(error_of(|s| s.partition = Some("a b".into())).contains("partition"));
        assert!(error_of(|s| s.account = Some(String::new())).contains("account"));
        assert!(error_of(|s| s.cpus = 0).contains("cpus = 0"));
        assert!(error_of(|s| s.at_once = Some(0)).contains("at_once"));
        assert!(error_of(|s| s.attempts = 0).contains("attempts"));
        assert!(error_of(|s| s.poll_seconds = 0).contains("1 to 3600"));
    }

    #[test]
    fn an_option_with_a_key_of_its_own_is_refused() {
        assert!(error_of(|s| s.options = vec!["--time=60".into()]).contains("set `time`"));
        assert!(error_of(|s| s.options = vec!["-pmain".into()]).contains("set `partition`"));
        assert!(error_of(|s| s.options = vec!["--array=1-9".into()]).contains("at_once"));
        // sbatch takes any beginning that no other option has, and flags in one word.
        for option in [
            "--arr=0-99",
            "--sig=KILL",
            "--requ",
            "--tim=1",
            "--m=1G",
            "-Hpmain",
            "-W",
        ] {
            error_of(|s| s.options = vec![option.into()]);
        }
        for option in ["--", "-", "--wrap=true"] {
            error_of(|s| s.options = vec![option.into()]);
        }
        assert!(error_of(|s| s.options = vec!["constraint".into()]).contains("options of sbatch"));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = toml::from_str::<SlurmSettings>("memroy = \"8G\"").unwrap_err();
        assert!(error.to_string().contains("memroy"), "{error}");
    }
}
