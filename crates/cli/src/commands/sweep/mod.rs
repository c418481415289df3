//! `lacuna sweep`: every run of a study, as processes of this binary.

mod estimate;
mod overview;
mod plan;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use anyhow::Context;
use lacuna_record::{State, Status, StudyFolder};
use lacuna_sweep::{
    Executor, StudyFile, SweepError, check_slurm, execute_locally, execute_on_slurm, settle,
};
use lacuna_train::device::DeviceName;

use crate::terminal::stop_flag;
use overview::Overview;
use plan::Plan;

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
    /// Override a key of the base configuration, for example --set dataset=brats.toml
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut study = StudyFile::read(&arguments.study)?;
    plan::lay_overrides(&mut study.run, &arguments.overrides)?;
    // Only the paths of phantoms depend on the folder.
    let out = match &arguments.out {
        Some(out) => std::path::absolute(out)?,
        None => PathBuf::new(),
    };
    let plan = Plan::of(&study, &StudyFolder(out))?;
    if arguments.dry_run {
        return super::print(&estimate::describe(&plan, &study.executor)?);
    }
    match &study.executor {
        Executor::Local(_) => {
            DeviceName::from(plan.device).open()?;
        }
        // The nodes' devices are theirs to know.
        Executor::Slurm(settings) => check_slurm(settings)?,
    }
    let held = settle(
        &plan.folder,
        &plan.study(),
        &study.text,
        &plan.runs,
        &plan::differences,
    )?;
    let stop = stop_flag()?;
    plan.make_phantoms()?;
    let folder = &held.folder;
    let mut names = Vec::new();
    for planned in &plan.runs {
        if folder.status(&planned.run.name)?.state != State::Done {
            names.push(planned.run.name.clone());
        }
    }
    eprintln!(
        "study `{}`: {} runs, {} of them done already",
        study.name,
        plan.runs.len(),
        plan.runs.len() - names.len()
    );
    let binary = std::env::current_exe().context("cannot find this program's own file")?;
    let overview = Overview::start(folder.clone(), &plan, names.len(), &study.executor);
    let on_change = &mut |name: &str, status: &Status| overview.changed(name, status);
    let executed = match &study.executor {
        Executor::Local(settings) => {
            execute_locally(folder, &names, settings, &binary, &stop, on_change)
        }
        Executor::Slurm(settings) => {
            execute_on_slurm(folder, &names, settings, &binary, &stop, on_change)
        }
    };
    overview.finish();
    match executed {
        // Not a failure: the runs go on without this process.
        Err(left @ SweepError::SlurmLeft { .. }) => {
            eprintln!("{left}");
            return Ok(ExitCode::from(super::INTERRUPTED));
        }
        ended => ended?,
    }
    let (text, failed) = summary(&plan)?;
    super::print(&text)?;
    Ok(match (stop.load(Ordering::Relaxed), failed) {
        (true, _) => ExitCode::from(super::INTERRUPTED),
        (false, true) => ExitCode::FAILURE,
        (false, false) => ExitCode::SUCCESS,
    })
}

/// How all runs stand, and whether any failed or was killed.
fn summary(plan: &Plan) -> anyhow::Result<(String, bool)> {
    let mut text = String::new();
    let mut counts = [0usize; 4];
    for planned in &plan.runs {
        let name = &planned.run.name;
        let status = plan.folder.status(name)?;
        let place = match status.state {
            State::Done => 0,
            State::Failed => 1,
            State::Killed => 2,
            State::Waiting | State::Running | State::Interrupted => 3,
        };
        counts[place] += 1;
        if let Some(message) = status.message {
            text += &format!("{name}: {}: {message}\n", status.state);
        }
    }
    let folder = plan.folder.path().display();
    text += &format!(
        "{} done, {} failed, {} killed, {} to do\n",
        counts[0], counts[1], counts[2], counts[3]
    );
    text += &match counts[3] > 0 || counts[1] + counts[2] > 0 {
        true => format!(
            "go on or try again with the same command; report what there is: lacuna report {folder}\n"
        ),
        false => format!("next: lacuna report {folder}\n"),
    };
    Ok((text, counts[1] + counts[2] > 0))
}
