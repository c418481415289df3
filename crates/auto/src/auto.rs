//! The whole way from a dataset to a model.
//!
//! ```text
//! AUTO/plan.json ...      the plan, see [`crate::plan`]
//! AUTO/choices/           the length of each training, as it was chosen, and what it took
//! AUTO/clock.json         time spent
//! AUTO/fold-0, all ...    runs
//! AUTO/out-of-fold/       predictions of held-out subjects, with probabilities
//! AUTO/tuning/            curves, temperature, calibration
//! AUTO/postprocess.toml   what was tuned; absent where nothing was held out
//! AUTO/tuned/             the out-of-fold label maps by it
//! AUTO/evaluation/        scores: tuned/ and, as the networks gave them, untuned/
//! AUTO/model.json         the runs whose mean is the model
//! AUTO/card.md            what a user of the model should know
//! AUTO/report.html        all of it on one page
//! ```

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::tensor::Device;
use lacuna_data::fingerprint;
use lacuna_data::manifest::Manifest;
use lacuna_record::{Fingerprint, lock};
use lacuna_train::config::RunConfig;
use lacuna_train::into_folder::At;
use lacuna_train::run::RunError;
use lacuna_train::training::Progress;

use crate::card;
use crate::clock::Clock;
use crate::error::AutoError;
use crate::judge::{self, Judged};
use crate::model::Model;
use crate::plan::{Asked, Plan, Speed, Training};
use crate::work::Work;

/// What is being done.
pub enum Step<'a> {
    /// Something to read once.
    Note(String),
    /// Subjects that are read, of how many.
    Read(usize, usize),
    /// The machine's speed is being measured.
    Measuring,
    /// The plan is made, or was before.
    Planned(&'a Plan),
    /// A training begins: its number from 1, of how many, its iterations.
    Training(&'a Training, usize, usize, u64),
    /// Of that training.
    Train(Progress<'a>),
    /// Out-of-fold predictions.
    Predict(At<'a>),
    /// Subjects that are tuned on, of how many.
    Tune(usize, usize),
    /// Subjects that are scored, of how many.
    Scored(usize, usize),
}

/// What came of it.
pub struct Made {
    /// The plan.
    pub plan: Plan,
    /// The model.
    pub model: Model,
    /// How the out-of-fold predictions were judged; `None` where nothing could be held out.
    pub judged: Option<Judged>,
    /// Seconds spent, over all sessions.
    pub seconds: f64,
    /// The page.
    pub page: PathBuf,
}

/// Makes a plan for a dataset in the folder `out`, as `lacuna plan` does. `None` when `stop`
/// was set.
///
/// # Errors
/// [`AutoError`]
pub fn plan(
    asked: &Asked,
    out: &Path,
    device: &Device,
    stop: &AtomicBool,
    told: &mut dyn FnMut(Step<'_>),
) -> Result<Option<Plan>, AutoError> {
    let _held = hold(out, "plan")?;
    let mut clock = Clock::open(out)?;
    let planned = planned(asked, out, device, stop, &mut clock, told)?;
    Ok(planned.map(|(plan, ..)| plan))
}

/// Goes the whole way for a dataset in the folder `out`, or goes on where it was cut off.
/// `None` when `stop` ended it.
///
/// # Errors
/// [`AutoError`]; what was done before stays, and is gone on from.
pub fn auto(
    asked: &Asked,
    out: &Path,
    device: &Device,
    stop: &AtomicBool,
    told: &mut dyn FnMut(Step<'_>),
) -> Result<Option<Made>, AutoError> {
    let _held = hold(out, "auto")?;
    // What is finished is told again, and costs nothing.
    let mut clock = match out.join("model.json").exists() {
        true => Clock::beside(out)?,
        false => Clock::open(out)?,
    };
    let Some((plan, config, fingerprint)) = planned(asked, out, device, stop, &mut clock, told)?
    else {
        return Ok(None);
    };
    let manifest = Manifest::read(&plan.asked.dataset)?;
    let planned = (&plan, &config, &fingerprint);
    let mut work = Work::new(out, planned, &manifest, device, stop)?;
    let mut done = Vec::new();
    for (number, training) in plan.trainings.iter().enumerate() {
        let Some(summary) = work.train(number, training, &mut clock, told)? else {
            return Ok(None);
        };
        done.push(summary);
        if !work.predict(training, &mut clock, told)? {
            return Ok(None);
        }
    }
    let runs = plan.trainings.iter().filter(|t| t.in_model);
    let runs: Vec<String> = runs.map(|t| t.name.clone()).collect();
    let judged = judge::judge(out, &plan, &manifest, stop, &mut |step| {
        clock.tick();
        told(step);
    });
    let judged = match judged {
        Err(AutoError::Run(error)) if matches!(*error, RunError::Stopped) => return Ok(None),
        judged => judged?,
    };
    let model = Model::finish(out, &plan, runs, judged.is_some())?;
    clock.write()?;
    let apart = work.choices.values().filter(|choice| choice.apart);
    let apart: f64 = apart
        .flat_map(|choice| [choice.took, choice.took_predicting])
        .flatten()
        .sum();
    let seconds = clock.spent() + apart;
    let facts = card::Facts {
        plan: &plan,
        fingerprint: &fingerprint,
        judged: judged.as_ref(),
        choices: &work.choices,
        summaries: &done,
        seconds,
        sessions: clock.sessions(),
    };
    let page = card::write(&facts, out)?;
    Ok(Some(Made {
        plan,
        model,
        judged,
        seconds,
        page,
    }))
}

/// Carries out one training of the plan in `out` and predicts what it held out, with all of
/// the time that is left: as a task of an array, beside the others, of which [`auto()`] then
/// makes the model. `false` when `stop` ended it.
///
/// # Errors
/// [`AutoError::NoPlan`], [`AutoError::NoTraining`], and as [`auto()`].
pub fn train_one(
    asked: &Asked,
    name: &str,
    out: &Path,
    device: &Device,
    stop: &AtomicBool,
    told: &mut dyn FnMut(Step<'_>),
) -> Result<bool, AutoError> {
    let (plan, config, fingerprint) = Plan::read(out)?.ok_or_else(|| AutoError::NoPlan {
        folder: out.to_owned(),
    })?;
    check_same(&plan, asked, out)?;
    let number = plan.trainings.iter().position(|t| t.name == name);
    let number = number.ok_or_else(|| AutoError::NoTraining {
        folder: out.to_owned(),
        name: name.to_owned(),
        known: plan
            .trainings
            .iter()
            .map(|t| t.name.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    })?;
    let _held = lock(&out.join(format!(".lock-{name}")))?.ok_or_else(|| AutoError::Locked {
        folder: out.join(name),
    })?;
    let mut clock = Clock::beside(out)?;
    let manifest = Manifest::read(&plan.asked.dataset)?;
    told(Step::Measuring);
    let planned = (&plan, &config, &fingerprint);
    let mut work = Work {
        // This machine may be another than that of the plan.
        speed: Speed::measure(
            &config,
            &manifest,
            device,
            plan.speed.reading,
            fingerprint.spacing_mm.median,
        )?,
        alone: true,
        ..Work::new(out, planned, &manifest, device, stop)?
    };
    let training = &plan.trainings[number];
    match work.train(number, training, &mut clock, told)? {
        Some(_) => work.predict(training, &mut clock, told),
        None => Ok(false),
    }
}

/// A folder while this process works in it.
struct Held {
    _lock: File,
    /// The folder, where it was made to be held.
    made: Option<PathBuf>,
}

/// What was made for a plan that was refused goes again.
impl Drop for Held {
    fn drop(&mut self) {
        let Some(out) = &self.made else { return };
        let others =
            |entries: std::fs::ReadDir| entries.flatten().any(|entry| entry.file_name() != ".lock");
        // Only what is seen to be empty: a folder that cannot be listed stays.
        if std::fs::read_dir(out).is_ok_and(|entries| !others(entries)) {
            let _ = std::fs::remove_file(out.join(".lock"));
            let _ = std::fs::remove_dir(out);
        }
    }
}

/// Creates `out` and holds it; refuses a folder in which no such work has begun.
fn hold(out: &Path, command: &'static str) -> Result<Held, AutoError> {
    lacuna_record::check_folder(out)?;
    // The first and the last that a plan writes.
    let begun = ["fingerprint", "plan.json"].map(|name| out.join(name).exists());
    let begun = begun.contains(&true);
    if !begun && let Ok(entries) = std::fs::read_dir(out) {
        let mut names = entries
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned());
        if let Some(found) = names.find(|name| !name.starts_with('.')) {
            return Err(AutoError::Taken {
                folder: out.to_owned(),
                command,
                found,
            });
        }
    }
    let made = (!out.exists()).then(|| out.to_owned());
    std::fs::create_dir_all(out).map_err(AutoError::io(out))?;
    let held = lock(&out.join(".lock"))?.ok_or_else(|| AutoError::Locked {
        folder: out.to_owned(),
    })?;
    Ok(Held { _lock: held, made })
}

/// The plan in `out`, made when there is none.
fn planned(
    asked: &Asked,
    out: &Path,
    device: &Device,
    stop: &AtomicBool,
    clock: &mut Clock,
    told: &mut dyn FnMut(Step<'_>),
) -> Result<Option<(Plan, RunConfig, Fingerprint)>, AutoError> {
    if let Some((plan, config, fingerprint)) = Plan::read(out)? {
        check_same(&plan, asked, out)?;
        told(Step::Planned(&plan));
        return Ok(Some((plan, config, fingerprint)));
    }
    let manifest = Manifest::read(&asked.dataset)?;
    let started = Instant::now();
    let fingerprint = fingerprint::of(&manifest, &[], &mut |done, total| {
        told(Step::Read(done, total));
    })?;
    if stop.load(Ordering::Relaxed) {
        return Ok(None);
    }
    let reading = started.elapsed().as_secs_f64() / fingerprint.subjects.len().max(1) as f64;
    if !asked.skip_bad {
        fingerprint::refuse_faults(&manifest, &fingerprint)?;
    }
    for fault in &fingerprint.faults {
        told(Step::Note(format!("left out: {}", fault.message)));
    }
    told(Step::Measuring);
    let times = [reading, clock.spent()];
    let (plan, config) = Plan::make(asked, &manifest, &fingerprint, out, device, times)?;
    plan.write(&config, &fingerprint, out)?;
    clock.keep(out)?;
    told(Step::Planned(&plan));
    Ok(Some((plan, config, fingerprint)))
}

/// Refuses to go on with what was begun as something else.
fn check_same(plan: &Plan, now: &Asked, out: &Path) -> Result<(), AutoError> {
    let before = &plan.asked;
    let text = |value: &dyn std::fmt::Debug| format!("{value:?}");
    let pairs = [
        ("dataset", text(&before.dataset), text(&now.dataset)),
        (
            "--budget",
            before.budget.to_string(),
            now.budget.to_string(),
        ),
        ("--structure", text(&before.structure), text(&now.structure)),
        ("--set", text(&before.sets), text(&now.sets)),
        ("--splits", text(&before.splits), text(&now.splits)),
        ("--skip-bad", text(&before.skip_bad), text(&now.skip_bad)),
        ("--seed", text(&before.seed), text(&now.seed)),
    ];
    match pairs.into_iter().find(|(_, before, now)| before != now) {
        // Classes in another order would be scored as others.
        None if lacuna_record::sha256_of(&before.dataset)? != plan.manifest_sha256 => {
            Err(AutoError::Edited {
                folder: out.to_owned(),
                manifest: before.dataset.clone(),
            })
        }
        None => Ok(()),
        Some((what, before, now)) => Err(AutoError::Other {
            folder: out.to_owned(),
            what,
            before,
            now,
        }),
    }
}
