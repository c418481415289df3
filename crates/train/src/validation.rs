//! Whole-volume scores of the validation subjects during training,
//! `validation.jsonl`: one line per subject and time; and pictures of the worst at the last time.

mod pictures;

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use lacuna_data::cohort::Cohort;
use lacuna_io::atomic::remove_folder;
use lacuna_metrics::{Confusion, Lesions, MaskPair, without_ignored};
use lacuna_record::{ValidationPictures, ValidationScore, read_validation};
use lacuna_volume::is_foreground;

use crate::predict::{Session, WindowModel, predict_case};
use crate::run::RunError;
use pictures::Pictures;

/// The validation subjects at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Validation {
    /// After this iteration.
    pub iteration: u64,
    /// Mean foreground DSC over whole volumes (1 when both sides are empty).
    pub dsc: f64,
    /// Mean F1 of lesions by the convention "wmh" over whole volumes; version 0.1.0 did
    /// not take it.
    pub lesion_f1: Option<f64>,
    /// What the best checkpoint is chosen by: the mean, over subjects, of the DSC of the
    /// classes and the F1 of lesions together.
    pub score: Option<f64>,
}

/// What the best checkpoint is chosen by, of one subject.
fn score_of(line: &ValidationScore) -> Option<f64> {
    Some((line.class_dsc? + line.lesion_f1?) / 2.0)
}

/// Predicts every case and appends the lines of all, or nothing; then draws the worst on their
/// image `shown`, counted among those of the network. `begun` is told the place of each case
/// before it is predicted.
///
/// # Errors
/// When prediction or writing fails, [`RunError::Stopped`] when `stop` is set.
pub fn score(
    run: &Path,
    iteration: u64,
    model: &dyn WindowModel,
    (cohort, shown): (&Cohort, usize),
    stop: &AtomicBool,
    begun: &mut dyn FnMut(usize),
) -> Result<Validation, RunError> {
    let mut lines = Vec::new();
    let mut pictures = Pictures::default();
    for subject in 0..cohort.len() {
        begun(subject);
        let case = cohort.case(subject)?;
        let prediction = predict_case(model, &case, Session::new(stop), &mut |_, _| {})?;
        let Some(reference) = &case.label else {
            continue;
        };
        let found = without_ignored(reference, &prediction.labels);
        let classes = model.outputs().classes();
        let confusion = Confusion::of(reference.data(), found.data(), classes)?;
        let lesions = Lesions::find(&MaskPair::of_labels(reference, &found, is_foreground)?);
        let line = ValidationScore {
            iteration,
            subject: case.id.clone(),
            dsc: confusion.foreground().dsc(),
            class_dsc: Some(class_dsc(&confusion)),
            lesion_f1: Some(lesions.wmh().f1),
        };
        pictures.add(&line, &case.channels[shown], reference, &found)?;
        lines.push(line);
    }
    let path = run.join("validation.jsonl");
    let mut text = Vec::new();
    OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| {
            write_lines(&mut text, &lines)?;
            file.write_all(&text)?;
            file.sync_data()
        })
        .map_err(RunError::io(&path))?;
    pictures.write(run, iteration)?;
    Ok(mean(iteration, &lines))
}

/// Mean DSC of the classes but the first.
fn class_dsc(confusion: &Confusion) -> f64 {
    let classes = 1..confusion.classes();
    let sum: f64 = classes.clone().map(|c| confusion.class(c).dsc()).sum();
    sum / classes.len().max(1) as f64
}

/// Keeps the lines and pictures up to `iteration`, drops those that an interrupted session
/// wrote after its last checkpoint and those that do not cover all `subjects`,
/// and returns what is kept, oldest first.
///
/// # Errors
/// When the file cannot be read or written.
pub fn keep(run: &Path, iteration: u64, subjects: usize) -> Result<Vec<Validation>, RunError> {
    if ValidationPictures::read(run)?.is_some_and(|drawn| drawn.iteration > iteration) {
        remove_folder(&run.join(ValidationPictures::FOLDER))?;
    }
    let path = run.join("validation.jsonl");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let lines = read_validation(run)?;
    let times = (lines.chunk_by(|a, b| a.iteration == b.iteration))
        .filter(|time| time[0].iteration <= iteration && time.len() == subjects);
    lacuna_io::atomic::write_atomic(&path, |w| {
        times
            .clone()
            .try_for_each(|time| write_lines(&mut *w, time))
    })?;
    Ok(times.map(|time| mean(time[0].iteration, time)).collect())
}

fn mean(iteration: u64, lines: &[ValidationScore]) -> Validation {
    let sum: f64 = lines.iter().map(|line| line.dsc).sum();
    let mean = |of: fn(&ValidationScore) -> Option<f64>| {
        let values: Option<Vec<f64>> = lines.iter().map(of).collect();
        values.map(|values| values.iter().sum::<f64>() / lines.len() as f64)
    };
    Validation {
        iteration,
        dsc: sum / lines.len() as f64,
        lesion_f1: mean(|line| line.lesion_f1),
        score: mean(score_of),
    }
}

fn write_lines(w: &mut dyn Write, lines: &[ValidationScore]) -> std::io::Result<()> {
    for line in lines {
        serde_json::to_writer(&mut *w, line)?;
        w.write_all(b"\n")?;
    }
    Ok(())
}
