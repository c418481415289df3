//! One run of a study, trained, tested and recorded; what the executors start as
//! processes.

use std::borrow::Cow;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use lacuna_data::manifest::{Manifest, Subject};
use lacuna_evaluate::{Request, evaluate, reference_of, regions_with, shown};
use lacuna_metrics::{Options, Probabilities, Reliability};
use lacuna_record::{
    Existing, Outcome, PREDICTION_ENDING, State, StudyFolder, Summary, read_events, unix_time,
    write_json,
};
use lacuna_train::apply::{PredictedSubject, TrainedRun};
use lacuna_train::checkpoint::Choice;
use lacuna_train::config::RunConfig;
use lacuna_train::device::DeviceName;
use lacuna_train::into_folder::Target;
use lacuna_train::outputs::Outputs;
use lacuna_train::predict::Session;
use lacuna_train::predictor::Predictor;
use lacuna_train::run::RunError;
use lacuna_train::training::{Progress, train};
use lacuna_volume::IGNORED;

use crate::StudyError;
use crate::folder::hold_run;
use crate::plan::device;

/// What a run under way tells.
pub enum RunStep<'a> {
    /// Of its training.
    Training(Progress<'a>),
    /// Of its training, once ended.
    Trained(&'a Summary),
    /// Thousandths of the test that are predicted, of how many, and whose.
    Predicted(u64, u64, &'a str),
    /// Subjects that are scored, of how many.
    Scored(usize, usize),
}

/// Trains the run `name` of a study, or goes on training it, then tests it, and
/// records how it stands. The state is [`State::Done`] or, when `stop` was set,
/// [`State::Interrupted`].
///
/// # Errors
/// When there is no such run, another process holds it, or it fails; the failure is
/// recorded.
pub fn execute_run(
    folder: &StudyFolder,
    name: &str,
    stop: &AtomicBool,
    told: &mut dyn FnMut(RunStep),
) -> Result<State, StudyError> {
    let study = folder.existing_study()?;
    if !study.runs.iter().any(|r| r.name == name) {
        return Err(StudyError::NoRun {
            folder: folder.path().to_owned(),
            run: name.to_owned(),
        });
    }
    let device = device(&study.device).ok_or_else(|| StudyError::Study {
        path: folder.path().join("study.json"),
        message: format!("`device` is {:?}; start the sweep again", study.device),
    })?;
    let Some(_held) = hold_run(folder, name)? else {
        return Err(StudyError::RunLocked {
            folder: folder.path().to_owned(),
            run: name.to_owned(),
        });
    };
    let mut status = folder.status(name)?;
    if status.state == State::Done {
        return Ok(State::Done);
    }
    let started = Instant::now();
    status.state = State::Running;
    status.message = None;
    status.attempts += 1;
    status.job = std::env::var("SLURM_JOB_ID").ok();
    folder.write_status(name, &status)?;

    let ended = train_and_test(folder, name, device, stop, told);
    status.seconds += started.elapsed().as_secs_f64();
    let ended = match ended {
        Err(StudyError::Train(e)) if matches!(*e, RunError::Stopped) => Ok(State::Interrupted),
        ended => ended,
    };
    (status.state, status.message) = match &ended {
        Ok(state) => (*state, None),
        Err(error) => (State::Failed, Some(error.to_string())),
    };
    folder.write_status(name, &status)?;
    ended
}

fn train_and_test(
    folder: &StudyFolder,
    name: &str,
    device: DeviceName,
    stop: &AtomicBool,
    told: &mut dyn FnMut(RunStep),
) -> Result<State, StudyError> {
    let config = RunConfig::read(&folder.config(name), &[]).map_err(RunError::from)?;
    let run = folder.run(name);
    let resume = run.join("run.toml").exists();
    let trained = resume && Summary::read(&run).is_ok_and(|s| s.finished);
    if !trained {
        let device = device.open().map_err(RunError::from)?;
        let summary = train(&config, &run, resume, &device, stop, &mut |step| {
            told(RunStep::Training(step));
        })?;
        told(RunStep::Trained(&summary));
        if !summary.finished {
            return Ok(State::Interrupted);
        }
    }
    let started = Instant::now();
    test(&run, device, stop, told)?;
    let events = read_events(&run)?;
    Outcome {
        train_seconds: events.iter().map(|e| e.seconds).sum(),
        test_seconds: started.elapsed().as_secs_f64(),
        threads: rayon::current_num_threads(),
        wall_time: unix_time(),
    }
    .write(&run)?;
    Ok(State::Done)
}

/// Predicts and scores the test subjects, when the split has any.
fn test(
    run: &Path,
    device: DeviceName,
    stop: &AtomicBool,
    told: &mut dyn FnMut(RunStep),
) -> Result<(), StudyError> {
    let device = device.open().map_err(RunError::from)?;
    let predictor = Predictor::from(TrainedRun::open(run, Choice::Last, &device, None)?);
    let trained = predictor.first();
    let ids = &trained.facts.split.test;
    if ids.is_empty() {
        return Ok(());
    }
    let manifest = Manifest::read(&trained.config.dataset).map_err(RunError::from)?;
    let folder = run.join("test");
    let predictions = folder.join("predictions");
    let target = Target {
        folder: &predictions,
        ending: PREDICTION_ENDING,
        probabilities: false,
        spread: false,
        label_values: false,
        // What an attempt that was cut off has left.
        existing: Existing::Replace,
    };
    let (mut written, _) = predictor.open_folder(&manifest, ids, &target)?;
    let mut reliability = Reliability::default();
    for (number, id) in ids.iter().enumerate() {
        let subject = manifest.subject(id).map_err(RunError::from)?;
        let session = Session {
            probabilities: true,
            ..predictor.session(stop)
        };
        let predicted = predictor.predict(&manifest, subject, session, &mut |done, total| {
            let share = 1000 * done as u64 / total.max(1) as u64;
            let done = 1000 * number as u64 + share;
            told(RunStep::Predicted(done, 1000 * ids.len() as u64, id));
        })?;
        let path = written.start(id)?;
        predicted.write_labels(&path, None)?;
        written.done(id, predicted.cleaned.clone())?;
        judge(
            &mut reliability,
            predictor.outputs(),
            &manifest,
            subject,
            &predicted,
        )?;
    }
    let request = Request {
        manifest: &manifest,
        predictions: &predictions,
        out: &folder,
        subjects: ids,
        options: Options {
            regions: regions_with(&manifest, &trained.config.regions),
            ..Options::default()
        },
        label_values: false,
        // What an attempt that was cut off has left.
        force: true,
        overlay: None,
    };
    evaluate(&request, &mut |done, total| {
        told(RunStep::Scored(done, total))
    })?;
    write_json(&folder.join("calibration.json"), &reliability)?;
    Ok(())
}

/// Adds the voxels of one subject.
fn judge(
    reliability: &mut Reliability,
    outputs: &Outputs,
    manifest: &Manifest,
    subject: &Subject,
    predicted: &PredictedSubject,
) -> Result<(), StudyError> {
    let Some(probabilities) = &predicted.probabilities else {
        return Ok(());
    };
    let reference = reference_of(manifest, subject)?;
    let foreground = outputs.foreground(probabilities);
    let inside = match (reference.data().contains(&IGNORED), &predicted.mask) {
        (false, mask) => mask.as_ref().map(|mask| Cow::Borrowed(mask.data())),
        (true, mask) => {
            let known = reference.data().iter().enumerate();
            let masked = |at: usize| mask.as_ref().is_none_or(|mask| mask.data()[at]);
            let known = known.map(|(at, label)| *label != IGNORED && masked(at));
            Some(Cow::Owned(known.collect::<Vec<bool>>()))
        }
    };
    let reference = shown(&reference);
    let probabilities = Probabilities {
        foreground: &foreground,
        reference: reference.data(),
        prediction: predicted.labels.data(),
        mask: inside.as_deref(),
    };
    (reliability.add(&probabilities)).map_err(|source| StudyError::Reliability {
        subject: subject.id.clone(),
        source,
    })
}
