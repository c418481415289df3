//! `lacuna report`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use lacuna::page::{self, Held};
use lacuna_data::manifest::Manifest;
use lacuna_record::{Inputs, State, StudyFolder, check_folder, check_no_run};
use lacuna_report::study::{StudyResults, write};

use crate::terminal::Counted;

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of a study (`lacuna sweep`), a run (`lacuna train`) or an evaluation (`lacuna
    /// evaluate`); a study or run may be under way
    folder: PathBuf,
    /// Folder for the report; default: report/ in the folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Manifest behind an evaluation, for pictures and depths of its errors; default: the one
    /// that it was made with
    #[arg(long, value_name = "MANIFEST")]
    dataset: Option<PathBuf>,
    /// Replace files in --out that no report wrote
    #[arg(long)]
    force: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let folder = arguments.folder.as_path();
    let held = Held::of(folder)?;
    if arguments.dataset.is_some() && held != Held::Evaluation {
        bail!(
            "--dataset: {} is no evaluation; leave it out",
            folder.display()
        );
    }
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => folder.join("report"),
    };
    // Before the work; what it may write over is known after it.
    check_folder(&out)?;
    check_no_run(&out)?;
    let mut said = String::new();
    let (report, inputs) = match held {
        Held::Auto { page } => {
            return super::print(&format!(
                "`lacuna auto` has written the page of its model: {}\n",
                page.display()
            ));
        }
        Held::Study => {
            let study = StudyFolder(folder.to_owned());
            let results = StudyResults::read(&study)?;
            let done = results.in_state(State::Done).count();
            said = format!("{done} of {} runs are done\n", results.study.runs.len());
            (page::of_study(&study, &results)?, study.files()?)
        }
        Held::Run => (page::of_run(folder)?.report(), files_in(folder)),
        Held::Evaluation => {
            let dataset = arguments.dataset.as_deref();
            let mut bar = Counted::new("report");
            let report =
                page::of_evaluation(folder, dataset, &mut |done, total| bar.at(done, total))?;
            let read = dataset.map(Manifest::read).transpose()?;
            let read = read.map_or_else(Vec::new, |manifest| manifest.files());
            (report, [files_in(folder), read].concat())
        }
    };
    write(&report, &out, arguments.force, &Inputs::of(inputs))?;
    super::print(&format!(
        "{said}written: {}\n",
        out.join("report.html").display()
    ))
}

/// The files of a folder, those below it not counted.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect()
}
