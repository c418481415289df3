//! The page of any result: a study, a run, an evaluation.
//!
//! What a folder holds is told by its files; a page is one HTML file, with its tables and
//! figures beside it.

use std::path::{Path, PathBuf};

use lacuna_data::manifest::Manifest;
use lacuna_evaluate::{EvaluateError, error_page};
use lacuna_io::text::read_bytes;
use lacuna_nets::Architecture;
use lacuna_record::{
    Evaluation, Overlay, PREDICTION_ENDING, RecordError, StudyFolder, Summary, ValidationPictures,
    read_events, read_json, read_validation,
};
use lacuna_report::study::{Example, ExampleError, StudyError, StudyReport, StudyResults};
use lacuna_report::{Fact, Picture, RunPage};
use lacuna_train::config::RunConfig;
use lacuna_train::run::{DatasetFacts, RunError};
use lacuna_volume::PatchSize;
use toml::{Table, Value};

/// The most bytes of a picture.
const MOST_PICTURE_BYTES: u64 = 64 << 20;

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// Of `lacuna sweep`.
    Study,
    /// Of `lacuna train`.
    Run,
    /// Of `lacuna evaluate`.
    Evaluation,
    /// Of `lacuna auto`, which has written its page.
    Auto {
        /// The page.
        page: PathBuf,
    },
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The folder is not there.
    #[error("{folder}: there is no such folder; give that of a study, a run or an evaluation", folder = folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds no result.
    #[error(
        "{folder}: found no study (study.json or results.jsonl.gz), no run (run.toml and events.jsonl), no evaluation \
         (summary.json of `lacuna evaluate`) and no page of `lacuna auto`{below}", folder = folder.display()
    )]
    NoResult {
        /// The folder.
        folder: PathBuf,
        /// Results in folders below it, in words; empty without any.
        below: String,
    },
    /// `lacuna auto` has not come to its end.
    #[error("{folder}: `lacuna auto` has not written its page yet; the same command goes on, or give a run or an evaluation below it", folder = folder.display())]
    Unfinished {
        /// The folder.
        folder: PathBuf,
    },
    /// A file of a result.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A run's configuration.
    #[error(transparent)]
    Run(Box<RunError>),
    /// A study's report.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// An evaluation's files.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
}

impl From<RunError> for PageError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

impl Held {
    /// What `folder` holds.
    ///
    /// # Errors
    /// [`PageError::NoFolder`], [`PageError::NoResult`], [`PageError::Unfinished`]
    pub fn of(folder: &Path) -> Result<Self, PageError> {
        if !folder.is_dir() {
            let folder = folder.to_owned();
            return Err(PageError::NoFolder { folder });
        }
        if let Some(held) = held(folder) {
            return Ok(held);
        }
        let folder = folder.to_owned();
        if folder.join("plan.json").exists() {
            return Err(PageError::Unfinished { folder });
        }
        let mut below: Vec<String> = std::fs::read_dir(&folder)
            .map_err(RecordError::io(&folder))?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_dir() && held(path).is_some())
            .map(|path| path.display().to_string())
            .collect();
        below.sort();
        let below = match below.is_empty() {
            true => String::new(),
            false => format!("; there is {}", below.join(", ")),
        };
        Err(PageError::NoResult { folder, below })
    }
}

fn held(folder: &Path) -> Option<Held> {
    let has = |name: &str| folder.join(name).exists();
    match () {
        () if has("study.json") || has("results.jsonl.gz") => Some(Held::Study),
        () if has("plan.json") && has("report.html") => Some(Held::Auto {
            page: folder.join("report.html"),
        }),
        () if has("run.toml") && has("events.jsonl") => Some(Held::Run),
        // Other programs write a summary.json too; beside scores.csv it is ours, and a damaged one is
        // told when it is read.
        () if has("summary.json")
            && (has("scores.csv") || matches!(Evaluation::read(folder), Ok(Some(_)))) =>
        {
            Some(Held::Evaluation)
        }
        () => None,
    }
}

/// The page of the study in `folder`, whose runs may be under way.
///
/// # Errors
/// When a file cannot be read, or scores cannot be compared.
pub fn of_study(folder: &StudyFolder, results: &StudyResults) -> Result<StudyReport, PageError> {
    let read = |run: &str, subject: &str| -> Result<Option<Example>, ExampleError> {
        let predictions = folder.run(run).join("test/predictions");
        example(&folder.config(run), subject, &predictions)
    };
    Ok(StudyReport::of(results, &read)?)
}

/// The volumes of an example; none when the study did not keep the prediction.
fn example(
    config: &Path,
    subject: &str,
    predictions: &Path,
) -> Result<Option<Example>, ExampleError> {
    if !lacuna_record::prediction_path(predictions, subject, PREDICTION_ENDING).exists() {
        return Ok(None);
    }
    let config = RunConfig::read(config, &[])?;
    let manifest = Manifest::read(&config.dataset)?;
    let example = lacuna_evaluate::example(&manifest, subject, predictions)?;
    Ok(Some(example))
}

/// The page of the run in `folder`, which may be under way.
///
/// # Errors
/// When a file cannot be read or is not what a run writes.
pub fn of_run(folder: &Path) -> Result<RunPage, PageError> {
    let config = RunConfig::read(&folder.join("run.toml"), &[]).map_err(RunError::from)?;
    let dataset: DatasetFacts = read_json(folder, "dataset.json")?;
    let events = read_events(folder)?;
    let summary = match folder.join("summary.json").exists() {
        true => Some(Summary::read(folder)?),
        false => None,
    };
    let schedule = config.train.schedule();
    let drawn = ValidationPictures::read(folder)?;
    Ok(RunPage {
        title: format!("Run {}", folder.display()),
        configuration: configuration(&config, &dataset)?,
        rates: (events.iter())
            .map(|event| schedule.rate(event.iteration.saturating_sub(1)))
            .collect(),
        patches_per_iteration: config.train.batch * config.train.accumulate,
        validation: read_validation(folder)?,
        pictures: drawn.map(|drawn| (drawn.iteration, pictures(folder, drawn))),
        events,
        summary,
    })
}

/// The pictures of validation subjects; those that a training is replacing are left out. The
/// record may come from elsewhere: no file of another folder is read.
fn pictures(run: &Path, drawn: ValidationPictures) -> Vec<Picture> {
    let read = |overlay: Overlay| {
        let name = overlay.file.file_name()?;
        let file = run.join(ValidationPictures::FOLDER).join(name);
        let title = file.file_stem()?.to_string_lossy().into_owned();
        Some(Picture {
            title,
            caption: overlay.caption,
            png: read_bytes(&file, MOST_PICTURE_BYTES).ok()?,
            size: overlay.size,
        })
    };
    drawn.pictures.into_iter().filter_map(read).collect()
}

/// The configuration in short.
fn configuration(config: &RunConfig, dataset: &DatasetFacts) -> Result<Vec<Fact>, PageError> {
    let architecture = Architecture::of(&config.model).map_err(RunError::from)?;
    let [_, effective] = (architecture.patch(config.patch.size)).map_err(RunError::from)?;
    let effective = PatchSize::of(effective, architecture.rank());
    // As run.toml says it, names of options included.
    let asked: Table = (config.to_toml().map_err(RunError::from)?.parse()).unwrap_or_default();
    let said = |section: &str, key: &str| {
        let value = asked.get(section).and_then(|section| section.get(key));
        value.map_or_else(String::new, in_words)
    };
    let split = &dataset.split;
    let [learnt, validation, test] = [&split.train, &split.validation, &split.test].map(Vec::len);
    let train = &config.train;
    Ok(vec![
        Fact::new(
            "Dataset",
            format!("{} ({})", dataset.name, config.dataset.display()),
        ),
        Fact::new(
            "Subjects",
            format!("{learnt} to train, {validation} to validate, {test} to test"),
        ),
        Fact::new("Modalities", dataset.modalities.join(", ")),
        Fact::new("Classes", dataset.classes.join(", ")),
        Fact::new(
            "Network",
            format!("{}, width {}", config.model.name, config.model.width),
        ),
        Fact::new("Loss", asked.get("loss").map_or_else(String::new, in_words)),
        Fact::new(
            "Patch",
            format!("{}, of which {effective} is predicted", config.patch.size),
        ),
        Fact::new("Sampler", said("patch", "sampler")),
        Fact::new("Normalisation", said("normalise", "method")),
        Fact::new(
            "Transforms",
            asked
                .get("transform")
                .map_or_else(|| "none".to_owned(), in_words),
        ),
        Fact::new("Iterations", train.iterations),
        Fact::new(
            "Batch",
            format!(
                "{} patches, {} batch(es) an iteration",
                train.batch, train.accumulate
            ),
        ),
        Fact::new("Optimiser", said("train", "optimiser")),
        Fact::new(
            "Learning rate",
            format!(
                "{}, {}, warm-up {}",
                train.learning_rate,
                said("train", "schedule"),
                train.warm_up
            ),
        ),
        Fact::new("Average of weights", train.ema),
        Fact::new("Seed", config.seed),
    ])
}

/// A value of run.toml in short: of what has a name, the name, and of a sum its terms.
fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let words: Vec<String> = values.iter().map(in_words).collect();
            words.join(", ")
        }
        Value::Table(table) => match (table.get("terms"), table.get("name"), table.get("loss")) {
            (Some(terms), ..) => in_words(terms).replace(", ", " + "),
            (_, Some(name), _) => in_words(name),
            (.., Some(loss)) => in_words(loss),
            _ => {
                let parts = table.iter().map(|(key, value)| format!("{key} {value}"));
                parts.collect::<Vec<_>>().join(" ")
            }
        },
        other => other.to_string(),
    }
}

/// The page of the evaluation in `folder`: with `dataset`, else the manifest that it was
/// made with if that is still there. `on_subject` hears (subjects done, subjects in all).
///
/// # Errors
/// When a file cannot be read, or the manifest lacks a subject.
pub fn of_evaluation(
    folder: &Path,
    dataset: Option<&Path>,
    on_subject: &mut dyn FnMut(usize, usize),
) -> Result<StudyReport, PageError> {
    let missing = || RecordError::NotARun {
        run: folder.to_owned(),
        missing: "summary.json",
    };
    let evaluation = Evaluation::read(folder)?.ok_or_else(missing)?;
    let recorded = evaluation.dataset.as_deref().filter(|path| path.exists());
    let manifest = (dataset.or(recorded))
        .map(Manifest::read)
        .transpose()
        .map_err(EvaluateError::from)?;
    Ok(error_page(
        &evaluation,
        folder,
        manifest.as_ref(),
        on_subject,
    )?)
}
