//! `lacuna report`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lacuna_data::manifest::Manifest;
use lacuna_record::{
    Inputs, PREDICTION_ENDING, State, StudyFolder, check_folder, check_no_run, prediction_path,
};
use lacuna_report::study::{Example, ExampleError, StudyReport, StudyResults, write};
use lacuna_train::config::RunConfig;

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of a study, made by `lacuna sweep`; finished or not
    folder: PathBuf,
    /// Folder for the report; default: report/ in the study's folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace files in --out that no report wrote
    #[arg(long)]
    force: bool,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let folder = StudyFolder(arguments.folder.clone());
    let results = StudyResults::read(&folder)?;
    let read = |run: &str, subject: &str| -> Result<Option<Example>, ExampleError> {
        let predictions = folder.run(run).join("test/predictions");
        example(&folder.config(run), subject, &predictions).map_err(ExampleError::from)
    };
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => arguments.folder.join("report"),
    };
    // Before the work; what it may write over is known after it.
    check_folder(&out)?;
    check_no_run(&out)?;
    let report = StudyReport::of(&results, &read)?;
    write(&report, &out, arguments.force, &Inputs::of(folder.files()?))?;
    let done = results.in_state(State::Done).count();
    super::print(&format!(
        "{done} of {} runs are done\nwritten: {}\n",
        results.study.runs.len(),
        out.join("report.html").display()
    ))
}

/// The volumes of an example; none when the study did not keep the prediction.
fn example(config: &Path, subject: &str, predictions: &Path) -> anyhow::Result<Option<Example>> {
    if !prediction_path(predictions, subject, PREDICTION_ENDING).exists() {
        return Ok(None);
    }
    let config = RunConfig::read(config, &[])?;
    let manifest = Manifest::read(&config.dataset)?;
    Ok(Some(lacuna_evaluate::example(
        &manifest,
        subject,
        predictions,
    )?))
}
