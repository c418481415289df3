//! The run folder: what lies where, and what can be wrong with it.
//!
//! ```text
//! RUN/run.toml            effective configuration
//! RUN/dataset.json        modalities, classes and split that the network was trained with
//! RUN/provenance.json     what trained it on which files, one entry for each session
//! RUN/events.jsonl        one line per iteration
//! RUN/tensorboard/        the same for TensorBoard
//! RUN/checkpoint-000100/  weights.safetensors, optimiser.bin, state.json
//! RUN/validation.jsonl    whole-volume DSC of the validation subjects
//! RUN/summary.json        last-200 DSC, sampler shares, time and memory
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use lacuna_data::manifest::Manifest;
use lacuna_data::split::Split;
use lacuna_record::{RecordError, lock};
use lacuna_volume::PatchSize;
use serde::{Deserialize, Serialize};

/// Anything that stops training or prediction.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The configuration was refused.
    #[error(transparent)]
    Config(#[from] crate::config::ConfigError),
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

    /// Of a subject whose images and weights are those files.
    pub(crate) fn naming(self, manifest: &Manifest, from: &Path) -> Self {
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
                    weights: from.display().to_string(),
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

/// What a trained network needs to know of its dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DatasetFacts {
    /// Name in the manifest.
    pub name: String,
    /// Input channels, in order.
    pub modalities: Vec<String>,
    /// Output classes, in order; the first is background.
    pub classes: Vec<String>,
    /// The subjects of each part.
    pub split: Split,
    /// Smallest and largest voxel edges of the training subjects' first images in mm,
    /// along right, anterior and superior; version 0.1.0 did not record them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spacing_mm: Option<[[f64; 3]; 2]>,
    /// Class name of every label value; version 0.1.0 did not record them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_values: Option<BTreeMap<i32, String>>,
}

/// Voxel edges that are smaller or larger than in training by more than this factor
/// are worth a warning.
pub const UNLIKE_SPACING: f64 = 1.5;

impl DatasetFacts {
    /// What to warn of when voxels of these edges (mm, along right, anterior and
    /// superior) are predicted: that they differ from those of training by more than
    /// [`UNLIKE_SPACING`].
    pub fn unlike_spacing(&self, spacing: [f64; 3]) -> Option<String> {
        let [smallest, largest] = self.spacing_mm?;
        let unlike = |axis: usize| {
            spacing[axis] * UNLIKE_SPACING < smallest[axis]
                || spacing[axis] > UNLIKE_SPACING * largest[axis]
        };
        (0..3).any(unlike).then(|| {
            let edges = |e: [f64; 3]| e.map(|v| format!("{v:.2}")).join(" x ");
            format!(
                "voxels of {} mm differ by more than a factor of {UNLIKE_SPACING} from those of \
                 the training, {} to {} mm: the prediction may be worth little",
                edges(spacing),
                edges(smallest),
                edges(largest)
            )
        })
    }

    /// What differs from `now`, with both values.
    pub fn differences(&self, now: &Self) -> Vec<(String, String, String)> {
        let lists = |facts: &Self| {
            let Split {
                train,
                validation,
                test,
            } = facts.split.clone();
            [
                ("modalities", facts.modalities.clone()),
                ("classes", facts.classes.clone()),
                ("train subjects", train),
                ("validation subjects", validation),
                ("test subjects", test),
            ]
        };
        let mut differences: Vec<_> = (lists(self).into_iter().zip(lists(now)))
            .filter(|(before, now)| before != now)
            .map(|((key, before), (_, now))| {
                (key.to_owned(), format!("{before:?}"), format!("{now:?}"))
            })
            .collect();
        if let (Some(before), Some(now)) = (&self.label_values, &now.label_values)
            && before != now
        {
            let values = "label_values".to_owned();
            differences.push((values, format!("{before:?}"), format!("{now:?}")));
        }
        differences
    }
}

/// A run folder held by this process; the lock goes with the value.
pub struct RunFolder {
    /// The folder.
    pub path: PathBuf,
    _lock: File,
}

impl RunFolder {
    /// Creates or opens `path` and locks it against other processes.
    ///
    /// # Errors
    /// When it cannot be created or another process holds it.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        std::fs::create_dir_all(path).map_err(RunError::io(path))?;
        let path = path.to_owned();
        match lock(&path.join(".lock"))? {
            Some(lock) => Ok(Self { path, _lock: lock }),
            None => Err(RunError::Locked { run: path }),
        }
    }

    /// Opens `path` for a new run.
    ///
    /// # Errors
    /// As [`Self::open`], and as [`Self::check_new`].
    pub fn create(path: &Path) -> Result<Self, RunError> {
        let folder = Self::open(path)?;
        // Another process may have begun and ended a run in the meantime.
        Self::check_new(path)?;
        Ok(folder)
    }

    /// Refuses a folder in which no new run can be: one that holds a run, whose
    /// checkpoints would be taken for the new run's, or anything else. What a
    /// start that was cut off leaves is no hindrance.
    ///
    /// # Errors
    /// [`RunError::Exists`], [`RunError::NotEmpty`]
    pub fn check_new(path: &Path) -> Result<(), RunError> {
        if path.join("run.toml").exists() {
            return Err(RunError::Exists {
                run: path.to_owned(),
            });
        }
        let entries = match std::fs::read_dir(path) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(RunError::io(path)(e)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(RunError::io(path))?.file_name();
            names.push(name.to_string_lossy().into_owned());
        }
        names.retain(|name| {
            !name.starts_with('.') && name != "dataset.json" && name != "provenance.json"
        });
        match names.into_iter().min() {
            None => Ok(()),
            Some(found) => Err(RunError::NotEmpty {
                run: path.to_owned(),
                found,
            }),
        }
    }
}

/// Peak resident memory of this process in bytes, where the system tells (Linux).
pub fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spacings_are_unlike_beyond_the_factor() {
        let facts = DatasetFacts {
            name: String::new(),
            modalities: Vec::new(),
            classes: Vec::new(),
            split: Split::default(),
            spacing_mm: Some([[1.0, 1.0, 3.0], [1.2, 1.2, 6.0]]),
            label_values: None,
        };
        // 1.2 * 1.5 = 1.8 and 3 / 1.5 = 2 are the limits.
        for (spacing, unlike) in [
            ([1.0, 1.0, 4.0], false),
            ([1.79, 0.67, 2.01], false),
            ([1.81, 1.0, 4.0], true),
            ([1.0, 0.66, 4.0], true),
            ([1.0, 1.0, 1.99], true),
            ([1.0, 1.0, 9.1], true),
        ] {
            let found = facts.unlike_spacing(spacing);
            assert_eq!(found.is_some(), unlike, "{spacing:?}: {found:?}");
        }
        let unknown = DatasetFacts {
            spacing_mm: None,
            ..facts
        };
        assert_eq!(unknown.unlike_spacing([99.0; 3]), None);
    }
}
