//! The whole way on a phantom cohort: it is made, trained on, predicted, scored, and told
//! in a page.
//!
//! ```text
//! OUT/cohort/         phantoms and their manifest
//! OUT/run.toml        the run that is trained
//! OUT/run/            its folder
//! OUT/predictions/    label maps of the held-out subjects
//! OUT/evaluation/     their scores and pictures
//! OUT/report.html     all of it on one page
//! ```

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use lacuna_data::manifest::Manifest;
use lacuna_data::phantom::{PhantomConfig, PhantomError, write_cohort};
use lacuna_evaluate::{EvaluateError, Request, error_page, evaluate};
use lacuna_metrics::Options;
use lacuna_record::{Evaluation, Existing, PREDICTION_ENDING, RecordError, Summary, check_folder};
use lacuna_report::study::{StudyReport, html};
use lacuna_train::apply::TrainedRun;
use lacuna_train::checkpoint::Choice;
use lacuna_train::config::RunConfig;
use lacuna_train::device::DeviceName;
use lacuna_train::into_folder::{At, Target};
use lacuna_train::predictor::Predictor;
use lacuna_train::run::RunError;
use lacuna_train::training::{Progress, train};

use crate::page::PageError;

/// The run that the demo trains; the rest are defaults.
const RUN: &str = include_str!("demo.toml");

/// What a demo under way tells.
pub enum DemoStep<'a> {
    /// These phantoms are about to be made.
    Phantoms(&'a PhantomConfig),
    /// The run of this file is about to be trained.
    Training(&'a Path),
    /// Of the training.
    Train(Progress<'a>),
    /// The run in this folder has ended so.
    Trained(&'a Summary, &'a Path),
    /// These subjects are about to be predicted.
    Predicting(&'a [String]),
    /// Of the prediction.
    Predict(At<'a>),
    /// The predictions are about to be scored.
    Evaluating,
    /// Subjects that are scored, of how many.
    Scored(usize, usize),
}

/// What a demo has made.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The scores of the held-out subjects.
    pub evaluation: Evaluation,
    /// The page.
    pub page: PathBuf,
}

/// Why a demo ends early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// The folder holds something.
    #[error("{folder} is not empty: found {found}; give --out a new or an empty folder")]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
        /// One of its entries.
        found: String,
    },
    /// The phantoms cannot be made.
    #[error(transparent)]
    Phantom(#[from] PhantomError),
    /// Training or prediction failed, or was stopped.
    #[error(transparent)]
    Run(Box<RunError>),
    /// The predictions cannot be scored.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The page cannot be made.
    #[error(transparent)]
    Page(#[from] PageError),
}

impl From<RunError> for DemoError {
    fn from(error: RunError) -> Self {
        Self::Run(Box::new(error))
    }
}

/// Goes the whole way into the new or empty folder `out`, on the processor. `None` when
/// `stop` ended the training.
///
/// # Errors
/// [`DemoError`]
pub fn demo(
    out: &Path,
    seed: u64,
    stop: &AtomicBool,
    told: &mut dyn FnMut(DemoStep<'_>),
) -> Result<Option<Shown>, DemoError> {
    check_folder(out)?;
    if let Some(found) = std::fs::read_dir(out).into_iter().flatten().next() {
        let found = found.map_err(RecordError::io(out))?.file_name();
        return Err(DemoError::NotEmpty {
            folder: out.to_owned(),
            found: found.display().to_string(),
        });
    }
    std::fs::create_dir_all(out).map_err(RecordError::io(out))?;
    let phantoms = PhantomConfig {
        seed,
        ..PhantomConfig::default()
    };
    told(DemoStep::Phantoms(&phantoms));
    let dataset = write_cohort(&phantoms, &out.join("cohort"))?;

    let run_toml = out.join("run.toml");
    let text = format!("seed = {seed}\n{RUN}");
    write(&run_toml, text.as_bytes())?;
    let config = RunConfig::read(&run_toml, &[]).map_err(RunError::from)?;
    let run = out.join("run");
    told(DemoStep::Training(&run_toml));
    let device = DeviceName::Cpu.open().map_err(RunError::from)?;
    let summary = train(&config, &run, false, &device, stop, &mut |step| {
        told(DemoStep::Train(step));
    })?;
    told(DemoStep::Trained(&summary, &run));
    if !summary.finished {
        return Ok(None);
    }

    let predictions = out.join("predictions");
    let predictor = Predictor::from(TrainedRun::open(&run, Choice::Last, &device, None)?);
    let manifest = Manifest::read(&dataset).map_err(RunError::from)?;
    let test = &predictor.first().facts.split.test;
    told(DemoStep::Predicting(test));
    let target = Target {
        folder: &predictions,
        ending: PREDICTION_ENDING,
        probabilities: false,
        spread: false,
        label_values: false,
        existing: Existing::Refuse,
    };
    let session = predictor.session(stop);
    predictor.predict_into(&manifest, test, &target, session, &mut |at| {
        told(DemoStep::Predict(at));
    })?;

    told(DemoStep::Evaluating);
    let folder = out.join("evaluation");
    let request = Request {
        manifest: &manifest,
        predictions: &predictions,
        out: &folder,
        subjects: &[],
        options: Options::default(),
        label_values: false,
        force: false,
        overlay: None,
    };
    let evaluation = evaluate(&request, &mut |done, total| {
        told(DemoStep::Scored(done, total));
    })?;
    let report = report(&run, &evaluation, &manifest)?;
    let page = out.join("report.html");
    write(&page, html(&report).as_bytes())?;
    Ok(Some(Shown { evaluation, page }))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    Ok(lacuna_io::atomic::write_bytes(path, bytes)?)
}

/// One page of the run and of what it predicts.
fn report(
    run: &Path,
    evaluation: &Evaluation,
    manifest: &Manifest,
) -> Result<StudyReport, DemoError> {
    let trained = crate::page::of_run(run)?;
    let judged = error_page(evaluation, run, Some(manifest), &mut |_, _| {})?;
    let synthetic = "The cohort is synthetic; the figures say that the software works, not how \
                     well it does on patients.";
    Ok(StudyReport {
        title: "Lacuna demo".to_owned(),
        description: format!(
            "Phantom brains with rare lesions: trained, predicted and scored. {synthetic}"
        ),
        facts: [trained.facts(), judged.facts].concat(),
        sections: [trained.sections(), judged.sections].concat(),
        abbreviations: judged.abbreviations,
    })
}
