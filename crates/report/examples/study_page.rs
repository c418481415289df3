//! Writes the report of a study whose results are made up by formulas, to look at:
//! `cargo run -p lacuna-report --example study_page -- FOLDER`.

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use std::path::PathBuf;

use lacuna_record::Inputs;
use lacuna_report::study::{StudyReport, StudyResults, write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: study_page FOLDER")?);
    let (grid, shares) = (folder.join("grid"), folder.join("shares"));
    let networks = ["unet", "two-path-cnn", "high-res-3d-net"];
    for study in [
        synthetic::write_whole_study(&grid, &networks, 2, &[]),
        synthetic::write_whole_study(&shares, &["padded-unet"], 1, &[0.1, 0.01, 1e-3, 1e-4, 1e-5]),
    ] {
        let report = StudyReport::of(&StudyResults::read(&study)?, &synthetic::example)?;
        write(
            &report,
            &study.path().join("report"),
            false,
            &Inputs::default(),
        )?;
        println!("{}", study.path().join("report/report.html").display());
    }
    Ok(())
}
