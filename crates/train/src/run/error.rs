//! What stops training or prediction.

use std::io;
use std::path::{Path, PathBuf};

use lacuna_data::manifest::Manifest;
use lacuna_data::transform::AxesError;
use lacuna_record::RecordError;
use lacuna_volume::PatchSize;

use crate::apply::TrainedRun;

/// Anything that stops training or prediction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The configuration was refused.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
    /// The postprocess file was refused.
    #[error(transparent)]
    Postprocess(#[from] crate::postprocess::PostprocessError),
    /// The manifest was refused.
    #[error(transparent)]
    Manifest(#[from] lacuna_data::manifest::ManifestError),
    /// The split was refused.
    #[error(transparent)]
    Split(#[from] lacuna_data::split::SplitError),
    /// A subject cannot be used.
    #[error(transparent)]
    Case(#[from] lacuna_data::subject::CaseError),
    /// No patches can be drawn.
    #[error(transparent)]
    Sampler(#[from] lacuna_data::sampler::SamplerError),
    /// Two label maps cannot be compared.
    #[error(transparent)]
    Metrics(#[from] lacuna_metrics::MetricsError),
    /// Patches could not be prepared ahead.
    #[error(transparent)]
    Prefetch(#[from] lacuna_data::prefetch::PrefetchError),
    /// The network was refused.
    #[error(transparent)]
    Net(#[from] lacuna_nets::NetError),
    /// The loss was refused.
    #[error(transparent)]
    Loss(#[from] lacuna_losses::LossError),
    /// Two images are given for one modality.
    #[error("{modality} is given twice; give one image for each modality")]
    ModalityTwice {
        /// The modality.
        modality: String,
    },
    /// Voxels shall be weighted by what a subject does not have.
    #[error(
        "subject {subject} has no {key}, which `train.voxel_weights` weights voxels by: add \
         `{key}` to it in the dataset, or set train.voxel_weights = \"none\""
    )]
    NoVoxelWeights {
        /// The subject.
        subject: String,
        /// What it lacks: "weight" or "mask".
        key: &'static str,
    },
    /// Prepared subjects cannot be kept on disk.
    #[error(transparent)]
    Cohort(#[from] lacuna_data::cohort::CohortError),
    /// Several subjects cannot be prepared.
    #[error("{count} subjects cannot be used:\n{text}")]
    Subjects {
        /// Subjects that are refused.
        count: usize,
        /// What is wrong with each, one per line.
        text: String,
    },
    /// A transform that no patch of the run can honour.
    #[error(transparent)]
    Transform(#[from] lacuna_data::transform::TransformError),
    /// Distances inside a patch are measured on one grid.
    #[error(
        "loss {loss:?} measures distances inside patches, but subject {} has a spacing of {:?} mm \
         and {} one of {:?}: set geometry.spacing, so that all are resampled to one",
        subjects[0], spacings[0], subjects[1], spacings[1]
    )]
    UnlikeSpacings {
        /// The loss.
        loss: &'static str,
        /// Two subjects.
        subjects: [String; 2],
        /// Their spacings along x, y, z.
        spacings: [[f64; 3]; 2],
    },
    /// The device is not in this binary.
    #[error(transparent)]
    Device(#[from] crate::device::DeviceError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] lacuna_io::atomic::WriteError),
    /// An image cannot be read or written.
    #[error(transparent)]
    Nifti(#[from] lacuna_io::ImageError),
    /// A file of the run folder cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A validation subject cannot be drawn.
    #[error(transparent)]
    Report(#[from] lacuna_report::ReportError),
    /// A file of a checkpoint is missing or damaged.
    #[error(
        "{path}: {found}; restore the file, or remove the folder {folder} to go on from the checkpoint before it"
    )]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        found: String,
        /// The checkpoint.
        folder: PathBuf,
    },
    /// The weights of a checkpoint are not those of the run's network.
    #[error("{path}: {source}")]
    OtherNetwork {
        /// The file.
        path: PathBuf,
        /// Which tensors differ.
        source: lacuna_nets::NetError,
    },
    /// The folder already holds a run.
    #[error("{run} already holds a run; continue it with --resume, or give another --out")]
    Exists {
        /// The folder.
        run: PathBuf,
    },
    /// A new run would mix with what is already in the folder.
    #[error(
        "{run} holds no run but is not empty: found {found}; give --out a new or an empty folder"
    )]
    NotEmpty {
        /// The folder.
        run: PathBuf,
        /// One of its entries.
        found: String,
    },
    /// Another process is at work in the folder.
    #[error("{run} is in use by another lacuna process; wait for it or stop it")]
    Locked {
        /// The folder.
        run: PathBuf,
    },
    /// The folder of a training is no longer where it was.
    #[error(
        "{run} was {} while it was trained, and the training stops: {}", match now {
            Some(now) => format!("moved to {}", now.display()),
            None => "removed or replaced".to_owned(),
        }, match (now, kept) {
            (None, _) => "what it had saved there is lost; start it again".to_owned(),
            (Some(now), 0) => format!(
                "no checkpoint was written before; start it again in {}", now.display()
            ),
            (Some(now), kept) => format!(
                "the last checkpoint is of iteration {kept}; go on with --out {} --resume",
                now.display()
            ),
        }
    )]
    Moved {
        /// Where the folder was.
        run: PathBuf,
        /// Where it is, where that is known.
        now: Option<PathBuf>,
        /// Iteration of the last checkpoint, 0 without one.
        kept: u64,
    },
    /// `--resume` with another configuration or dataset.
    #[error(
        "cannot resume {run}: the configuration or the dataset differs from what it was started with: {differences}; restore these values or start a new run with another --out"
    )]
    Changed {
        /// The folder.
        run: PathBuf,
        /// "`key` was old, now new", separated by semicolons.
        differences: String,
    },
    /// Weights that do not fit.
    #[error(
        "{from} has other {what} than this run, which cannot start from it: {found}, expected \
         {expected}; take the configuration of that run, or leave --from (train.from) out"
    )]
    OtherStart {
        /// The folder of the run with the weights.
        from: PathBuf,
        /// What differs.
        what: &'static str,
        /// There.
        found: String,
        /// Here.
        expected: String,
    },
    /// A file of another program cannot be read.
    #[error(transparent)]
    Weights(#[from] lacuna_interop::WeightsError),
    /// A file of another program holds nothing to start from.
    #[error("cannot start from {path}: {found}\nset `model` to the network that it is of")]
    NoWeights {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        found: String,
    },
    /// No checkpoint of that choice.
    #[error(
        "{run} has no checkpoint {choice}; it has: {}", match kept.is_empty() {
            true => "none",
            false => kept.as_str(),
        }
    )]
    NoCheckpoint {
        /// The folder.
        run: PathBuf,
        /// What was asked for.
        choice: crate::checkpoint::Choice,
        /// Those there are.
        kept: String,
    },
    /// No training fits into the time.
    #[error(
        "train.budget is {budget}, which {steps} iterations take up already, by whose speed \
         the others would be counted ({seconds:.2} s each); give at least {}s (with --resume), or \
         a smaller patch, batch or network", least.ceil()
    )]
    Budget {
        /// The time given.
        budget: crate::config::Budget,
        /// Iterations done.
        steps: u64,
        /// Seconds for each.
        seconds: f64,
        /// Seconds in which as many again would fit.
        least: f64,
    },
    /// The loss or the network's output is no longer a number.
    #[error("training diverged at iteration {iteration}: {found}; the patches of that iteration are listed in {report}; {}; try a lower train.learning_rate, or look at the subjects named: {subjects}",
        if *kept == 0 { "no checkpoint was written before".to_owned() }
        else { format!("the last good checkpoint is iteration {kept}") })]
    NonFinite {
        /// The iteration, counted from 1.
        iteration: u64,
        /// What was not finite.
        found: String,
        /// JSON file with the patches.
        report: PathBuf,
        /// Iteration of the last checkpoint, 0 without one.
        kept: u64,
        /// Ids of the subjects in the batch.
        subjects: String,
    },
    /// A prediction is not a number somewhere.
    #[error(
        "subject {subject}: {weights} gives NaN or infinite outputs, and nothing was written; \
         the largest intensity after normalisation is {intensity:.3e}, in {image} at \
         ({:.1}, {:.1}, {:.1}) mm: correct the image there, or set another normalise.method; \
         where intensities are sound, take weights of an earlier checkpoint",
        place_mm[0], place_mm[1], place_mm[2]
    )]
    NotFiniteOutput {
        /// The subject.
        subject: String,
        /// Number of the modality with the largest intensity, from 0.
        channel: usize,
        /// Its file.
        image: String,
        /// The largest intensity by amount, after normalisation.
        intensity: f32,
        /// Where it is in the patient.
        place_mm: [f64; 3],
        /// The file of the weights.
        weights: String,
    },
    /// The dataset to predict has other modalities than the network.
    #[error(
        "{path} has the modalities {found:?}, but {run} was trained with {expected:?}; give images of those modalities under those names"
    )]
    Modalities {
        /// The manifest.
        path: PathBuf,
        /// The run.
        run: PathBuf,
        /// Modalities of the manifest.
        found: Vec<String>,
        /// Modalities of the run.
        expected: Vec<String>,
    },
    /// One network has nothing to be apart from.
    #[error(
        "{run} is one network, and uncertainty is how far several are apart; give several runs \
         or a model of `lacuna auto`", run = run.display()
    )]
    NoSpread {
        /// The run.
        run: PathBuf,
    },
    /// No run to predict with.
    #[error("no run folder was given; give one made by `lacuna train`, or several")]
    NoRuns,
    /// A run among those to average is named twice.
    #[error("{run} is given twice, and would weigh double in the mean; name each run once")]
    RunTwice {
        /// The run.
        run: PathBuf,
    },
    /// Two runs that have no mean.
    #[error("{first} and {other} cannot be averaged: {found}; name only runs that agree in this")]
    RunsUnlike {
        /// The first run.
        first: PathBuf,
        /// One that differs from it.
        other: PathBuf,
        /// What differs, with both values.
        found: String,
    },
    /// Runs of which every two may share a window, but not all.
    #[error("no window fits all networks, so they cannot be averaged: {runs}; name fewer runs")]
    NoCommonWindow {
        /// Each run with its windows.
        runs: String,
    },
    /// Axes that windows cannot be mirrored along.
    #[error("mirrored prediction: --mirror {0}")]
    Mirror(#[from] AxesError),
    /// Nothing to predict.
    #[error("{run}: there is no subject in that part; choose another --split, or name --subjects")]
    NoSubjects {
        /// The run.
        run: PathBuf,
    },
    /// The label values of a run's dataset are not known.
    #[error(
        "{run} does not record the label values of its dataset, as runs of version 0.1.0 do not; \
         predict with --dataset, whose manifest has them, or leave out --label-values"
    )]
    NoLabelValues {
        /// The run.
        run: PathBuf,
    },
    /// A class of a run has no label value in a dataset.
    #[error(
        "{from}: no label value stands for the class `{class}` of {run}; add it to `classes` and \
         `label_values`, or leave out --label-values"
    )]
    ClassWithoutValue {
        /// The manifest, or the run where its own values are asked for.
        from: PathBuf,
        /// The class.
        class: String,
        /// The run.
        run: PathBuf,
    },
    /// A step needs more memory than there is.
    #[error(
        "a training step on {batch} patches of {patch} needs about {:.1} GB of memory, and there \
         are {:.1} GB: {}{}take a narrower network (model.width)",
        *needed as f64 * 1e-9, *free as f64 * 1e-9,
        match batch_that_fits {
            Some(fits) => format!(
                "set train.batch = {fits} (with train.accumulate = {} each step sees as many \
                 patches; train.too_large = \"accumulate\" does so by itself), or ",
                batch.div_ceil(*fits)
            ),
            None => String::new(),
        },
        match patch_that_fits {
            Some(fits) => format!("set patch.size = {fits}, or "),
            None => String::new(),
        }
    )]
    Memory {
        /// Bytes of a step, about.
        needed: u64,
        /// Bytes that the machine, or the job's share of it, has.
        free: u64,
        /// Patches.
        batch: usize,
        /// Their size.
        patch: PatchSize,
        /// The most patches of that size that fit, if any do.
        batch_that_fits: Option<usize>,
        /// The largest patch of which so many fit, if any does.
        patch_that_fits: Option<PatchSize>,
    },
    /// A batch that no machine holds.
    #[error(
        "patch {patch} with batch {batch}: too many voxels; expected at most {most} input values"
    )]
    HugeBatch {
        /// Patches.
        batch: usize,
        /// Voxels of the input patch.
        patch: PatchSize,
        /// The most input values.
        most: usize,
    },
    /// A window size that was asked for cannot be used.
    #[error("--window {found}: {message}")]
    Window {
        /// The size asked for.
        found: PatchSize,
        /// Legal sizes.
        message: String,
    },
    /// A model that no ONNX file holds.
    #[error(
        "the model has {bytes} bytes, more than the 2147483647 that an ONNX file can hold; \
         export fewer networks"
    )]
    OnnxSize {
        /// Bytes of the model.
        bytes: usize,
    },
    /// A run that prepares or predicts in a way that the file beside an ONNX model cannot tell.
    #[error(
        "{run}: it {found}, which the file beside an ONNX model has no words for; use \
         `lacuna predict`, or leave the section out of its run.toml", run = run.display()
    )]
    OnnxOther {
        /// The run.
        run: PathBuf,
        /// What it does.
        found: &'static str,
    },
    /// The user asked to stop before anything could be finished.
    #[error("stopped by the user")]
    Stopped,
}

impl RunError {
    /// `run` lacks the file `missing`.
    pub fn not_a_run(run: &Path, missing: &'static str) -> Self {
        let run = run.to_owned();
        RecordError::NotARun { run, missing }.into()
    }

    /// These runs have no mean, for they differ in what was `found`.
    pub(crate) fn unlike(first: &TrainedRun, other: &TrainedRun, found: String) -> Self {
        Self::RunsUnlike {
            first: first.path.clone(),
            other: other.path.clone(),
            found,
        }
    }

    /// Of a subject whose images and weights are those files.
    pub(crate) fn naming(self, manifest: &Manifest, from: &Path) -> Self {
        self.naming_one_of(manifest, &[from])
    }

    /// As [`Self::naming`], where any of several weights may be the cause.
    pub(crate) fn naming_one_of(self, manifest: &Manifest, from: &[&Path]) -> Self {
        match self {
            Self::NotFiniteOutput {
                subject,
                channel,
                image,
                intensity,
                place_mm,
                ..
            } => {
                let modality = manifest.modalities.get(channel);
                let file = (manifest.subject(&subject).ok())
                    .and_then(|subject| subject.images.get(modality?))
                    .map_or(image, ToString::to_string);
                Self::NotFiniteOutput {
                    subject,
                    channel,
                    image: file,
                    intensity,
                    place_mm,
                    weights: (from.iter().map(|path| path.display().to_string()))
                        .collect::<Vec<_>>()
                        .join(" or "),
                }
            }
            other => other,
        }
    }

    /// What is wrong with subjects, at least one.
    pub fn of_subjects(mut errors: Vec<Self>) -> Self {
        match errors.len() {
            1 => errors.remove(0),
            count => Self::Subjects {
                count,
                text: (errors.iter().map(|e| format!("  {e}")))
                    .collect::<Vec<_>>()
                    .join("\n"),
            },
        }
    }

    /// For `map_err`: an I/O error about `path`.
    pub fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let io = RecordError::io(path);
        move |source| io(source).into()
    }
}
