//! `lacuna study-run`: one run of a study, trained and tested; what the
//! executors of `lacuna sweep` start.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use clap::ValueEnum;
use lacuna_data::manifest::{Manifest, Subject};
use lacuna_evaluate::{Request, reference_of};
use lacuna_metrics::{Options, Probabilities, Reliability};
use lacuna_record::{
    Outcome, State, StudyFolder, Summary, prediction_path, read_events, unix_time, write_json,
};
use lacuna_study::hold_run;
use lacuna_train::apply::TrainedRun;
use lacuna_train::config::RunConfig;
use lacuna_train::device::DeviceName;
use lacuna_train::outputs::Outputs;
use lacuna_train::predict::Session;
use lacuna_train::run::RunError;

use super::evaluate::evaluate_with_progress;
use super::train::train_with_progress;
use crate::DeviceArgument;
use crate::terminal::{Progress, stop_flag};

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of a study, made by `lacuna sweep`
    folder: PathBuf,
    /// Name of the run
    run: String,
    /// Stop with a checkpoint when standard input ends
    #[arg(long)]
    attended: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let folder = StudyFolder(arguments.folder.clone());
    let study = folder.existing_study()?;
    let name = arguments.run.as_str();
    if !study.runs.iter().any(|r| r.name == name) {
        bail!(
            "{}: the study has no run `{name}`; its runs are listed in study.json",
            folder.path().display()
        );
    }
    let device = DeviceArgument::from_str(&study.device, false)
        .map_err(|e| anyhow!("the study's `device`: {e}"))?;
    let _lock = lock(&folder, name)?;
    let stop = stop_flag()?;
    if arguments.attended {
        stop_at_end_of_input(&stop);
    }
    let mut status = folder.status(name)?;
    if status.state == State::Done {
        return super::print(&format!("{name} is done already\n"));
    }
    let started = Instant::now();
    status.state = State::Running;
    status.message = None;
    status.attempts += 1;
    status.job = std::env::var("SLURM_JOB_ID").ok();
    folder.write_status(name, &status)?;

    let ended = work(&folder, name, device.into(), &stop);
    status.seconds += started.elapsed().as_secs_f64();
    let (state, code) = match &ended {
        Ok(true) => (State::Done, ExitCode::SUCCESS),
        Ok(false) => (State::Interrupted, ExitCode::from(super::INTERRUPTED)),
        Err(error) if matches!(error.downcast_ref(), Some(RunError::Stopped)) => {
            (State::Interrupted, ExitCode::from(super::INTERRUPTED))
        }
        Err(error) => {
            status.message = Some(crate::message(error));
            (State::Failed, ExitCode::FAILURE)
        }
    };
    status.state = state;
    folder.write_status(name, &status)?;
    match (state, ended) {
        (State::Failed, Err(error)) => Err(error),
        _ => Ok(code),
    }
}

/// Holds the run until the value is dropped.
fn lock(folder: &StudyFolder, name: &str) -> anyhow::Result<File> {
    hold_run(folder, name)?.with_context(|| {
        format!(
            "the run `{name}` of {} is in use by another lacuna process; wait for it or stop it",
            folder.path().display()
        )
    })
}

/// The executor holds the other end, so that a run does not outlive it.
fn stop_at_end_of_input(stop: &Arc<AtomicBool>) {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        let mut buffer = [0; 64];
        while input.read(&mut buffer).is_ok_and(|read| read > 0) {}
        stop.store(true, Ordering::Relaxed);
    });
}

/// Trains, or goes on training, then tests; false when stopped before the end.
fn work(
    folder: &StudyFolder,
    name: &str,
    device: DeviceName,
    stop: &AtomicBool,
) -> anyhow::Result<bool> {
    let config = RunConfig::read(&folder.config(name), &[])?;
    let run = folder.run(name);
    let resume = run.join("run.toml").exists();
    let trained = resume && Summary::read(&run).is_ok_and(|s| s.finished);
    if !trained && !train_with_progress(&config, &run, resume, device, stop)?.finished {
        return Ok(false);
    }
    let started = Instant::now();
    test(&run, device, stop)?;
    let events = read_events(&run)?;
    Outcome {
        train_seconds: events.iter().map(|e| e.seconds).sum(),
        test_seconds: started.elapsed().as_secs_f64(),
        threads: rayon::current_num_threads(),
        wall_time: unix_time(),
    }
    .write(&run)?;
    Ok(true)
}

/// Predicts and scores the test subjects, when the split has any.
fn test(run: &Path, device: DeviceName, stop: &AtomicBool) -> anyhow::Result<()> {
    let trained = TrainedRun::open(run, &device.open()?, None)?;
    let ids = &trained.facts.split.test;
    if ids.is_empty() {
        return Ok(());
    }
    let manifest = Manifest::read(&trained.config.dataset)?;
    let folder = run.join("test");
    let predictions = folder.join("predictions");
    super::create_folder(&predictions)?;
    let mut reliability = Reliability::default();
    let mut bar = Progress::new("test", 0, 1000 * ids.len() as u64);
    for (number, id) in ids.iter().enumerate() {
        let subject = manifest.subject(id)?;
        let path = prediction_path(&predictions, id);
        let session = Session {
            probabilities: true,
            ..Session::new(stop)
        };
        let predicted = trained.predict(&manifest, subject, session, &mut |done, total| {
            let share = 1000 * done as u64 / total.max(1) as u64;
            bar.at(1000 * number as u64 + share, id);
        })?;
        predicted.write_labels(&path)?;
        judge(
            &mut reliability,
            trained.outputs(),
            &manifest,
            subject,
            &predicted,
        )?;
    }
    bar.finish();
    let options = Options {
        regions: trained.config.regions.clone(),
        ..Options::default()
    };
    evaluate_with_progress(&Request {
        manifest: &manifest,
        predictions: &predictions,
        out: &folder,
        subjects: ids,
        options,
        overlay: None,
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
    predicted: &lacuna_train::apply::PredictedSubject,
) -> anyhow::Result<()> {
    let Some(probabilities) = &predicted.probabilities else {
        return Ok(());
    };
    let reference = reference_of(manifest, subject)?;
    let foreground = outputs.foreground(probabilities);
    reliability
        .add(&Probabilities {
            foreground: &foreground,
            reference: reference.data(),
            prediction: predicted.labels.data(),
            mask: predicted.mask.as_ref().map(|m| m.data()),
        })
        .with_context(|| format!("subject `{}`", subject.id))
}
