//! What can be wrong on the way from a dataset to a model.

use std::io;
use std::path::{Path, PathBuf};

use lacuna_data::fingerprint::FingerprintError;
use lacuna_data::manifest::ManifestError;
use lacuna_data::split::{SplitError, SplitsFileError};
use lacuna_evaluate::EvaluateError;
use lacuna_interop::TorchFileError;
use lacuna_nets::NetError;
use lacuna_record::RecordError;
use lacuna_train::config::{Budget, ConfigError};
use lacuna_train::postprocess::PostprocessError;
use lacuna_train::run::RunError;
use lacuna_tune::TuneError;

/// No plan can be made, or not carried out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AutoError {
    /// The dataset's manifest is refused.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// Subjects cannot be used.
    #[error(transparent)]
    Fingerprint(#[from] FingerprintError),
    /// The folds of a file are refused.
    #[error(transparent)]
    Splits(#[from] SplitsFileError),
    /// No folds can be drawn.
    #[error(transparent)]
    Stratify(#[from] SplitError),
    /// An override is refused.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The planned network is refused.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Training or prediction failed.
    #[error(transparent)]
    Run(Box<RunError>),
    /// The out-of-fold predictions cannot be scored.
    #[error(transparent)]
    Evaluate(Box<EvaluateError>),
    /// Nothing can be tuned.
    #[error(transparent)]
    Tune(#[from] TuneError),
    /// A postprocess file is refused.
    #[error(transparent)]
    Postprocess(Box<PostprocessError>),
    /// A record cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] lacuna_io::atomic::WriteError),
    /// An image cannot be read.
    #[error(transparent)]
    Image(#[from] lacuna_io::ImageError),
    /// A file or folder cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing to learn.
    #[error(
        "{path}: none of the {subjects} labelled subjects has a voxel of any class but the \
         background; give subjects with lesions, or look at `label_values`", path = path.display()
    )]
    NoForeground {
        /// The manifest.
        path: PathBuf,
        /// Labelled subjects.
        subjects: usize,
    },
    /// An override of what the plan has to choose.
    #[error(
        "--set {key}: folds and lengths are what is planned; leave it out{}",
        match *instead { "" => String::new(), instead => format!(" ({instead})") }
    )]
    Planned {
        /// The key.
        key: String,
        /// What does it instead.
        instead: &'static str,
    },
    /// Too little time.
    #[error(
        "--budget {budget} is too short: of {trainings} training(s) each would have \
         {iterations} iterations, and {least} are the least that learn anything; give {needed} \
         or more, or a smaller network (--set model.stages...)"
    )]
    Budget {
        /// What was given.
        budget: Budget,
        /// Trainings in it.
        trainings: usize,
        /// Iterations that fit into each.
        iterations: u64,
        /// Iterations that are needed.
        least: u64,
        /// A budget that is enough.
        needed: String,
    },
    /// Too little memory.
    #[error(
        "a training step needs about {needed} MB of memory, and {free} MB may be taken; give \
         smaller patches (--set patch.size=...) or fewer features"
    )]
    Memory {
        /// MB needed.
        needed: u64,
        /// MB there.
        free: u64,
    },
    /// Too little disk.
    #[error(
        "{path}: the out-of-fold probabilities and weights take up to {needed} MB, and {free} MB \
         are free; make room, or give --out elsewhere", path = path.display()
    )]
    Disk {
        /// The folder to write.
        path: PathBuf,
        /// MB needed.
        needed: u64,
        /// MB free.
        free: u64,
    },
    /// The folder holds something else.
    #[error(
        "{folder} is not empty and no `lacuna {command}` has begun there: found {found}; give a new \
         or empty folder", folder = folder.display()
    )]
    Taken {
        /// The folder.
        folder: PathBuf,
        /// The command whose folder it would be.
        command: &'static str,
        /// One of its entries.
        found: String,
    },
    /// Another process is at work in the folder.
    #[error("{folder} is in use by another process; wait until it ends", folder = folder.display())]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// What was begun there was something else.
    #[error(
        "{folder} was begun with another {what}: {before}, now {now}; give the same, or another \
         --out", folder = folder.display()
    )]
    Other {
        /// The folder.
        folder: PathBuf,
        /// What differs.
        what: &'static str,
        /// As it was begun.
        before: String,
        /// As it is asked for now.
        now: String,
    },
    /// The manifest is another.
    #[error(
        "{manifest} was changed since {folder} was begun; undo the change, or give another --out",
        manifest = manifest.display(), folder = folder.display()
    )]
    Edited {
        /// The folder.
        folder: PathBuf,
        /// The manifest.
        manifest: PathBuf,
    },
    /// No plan there.
    #[error(
        "{folder} holds no plan; make it first: lacuna plan DATASET --budget TIME --out {folder}",
        folder = folder.display()
    )]
    NoPlan {
        /// The folder.
        folder: PathBuf,
    },
    /// No training of that name in the plan.
    #[error(
        "--only {name}: the plan in {folder} has the trainings {known}; name one of them",
        folder = folder.display()
    )]
    NoTraining {
        /// The folder.
        folder: PathBuf,
        /// What was asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// No model there.
    #[error(
        "{path} holds no finished model of `lacuna auto`: {missing}; let `lacuna auto` end, or \
         give the folder of a run", path = path.display()
    )]
    NoModel {
        /// The folder or file.
        path: PathBuf,
        /// What is missing.
        missing: String,
    },
    /// A file of a model that does not hold one.
    #[error(
        "{path} is no model of `lacuna export`: {found}; export it again", path = path.display()
    )]
    BadModel {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        found: String,
    },
    /// A model of nnU-Net that is not understood.
    #[error("{path}: {found}", path = path.display())]
    Nnunet {
        /// The file or folder.
        path: PathBuf,
        /// What was found, what is expected, and what to do.
        found: String,
    },
    /// A checkpoint of PyTorch is refused.
    #[error(transparent)]
    Torch(#[from] TorchFileError),
}

impl From<RunError> for AutoError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

impl From<EvaluateError> for AutoError {
    fn from(error: EvaluateError) -> Self {
        Self::Evaluate(Box::new(error))
    }
}

impl From<PostprocessError> for AutoError {
    fn from(error: PostprocessError) -> Self {
        Self::Postprocess(Box::new(error))
    }
}

impl AutoError {
    /// What is not understood of a model of nnU-Net.
    pub(crate) fn nnunet(path: &Path, found: impl Into<String>) -> Self {
        Self::Nnunet {
            path: path.to_owned(),
            found: found.into(),
        }
    }

    /// What the system says of `path`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}
