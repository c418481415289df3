//! Writes the report of a study whose results are made up by formulas, to look at:
//! `cargo run -p lacuna-report --example study_page -- FOLDER`.

#[path = "../tests/synthetic/mod.rs"]
mod synthetic;

use std::path::PathBuf;

use lacuna_report::study::{StudyReport, StudyResults, write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: study_page FOLDER")?);
    for (name, networks, shares) in [
        (
            "grid",
            &["unet", "two-path-cnn", "high-res-3d-net"][..],
            &[][..],
        ),
        ("shares", &["padded-unet"], &[0.1, 0.01, 1e-3, 1e-4, 1e-5]),
    ] {
        let study = synthetic::write_whole_study(&folder.join(name), networks, shares);
        let report = StudyReport::of(&StudyResults::read(&study)?, &synthetic::example)?;
        write(&report, &study.path().join("report"))?;
        println!("{}", study.path().join("report/report.html").display());
    }
    Ok(())
}
