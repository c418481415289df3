//! `lacuna sweep`: every run of a study, as processes of this binary.

mod overview;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::{Context, bail};
use indicatif::HumanDuration;
use lacuna_record::{State, Status, StudyFolder};
use lacuna_study::{
    Estimate, Executor, Plan, Range, StudyError, StudyFile, StudyProgress, check_slurm,
    differences, execute_locally, execute_on_slurm, settle, taken_over,
};
use serde_json::{Value, json};

use crate::terminal::{Progress, stop_flag};
use overview::Overview;

#[derive(clap::Args)]
pub struct Arguments {
    /// The study: base configuration, axes and executor
    study: PathBuf,
    /// Folder for the runs; one that holds the same study is gone on with
    #[arg(long, value_name = "DIR", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// Print the grid with the hours it will take, from a short measurement, and stop
    #[arg(long)]
    dry_run: bool,
    /// Override a key of the base configuration, or of [phantom], for example
    /// --set dataset=brats.toml --set phantom.lesion_masks=masks
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Take the runs that are done in this file over, and do not run them again: what `lacuna
    /// export STUDY results.jsonl.gz` has kept of an earlier sweep
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    results: Option<PathBuf>,
    /// Run those runs only whose names hold this text, for example --only unet-M_1e-4; the others
    /// are left for another time
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        conflicts_with = "dry_run"
    )]
    only: String,
    /// With --dry-run, print one line of JSON in place of the table
    #[arg(long, requires = "dry_run")]
    json: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut study = StudyFile::read(&arguments.study)?;
    study.set(&arguments.overrides)?;
    // Only the paths of phantoms depend on the folder.
    let out = match &arguments.out {
        Some(out) => std::path::absolute(out)?,
        None => PathBuf::new(),
    };
    let plan = Plan::of(&study, &StudyFolder(out))?;
    if arguments.dry_run {
        let estimate = estimate(&plan, &study.executor)?;
        let json = super::Json {
            json: arguments.json,
        };
        return json.print(&as_json(&plan, &estimate), || table(&plan, &estimate));
    }
    match &study.executor {
        Executor::Local(_) => {
            plan.device.open()?;
        }
        // The nodes' devices are theirs to know.
        Executor::Slurm(settings) => check_slurm(settings)?,
    }
    let asked: Vec<&str> = (plan.runs.iter())
        .map(|planned| planned.run.name.as_str())
        .filter(|name| name.contains(&arguments.only))
        .collect();
    if asked.is_empty() {
        let first = plan.runs.first().map_or("", |planned| &planned.run.name);
        bail!(
            "--only {}: no run of the study has this in its name; the first is {first}",
            arguments.only
        );
    }
    let taken = match &arguments.results {
        Some(results) => taken_over(results, &plan)?,
        None => Vec::new(),
    };
    let held = settle(
        &plan.folder,
        &plan.study(),
        &study.text,
        &plan.runs,
        &differences,
    )?;
    for run in &taken {
        run.restore(&held.folder)?;
    }
    if let Some(results) = &arguments.results {
        step!("{} runs are taken from {}", taken.len(), results.display());
    }
    let stop = stop_flag()?;
    plan.make_phantoms(&mut |text| tell!("{text}"))?;
    let folder = &held.folder;
    let mut names = Vec::new();
    for name in &asked {
        if folder.status(name)?.state != State::Done {
            names.push((*name).to_owned());
        }
    }
    step!(
        "study `{}`: {} runs, {} of them done already",
        study.name,
        asked.len(),
        asked.len() - names.len()
    );
    let binary = crate::PROGRAM.get();
    let binary = binary.context("cannot find this program's own file")?;
    let overview = Overview::start(StudyProgress::of(
        &plan,
        &asked,
        names.len(),
        &study.executor,
    ));
    let on_change = &mut |name: &str, status: &Status| overview.changed(name, status);
    let executed = match &study.executor {
        Executor::Local(settings) => {
            execute_locally(folder, &names, settings, binary, &stop, on_change)
        }
        Executor::Slurm(settings) => {
            execute_on_slurm(folder, &names, settings, binary, &stop, on_change)
        }
    };
    overview.finish();
    match executed {
        // Not a failure: the runs go on without this process.
        Err(left @ StudyError::SlurmLeft { .. }) => {
            tell!("{left}");
            return Ok(ExitCode::from(super::INTERRUPTED));
        }
        ended => ended?,
    }
    let (text, done) = summary(folder, &asked)?;
    super::print(&text)?;
    Ok(match (done, stop.load(Ordering::Relaxed)) {
        (true, _) => ExitCode::SUCCESS,
        (false, true) => ExitCode::from(super::INTERRUPTED),
        (false, false) => ExitCode::FAILURE,
    })
}

/// What the runs will cost, from a short measurement.
fn estimate(plan: &Plan, executor: &Executor) -> anyhow::Result<Estimate> {
    let mut bar = Progress::new("measure", 0, plan.runs.len() as u64);
    let estimate = Estimate::of(plan, executor, &mut |done, name| bar.at(done as u64, name))?;
    bar.finish();
    Ok(estimate)
}

/// The grid with estimated hours.
fn as_json(plan: &Plan, estimate: &Estimate) -> Value {
    let range = |r: Range| json!({ "low": r.low, "middle": r.middle, "high": r.high });
    let runs = plan.runs.iter().zip(&estimate.runs).map(|(planned, cost)| {
        json!({
            "run": planned.run,
            "step_seconds": range(cost.step),
            "test_subjects": cost.subjects,
            "hours": range(cost.hours),
        })
    });
    json!({
        "runs": runs.collect::<Vec<_>>(),
        "hours": range(estimate.hours()),
        "jobs": estimate.jobs,
        "threads": estimate.threads,
        "not_counted": Estimate::NOT_COUNTED,
    })
}

/// The grid as a table with estimated hours.
fn table(plan: &Plan, estimate: &Estimate) -> String {
    let mut table = crate::terminal::table([
        "run",
        "patch",
        "batch",
        "iterations",
        "s/iteration",
        "test subjects",
        "hours",
        "from",
        "to",
    ]);
    for (planned, cost) in plan.runs.iter().zip(&estimate.runs) {
        let run = &planned.run;
        table.add_row([
            run.name.clone(),
            format!("{} -> {}", run.patch, run.effective_patch),
            run.batch.to_string(),
            run.iterations.to_string(),
            format!("{:.3}", cost.step.middle),
            cost.subjects.to_string(),
            format!("{:.2}", cost.hours.middle),
            format!("{:.2}", cost.hours.low),
            format!("{:.2}", cost.hours.high),
        ]);
    }
    let (hours, jobs) = (estimate.hours(), estimate.jobs);
    let wall = |hours: f64| {
        HumanDuration(std::time::Duration::from_secs_f64(
            3600.0 * hours / jobs as f64,
        ))
    };
    format!(
        "{table}\n{} runs, {:.1} hours ({:.1} to {:.1}) one after the other with {} thread(s) each; \
         with {jobs} at a time about {} ({} to {})\n\
         median, least and most of {} steps of each kind of run on this machine; {}\n",
        plan.runs.len(),
        hours.middle,
        hours.low,
        hours.high,
        estimate.threads,
        wall(hours.middle),
        wall(hours.low),
        wall(hours.high),
        Estimate::STEPS,
        Estimate::NOT_COUNTED,
    )
}

/// How the runs `names` stand, and whether all of them are done.
fn summary(folder: &StudyFolder, names: &[&str]) -> anyhow::Result<(String, bool)> {
    let mut text = String::new();
    let mut counts = [0usize; 4];
    for name in names {
        let status = folder.status(name)?;
        let place = match status.state {
            State::Done => 0,
            State::Failed => 1,
            State::Killed => 2,
            State::Waiting | State::Running | State::Interrupted => 3,
        };
        counts[place] += 1;
        if place > 0 {
            let why = match (status.message, status.state) {
                (Some(message), _) => message,
                (None, State::Waiting) => "not begun".to_owned(),
                (None, State::Interrupted) => "stopped with a checkpoint".to_owned(),
                (None, _) => format!("see {}", folder.log(name).display()),
            };
            text += &format!("{name}: {}: {why}\n", status.state);
        }
    }
    let folder = folder.path().display();
    let [done, failed, killed, left] = counts;
    text += &format!("{done} done, {failed} failed, {killed} killed, {left} to do\n");
    let all = done == names.len();
    text += &match all {
        false => format!(
            "go on or try again with the same command; report what there is: lacuna report {folder}\n"
        ),
        true => format!("next: lacuna report {folder}\n"),
    };
    Ok((text, all))
}
