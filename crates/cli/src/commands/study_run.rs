//! `lacuna study-run`: one run of a study, trained and tested; what the
//! executors of `lacuna sweep` start.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lacuna_record::{State, StudyFolder};
use lacuna_study::{RunStep, execute_run};

use super::train::{Watch, describe};
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
    let run = folder.run(&arguments.run);
    let stop = stop_flag()?;
    if arguments.attended {
        stop_at_end_of_input(&stop);
    }
    let mut watch = Watch::default();
    let mut test: Option<Progress> = None;
    let ended = execute_run(&folder, &arguments.run, &stop, &mut |step| match step {
        RunStep::Training(step) => watch.told(step),
        RunStep::Trained(summary) => print!("{}", describe(summary, &run)),
        RunStep::Predicted(done, total, subject) => {
            let bar = test.get_or_insert_with(|| Progress::new("test", 0, total));
            bar.at(done, subject);
        }
        RunStep::Scored(..) => {}
    });
    Ok(match ended? {
        State::Done => super::print(&format!("{} is done\n", arguments.run))?,
        _ => ExitCode::from(super::INTERRUPTED),
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
