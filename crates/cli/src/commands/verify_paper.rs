//! `lacuna verify-paper`

use std::path::PathBuf;
use std::process::ExitCode;

use lacuna_record::StudyFolder;
use lacuna_report::study::findings::{json, text, verify};
use lacuna_report::study::{Cells, StudyResults, finding_cells};

#[derive(clap::Args)]
pub struct Arguments {
    /// Folder of a study, made by `lacuna sweep`
    folder: PathBuf,
    #[command(flatten)]
    json: super::Json,
}

pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let results = StudyResults::read(&StudyFolder(arguments.folder.clone()))?;
    let findings = verify(&finding_cells(&Cells::of(&results)));
    super::print(&match arguments.json.json {
        true => format!("{}\n", json(&findings)),
        false => text(&findings),
    })
}
