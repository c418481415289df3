//! What can be wrong with a study or its execution.

use std::io;
use std::path::PathBuf;

use lacuna_data::phantom::PhantomError;
use lacuna_evaluate::EvaluateError;
use lacuna_metrics::MetricsError;
use lacuna_record::RecordError;
use lacuna_train::config::ConfigError;
use lacuna_train::run::RunError;

/// A study cannot be read, planned or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// A file of the study cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] lacuna_io::atomic::WriteError),
    /// The study file or its base cannot be read.
    #[error("cannot read {path}: {source}; give the path of a study file")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The study file says what no study can.
    #[error("{path}: {message}")]
    Study {
        /// The file.
        path: PathBuf,
        /// Found, expected and what to do.
        message: String,
    },
    /// A run of the grid cannot be trained.
    #[error("{run}: {source}")]
    Run {
        /// The study file and the run.
        run: String,
        /// Why.
        source: Box<RunError>,
    },
    /// A run's configuration was refused, or what is done for it failed.
    #[error(transparent)]
    Train(#[from] Box<RunError>),
    /// Phantoms cannot be made.
    #[error(transparent)]
    Phantom(#[from] PhantomError),
    /// The phantoms on disk are others.
    #[error("{record}: the cohort was made from another [phantom]; give another --out")]
    OtherPhantoms {
        /// What they were made from.
        record: PathBuf,
    },
    /// The test subjects cannot be scored.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// Probabilities of a test subject that cannot be judged.
    #[error("subject `{subject}`: {source}")]
    Reliability {
        /// The subject.
        subject: String,
        /// Why.
        source: MetricsError,
    },
    /// The study has no such run.
    #[error("{folder}: the study has no run `{run}`; its runs are listed in study.json")]
    NoRun {
        /// Folder of the study.
        folder: PathBuf,
        /// What was asked for.
        run: String,
    },
    /// Another process works on the run.
    #[error(
        "the run `{run}` of {folder} is in use by another lacuna process; wait for it or stop it"
    )]
    RunLocked {
        /// Folder of the study.
        folder: PathBuf,
        /// The run.
        run: String,
    },
    /// Another process works through the study.
    #[error("{folder} is in use by another `lacuna sweep`; wait for it or stop it")]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds something else.
    #[error("{folder}: {found}; give --out a new or an empty folder, or that of this study")]
    OtherStudy {
        /// The folder.
        folder: PathBuf,
        /// What is there.
        found: String,
    },
    /// A run was begun with another configuration.
    #[error(
        "{config}: run `{run}` was planned with another configuration: {differences}; restore \
         these values, or give another --out"
    )]
    Changed {
        /// Configuration on disk.
        config: PathBuf,
        /// The run.
        run: String,
        /// What differs.
        differences: String,
    },
    /// Results that were kept are not of this study's runs.
    #[error("{results}: {found}; leave --results out, and these runs are run here")]
    OtherResults {
        /// The file.
        results: PathBuf,
        /// What is in it.
        found: String,
    },
    /// A process cannot be started.
    #[error("cannot start {binary}: {source}")]
    Start {
        /// The program.
        binary: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Threads to measure with cannot be had.
    #[error("cannot start {threads} threads: {found}; lower `threads` in [executor]")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// What the system said.
        found: String,
    },
    /// A setting of the Slurm executor is not what Slurm or this program accepts.
    #[error("[executor] {key} = {found}: expected {expected}")]
    SlurmSetting {
        /// The key in the study file.
        key: &'static str,
        /// What is there.
        found: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// This machine cannot submit jobs.
    #[error(
        "there is no {missing} in PATH; run the sweep on a machine that submits to a Slurm \
         cluster, load its Slurm module, or set [executor] kind = \"local\""
    )]
    SlurmMissing {
        /// The commands.
        missing: String,
    },
    /// There is no such partition.
    #[error(
        "[executor] partition = {found:?}: the cluster's partitions are {known}; name one of them"
    )]
    SlurmPartition {
        /// What the study asks for.
        found: String,
        /// Those that there are.
        known: String,
    },
    /// A path cannot stand in a job script.
    #[error("{path} is not UTF-8 or holds a line break; Slurm needs a plain path, rename it")]
    SlurmPath {
        /// The path.
        path: PathBuf,
    },
    /// A command of Slurm failed or said what this program does not know.
    #[error("`{command}`: {found}")]
    SlurmCommand {
        /// The command line.
        command: String,
        /// How it ended, with what it wrote to stderr.
        found: String,
    },
    /// Slurm did not say in time whether it took the jobs.
    #[error(
        "`{command}`: no answer in {seconds} s; see that the cluster's controller is up (`scontrol ping`)"
    )]
    SlurmSilent {
        /// The command line.
        command: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Jobs of this study are in the queue that its folder does not know.
    #[error(
        "Slurm holds jobs of this study that {folder}/slurm/jobs.json does not list: {jobs}; \
         restore the file, or `scancel {jobs}` and start the sweep again"
    )]
    SlurmStrangers {
        /// Folder of the study.
        folder: PathBuf,
        /// Their ids.
        jobs: String,
    },
    /// What is left to do waits for what the cluster never gives.
    #[error(
        "Slurm never starts these jobs ({reason}): {words}; they were cancelled, change [executor] and start the sweep again"
    )]
    SlurmNeverStarts {
        /// Slurm's word for it.
        reason: String,
        /// What it means.
        words: &'static str,
    },
    /// The sweep was stopped while jobs were queued or running.
    #[error(
        "stopped; {runs} runs go on in Slurm: start the sweep again to follow them, \
         or end them with `scancel {jobs}`"
    )]
    SlurmLeft {
        /// Runs that Slurm still has.
        runs: usize,
        /// Ids of their jobs.
        jobs: String,
    },
}

impl StudyError {
    /// For `map_err`: a configuration that was refused, naming its origin itself.
    pub(crate) fn config(source: ConfigError) -> Self {
        Box::new(RunError::from(source)).into()
    }
}

impl From<RunError> for StudyError {
    fn from(source: RunError) -> Self {
        Box::new(source).into()
    }
}
