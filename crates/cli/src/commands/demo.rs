//! `lacuna demo`: the whole way on a phantom cohort.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lacuna::demo::{DemoError, DemoStep, demo};

use super::evaluate::table;
use super::predict::PredictBar;
use super::train::{Watch, describe};
use crate::terminal::{Progress, stop_flag};

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder to write; default: lacuna-demo, or the first free of lacuna-demo-2, -3, ...
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Key of the phantoms and of the training
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let out = arguments.out.clone().unwrap_or_else(free_folder);
    let stop = stop_flag()?;
    let mut watch = Watch::default();
    let mut predicting = PredictBar::default();
    let mut scoring: Option<Progress> = None;
    let shown = demo(&out, arguments.seed, &stop, &mut |step| match step {
        DemoStep::Phantoms(phantoms) => step!(
            "1/4 {} phantoms of {:?} voxels, lesions in {:.3} % of them",
            phantoms.subjects,
            phantoms.shape,
            100.0 * phantoms.foreground_share
        ),
        DemoStep::Training(file) => step!("2/4 training: {}", file.display()),
        DemoStep::Train(step) => watch.told(step),
        DemoStep::Trained(summary, run) => {
            watch.finish();
            print!("{}", describe(summary, run));
        }
        DemoStep::Predicting(ids) => {
            step!("3/4 predicting the held-out subjects: {}", ids.join(", "));
        }
        DemoStep::Predict(at) => predicting.at(at),
        DemoStep::Evaluating => {
            predicting.finish();
            step!("4/4 evaluating");
        }
        DemoStep::Scored(done, total) => {
            let bar = scoring.get_or_insert_with(|| Progress::new("evaluate", 0, total as u64));
            bar.at(done as u64, "");
        }
    });
    if let Some(bar) = scoring {
        bar.finish();
    }
    let shown = shown.map_err(|error| match error {
        // For the exit code of a run that was stopped.
        DemoError::Run(error) => anyhow::Error::from(*error),
        other => other.into(),
    })?;
    let Some(shown) = shown else {
        tell!("stopped");
        return Ok(ExitCode::from(super::INTERRUPTED));
    };
    for note in &shown.evaluation.notes {
        tell!("note: {note}");
    }
    super::print(&format!(
        "{}report: {}\n",
        table(&shown.evaluation),
        shown.page.display()
    ))
}

fn free_folder() -> PathBuf {
    let mut folder = PathBuf::from("lacuna-demo");
    let mut number = 1;
    while folder.exists() {
        number += 1;
        folder = Path::new(&format!("lacuna-demo-{number}")).to_owned();
    }
    folder
}
